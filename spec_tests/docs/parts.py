"""What may stand between markers in a document: {name: function of the document's text}."""

from sae_spec.spec_tests.core.cases import golden_cases
from sae_spec.spec_tests.core.clauses import clauses
from sae_spec.spec_tests.core.options import OPTIONS
from sae_spec.spec_tests.docs import failure, measured
from sae_spec.spec_tests.docs.markdown import cell, table
from sae_spec.spec_tests.mutants import all_mutants


def counts():
    """The size of the suite in one sentence."""
    cases = golden_cases()
    by_hand = sum("ByHand" in case.flags for case in cases)
    return (f"{len(clauses())} clauses, {len(cases)} golden cases ({by_hand} typed by hand), {len(all_mutants())} mutants; "
            f"mistakes of {len(mistaken_projects())} public projects among them.")


def mistaken_projects():
    """The public projects in which a mutant was seen that is a mistake and no convention, without their versions."""
    mistakes = (mutant for mutant in all_mutants() if mutant.seen_in and not getattr(mutant, "convention", False))
    releases = (release for mutant in mistakes
                for release in (mutant.seen_in.split(", ") if isinstance(mutant.seen_in, str) else mutant.seen_in))
    return {release.split()[0] for release in releases}


def options():
    """The options of the command."""
    return table(["option", ""], [[f"`{cell(option.usage)}`", cell(option.meaning)] for option in OPTIONS])


PARTS = {name: lambda text, part=part: part() for name, part in {
    "counts": counts, "options": options, "claims": measured.claims, "claims_in_full": measured.claims_in_full,
    "zoo": measured.zoo, "speed": measured.speed, "bench": measured.bench}.items()}
PARTS |= {"golden_failure": failure.golden, "property_failure": failure.property_}
