"""Whatever an adapter returns or raises, the case in which it does so fails, and says what came."""

import json
from types import SimpleNamespace

import numpy as np
import pytest

from sae_spec.spec_tests.core.adapter import DTYPES
from sae_spec.spec_tests.core.cases import golden_cases, run_case
from sae_spec.spec_tests.core.commands import start
from sae_spec.spec_tests.itself.command.samples import adapter
from sae_spec.spec_tests.operations import OPERATIONS

# Each starts interpreters, a minute of them in all.
pytestmark = pytest.mark.long


# ---------------------------------------------------------------- liars

class Liar:
    """An adapter that answers everything, and nothing right."""

    NAME, VERSION, DTYPES = "liar", "0", ["float64"]

    def __init__(self, spoil):
        self.spoil = spoil

    def run(self, operation, config, inputs, dtype):
        from sae_spec.spec_tests.adapters import reference_numpy

        try:
            outputs = reference_numpy.run(operation, config, inputs, dtype)
        except ValueError:
            return {}                           # a caller's mistake goes unnoticed
        return self.spoil({name: np.asarray(value, dtype=float) for name, value in outputs.items()})


LIES = {
    "all NaN": lambda outputs: {name: np.full_like(value, np.nan) for name, value in outputs.items()},
    "one axis too many": lambda outputs: {name: value[None] for name, value in outputs.items()},
    "nothing": lambda outputs: {},
    "empty arrays": lambda outputs: {name: np.zeros(0) for name in outputs},
    "an extra key": lambda outputs: outputs | {"and more": np.zeros(2)} if "acts" in outputs else None,
    "None": lambda outputs: None,
    "a list": lambda outputs: list(outputs.values()),
    "arrays of None": lambda outputs: {name: np.full(value.shape, None) for name, value in outputs.items()},
    "complex numbers": lambda outputs: {name: value + 0j for name, value in outputs.items()},
    "text": lambda outputs: {name: value.astype(str) for name, value in outputs.items()},
    "ragged": lambda outputs: {name: [[1.0], [1.0, 2.0]] for name in outputs},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_liar_fails_every_golden_case(lie):
    fooled = [case.id for case in golden_cases() if not run_case(Liar(LIES[lie]), case, "float64").mismatches
              if not all(want.size == 0 for want in case.expected.values()) or case.error]
    assert not fooled


# ---------------------------------------------------------------- what is said, and that the run goes on

MISBEHAVING = """
import numpy as np
from sae_spec.spec_tests.adapters import reference_numpy

NAME, VERSION, DTYPES = "misbehaving", "1", list(DEEDS)


class Strange(BaseException):
    def __str__(self):
        return 1 / 0


def deeper():
    return deeper()


def leave():
    raise SystemExit(0)


def interrupt():
    raise KeyboardInterrupt


def strange():
    raise Strange


def skip():
    import pytest       # nothing of ours is left out: a library that would have its case skipped must fail
    pytest.skip("nothing to see")


def stop():
    import pytest
    pytest.exit("that is all", 0)


def run(operation, config, inputs, dtype):
    right = lambda: reference_numpy.run(operation, config, inputs, dtype)
    return DEEDS[dtype](right) if operation == "activation" else right()
"""

DEEDS = {
    "None": "activation returned NoneType, not outputs by name",
    "{}": "acts  missing: want an array",
    "{'acts': right()['acts'][None]}": "acts  shape: want ",
    "right() | {'extra': 1.0}": "activation returned 'extra', which is not among its outputs: acts",
    "right() | {3: 1.0}": "activation returned 3, which is not among its outputs: acts",
    "{'acts': 1j * right()['acts']}": "activation returned acts as ndarray, of which no array of real numbers can be made: complex",
    "{'acts': 'text'}": "activation returned acts as str, of which no array of real numbers can be made",
    "{'acts': np.nan * right()['acts']}": "which numbers are not finite is compared exactly",
    "leave()": "raised SystemExit: 0",
    "interrupt()": "raised KeyboardInterrupt: ",
    "deeper()": "raised RecursionError: maximum recursion depth exceeded",
    "strange()": "raised Strange: (its text cannot be had)",
    "skip()": "raised Skipped: nothing to see",
    "stop()": "raised Exit: that is all",
}


@pytest.mark.parametrize("first", range(0, len(DEEDS), len(DTYPES)))
def test_a_misdeed_is_that_cases_outcome_and_has_a_name(first, tmp_path):
    """In golden cases and properties; those of a clause that asks for something else go on and pass. One misdeed in each dtype."""
    deeds = dict(zip(DTYPES, list(DEEDS)[first:]))
    functions = ", ".join(f"'{dtype}': lambda right: {what}" for dtype, what in deeds.items())
    path = adapter(tmp_path, f"DEEDS = {{{functions}}}\n{MISBEHAVING}")
    ran = start(tmp_path, "--adapter", path, "--clause", "ACT-1", "--clause", "FREQ-8", "--report", "out.json")
    assert ran.status == 1 and "INTERNALERROR" not in ran.text, ran.text
    report = json.loads((tmp_path / "out.json").read_text())
    for dtype, what in deeds.items():
        act, freq = report["clauses"]["ACT-1"][dtype], report["clauses"]["FREQ-8"][dtype]
        assert act["fail"] and freq["pass"] and not freq["fail"], (what, act, freq)
        told = "\n".join(failure["message"] for failure in report["failures"] if failure["dtype"] == dtype)
        assert DEEDS[what] in told and "  case " in told and "  property " in told, (what, ran.text)


FORGETS_NAN = """
from sae_spec.spec_tests.adapters import reference_numpy

NAME, VERSION, DTYPES = "forgets-nan", "1", ["float64"]


def run(operation, config, inputs, dtype):
    plain = {name: 1.0 if value != value else value for name, value in config.items()}
    return reference_numpy.run(operation, plain, inputs, dtype)
"""


def test_a_nan_in_the_configuration_has_a_replay_that_fails_again(tmp_path):
    path = adapter(tmp_path, FORGETS_NAN)
    ran = start(tmp_path, "--adapter", path, "--clause", "COST-6", "--properties-only")
    assert ran.status == 1 and "INTERNALERROR" not in ran.text and "should have raised a ValueError" in ran.out, ran.text
    replays = list((tmp_path / "sae-spec-failures").glob("*.json"))
    assert any('"NaN"' in replay.read_text() for replay in replays)
    again = start(tmp_path, "--adapter", path, *(word for replay in replays for word in ("--case", replay)), "--report", "again.json")
    tests = json.loads((tmp_path / "again.json").read_text())["tests"]
    assert again.status == 1 and tests["fail"] and not tests["pass"], again.text


# ---------------------------------------------------------------- wording

def saying(message):
    """An adapter that refuses everything with this message."""
    def run(operation, config, inputs, dtype):
        raise ValueError(message)

    return SimpleNamespace(NAME="says", VERSION="1", DTYPES=["float64"], run=run)


REFUSED = [case for case in golden_cases() if case.error]


@pytest.mark.parametrize("wording", ["{} = 1 is too small", "bad value for '{}'", "the argument {}: no", "({})"])
def test_a_refusal_may_have_any_words_that_name_the_argument(wording):
    assert not [case.id for case in REFUSED if run_case(saying(wording.format(case.error)), case, "float64").mismatches]


def test_an_argument_is_named_as_the_caller_knows_it():
    """One of the names that a refusal may hold is that of a key or an input which the call has, or an input that it lacks."""
    lacks = lambda case: OPERATIONS[case.operation].signature(case.config).inputs.keys() - case.inputs.keys()
    foreign = [case.id for case in REFUSED
               if not OPERATIONS[case.operation].names_of(case.error, case.config) & {*case.config, *case.inputs, *lacks(case)}]
    assert not foreign


def test_a_refusal_that_names_another_argument_fails():
    wrong = saying("the argument anything_else is wrong, and the batches_of_x")
    assert all(run_case(wrong, case, "float64").mismatches for case in REFUSED)


def test_an_empty_batch_may_be_named_by_any_input_that_holds_it():
    case = next(case for case in REFUSED if case.operation == "cost" and case.error == "batch" and "acts" in case.inputs)
    assert not run_case(saying("acts must not be empty"), case, "float64").mismatches
    assert run_case(saying("W_dec must not be empty"), case, "float64").mismatches
