"""TRAIN: schedules, dead latents, clipping and Adam."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sae_spec.spec_tests.core.compare import UNIT_ROUNDOFF, assert_same
from sae_spec.spec_tests.core.properties import clause
from sae_spec.spec_tests.core.strategies import dyadic, positive
from sae_spec.spec_tests.conformance.training.calls import waited


# ---------------------------------------------------------------- schedules

FULL = {"steps": 16, "learning_rate": 0.5, "warmup_steps": 0, "decay_steps": 0}
powers = st.sampled_from([1, 2, 4, 8])


def rate_at(adapter, step, **config):
    return adapter("learning_rate", FULL | config | {"step": step})


@clause("TRAIN-6")
@given(warmup=powers, step=st.integers(0, 15))
def test_the_rate_climbs_in_equal_steps_of_its_first_value_to_the_full_rate(adapter, warmup, step):
    first = rate_at(adapter, 0, warmup_steps=warmup)["rate"]
    assert_same({"rate": min((step + 1) * first, 0.5)}, rate_at(adapter, step, warmup_steps=warmup), adapter.dtype)
    assert_same({"rate": 0.5}, rate_at(adapter, warmup - 1, warmup_steps=warmup), adapter.dtype)
    assert_same({"rate": 0.5}, rate_at(adapter, step), adapter.dtype)


@clause("TRAIN-7", "TRAIN-6")
@given(warmup=powers, decay=powers, step=st.integers(0, 15), steps=st.integers(16, 20))
def test_decay_is_warmup_seen_from_the_end_and_the_smaller_counts(adapter, warmup, decay, step, steps):
    up = rate_at(adapter, step, steps=steps, warmup_steps=warmup)
    down = rate_at(adapter, step, steps=steps, decay_steps=decay)
    assert_same(rate_at(adapter, steps - 1 - step, steps=steps, warmup_steps=decay), down, adapter.dtype)
    overlap = rate_at(adapter, step, steps=steps, warmup_steps=warmup, decay_steps=decay)
    assert_same(min(up, down, key=lambda outputs: outputs["rate"]), overlap, adapter.dtype)


@clause("TRAIN-7")
@given(step=st.integers(0, 7))
def test_warmup_and_decay_over_the_whole_run_meet_in_the_middle(adapter, step):
    config = {"steps": 8, "warmup_steps": 8, "decay_steps": 8}
    assert_same({"rate": min(step + 1, 8 - step) / 16}, rate_at(adapter, step, **config), adapter.dtype)


@clause("TRAIN-8")
@given(warmup=st.integers(0, 8), step=st.integers(0, 15))
def test_sparsity_warms_up_as_the_rate_does(adapter, warmup, step):
    rate = rate_at(adapter, step, learning_rate=1.0, warmup_steps=warmup)["rate"]
    assert_same({"warmth": rate}, adapter("sparsity_warmth", {"step": step, "sparsity_warmup_steps": warmup}), adapter.dtype)


@clause("TRAIN-8")
@given(x=dyadic((2, 2), -1.0, 1.0, 0.5), dead=dyadic((3,), 0.0, 1.0, 1.0), warmth=st.sampled_from([0.25, 0.5]))
def test_warmth_scales_l1_l0_and_tanh_and_no_other_term(adapter, x, dead, warmth):
    config = {"activation": "jumprelu", "bandwidth": 1.0, "l1_coefficient": 0.5, "l0_coefficient": 0.5,
              "tanh_coefficient": 0.5, "tanh_scale": 1.0, "tie_coefficient": 0.5, "aux_coefficient": 0.5, "k_aux": 1}
    inputs = {"x": x, "W_dec": [[1, 0], [0, -1], [0, 1]], "W_enc": [[1, 0], [0, 1], [-1, 0]], "b_enc": [2, 0.25, 0],
              "b_dec": [0, 0], "log_threshold": [0, 0, 0], "price": [1, 1, 1], "dead": dead}
    hot, cool = adapter("objective", config, **inputs), adapter("objective", config | {"warmth": warmth}, **inputs)
    factor = {"l1": warmth, "l0": warmth, "tanh": warmth, "tie": 1, "aux": 1, "reconstruction": 1}
    assert_same({name: factor[name] * hot[name] for name in factor}, cool, adapter.dtype)


# ---------------------------------------------------------------- dead latents

silent_and_loud = dyadic((4, 3), -0.5, 0.5, 0.5)


@clause("TRAIN-9")
@given(acts=silent_and_loud, order=st.permutations(range(4)))
def test_waiting_depends_on_neither_order_nor_sign_nor_size(adapter, acts, order):
    want = waited(adapter, acts)
    assert_same(want, waited(adapter, acts[order]), exact=True)
    assert_same(want, waited(adapter, -acts * 2.0**-10), exact=True)
    assert_same(want, waited(adapter, acts.reshape(2, 2, 3)), exact=True)


@clause("TRAIN-9")
@given(acts=silent_and_loud)
def test_each_latent_waits_by_itself(adapter, acts):
    alone = [waited(adapter, acts[:, [i]], [3.0])["tokens_since_fired"][0] for i in range(3)]
    assert_same({"tokens_since_fired": alone}, waited(adapter, acts, [3.0, 3.0, 3.0]), exact=True)


@clause("TRAIN-9", "TRAIN-10")
@given(acts=silent_and_loud, cut=st.integers(0, 4))
def test_silence_adds_up_over_batches_and_firing_starts_it_anew(adapter, acts, cut):
    whole = waited(adapter, acts)["tokens_since_fired"]
    first = waited(adapter, acts[:cut])["tokens_since_fired"]
    parts = waited(adapter, acts[cut:], first)["tokens_since_fired"]
    fired, late = (acts != 0).any(0), (acts[cut:] != 0).any(0)
    assert np.array_equal(whole[~fired], parts[~fired]) and np.all(whole[fired] == 0)
    assert np.all(parts[late] == 0) and np.all(parts[fired & ~late] == 4 - cut)


@clause("TRAIN-10")
@given(acts=silent_and_loud)
def test_a_latent_is_dead_from_the_very_count_on(adapter, acts):
    for latent, count in enumerate(waited(adapter, acts)["tokens_since_fired"]):
        assert waited(adapter, acts, dead_after=count + 1)["dead"][latent] == 0
        if count:
            assert waited(adapter, acts, dead_after=count)["dead"][latent] == 1


# ---------------------------------------------------------------- clipping and Adam

@clause("TRAIN-11")
@given(a=positive((2, 2)), b=dyadic((2,)), larger=st.sampled_from([2.0, 16.0]))
def test_clipped_gradients_keep_their_direction_and_forget_their_size(adapter, a, b, larger):
    config = {"max_grad_norm": 0.25}                        # below every norm that can occur
    want = adapter("clip_gradients", config, a=a, b=b)
    assert_same(want, adapter("clip_gradients", config, a=larger * a, b=larger * b), adapter.dtype)
    joined = np.append(want["a"].ravel(), want["b"])
    flat = adapter("clip_gradients", config, all=np.append(a.ravel(), b))
    assert_same({"all": joined}, flat, adapter.dtype)
    assert_same({"norm": 0.25}, {"norm": np.sqrt((joined**2).sum())}, adapter.dtype)
    assert np.all(joined * np.append(a.ravel(), b) >= 0)


@clause("TRAIN-11")
@given(a=dyadic((2, 2), -1.0, 1.0), b=dyadic((2,), -1.0, 1.0))
def test_gradients_within_the_limit_are_left_exactly_as_they_are(adapter, a, b):
    for limit in (4.0, None):
        assert_same({"a": a, "b": b}, adapter("clip_gradients", {"max_grad_norm": limit}, a=a, b=b), exact=True)
    assert_same({"a": [3.0], "b": [-4.0]}, adapter("clip_gradients", {"max_grad_norm": 5.0}, a=[3.0], b=[-4.0]), exact=True)


def adam(adapter, grads, param=4.0, rate=0.25):
    """The parameter after each of several gradients, from no moments."""
    state, positions = {"param": np.atleast_1d(param), "first": np.zeros(np.size(param)), "second": np.zeros(np.size(param))}, []
    for step, grad in enumerate(grads):
        state = adapter("adam", {"step": step, "learning_rate": rate}, **state, grad=np.atleast_1d(grad))
        positions.append(state["param"])
    return np.array(positions)


@clause("TRAIN-12")
@given(grad=dyadic((3,), -2.0, 2.0), power=st.integers(-4, 4))
def test_the_first_step_of_adam_is_the_rate_times_the_sign(adapter, grad, power):
    moved = adam(adapter, [grad], np.full(3, 4.0))
    # epsilon takes 1e-8 / |gradient| of the step; the gradients here are at least 1/64
    allowed = 0.25 * 64e-8 + 8 * UNIT_ROUNDOFF[adapter.dtype] * 4
    assert np.all(np.abs(moved - (4 - 0.25 * np.sign(grad))) <= allowed)
    assert np.all(np.abs(adam(adapter, [grad * 2.0**power], np.full(3, 4.0)) - moved) <= allowed)


# Moments that a shorter dtype rounds in between make no equality: the relations below are float64's.
# 1 - 0.999^t itself is rounded to 5e-17 / (0.001 t) of its value: 1e-12 of a step is sure.
@clause("TRAIN-12", dtypes=("float64",))
@given(grad=positive((3,)), steps=st.integers(2, 5))
def test_the_same_gradient_again_makes_the_same_step_again(adapter, grad, steps):
    path = adam(adapter, [grad] * steps, np.full(3, 4.0))
    moves = np.diff(np.vstack([np.full(3, 4.0), path]), axis=0)
    assert np.all(np.abs(moves - moves[0]) <= 1e-12)


@clause("TRAIN-12", dtypes=("float64",))
@given(factor=st.sampled_from([1.0, 3.0, 7.0]), steps=st.integers(1, 3))
def test_a_gradient_of_the_size_of_epsilon_moves_half_the_rate(adapter, factor, steps):
    path = adam(adapter, [[1e-8 * factor, -1e-8 / factor]] * steps, [4.0, 4.0])
    want = 0.25 * np.arange(1, steps + 1)[:, np.newaxis] * [-factor, 1 / factor] / [factor + 1, 1 / factor + 1]
    assert np.all(np.abs(path - 4 - want) <= 1e-12)


@clause("TRAIN-16", dtypes=("float64",))
@given(beta1=st.sampled_from([0.0, 0.5, 0.75]), beta2=st.sampled_from([0.25, 0.875]), grad=positive((1,)),
       ratio=st.sampled_from([0.5, 1.0, 2.0]))
def test_adam_moves_by_the_constants_it_is_given(adapter, beta1, beta2, grad, ratio):
    """From no moments a first gradient is corrected to itself: it moves rate · g / (g + epsilon), whatever the betas."""
    config = {"step": 0, "learning_rate": 0.25, "adam_beta1": beta1, "adam_beta2": beta2, "adam_epsilon": ratio * grad[0]}
    moved = adapter("adam", config, param=np.zeros(1), grad=grad, first=np.zeros(1), second=np.zeros(1))
    want = {"param": [-0.25 / (1 + ratio)], "first": (1 - beta1) * grad, "second": (1 - beta2) * grad**2}
    assert_same(want, moved, adapter.dtype)
    later = adapter("adam", config | {"step": 1}, **moved, grad=np.zeros(1))
    faded = {"first": moved["first"] * beta1, "second": moved["second"] * beta2}
    assert_same(faded, {name: later[name] for name in faded}, adapter.dtype)


@clause("TRAIN-16")
@given(grad=dyadic((3,)), step=st.integers(0, 9))
def test_adams_constants_are_the_usual_ones_unless_given(adapter, grad, step):
    inputs = {"param": np.ones(3), "grad": grad, "first": np.full(3, 0.25), "second": np.full(3, 0.5)}
    config = {"step": step, "learning_rate": 0.25}
    usual = {"adam_beta1": 0.9, "adam_beta2": 0.999, "adam_epsilon": 1e-8}
    assert_same(adapter("adam", config | usual, **inputs), adapter("adam", config, **inputs), exact=True)


@clause("TRAIN-16")
@given(grad=dyadic((1,)), beta=st.sampled_from([-0.25, 1.0, 1.5]), epsilon=st.sampled_from([0.0, -0.5]))
def test_a_constant_of_adam_outside_its_range_is_an_error(adapter, grad, beta, epsilon):
    for name, value in (("adam_beta1", beta), ("adam_beta2", beta), ("adam_epsilon", epsilon)):
        assert name in adapter.error("adam", {"step": 0, "learning_rate": 0.25, name: value}, param=np.ones(1), grad=grad,
                                     first=np.zeros(1), second=np.zeros(1))


@clause("TRAIN-12", dtypes=("float64",))
@given(grad=positive((2,)))
def test_a_gradient_fades_from_the_first_moment_by_tenths_and_from_the_second_by_thousandths(adapter, grad):
    state = {"param": np.zeros(2), "first": np.zeros(2), "second": np.zeros(2)}
    before = adapter("adam", {"step": 0, "learning_rate": 0.25}, **state, grad=grad)
    after = adapter("adam", {"step": 1, "learning_rate": 0.25}, **before, grad=np.zeros(2))
    assert_same({"first": grad / 10, "second": grad**2 / 1000}, before, adapter.dtype)
    assert_same({"first": before["first"] * 0.9, "second": before["second"] * 0.999}, after, adapter.dtype)
