"""An implementation's own list of what it is known to get wrong; strict, so that it can only shrink.

    [[known_failure]]
    clause = "ACT-5"            # or: case = "topk-tie-lowest-index", or: test = "test_…"
    dtype = "bfloat16"          # optional
    reason = "the GPU's select does not order ties"
    judgement = "convention"    # optional: or "mistake", once a person has read the code
    where = "topk.py:12"        # optional: file:line of what differs, in the version that was run
"""

import fnmatch
import json
import re
from dataclasses import dataclass

from sae_spec.spec_tests.core.cases import read_text

FIELDS = ("clause", "case", "test", "dtype", "judgement", "reason", "where", "link")
JUDGEMENTS = ("convention", "mistake")
PLACE = re.compile(r"\S+:[1-9][0-9]*")


@dataclass
class KnownFailure:
    reason: str
    clause: str = ""
    case: str = ""
    test: str = ""
    dtype: str = ""
    link: str = ""
    judgement: str = ""
    where: str = ""
    hits: int = 0

    def matches(self, clause_ids, name, dtype):
        if self.dtype and self.dtype != dtype:
            return False
        if self.clause:
            return any(fnmatch.fnmatch(id, self.clause) for id in clause_ids)
        return name == (self.case or self.test)

    def __str__(self):
        what = self.clause or self.case or self.test
        return f"{what} {self.dtype} ({self.reason})"


def read_known_failures(path):
    """The entries of a TOML file; one line naming file and field for anything wrong with it."""
    try:
        import tomllib
    except ModuleNotFoundError:         # Python 3.10
        import tomli as tomllib
    text = read_text(path)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path}: not TOML: {error}") from None
    for word in set(document) - {"known_failure"}:
        raise ValueError(f"{path}: {word}: unknown; the entries are [[known_failure]]")
    entries = document.get("known_failure", [])
    if not isinstance(entries, list):
        raise ValueError(f"{path}: known_failure: must be a list of tables, [[known_failure]]")
    known = []
    for number, entry in enumerate(entries):
        where = f"{path}: known_failure[{number}]"
        if not isinstance(entry, dict):
            raise ValueError(f"{where}: must be a table, got {entry!r}")
        unknown = set(entry) - set(FIELDS)
        if unknown:
            raise ValueError(f"{where}: unknown field {sorted(unknown)[0]}")
        for word, value in entry.items():
            if not isinstance(value, str):
                raise ValueError(f"{where}.{word}: must be text, got {value!r}")
        if sum(bool(entry.get(word)) for word in ("clause", "case", "test")) != 1 or not entry.get("reason"):
            raise ValueError(f"{where}: needs a reason and exactly one of clause, case, test")
        if entry.get("judgement", JUDGEMENTS[0]) not in JUDGEMENTS:
            raise ValueError(f"{where}.judgement: must be {' or '.join(JUDGEMENTS)}, got {entry['judgement']!r}")
        if "where" in entry and not PLACE.fullmatch(entry["where"]):
            raise ValueError(f"{where}.where: must be file:line, got {entry['where']!r}")
        known.append(KnownFailure(**entry))
    return known


def known_failures_text(excused, failures):
    """A list of known failures as TOML: the entries that a run excused, then what failed, each once.

    failures  the tally's: dictionaries with `name` ({"case": id} or {"test": name}), `dtype` and `message`
    """
    entries = [{word: getattr(known, word) for word in FIELDS} for known in excused]
    for failure in (failure for failure in failures if failure["name"]):
        lines = [line.strip() for line in failure["message"].splitlines() if line.strip()]
        # After the clauses, their places and the line that names the test comes what is wrong.
        told = [number for number, line in enumerate(lines) if line.startswith(("case ", "property "))]
        reason = lines[min(told[0] + 1, len(lines) - 1)] if told else lines[-1] if lines else "no message"
        entry = failure["name"] | {"dtype": failure["dtype"], "reason": reason[:200]}
        if not any(entry | {"reason": ""} == other | {"reason": ""} for other in entries):
            entries.append(entry)
    return "\n".join("[[known_failure]]\n" + "".join(f"{word} = {toml(text)}\n" for word, text in entry.items() if text)
                     for entry in entries)


def toml(text):
    """Text as TOML writes it: as JSON does, but for characters that no terminal shows."""
    return json.dumps("".join(letter if letter.isprintable() else " " for letter in text), ensure_ascii=False)
