"""State: a call leaves no trace. That inputs stay and outputs are new is looked at in every call of the suite (`Bound`)."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sae_spec.spec_tests.conformance.costs.test_objective import objectives
from sae_spec.spec_tests.conformance.sae.questions import asked
from sae_spec.spec_tests.conformance.training.test_training_step import trainings
from sae_spec.spec_tests.core.compare import assert_same
from sae_spec.spec_tests.core.properties import clause
from sae_spec.spec_tests.core.strategies import dyadic, pres


@clause("SAE-16")
@given(pre=pres())
def test_relu_returns_an_array_of_its_own(adapter, pre):
    for array in (pre, np.abs(pre) + 1):
        acts = adapter("activation", {"activation": "relu"}, pre=array)
        assert_same(acts, adapter("activation", {"activation": "relu"}, pre=array), exact=True)


@clause("SAE-16")
@given(ask=asked(), acts=st.data())
def test_an_answer_does_not_depend_on_how_its_inputs_lie_in_memory(adapter, ask, acts):
    sae, d = ask
    acts = acts.draw(dyadic((sae.B, sae.M), -1.0, 1.0, 0.5))
    prefixes = {name: sae.config[name] for name in ("prefixes",) if name in sae.config}
    calls = [("encode", sae.config, sae.inputs), ("backward", sae.config, sae.inputs | d),
             ("decode", prefixes, {"acts": acts, "W_dec": sae.inputs["W_dec"], "b_dec": sae.inputs["b_dec"]}),
             ("normalize_rows", {}, {"W": sae.inputs["W_dec"]}), ("firing_counts", {}, {"acts": acts})]
    for operation, config, inputs in calls:
        assert_same(adapter(operation, config, **inputs), adapter.strided(operation, config, **inputs), adapter.dtype)


@clause("SAE-16")
@given(asked=objectives())
def test_costs_do_not_depend_on_how_their_inputs_lie_in_memory(adapter, asked):
    config, inputs, _ = asked
    # a cost of 0 is a difference: of tie, 1 - 1, what is rounded is of the size of 1
    lifted = lambda outputs: {name: 1 + value for name, value in outputs.items()}
    assert_same(lifted(adapter("objective", config, **inputs)), lifted(adapter.strided("objective", config, **inputs)), adapter.dtype)


@clause("SAE-16")
@given(ask=asked(), factor=st.sampled_from([-1.0, 2.0]))
def test_an_answer_does_not_depend_on_what_was_asked_before(adapter, ask, factor):
    sae, d = ask
    other = {name: factor * array if name != "price" else array for name, array in sae.inputs.items()}
    first = adapter("encode", sae.config, **sae.inputs), adapter("backward", sae.config, **sae.inputs, **d)
    adapter("encode", sae.config, **other)
    adapter("backward", sae.config, **other, **d)
    again = adapter("encode", sae.config, **sae.inputs), adapter("backward", sae.config, **sae.inputs, **d)
    for before, after in zip(first, again):
        assert_same(before, after, exact=True)


@clause("SAE-16")
@given(training=trainings(steps=2))
def test_encoding_between_two_runs_sees_nothing_of_training_nor_training_of_it(adapter, training):
    config, params, batches = training
    encode = lambda: adapter("encode", config, x=batches[0], **params, price=np.ones(3))
    before, run = encode(), adapter("train", config, **params, batches=batches)
    assert_same(before, encode(), exact=True)
    assert_same(run, adapter("train", config, **params, batches=batches), exact=True)
