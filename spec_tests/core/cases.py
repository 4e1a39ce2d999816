"""Golden cases: reading them, running one, and saying what went wrong.

A golden case, a Hypothesis example and a failure's replay file have one shape (`fixtures/schema.json`).
"""

import hashlib
import json
import os
import shlex
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np

from sae_spec.spec_tests.core.adapter import DTYPES, Bound, names_argument
from sae_spec.spec_tests.asking.answers import Lost, Misbehaved
from sae_spec.spec_tests.asking.soundness import nearest, why_unsound
from sae_spec.spec_tests.core.clauses import clauses
from sae_spec.spec_tests.core.compare import allowed_error, compare

FIXTURES = Path(find_spec("sae_spec.fixtures").origin).resolve().parent      # data: nothing of it is imported
FORMAT = 1
REGENERATE = "python -m sae_spec.fixtures.generate says what is wrong, and brings it in line"
WIDEST = 4                              # times the general rule of compare.py: a case's own `allowed` is at most this
PROGRAM = "subprocess_json"             # the adapter of a program, which the environment names


class FixtureError(ValueError):
    """A data file that cannot be used: one line that names the file and the field."""


class Case(NamedTuple):
    id: str
    clauses: tuple
    flags: tuple
    tier: str            # "exact", "rounded", "edge" or "near"
    comment: str
    operation: str
    config: dict
    inputs: dict         # {name: float64 array}
    expected: dict       # {name: float64 array}; empty where `error` is set
    exact_in: dict       # {name: dtypes in which nothing is rounded}
    allowed: dict        # {name: {dtype: largest error}} where the formula of compare.py does not fit
    error: str           # the argument that the ValueError must name, or ""
    file: str
    dtypes: tuple        # in which the inputs are exact: all, but for the tier "near"


class Failure(AssertionError):
    """A clause does not hold. The message says all there is to say; no traceback is needed."""

    def __init__(self, message, clauses):
        super().__init__(message)
        self.clauses = clauses          # those that it is about


# ---------------------------------------------------------------- reading

NONFINITE = {"NaN": np.nan, "Infinity": np.inf, "-Infinity": -np.inf}


def read_text(path):
    """The text of a data file, or a FixtureError that says why there is none."""
    try:
        return Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise FixtureError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise FixtureError(f"{path}: is not UTF-8 text") from None


def read_json(path):
    """A JSON file, or a FixtureError that says where it breaks."""
    text = read_text(path)
    try:
        return json.loads(text, parse_constant=_bare_constant)
    except json.JSONDecodeError as error:
        raise FixtureError(f"{path}: line {error.lineno}: not JSON: {error.msg}") from None
    except ValueError as error:
        raise FixtureError(f"{path}: {error}") from None


def _bare_constant(word):
    raise ValueError(f'a bare {word} is not JSON; write "{word}" as a string')


def read_cases(path, checked=None):
    """The cases of one file, checked against the schema, unless its SHA-256 is that of one `checked` before."""
    path = Path(path)
    document = read_json(path)
    if not isinstance(document, dict) or "format" not in document:
        raise FixtureError(f"{path}: format: is missing; this is not a fixture file")
    if document["format"] != FORMAT:
        raise FixtureError(f"{path}: format: is {document['format']!r}, this suite reads {FORMAT}")
    if sha256(path) != checked:
        check_schema(path, document)
    cases = [read_case(path, number, raw) for number, raw in enumerate(document["cases"])]
    for number, case in enumerate(cases):
        unknown = set(case.flags) - set(document["flags"])
        if unknown:
            raise FixtureError(f"{path}: cases[{number}].flags: {', '.join(sorted(unknown))} is not among the file's flags")
    return cases


def check_schema(path, document):
    """The first violation of schema.json as one line that names the field."""
    import jsonschema

    validator = jsonschema.Draft202012Validator(read_json(FIXTURES / "schema.json"))
    for error in sorted(validator.iter_errors(document), key=lambda e: len(e.absolute_path)):
        raise FixtureError(f"{path}: {field_of(error.absolute_path)}: {error.message[:200]}")


def field_of(parts):
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts)
    return text.lstrip(".") or "the document"


def read_case(path, number, raw):
    """A Case from its JSON, which must follow the schema."""
    def tensors(group):
        return {name: read_tensor(f"{path}: cases[{number}].{group}.{name}", tensor)
                for name, tensor in raw.get(group, {}).items()}

    expected = raw.get("expected", {})
    return Case(raw["id"], tuple(raw["clauses"]), tuple(raw["flags"]), raw["tier"], raw["comment"], raw["operation"],
                read_config(raw["config"]), tensors("inputs"), tensors("expected"),
                {name: tuple(tensor.get("exact_in", ())) for name, tensor in expected.items()},
                {name: tensor["allowed"] for name, tensor in expected.items() if "allowed" in tensor},
                raw.get("error", ""), path.name, tuple(raw.get("dtypes", DTYPES)))


def read_tensor(where, tensor):
    """A float64 array from {"shape", "data"}; numbers that are not finite are strings."""
    flat, shape = [], tuple(tensor["shape"])

    def walk(data, axes):
        """Whether the lists are nested as the axes say."""
        if isinstance(data, list):
            return all([walk(item, axes[1:]) for item in data]) and bool(axes) and len(data) == axes[0]
        number = NONFINITE.get(data) if isinstance(data, str) else data
        if not isinstance(number, (int, float)):
            raise FixtureError(f"{where}: holds {str(data)[:50]!r}, which is not a number")
        flat.append(number)
        return not axes

    nested = walk(tensor["data"], shape)
    if len(flat) != int(np.prod(shape)):
        raise FixtureError(f"{where}: holds {len(flat)} numbers, its shape {list(shape)} needs {int(np.prod(shape))}")
    if not nested:
        raise FixtureError(f"{where}: its numbers are not nested as its shape {list(shape)} says")
    return np.array(flat, dtype=np.float64).reshape(shape)


def write_tensor(array):
    """The inverse of `read_tensor`: shortest decimals that round-trip, whole numbers without a point."""
    array = np.asarray(array, dtype=np.float64)

    def number(value):
        if not np.isfinite(value):
            return "NaN" if np.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        return int(value) if value == int(value) and abs(value) < 2**53 else float(value)

    def walk(data):
        return [walk(item) for item in data] if isinstance(data, list) else number(data)

    return {"shape": list(array.shape), "data": walk(array.tolist())}


def write_config(value):
    """A configuration as JSON can hold it: numbers that are not finite are strings, NumPy's are Python's."""
    if isinstance(value, dict):
        return {name: write_config(item) for name, item in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [write_config(item) for item in value]
    value = value.item() if isinstance(value, np.generic) else value
    return write_tensor(value)["data"] if isinstance(value, float) and not np.isfinite(value) else value


def read_config(value):
    """The inverse of `write_config`."""
    if isinstance(value, dict):
        return {name: read_config(item) for name, item in value.items()}
    if isinstance(value, list):
        return [read_config(item) for item in value]
    return NONFINITE.get(value, value) if isinstance(value, str) else value


def names_of_areas(folder):
    """The files of a folder that hold golden cases."""
    return [path.name for path in folder.glob("*.json") if path.name not in ("index.json", "schema.json")]


def read_index(folder):
    """index.json: how many cases each file holds, and the ids that were retired."""
    path = folder / "index.json"
    index = read_json(path)
    if not isinstance(index, dict) or index.get("format") != FORMAT:
        raise FixtureError(f"{path}: format: is not {FORMAT}")
    for field, kind in (("files", dict), ("retired", list)):
        if not isinstance(index.get(field), kind):
            raise FixtureError(f"{path}: {field}: is missing or of the wrong type")
    for name, entry in index["files"].items():
        if not isinstance(entry, dict) or not isinstance(entry.get("cases"), int):
            raise FixtureError(f"{path}: files.{name}.cases: is missing or not a number")
        if not isinstance(entry.get("sha256"), str):
            raise FixtureError(f"{path}: files.{name}.sha256: is missing or not text")
    for stray in sorted(set(names_of_areas(folder)) - set(index["files"])):
        raise FixtureError(f"{folder / stray}: is not in index.json, so nothing of it would run; {REGENERATE}")
    return index


@cache
def golden_cases(folder=FIXTURES):
    """Every golden case, and proof that none went missing or was changed: counts and hashes must equal index.json's."""
    index = read_index(folder)
    cases = []
    for name, entry in index["files"].items():
        of_file = read_cases(folder / name, entry["sha256"])      # the generator checks before it hashes
        if len(of_file) != entry["cases"]:
            raise FixtureError(f"{folder / name}: cases: holds {len(of_file)}, index.json promises {entry['cases']}")
        cases += of_file
    if not cases:
        raise FixtureError(f"{folder / 'index.json'}: files: no golden case at all")
    seen = set()
    for case in cases:
        if case.id in seen or case.id in index["retired"]:
            raise FixtureError(f"{folder / case.file}: id: {case.id} is used twice or was retired")
        seen.add(case.id)
        check_sound(folder / case.file, case)
    for name, entry in index["files"].items():
        if sha256(folder / name) != entry["sha256"]:
            raise FixtureError(f"{folder / name}: sha256: is not index.json's, so a number may have changed; {REGENERATE}")
    return tuple(cases)


def check_sound(path, case):
    """FixtureError for a case about what there is not, whose parts do not fit each other, or that any number would pass.

    Nothing is computed: whether the numbers are right is the generator's to say, and that they are still its, the hashes'.
    """
    why = [f"clauses: there is no {id}{nearest(id, clauses())}" for id in case.clauses if id not in clauses()]
    why += [text for text in [why_unsound(case)] if text]
    for name, limits in case.allowed.items():
        for dtype, limit in limits.items():
            most = WIDEST * allowed_error(case.expected[name], dtype)
            if not limit <= most:
                why.append(f"expected.{name}.allowed.{dtype}: {limit:g} is above {most:.3g}, {WIDEST} times the general rule")
    if why:
        raise FixtureError(f"{path}: {case.id}: {why[0]}")


def sha256(path):
    """The hash of a file's bytes."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


@cache
def flag_meanings(folder=FIXTURES):
    """{flag: what its failure usually means}"""
    files = read_json(folder / "index.json")["files"]
    return {flag: entry["failure"] for name in files for flag, entry in read_json(folder / name)["flags"].items()}


# ---------------------------------------------------------------- running

class Result(NamedTuple):
    mismatches: list     # what differs, as text
    worst: float         # largest error / allowed


def run_case(module, case, dtype):
    """Run one case through an adapter. NotImplementedError passes through: the adapter does not have it."""
    bound = Bound(module, dtype)
    if case.error:
        return Result(check_error(bound, case), 0.0)
    mismatches, worst = [], 0.0
    for ask in (bound, bound.strided) if "Again" in case.flags else (bound,):
        try:
            outputs = ask(case.operation, case.config, **case.inputs)
        except NotImplementedError:
            raise
        except (Lost, Misbehaved) as error:
            return Result([str(error)], np.inf)
        except Exception as error:
            return Result([f"{type(error).__name__}: {error}"], np.inf)
        for name, want in case.expected.items():
            exact = dtype in case.exact_in.get(name, ())
            mismatch, ratio = compare(name, want, outputs.get(name), dtype, exact, case.allowed.get(name, {}).get(dtype))
            worst = max(worst, ratio)
            if mismatch:
                mismatches.append(str(mismatch) if ask is bound else f"asked again, from memory that is not row by row: {mismatch}")
    return Result(mismatches, worst)


def check_error(bound, case):
    """Why the call did not raise the ValueError it should have raised, if it did not."""
    try:
        message = bound.error(case.operation, case.config, **case.inputs)
    except NotImplementedError:
        raise
    except (AssertionError, Lost) as error:
        return [str(error)]
    except Misbehaved as error:
        return [f"{error}; a caller's mistake is a ValueError that names {case.error}"]
    named = names_argument(message, case.operation, case.config, case.error)
    return [] if named else [f"the ValueError must name {case.error}, it says: {message}"]


# ---------------------------------------------------------------- saying

def explain(clause_ids, what, where, flags, module, dtype, lines, rerun):
    """The whole story of one failure: clause, case, difference, likely cause, command."""
    known = clauses()
    parts = []
    for id in clause_ids:
        parts.append(f"{id}  {known[id].sentence}\n      {known[id].where}" if id in known else id)
    parts.append(f"  {what}  ({where})   adapter {module.NAME} {module.VERSION}   {dtype}")
    parts += [f"  {line}" for line in lines]
    meanings = flag_meanings()
    parts += [f"  flag {flag}: {meanings[flag]}" for flag in flags if flag in meanings and flag != "ByHand"]
    parts.append(f"  again: {rerun}")
    return "\n".join(parts)


def command(adapter_argument, dtype, *more):
    """The command line that runs the suite again on what failed."""
    which = ["--adapter", str(adapter_argument)]
    if which[1] == PROGRAM:
        which = ["--command", os.environ["SAE_SPEC_COMMAND"]]
    return shlex.join(["python", "-m", "sae_spec.spec_tests", *which, "--dtype", dtype, *map(str, more)])
