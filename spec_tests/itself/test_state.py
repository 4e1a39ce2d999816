"""Adapters that leave traces: each is found out, by golden data and by properties, and the message names the clause."""

from types import SimpleNamespace

import numpy as np
import pytest

from sae_spec.spec_tests.adapters import reference_numpy
from sae_spec.spec_tests.conformance.tiers import test_state as properties
from sae_spec.spec_tests.core.adapter import Bound, StateError
from sae_spec.spec_tests.core.cases import Failure, golden_cases, run_case


def adapter(run):
    """A module of an adapter that runs `run(memory, operation, config, inputs)`, with a memory of its own."""
    memory = {}
    return SimpleNamespace(NAME="wrong", VERSION="0", DTYPES=["float64"],
                           run=lambda operation, config, inputs, dtype: run(memory, operation, config, inputs))


def right(operation, config, inputs):
    return reference_numpy.run(operation, config, inputs, "float64")


def writes_into_its_inputs(memory, operation, config, inputs):
    outputs = right(operation, config, inputs)
    for array in inputs.values():
        array *= 0
    return outputs


def returns_its_input(memory, operation, config, inputs):
    outputs = right(operation, config, inputs)
    return {name: next((given for given in inputs.values() if given.shape == value.shape and np.array_equal(given, value)), value)
            for name, value in outputs.items()}


def remembers_results(memory, operation, config, inputs):
    key = operation, str(config), tuple((name, array.tobytes()) for name, array in inputs.items())
    return memory.setdefault(key, right(operation, config, inputs))


def uses_one_buffer(memory, operation, config, inputs):
    outputs = right(operation, config, inputs)
    for name, value in outputs.items():
        buffer = memory.setdefault((name, np.shape(value)), np.zeros(np.shape(value)))
        buffer[...] = value
    return {name: memory[name, np.shape(value)] for name, value in outputs.items()}


def encodes_with_what_was_trained(memory, operation, config, inputs):
    if operation == "encode":
        inputs = inputs | {name: array for name, array in memory.items() if name in inputs and inputs[name].shape == array.shape}
    outputs = right(operation, config, inputs)
    if operation == "train":
        memory |= {name: outputs[name] * 1 for name in ("W_dec", "b_dec", "b_enc")}
    return outputs


def reads_the_raw_buffer(memory, operation, config, inputs):
    raw = {name: array if array.base is None else array.base.ravel()[: array.size].reshape(array.shape) for name, array in inputs.items()}
    return right(operation, config, raw)


WRONG = (writes_into_its_inputs, returns_its_input, remembers_results, uses_one_buffer, reads_the_raw_buffer)
PROPERTIES = [value for name, value in vars(properties).items() if name.startswith("test_")]


@pytest.mark.parametrize("run", WRONG, ids=lambda run: run.__name__)
def test_a_trace_is_found_by_golden_data(run):
    module = adapter(run)
    assert any(run_case(module, case, "float64").mismatches for case in golden_cases() if "SAE-16" in case.clauses)


@pytest.mark.parametrize("run", (*WRONG, encodes_with_what_was_trained), ids=lambda run: run.__name__)
def test_a_trace_is_found_by_properties(run):
    bound, stories = Bound(adapter(run)), []
    for test in PROPERTIES:
        try:
            test(adapter=bound)
        except Failure as failure:
            stories.append(str(failure))
    assert stories and all("SAE-16" in story for story in stories)


def test_a_state_that_is_left_alone_may_come_back_as_it_is():
    bound = Bound(adapter(lambda memory, operation, config, inputs: inputs))
    assert bound("clip_gradients", {"max_grad_norm": None}, a=[1.0, 2.0])["a"].tolist() == [1, 2]
    with pytest.raises(StateError, match="SAE-16: relu returned its input pre as acts"):
        Bound(adapter(lambda memory, operation, config, inputs: {"acts": inputs["pre"]}))("relu", pre=[[1.0]])
