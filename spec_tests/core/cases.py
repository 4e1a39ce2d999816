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
from sae_spec.spec_tests.operations.answers import Lost, Misbehaved
from sae_spec.spec_tests.core.clauses import clauses
from sae_spec.spec_tests.core.compare import compare

FIXTURES = Path(find_spec("sae_spec.fixtures").origin).resolve().parent      # data: nothing of it is imported
FORMAT = 1
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


# ---------------------------------------------------------------- reading

NONFINITE = {"NaN": np.nan, "Infinity": np.inf, "-Infinity": -np.inf}


def read_json(path):
    """A JSON file, or a FixtureError that says where it breaks."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"), parse_constant=_bare_constant)
    except OSError as error:
        raise FixtureError(f"{path}: cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise FixtureError(f"{path}: is not UTF-8 text") from None
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
    if hashlib.sha256(path.read_bytes()).hexdigest() != checked:
        check_schema(path, document)
    cases = [_case(path, number, raw) for number, raw in enumerate(document["cases"])]
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


def _case(path, number, raw):
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
    flat = []

    def walk(data):
        for item in data if isinstance(data, list) else [data]:
            if isinstance(item, list):
                walk(item)
                continue
            number = NONFINITE.get(item) if isinstance(item, str) else item
            if not isinstance(number, (int, float)):
                raise FixtureError(f"{where}: holds {str(item)[:50]!r}, which is not a number")
            flat.append(number)

    walk(tensor["data"])
    shape = tuple(tensor["shape"])
    if len(flat) != int(np.prod(shape)):
        raise FixtureError(f"{where}: holds {len(flat)} numbers, its shape {list(shape)} needs {int(np.prod(shape))}")
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
    return index


@cache
def golden_cases(folder=FIXTURES):
    """Every golden case, and proof that none went missing: counts must equal index.json's."""
    index = read_index(folder)
    cases = []
    for name, entry in index["files"].items():
        of_file = read_cases(folder / name, entry.get("sha256"))      # the generator checks before it hashes
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
    return tuple(cases)


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
