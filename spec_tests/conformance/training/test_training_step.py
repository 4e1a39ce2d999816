"""TRAIN: whole steps."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sae_spec.spec_tests.core.compare import assert_same
from sae_spec.spec_tests.core.properties import clause
from sae_spec.spec_tests.core.strategies import ACTIVATIONS, dyadic
from sae_spec.spec_tests.conformance.training.calls import waited

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
    config |= draw(st.sampled_from([{}, {"adam_beta1": 0.5, "adam_beta2": 0.75, "adam_epsilon": 0.25}]))
    half = lambda *shape: draw(dyadic(shape, -1.0, 1.0, 0.5))
    params = {"W_dec": np.array([draw(st.sampled_from(decoder_rows)) for _ in range(3)], float), "b_dec": half(2),
              "b_enc": half(3) + 1 / 8}
    if draw(st.booleans()):
        params["W_enc"] = half(3, 2)
    if "topk" in config["activation"]:
        config["k"] = draw(st.integers(1, 2))
    if config["activation"] == "jumprelu":
        config["bandwidth"] = 2.0
        params |= draw(st.sampled_from([{"log_threshold": half(3)}, {"theta": np.abs(half(3))}]))
        config |= draw(st.sampled_from([{}, {"threshold_rate": 4.0}]))
    if config["activation"] == "gated":
        params |= {"r_mag": np.zeros(3), "b_mag": half(3) + 1 / 16}
    return config, params, half(steps, draw(st.sampled_from([1, 2, 4])), 2)


def in_stages(adapter, config, params, batches):
    """What `train` should give, from the single stages in their order."""
    moments = {name: {"first": np.zeros_like(value), "second": np.zeros_like(value)} for name, value in params.items()}
    M = len(params["W_dec"])
    tokens, mean, seen = np.zeros(M), {"mean": np.zeros(M), "batches": 0}, {"threshold": 0.0, "seen": 0}
    totals, price = [], np.ones(M)
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
            own = rate * config.get("threshold_rate", 1.0) if name in ("theta", "log_threshold") else rate
            moved = adapter("adam", config | {"step": step, "learning_rate": own}, param=params[name], grad=grads[name],
                            **moments[name])
            params = params | {name: moved.pop("param")}
            moments[name] = moved
        params = params | {"W_dec": adapter("normalize_rows", W=params["W_dec"])["unit"]}
        if "theta" in params:
            params = params | {"theta": np.maximum(params["theta"], 0)}
        tokens = counted["tokens_since_fired"]
        mean = adapter("running_mean", {"decay": config["frequency_decay"]}, **mean, acts=acts)
        totals.append(charged["total"])
    return params | {"total": np.array(totals), "tokens_since_fired": tokens, "frequency_mean": mean["mean"],
                     "frequency_batches": mean["batches"], "threshold": seen["threshold"], "threshold_seen": seen["seen"]}


# Between two stages a shorter dtype would round what production keeps in float32: float64 alone.
@clause("TRAIN-13", "TRAIN-14", "TRAIN-15", dtypes=("float64",))
@given(training=trainings())
def test_a_step_is_its_stages_in_their_order(adapter, training):
    config, params, batches = training
    want, got = in_stages(adapter, config, params, batches), adapter("train", config, **params, batches=batches)
    assert_same(want, got, adapter.dtype)


@clause("TRAIN-13", "TRAIN-15", dtypes=("float64",))
@given(training=trainings(activations=("batch_topk", "batch_budget_topk", "jumprelu")))
def test_a_step_with_thresholds_is_its_stages_in_their_order(adapter, training):
    """The few activations that keep or train one, by themselves: among all, few examples have them."""
    config, params, batches = training
    want, got = in_stages(adapter, config, params, batches), adapter("train", config, **params, batches=batches)
    assert_same(want, got, adapter.dtype)


@clause("TRAIN-13", "TRAIN-14", "TRAIN-15", dtypes=("float64",))
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
    trained = adapter("train", config, **params, batches=batches)
    assert all(np.all(np.isfinite(value)) for value in trained.values())
    squared = (trained["W_dec"] ** 2).sum(1)
    assert_same({"squared": (squared > 0.5).astype(float)}, {"squared": squared}, adapter.dtype)
    assert np.all(squared[(params["W_dec"] != 0).any(1)] > 0.5)


@clause("TRAIN-13")
@given(training=trainings(steps=2, activations=("relu", "topk", "batch_topk"), decoder_rows=ROWS[:2] + ROWS[-1:]))
def test_a_latent_that_never_speaks_keeps_its_parameters_and_a_zero_row_stays_zero(adapter, training):
    config, params, batches = training
    params["b_enc"][0] = -64.0
    trained = adapter("train", config | {"aux_coefficient": 0.0}, **params, batches=batches)
    for name in set(params) - {"b_dec"}:
        assert_same({name: params[name][0]}, {name: trained[name][0]}, adapter.dtype, exact=True)
    assert trained["tokens_since_fired"][0] == 2 * batches.shape[1] and trained["frequency_mean"][0] == 0


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


@st.composite
def trainings_of_theta(draw):
    """A training of one latent, whose threshold the first step takes below 0; what comes then is free.

    The sample of the first batch is silent and in the window, so that the reconstruction pulls the threshold down, and
    harder than l0, which alone pulls at a threshold of 0, pulls it up.
    """
    config = {"activation": "jumprelu", "bandwidth": 2.0, "steps": 3, "learning_rate": draw(st.sampled_from([2.0**-4, 2.0**-3])),
              "warmup_steps": 0, "decay_steps": 0, "sparsity_warmup_steps": 0, "max_grad_norm": None, "dead_after": 9,
              "priced": False, "frequency_decay": 0.5, "min_frequency": 0.25, "threshold_decay": 0.5,
              "l0_coefficient": draw(st.sampled_from([2.0**-14, 2.0**-13]))}
    theta = draw(st.sampled_from([2.0**-6, 2.0**-5]))
    params = {"W_dec": np.ones((1, 1)), "W_enc": np.ones((1, 1)), "b_enc": np.zeros(1), "b_dec": np.zeros(1), "theta": np.array([theta])}
    later = draw(dyadic((2, 1, 1), -1.0, 1.0, 0.125))
    return config, params, np.concatenate([[[[theta]]], later])


@clause("TRAIN-15", "TRAIN-13")
@given(training=trainings_of_theta())
def test_no_step_leaves_a_threshold_negative(adapter, training):
    config, params, batches = training
    first = adapter("train", config, **params, batches=batches[:1])
    assert first["theta"] == 0, f"the first step ends at {first['theta']}, below it is 0"
    for steps in (2, 3):
        trained = adapter("train", config, **params, batches=batches[:steps])
        assert np.all(trained["theta"] >= 0), f"negative after {steps} steps: {trained['theta']}"


# Between two stages a shorter dtype would round what production keeps in float32: float64 alone.
@clause("TRAIN-15", dtypes=("float64",))
@given(training=trainings_of_theta())
def test_a_threshold_goes_where_adam_takes_it_or_to_0(adapter, training):
    config, params, batches = training
    want, got = in_stages(adapter, config, params, batches), adapter("train", config, **params, batches=batches)
    # a gradient of 0 may be 1e-16 on another road, and Adam divides it by 1e-8: 1e-6 is sure
    assert np.all(np.abs(want["theta"] - got["theta"]) <= 1e-6), f"want {want['theta']}, got {got['theta']}"
