"""What may stand between markers in a document: {name: function of the document's text}."""

from sae_spec.spec_tests.core.cases import golden_cases
from sae_spec.spec_tests.core.clauses import clauses
from sae_spec.spec_tests.core.options import OPTIONS
from sae_spec.spec_tests.docs import failure, measured
from sae_spec.spec_tests.docs.markdown import cell, table
from sae_spec.spec_tests.mutants import all_mutants, projects


def counts():
    """The size of the suite in one sentence."""
    cases = golden_cases()
    by_hand = sum("ByHand" in case.flags for case in cases)
    return (f"{len(clauses())} clauses, {len(cases)} golden cases ({by_hand} typed by hand), {len(all_mutants())} mutants; "
            f"mistakes of {len(projects(mistakes_only=True))} public projects among them.")


def options():
    """The options of the command."""
    return table(["option", ""], [[f"`{cell(option.usage)}`", cell(option.meaning)] for option in OPTIONS])


PARTS = {name: lambda text, part=part: part() for name, part in {
    "counts": counts, "options": options, "claims": measured.claims, "claims_in_full": measured.claims_in_full,
    "zoo": measured.zoo, "questions": measured.questions, "rivals": measured.rivals, "shoot_out": measured.shoot_out,
    "beside": measured.beside, "clipping": measured.clipping, "knob": measured.knob, "speed": measured.speed, "bench": measured.bench,
    "scan": measured.scan, "words": measured.words}.items()}
PARTS |= {"golden_failure": failure.golden_message, "property_failure": failure.property_message}
