"""python -m sae_spec.spec_tests.readme [--check]: README's generated parts, between their markers.

    <!-- generated: NAME -->
    …
    <!-- end -->
"""

import argparse
import re
import sys
from collections import Counter
from pathlib import Path
from textwrap import fill

from sae_spec.spec_tests.adapter import OPERATIONS
from sae_spec.spec_tests.cases import golden_cases, read_json
from sae_spec.spec_tests.clauses import REFERENCE, clauses
from sae_spec.spec_tests.mutants import all_mutants

README = REFERENCE.parent / "README.md"
MEASURED = REFERENCE.parent / "torch_impl" / "bench" / "measured.json"
MARKED = re.compile(r"<!-- generated: (\w+) -->\n.*?<!-- end -->", re.DOTALL)


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m sae_spec.spec_tests.readme", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a part is not up to date")
    check = parser.parse_args(argv).check
    old = README.read_text(encoding="utf-8")
    new = with_generated_parts(old)
    if new == old:
        print("README.md is up to date")
        return 0
    if check:
        print("README.md: a generated part is out of date; run python -m sae_spec.spec_tests.readme", file=sys.stderr)
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


def cell(text):
    return text.replace("|", "\\|")


def counts():
    """The size of the suite in one sentence."""
    cases = golden_cases()
    by_hand = sum("ByHand" in case.flags for case in cases)
    seen = len({mutant.seen_in for mutant in all_mutants() if mutant.seen_in})
    return (f"{len(clauses())} clauses, {len(cases)} golden cases ({by_hand} typed by hand), {len(all_mutants())} mutants; "
            f"mistakes of {seen} public releases among them.")


def bench():
    """What the kept sessions on a CPU found: one step of each subject, a column for each number of latents."""
    found = [each for each in read_json(MEASURED) if each["settings"]["device"] == "cpu"]
    widths = [f"M = {each['settings']['M']}" for each in found]
    head = ["one step", *(f"time, {width}" for width in widths), *(f"memory, {width}" for width in widths)]
    columns = [each["subjects"] for each in found]
    rows = [[cell(label(name, columns[0][name])), *(times(each[name]) for each in columns),
             *(megabytes(each[name]) for each in columns)] for name in columns[0]]
    lines = ["| " + " | ".join(row) + " |" for row in (head, ["---", *["--:"] * (len(head) - 1)], *rows)]
    return "\n".join([*lines, "", conditions(found)])


def label(name, subject):
    """Of another library with the version that was measured; ours is this one."""
    return f"{name} {subject.get('version', '')}".strip()


def times(subject):
    return "failed" if "error" in subject else f"{subject['paired_ratio']:.2f}"


def megabytes(subject):
    return f"{subject['peak_bytes'] / 2**20:.0f} MB" if subject.get("peak_bytes") is not None else ""


def conditions(found):
    """The sentence under the table."""
    s, machine = found[0]["settings"], found[0]["machine"]
    products = (f"{1e3 * each['subjects']['product']['median']:.0f} ms" for each in found)
    text = (f"Time: in units of the encoder's product alone, which took {' and '.join(products)} there; median of the ratios within "
            f"{found[0]['rounds']} rounds in turn. Memory: peak above parameters, gradients and moments (the product: what it "
            "returns). bf16: with the encoder's product in bfloat16. encode: inference alone, to the latents that are on. "
            f"D = {s['D']}, k = {s['k']}, {s['B']} samples; {machine['device']}, "
            f"{machine['threads']} threads on {machine['cores']} cores, torch {machine['torch']}.")
    return fill(text, 120)


PARTS = {"clauses": clause_index, "operations": operations, "counts": counts, "bench": bench}

if __name__ == "__main__":
    sys.exit(main())
