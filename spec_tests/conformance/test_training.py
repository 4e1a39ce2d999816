"""TRAIN: the constraint, the start, the schedules, the stages of a step and whole steps."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sae_spec.spec_tests.core.compare import UNIT_ROUNDOFF, assert_same
from sae_spec.spec_tests.core.properties import clause
from sae_spec.spec_tests.core.strategies import ACTIVATIONS, dyadic, positive

lengths = st.sampled_from([2.0**-6, 0.5, 1.0, 2.0, 8.0])


def stretched(draw, W):
    """W with each row scaled by a power of two of its own: exact in every dtype."""
    return W * np.array([draw(lengths) for _ in W])[:, np.newaxis]


# ---------------------------------------------------------------- rows of norm 1

@clause("TRAIN-1")
@given(W=dyadic((3, 2)), data=st.data())
def test_normalizing_forgets_each_rows_length_and_nothing_else(adapter, W, data):
    want = adapter("normalize_rows", W=W)
    assert_same(want, adapter("normalize_rows", W=stretched(data.draw, W)), adapter.dtype)
    assert_same({"unit": -want["unit"]}, adapter("normalize_rows", W=-W), adapter.dtype)
    alone = [adapter("normalize_rows", W=row[np.newaxis])["unit"][0] for row in W]
    assert_same(want, {"unit": alone}, adapter.dtype)


@clause("TRAIN-1")
@given(W=dyadic((3, 2)), data=st.data())
def test_normalized_rows_have_norm_one_or_are_zero(adapter, W, data):
    unit = adapter("normalize_rows", W=stretched(data.draw, W))["unit"]
    assert_same({"squared": (W != 0).any(1).astype(float)}, {"squared": (unit**2).sum(1)}, adapter.dtype)
    assert np.all((unit * W).sum(1) >= 0)


def projected(adapter, d_W, W):
    """`project_gradient` with one more row, which stays (0, 8): it fixes the scale that the comparator sees."""
    return adapter("project_gradient", d_W=np.vstack([d_W, [[0.0, 8.0]]]), W=np.vstack([W, [[1.0, 0.0]]]))


@clause("TRAIN-2")
@given(d_W=dyadic((3, 2), -1.0, 1.0), W=dyadic((3, 2), -1.0, 1.0), along=dyadic((3, 1), -1.0, 1.0, 0.5), data=st.data())
def test_what_lies_along_a_row_is_taken_out_whatever_its_length(adapter, d_W, W, along, data):
    along = along * W
    nowhere = (W == 0).all(1, keepdims=True)
    want = projected(adapter, d_W, W)
    assert_same(want, projected(adapter, d_W + along, stretched(data.draw, W)), adapter.dtype)
    rest = projected(adapter, along + np.where(nowhere, d_W, 0.0), W)["d_W"][:-1]
    assert_same({"rest": 8 + np.where(nowhere, d_W, 0.0)}, {"rest": 8 + rest}, adapter.dtype)


@clause("TRAIN-2")
@given(d_W=dyadic((3, 2), -1.0, 1.0), W=dyadic((3, 2), -1.0, 1.0))
def test_what_lies_across_a_row_stays(adapter, d_W, W):
    across = W[:, ::-1] * [1.0, -1.0]               # (M, 2)  turned by a right angle
    want = np.vstack([across, [[0.0, 8.0]]])
    assert_same({"d_W": want}, projected(adapter, across, W), adapter.dtype)
    once = projected(adapter, d_W, W)
    assert_same(once, projected(adapter, once["d_W"][:-1], W), adapter.dtype)


# ---------------------------------------------------------------- the start

@st.composite
def starts(draw):
    """(config, inputs) of initial_parameters."""
    config = {"activation": draw(st.sampled_from(ACTIVATIONS)), "tied": draw(st.booleans())}
    if config["activation"] == "jumprelu":
        config["initial_threshold"] = draw(st.sampled_from([0.25, 0.5, 1.0, 2.0, 8.0]))
    return config, {"normals": draw(dyadic((3, 2))), "b_dec": draw(dyadic((2,)))}


@clause("TRAIN-3", "TRAIN-1")
@given(start=starts(), data=st.data())
def test_initial_directions_are_the_draws_normalized_for_both_matrices(adapter, start, data):
    config, inputs = start
    params = adapter("initial_parameters", config, **inputs)
    unit = adapter("normalize_rows", W=inputs["normals"])["unit"]
    assert_same({"W_dec": unit}, params, adapter.dtype)
    assert ("W_enc" in params) == (not config["tied"])
    if not config["tied"]:
        assert_same({"W_enc": params["W_dec"]}, params, exact=True)
    longer = inputs | {"normals": stretched(data.draw, inputs["normals"])}
    assert_same(params, adapter("initial_parameters", config, **longer), adapter.dtype)


@clause("TRAIN-4", "TRAIN-3")
@given(start=starts())
def test_initial_biases_are_zero_and_thresholds_what_was_asked_for(adapter, start):
    config, inputs = start
    params = adapter("initial_parameters", config, **inputs)
    zeros = ("b_enc", "r_mag", "b_mag") if config["activation"] == "gated" else ("b_enc",)
    assert_same({name: np.zeros(3) for name in zeros} | {"b_dec": inputs["b_dec"]}, params, exact=True)
    assert ("r_mag" in params) == ("b_mag" in params) == (config["activation"] == "gated")
    assert ("log_threshold" in params) == (config["activation"] == "jumprelu")
    if config["activation"] == "jumprelu":
        theta = adapter("threshold", log_threshold=params["log_threshold"])
        assert_same({"theta": np.full(3, config["initial_threshold"])}, theta, adapter.dtype)
        for bad in (0.0, -0.5):
            assert "initial_threshold" in adapter.error("initial_parameters", config | {"initial_threshold": bad}, **inputs)


def centre_of(adapter, data):
    return adapter("geometric_median", data=data)["centre"]


@clause("TRAIN-5")
@given(point=dyadic((2,)), others=dyadic((2, 2), -2.0, 2.0), far=st.sampled_from([1.0, 8.0, 64.0]))
def test_a_point_that_most_samples_share_is_the_centre_however_far_the_others_are(adapter, point, others, far):
    data = np.vstack([np.tile(point, (3, 1)), far * others])
    reach = np.abs(data - point).max()
    # softened by 1e-6 of the mean distance, the method resolves no more than a few times that
    allowed = 1e-5 * reach + 8 * UNIT_ROUNDOFF[adapter.dtype] * np.abs(data).max()
    assert np.all(np.abs(centre_of(adapter, data) - point) <= allowed)


@clause("TRAIN-5")
@given(data=dyadic((4, 2), -1.0, 1.0), shrink=st.sampled_from([2.0**-6, 0.5, 4.0]))
def test_the_centre_scales_and_turns_with_the_data(adapter, data, shrink):
    data = np.vstack([data[:1]] * 3 + [data])               # four equal samples: the softening decides
    want = centre_of(adapter, data)
    lift = 1.0 if adapter.dtype in ("float16", "bfloat16") else 0.0     # these round the result at the data's scale
    assert_same({"centre": lift + want}, {"centre": lift + centre_of(adapter, shrink * data) / shrink}, adapter.dtype)
    turned = centre_of(adapter, data[:, ::-1] * [1.0, -1.0])
    assert_same({"centre": lift + want[::-1] * [1.0, -1.0]}, {"centre": lift + turned}, adapter.dtype)


@clause("TRAIN-5")
@given(data=dyadic((4, 2), -1.0, 1.0), shift=dyadic((2,)), order=st.permutations(range(4)))
def test_the_centre_moves_with_the_data_and_ignores_their_order(adapter, data, shift, order):
    want = centre_of(adapter, data) + shift
    # near a sample the weights are ratios of differences that the shift rounds: only the softening's 1e-6 is sure
    allowed = 1e-5 + 8 * UNIT_ROUNDOFF[adapter.dtype] * 4
    assert np.all(np.abs(centre_of(adapter, data[order] + shift) - want) <= allowed)


@clause("TRAIN-5")
@given(half=dyadic((2, 2)), centre=dyadic((2,)), on_it=st.booleans())
def test_symmetric_data_has_its_centre_in_the_middle_even_if_a_sample_is_there(adapter, half, centre, on_it):
    data = np.vstack([centre + half, centre - half] + [centre] * on_it)
    assert_same({"centre": 4 + centre}, {"centre": 4 + centre_of(adapter, data)}, adapter.dtype)


@clause("TRAIN-5")
@given(data=dyadic((4, 2), -1.0, 1.0))
def test_the_centre_is_nearer_to_all_samples_than_mean_and_coordinate_median(adapter, data):
    distance = lambda point: np.sqrt(((data - point) ** 2).sum(1)).sum()
    found = distance(centre_of(adapter, data))
    rounding = 8 * UNIT_ROUNDOFF[adapter.dtype]
    assert found <= distance(data.mean(0)) * (1 + 1e-5) + rounding
    assert found <= distance(np.median(data, 0)) * (1 + 1e-3) + rounding        # 64 steps get this close
    assert "data" in adapter.error("geometric_median", data=data[:0])


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
    assert_same(min(up, down, key=lambda found: found["rate"]), overlap, adapter.dtype)


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


# ---------------------------------------------------------------- the dead

def waited(adapter, acts, before=(0.0, 3.0, 8.0), dead_after=64):
    return adapter("count_tokens", {"dead_after": dead_after}, tokens_since_fired=before, acts=acts)


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
    state, found = {"param": np.atleast_1d(param), "first": np.zeros(np.size(param)), "second": np.zeros(np.size(param))}, []
    for step, grad in enumerate(grads):
        state = adapter("adam", {"step": step, "learning_rate": rate}, **state, grad=np.atleast_1d(grad))
        found.append(state["param"])
    return np.array(found)


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


@clause("TRAIN-12", dtypes=("float64",))
@given(grad=positive((2,)))
def test_a_gradient_fades_from_the_first_moment_by_tenths_and_from_the_second_by_thousandths(adapter, grad):
    state = {"param": np.zeros(2), "first": np.zeros(2), "second": np.zeros(2)}
    before = adapter("adam", {"step": 0, "learning_rate": 0.25}, **state, grad=grad)
    after = adapter("adam", {"step": 1, "learning_rate": 0.25}, **before, grad=np.zeros(2))
    assert_same({"first": grad / 10, "second": grad**2 / 1000}, before, adapter.dtype)
    assert_same({"first": before["first"] * 0.9, "second": before["second"] * 0.999}, after, adapter.dtype)


# ---------------------------------------------------------------- whole steps

COUNTERS = ("tokens_since_fired", "frequency_mean", "frequency_batches", "threshold", "threshold_seen")
ROWS = [[1, 0], [0, -1], [2, 0], [0, 0.5], [0, 0]]          # their norms, and so their projections, are exact


@st.composite
def trainings(draw, steps=1, activations=ACTIVATIONS, decoder_rows=ROWS):
    """(config, parameters, batches (steps, B, 2)) for three latents; every number dyadic, no pre-activation 0."""
    config = {"activation": draw(st.sampled_from(activations)), "steps": steps, "learning_rate": 0.25, "decay_steps": 0,
              "warmup_steps": draw(st.sampled_from([0, 2])), "sparsity_warmup_steps": draw(st.sampled_from([0, 2])),
              "max_grad_norm": draw(st.sampled_from([None, 1e-8])),         # Adam's epsilon: so that a norm shows
              "dead_after": draw(st.integers(1, 4)), "priced": False, "frequency_decay": 0.5, "min_frequency": 2.0**-4,
              "threshold_decay": 0.5, "l1_coefficient": draw(st.sampled_from([0.0, 0.25])),
              "aux_coefficient": draw(st.sampled_from([0.0, 0.125])), "k_aux": 1}
    half = lambda *shape: draw(dyadic(shape, -1.0, 1.0, 0.5))
    params = {"W_dec": np.array([draw(st.sampled_from(decoder_rows)) for _ in range(3)], float), "b_dec": half(2),
              "b_enc": half(3) + 1 / 8}
    if draw(st.booleans()):
        params["W_enc"] = half(3, 2)
    if "topk" in config["activation"]:
        config["k"] = draw(st.integers(1, 2))
    if config["activation"] == "jumprelu":
        config["bandwidth"] = 2.0
        params["log_threshold"] = np.zeros(3)
    if config["activation"] == "gated":
        params |= {"r_mag": np.zeros(3), "b_mag": half(3) + 1 / 16}
    return config, params, half(steps, draw(st.sampled_from([1, 2, 4])), 2)


def in_stages(adapter, config, params, batches):
    """What `train` should give, from the single stages in their order."""
    moments = {name: {"first": np.zeros_like(value), "second": np.zeros_like(value)} for name, value in params.items()}
    tokens, mean, seen = np.zeros(3), {"mean": np.zeros(3), "batches": 0}, {"threshold": 0.0, "seen": 0}
    totals, price = [], np.ones(3)
    for step, x in enumerate(batches):
        acts = adapter("encode", config, x=x, **params, price=price)["acts"]
        counted = adapter("count_tokens", config, tokens_since_fired=tokens, acts=acts)
        warmth = adapter("sparsity_warmth", config | {"step": step})["warmth"]
        charged = adapter("objective", config | {"warmth": float(warmth)}, x=x, **params, price=price, dead=counted["dead"])
        grads = {name: charged[f"d_{name}"] for name in params}
        grads["W_dec"] = adapter("project_gradient", d_W=grads["W_dec"], W=params["W_dec"])["d_W"]
        grads = adapter("clip_gradients", config, **grads)
        if config["activation"].startswith("batch"):
            kept = acts if config["activation"] == "batch_topk" else acts**2 * (params["W_dec"] ** 2).sum(1) / price
            seen = adapter("running_threshold", {"decay": config["threshold_decay"]}, **seen, kept=kept)
        rate = float(adapter("learning_rate", config | {"step": step})["rate"])
        for name in params:
            moved = adapter("adam", {"step": step, "learning_rate": rate}, param=params[name], grad=grads[name],
                            **moments[name])
            params = params | {name: moved.pop("param")}
            moments[name] = moved
        params = params | {"W_dec": adapter("normalize_rows", W=params["W_dec"])["unit"]}
        tokens = counted["tokens_since_fired"]
        mean = adapter("running_mean", {"decay": config["frequency_decay"]}, **mean, acts=acts)
        totals.append(charged["total"])
    return params | {"total": np.array(totals), "tokens_since_fired": tokens, "frequency_mean": mean["mean"],
                     "frequency_batches": mean["batches"], "threshold": seen["threshold"], "threshold_seen": seen["seen"]}


# Between two stages a shorter dtype would round what production keeps in float32: float64 alone.
@clause("TRAIN-13", "TRAIN-14", dtypes=("float64",))
@given(training=trainings())
def test_a_step_is_its_stages_in_their_order(adapter, training):
    config, params, batches = training
    want, got = in_stages(adapter, config, params, batches), adapter("train", config, **params, batches=batches)
    assert_same(want, got, adapter.dtype)


@clause("TRAIN-13", "TRAIN-14", dtypes=("float64",))
@given(training=trainings(steps=3))
def test_three_steps_are_their_stages_in_their_order(adapter, training):
    config, params, batches = training
    want, got = in_stages(adapter, config, params, batches), adapter("train", config, **params, batches=batches)
    assert sorted(want) == sorted(got)
    for name in want:
        # a gradient of 0 may be 1e-16 on another road, and Adam divides it by 1e-8: 1e-6 is sure
        assert np.all(np.abs(want[name] - got[name]) <= 1e-6), name


@clause("TRAIN-13", "TRAIN-1")
@given(training=trainings(steps=2))
def test_a_saved_decoder_has_rows_of_norm_one_or_zero_and_nothing_is_nan(adapter, training):
    config, params, batches = training
    found = adapter("train", config, **params, batches=batches)
    assert all(np.all(np.isfinite(value)) for value in found.values())
    squared = (found["W_dec"] ** 2).sum(1)
    assert_same({"squared": (squared > 0.5).astype(float)}, {"squared": squared}, adapter.dtype)
    assert np.all(squared[(params["W_dec"] != 0).any(1)] > 0.5)


@clause("TRAIN-13")
@given(training=trainings(steps=2, activations=("relu", "topk", "batch_topk"), decoder_rows=ROWS[:2] + ROWS[-1:]))
def test_a_latent_that_never_speaks_keeps_its_parameters_and_a_zero_row_stays_zero(adapter, training):
    config, params, batches = training
    params["b_enc"][0] = -64.0
    found = adapter("train", config | {"aux_coefficient": 0.0}, **params, batches=batches)
    for name in set(params) - {"b_dec"}:
        assert_same({name: params[name][0]}, {name: found[name][0]}, adapter.dtype, exact=True)
    assert found["tokens_since_fired"][0] == 2 * batches.shape[1] and found["frequency_mean"][0] == 0


@clause("TRAIN-13")
@given(training=trainings(activations=("relu", "topk", "abs_topk", "jumprelu", "gated", "budget_topk")), data=st.data())
def test_the_order_of_the_samples_in_a_batch_does_not_matter(adapter, training, data):
    config, params, batches = training
    order = data.draw(st.permutations(range(batches.shape[1])))
    assert_same(adapter("train", config, **params, batches=batches),
                adapter("train", config, **params, batches=batches[:, order]), adapter.dtype)


@clause("TRAIN-13")
@given(training=trainings(steps=3), first=st.integers(1, 2))
def test_a_run_begins_like_a_shorter_one_and_repeats_itself_exactly(adapter, training, first):
    config, params, batches = training
    whole = adapter("train", config, **params, batches=batches)
    assert_same(whole, adapter("train", config, **params, batches=batches), exact=True)
    assert_same({"total": whole["total"][:first]}, adapter("train", config, **params, batches=batches[:first]), exact=True)


@clause("TRAIN-14", "TRAIN-10")
@given(batches=dyadic((3, 2, 2), -1.0, 1.0, 0.5), dead_after=st.integers(1, 5))
def test_aux_is_paid_for_whoever_is_dead_with_this_batch_counted(adapter, batches, dead_after):
    """The rate moves nothing, so that each batch can be asked by itself who fires in it."""
    config = {"activation": "topk", "k": 1, "aux_coefficient": 0.5, "k_aux": 1, "steps": 3, "learning_rate": 1e-30,
              "warmup_steps": 0, "decay_steps": 0, "sparsity_warmup_steps": 0, "max_grad_norm": None,
              "dead_after": dead_after, "priced": False,
              "frequency_decay": 0.5, "min_frequency": 0.25, "threshold_decay": 0.5}
    sae = {"W_dec": [[1, 0], [0, -1]], "W_enc": np.eye(2), "b_enc": [0.125, 0.25], "b_dec": [0, 0]}
    tokens, totals = np.zeros(2), []
    for x in batches:
        counted = waited(adapter, adapter("encode", config, x=x, **sae)["acts"], tokens, dead_after)
        tokens = counted["tokens_since_fired"]
        totals.append(adapter("objective", config, x=x, **sae, price=[1, 1], dead=counted["dead"])["total"])
    assert_same({"total": totals}, adapter("train", config, **sae, batches=batches), adapter.dtype)
