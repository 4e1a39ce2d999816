"""Time: what holds of the first steps holds of the thousandth. Late steps are asked by themselves, so none takes long."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sae_spec.spec_tests.core.compare import assert_same
from sae_spec.spec_tests.core.properties import clause
from sae_spec.spec_tests.core.strategies import dyadic, positive

late_steps = st.integers(0, 40) | st.integers(40, 5000)
# In every dtype exact as a number of batches: at most 8 significant bits.
late_batches = st.builds(lambda mantissa, power: mantissa * 2**power, st.integers(64, 127), st.integers(1, 4))
DECAY = {"decay": 1 - 2.0**-8}


@clause("TRAIN-12", dtypes=("float64", "float32"))       # moments are inputs here, and half precision would round them
@given(grad=positive((3,)), step=late_steps)
def test_a_gradient_that_never_changes_moves_by_the_rate_at_every_step(adapter, grad, step):
    first, second = (1 - 0.9**step) * grad, (1 - 0.999**step) * grad**2
    moved = adapter("adam", {"step": step, "learning_rate": 0.25}, param=np.zeros(3), grad=grad, first=first, second=second)
    # 1 - 0.999^t is rounded to u / (0.001 t) of its value; epsilon takes 1e-8 / |gradient|
    allowed = 0.25 * (1e-7 + {"float64": 1e-12, "float32": 1e-3}[adapter.dtype])
    assert np.all(np.abs(moved["param"] + 0.25) <= allowed)


@clause("TRAIN-12")
@given(grad=dyadic((3,), -1.0, 1.0), first=dyadic((3,), -1.0, 1.0), second=dyadic((3,), 0.0, 1.0), step=late_steps)
def test_moments_follow_the_gradient_in_the_same_way_at_every_step(adapter, grad, first, second, step):
    now, early = (adapter("adam", {"step": at, "learning_rate": 0.25}, param=np.zeros(3), grad=grad, first=first, second=second)
                  for at in (step, 1))
    assert_same(early, now, adapter.dtype, ["first", "second"])


RATE = {"steps": 4096, "learning_rate": 0.5, "warmup_steps": 0, "decay_steps": 0}


def rate(adapter, step, **config):
    return adapter("learning_rate", RATE | config | {"step": step})["rate"]


@clause("TRAIN-6", "TRAIN-7")
@given(steps=st.integers(1, 2048), step=st.integers(0, 2047))
def test_a_long_warm_up_climbs_evenly_and_a_long_decay_is_its_mirror(adapter, steps, step):
    want = {"rate": 0.5 * min(1.0, (step + 1) / steps)}
    assert_same(want, {"rate": rate(adapter, step, warmup_steps=steps)}, adapter.dtype)
    assert_same(want, {"rate": rate(adapter, 4095 - step, decay_steps=steps)}, adapter.dtype)


@clause("TRAIN-8")
@given(steps=st.integers(1, 2048), step=st.integers(0, 2047))
def test_sparsity_climbs_evenly_for_as_long_as_it_was_told_to(adapter, steps, step):
    got = adapter("sparsity_warmth", {"step": step, "sparsity_warmup_steps": steps})
    assert_same({"warmth": rate(adapter, step, warmup_steps=steps) / 0.5}, got, adapter.dtype)


@clause("TRAIN-9", "TRAIN-10")
@given(before=st.sampled_from([128, 191, 255]), power=st.sampled_from([0, 1, 2, 7]), samples=st.sampled_from([1, 4, 257]))
def test_a_long_silence_grows_by_every_sample(adapter, before, power, samples):
    before = float(before * 2**power)
    config = {"dead_after": before + samples}
    got = adapter("count_tokens", config, tokens_since_fired=[before, before], acts=np.tile([0.0, 1.0], (samples, 1)))
    assert_same({"tokens_since_fired": [before + samples, 0.0], "dead": [1.0, 0.0]}, got, exact=True)


@clause("FREQ-2")
@given(counts=dyadic((3,), 0.0, 128.0, 1.0), power=st.integers(0, 8))
def test_a_large_data_set_has_the_frequencies_of_a_small_one(adapter, counts, power):
    want = adapter("frequency", counts=counts, samples=128.0)
    assert_same(want, adapter("frequency", counts=counts * 2**power, samples=128.0 * 2**power), adapter.dtype)


@clause("FREQ-3", "FREQ-4")
@given(mean=dyadic((3,), 0.0, 1.0), acts=dyadic((2, 3), -0.5, 0.5, 0.5), batches=late_batches)
def test_a_batch_enters_the_average_in_the_same_way_at_every_step(adapter, mean, acts, batches):
    early, now = (adapter("running_mean", DECAY, mean=mean, batches=seen, acts=acts) for seen in (1, batches))
    assert_same({"mean": early["mean"], "batches": batches + 1}, now, exact=True)


@clause("FREQ-5", "FREQ-10")
@given(mean=dyadic((3,), 0.25, 1.0), batches=late_batches)
def test_the_bias_of_the_average_fades_as_its_start_does_and_not_at_once(adapter, mean, batches):
    frequency = adapter("running_frequency", DECAY, mean=mean, batches=batches)["frequency"]
    assert_same({"mean": mean}, {"mean": frequency * (1 - DECAY["decay"] ** batches)}, adapter.dtype)
    priced = adapter("running_price", DECAY | {"D": 2, "min_frequency": 2.0**-12}, mean=mean / 16, batches=batches)["price"]
    want = np.maximum(1, -np.log2(mean / 16 / (1 - DECAY["decay"] ** batches)))
    assert_same({"price": want}, {"price": priced}, adapter.dtype)
