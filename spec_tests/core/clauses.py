"""The clauses, read from the reference's docstrings: id, sentence, file and line."""

import re
from functools import cache
from pathlib import Path
from typing import NamedTuple

import sae_spec.reference as reference

REFERENCE = Path(reference.__file__).resolve().parent       # an editable install has links
AREAS = ("ACT", "SAE", "FREQ", "COST", "TRAIN", "TOY", "ABS", "META", "THEORY")
START = re.compile(r"^\s*(?:.*?[\"”.)]\s+)?\[([A-Z]+-\d+)\]\s+(.*)$")
END = re.compile(r"^\s*$|^\s*Source:|\"\"\"")


class Clause(NamedTuple):
    id: str
    sentence: str
    file: str       # inside reference/
    line: int

    @property
    def area(self):
        return self.id.split("-")[0]

    @property
    def where(self):
        return f"reference/{self.file}:{self.line}"

    @property
    def untested(self):
        """Why no test can hold it, or None."""
        reason = re.search(r"\[untested: (.+?)\]", self.sentence)
        return reason.group(1) if reason else None


@cache
def clauses():
    """{id: Clause}, in the order of areas and numbers. A second definition of an id is an error."""
    by_id = {}
    for path in sorted(REFERENCE.rglob("*.py")):
        for clause in _in_file(path):
            if clause.id in by_id:
                raise ValueError(f"{clause.id} is defined twice: {by_id[clause.id].where} and {clause.where}")
            by_id[clause.id] = clause
    return dict(sorted(by_id.items(), key=lambda item: (AREAS.index(item[1].area), int(item[0].split("-")[1]))))


def _in_file(path):
    lines = path.read_text(encoding="utf-8").splitlines()
    for number, line in enumerate(lines):
        opening = START.match(line)
        if not opening:
            continue
        words = [opening.group(2)]
        for following in lines[number + 1:]:
            if END.search(following) or START.match(following):
                break
            words.append(following.strip())
        sentence = " ".join(words).split('"""')[0].strip()
        yield Clause(opening.group(1), sentence, path.relative_to(REFERENCE).as_posix(), number + 1)
