"""reference/CLAUSES.md: every clause, where it stands and how it is held."""

from collections import Counter

from sae_spec.spec_tests.core.cases import golden_cases
from sae_spec.spec_tests.core.clauses import clauses
from sae_spec.spec_tests.docs.markdown import cell, table
from sae_spec.spec_tests.mutants import all_mutants
from sae_spec.spec_tests.operations import AREAS

HEAD = """\
# Clauses

A clause is one sentence that decides something. It stands in a docstring of the reference, beside the code it governs; its id
is an area and a number that is never reused. Each has golden cases in [`fixtures/`](../fixtures/README.md), at least one of
them typed by hand, properties in `spec_tests/conformance/`, and mutants in `spec_tests/mutants/`: wrong implementations that
the golden cases must catch by themselves, and the properties by themselves.

This page is generated: `python -m sae_spec.spec_tests.docs`.
"""


def text():
    """The whole page."""
    cases = Counter(id for case in golden_cases() for id in case.clauses)
    mutants = Counter(mutant.clause for mutant in all_mutants())
    parts = [HEAD]
    for area in AREAS:
        rows = [[f"[{id}]({clause.file}#L{clause.line})", cell(clause.sentence), str(cases[id]), str(mutants[id])]
                for id, clause in clauses().items() if clause.area == area.id]
        parts.append(f"## {area.id}: {area.title}\n\n" + table(["clause", "it says", "golden cases", "mutants"], rows) + "\n")
    return "\n".join(parts)
