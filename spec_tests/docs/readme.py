"""python -m sae_spec.spec_tests.docs.readme [--check]: README's generated parts, between their markers.

    <!-- generated: NAME -->
    …
    <!-- end -->
"""

import argparse
import re
import sys
from collections import Counter
from pathlib import Path

from sae_spec.spec_tests.core.adapter import OPERATIONS
from sae_spec.spec_tests.core.cases import golden_cases
from sae_spec.spec_tests.core.clauses import REFERENCE, clauses
from sae_spec.spec_tests.mutants import all_mutants, projects
from sae_spec.spec_tests.docs.measured import bench, cell, claims, zoo

README = REFERENCE.parent / "README.md"
MARKED = re.compile(r"<!-- generated: (\w+) -->\n.*?<!-- end -->", re.DOTALL)


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m sae_spec.spec_tests.docs.readme", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a part is not up to date")
    check = parser.parse_args(argv).check
    old = README.read_text(encoding="utf-8")
    new = with_generated_parts(old)
    if new == old:
        print("README.md is up to date")
        return 0
    if check:
        print("README.md: a generated part is out of date; run python -m sae_spec.spec_tests.docs.readme", file=sys.stderr)
        return 1
    README.write_text(new, encoding="utf-8")
    print("wrote README.md")
    return 0


def with_generated_parts(text):
    """The text with every marked part made anew; an unknown name is an error."""
    return MARKED.sub(lambda found: f"<!-- generated: {found.group(1)} -->\n{PARTS[found.group(1)]()}\n<!-- end -->", text)


def clause_index():
    """Every clause: where it stands, what it says, how it is held."""
    cases = Counter(id for case in golden_cases() for id in case.clauses)
    mutants = Counter(mutant.clause for mutant in all_mutants())
    rows = [f"| [{id}]({found.where.split(':')[0]}#L{found.line}) | {cell(found.sentence)} | {cases[id]} | {mutants[id]} |"
            for id, found in clauses().items()]
    return "\n".join(["| clause | it says | golden cases | mutants |", "|---|---|---|---|", *rows])


def operations():
    """What an adapter can be asked."""
    rows = [f"| `{name}` | {op.meaning} | {cell(op.config)} | {cell(op.inputs)} | {cell(op.outputs)} |"
            for name, op in OPERATIONS.items()]
    return "\n".join(["| operation | what | config | inputs | outputs |", "|---|---|---|---|---|", *rows])


def counts():
    """The size of the suite in one sentence."""
    cases = golden_cases()
    by_hand = sum("ByHand" in case.flags for case in cases)
    seen = len(projects(mistakes_only=True))
    return (f"{len(clauses())} clauses, {len(cases)} golden cases ({by_hand} typed by hand), {len(all_mutants())} mutants; "
            f"mistakes of {seen} public projects among them.")


PARTS = {"clauses": clause_index, "operations": operations, "counts": counts, "bench": bench, "zoo": zoo, "claims": claims}

if __name__ == "__main__":
    sys.exit(main())
