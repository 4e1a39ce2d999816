"""The records of operations are true: of the golden data, of both roads, and of what a caller may get wrong."""

import subprocess
import sys

import numpy as np
import pytest

from sae_spec.spec_tests.adapters import reference_numpy
from sae_spec.spec_tests.core.adapter import Bound, names_argument
from sae_spec.spec_tests.core.cases import golden_cases
from sae_spec.spec_tests.operations import AREAS, OPERATIONS
from sae_spec.spec_tests.asking.soundness import UNDER_ANY_NAME, lengths

CASES = [case for case in golden_cases() if not case.error]
REFUSALS = [(operation, value, argument) for operation in OPERATIONS.values()
            for value, signature in operation.values().items() for argument in signature.refused]


def check_names(what, declared, names):
    """Every name is declared, and every name that is not optional is there."""
    if UNDER_ANY_NAME not in declared:
        assert not set(names) - set(declared), what
        assert not {name for name, entry in declared.items() if not entry.optional} - set(names), what


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_a_golden_case_is_as_its_operation_is_recorded(case):
    operation = OPERATIONS[case.operation]
    signature = operation.signature(case.config)
    names = set(case.config) - {operation.turns_on} - ({"std", "rho"} if "world" in case.config else set())
    check_names("config", signature.config, names)
    check_names("inputs", signature.inputs, case.inputs)
    outputs = reference_numpy.run(case.operation, case.config, {name: a.copy() for name, a in case.inputs.items()}, "float64")
    check_names("outputs", signature.outputs, outputs)
    known = {}
    for declared, arrays in ((signature.inputs, case.inputs), (signature.outputs, outputs)):
        for name in declared.keys() & arrays.keys():
            lengths(declared[name], np.shape(arrays[name]), known)


@pytest.mark.parametrize("case", [case for case in golden_cases() if case.error], ids=lambda case: case.id)
def test_what_a_golden_case_refuses_is_recorded(case):
    assert case.error in OPERATIONS[case.operation].signature(case.config).refused


@pytest.mark.parametrize("road", ["reference", "torch_impl"])
@pytest.mark.parametrize("operation, value, argument", REFUSALS,
                         ids=[f"{operation.name}-{value}-{argument}".replace("--", "-") for operation, value, argument in REFUSALS])
def test_what_is_recorded_as_wrong_is_refused(operation, value, argument, road):
    module = reference_numpy
    if road == "torch_impl":
        pytest.importorskip("torch")
        from sae_spec.spec_tests.adapters import torch_impl as module
    wrong, tried = operation.values()[value].refused[argument], 0
    for mistake in wrong if isinstance(wrong, list) else [wrong]:
        for config, inputs in calls(operation, value, mistake, argument):
            message = Bound(module, "float64").error(operation.name, config, **inputs)
            assert names_argument(message, operation.name, config, argument), f"{mistake.how}: {message}"
            tried += 1
    assert tried


def calls(operation, value, mistake, argument):
    """The wrong calls that a mistake makes of the first golden case that can hold it."""
    signature = operation.values()[value]
    for case in CASES:
        if case.operation == operation.name and (not value or case.config[operation.turns_on] == value):
            made = mistake.calls(argument, signature, case.config, case.inputs)
            if made:
                return made
    raise AssertionError(f"no golden case of {operation.name} {value} can hold the mistake: {argument} {mistake.how}")


def test_every_operation_has_golden_cases_and_a_name_of_its_own():
    assert {case.operation for case in golden_cases()} == set(OPERATIONS)
    assert len(OPERATIONS) == sum(len(area.operations) for area in AREAS)


def test_a_word_means_one_thing():
    """A key of the configuration has one meaning, or readers of OPERATIONS.md would have to guess."""
    meanings = {}
    for operation in OPERATIONS.values():
        for signature in operation.signatures.values():
            for key in signature.config.values():
                meanings.setdefault(key.name, set()).add(key.meaning)
    assert not {name: texts for name, texts in meanings.items() if len(texts) > 1}


def test_records_and_the_reference_need_no_torch():
    script = "import sys; from sae_spec.spec_tests.adapters import reference_numpy; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)
