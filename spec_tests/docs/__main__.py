"""python -m sae_spec.spec_tests.docs [--check]: the documents that are generated, in whole or in parts.

Whole: OPERATIONS.md, PEERS.md and reference/CLAUSES.md. In any other document of the project, what stands between

    <!-- generated: NAME -->
    …
    <!-- end -->
"""

import argparse
import re
import sys

from sae_spec.spec_tests.core.clauses import REFERENCE
from sae_spec.spec_tests.docs import clauses, operations, peers
from sae_spec.spec_tests.docs.parts import PARTS

ROOT = REFERENCE.parent
HERE = ROOT / "spec_tests" / "docs"
WHOLE = {HERE / "OPERATIONS.md": operations.text, REFERENCE / "CLAUSES.md": clauses.text,
         HERE / "PEERS.md": peers.text}
PLACES = (".", "fixtures", "reference", "spec_tests/docs", "torch_impl")
MARKED = re.compile(r"<!-- generated: (\w+) -->\n(.*?)<!-- end -->", re.DOTALL)


def main(argv=None):
    """Write what is not up to date, or say so; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m sae_spec.spec_tests.docs", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a document is not up to date")
    check, stale = parser.parse_args(argv).check, out_of_date()
    for path, text in stale.items():
        name = path.relative_to(ROOT).as_posix()
        if check:
            print(f"{name} is out of date; run python -m sae_spec.spec_tests.docs", file=sys.stderr)
        else:
            path.write_text(text, encoding="utf-8")
            print(f"wrote {name}")
    if not stale:
        print("the documents are up to date")
    return 1 if stale and check else 0


def documents():
    """Every document of the project."""
    return sorted({path for place in PLACES for path in (ROOT / place).glob("*.md")} | set(WHOLE))


def out_of_date():
    """{path: what it should hold} of the documents that hold something else."""
    wanted = {path: WHOLE[path]() if path in WHOLE else with_generated_parts(path.read_text(encoding="utf-8"))
              for path in documents()}
    return {path: text for path, text in wanted.items()
            if not path.exists() or path.read_text(encoding="utf-8") != text}


def with_generated_parts(text):
    """The text with every marked part made anew; an unknown name is an error."""
    return MARKED.sub(lambda part: f"<!-- generated: {part.group(1)} -->\n{PARTS[part.group(1)](text)}\n<!-- end -->", text)


if __name__ == "__main__":
    sys.exit(main())
