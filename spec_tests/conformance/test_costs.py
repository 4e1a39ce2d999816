"""COST: every term and its gradient, the auxiliary losses, and the sum."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sae_spec.spec_tests.core.compare import assert_same
from sae_spec.spec_tests.core.properties import clause
from sae_spec.spec_tests.core.slopes import assert_slope
from sae_spec.spec_tests.core.strategies import ACTIVATIONS, dyadic, positive, prices, rotations, saes, sizes
from sae_spec.spec_tests.operations import OPERATIONS

OF_A_BATCH = ("reconstruction", "l1", "tanh", "l0", "aux", "gate_reconstruction")
BATCH_AXIS = {"x": 0, "acts": 0, "pre": 0, "residual": 0, "recons": 1}
IN_INPUT_SPACE = ("x", "residual", "recons", "W_enc", "W_dec", "b_dec")
SPARSITY = ("l1", "l0", "tanh")


def halves(*shape):
    return dyadic(shape, -1.0, 1.0, 0.5)


def odd(*shape):
    """-3/2, -1/2, 1/2, 3/2: never 0, so neither a kink nor a zero row."""
    return dyadic(shape, -2.0, 1.0, 1.0).map(lambda array: array + 0.5)


def apart(array):
    """Pre-activations moved off 0 and away from one another: derivatives exist there."""
    return array + (2 * np.arange(array.shape[-1]) + 3) / 64


@st.composite
def charges(draw, cost, off_kink=False):
    """(config, inputs): a cost and what it is asked with."""
    B, D, M = draw(sizes), draw(sizes), draw(sizes)
    rows, pre = odd if off_kink else halves, lambda: apart(draw(halves(B, M))) if off_kink else draw(halves(B, M))
    if cost == "reconstruction":
        return {"cost": cost}, {"x": draw(halves(B, D)), "recons": draw(halves(draw(st.integers(1, 3)), B, D))}
    if cost in ("l1", "tanh"):
        scale = {"tanh_scale": draw(st.sampled_from([0.25, 0.5, 1.0, 2.0]))} if cost == "tanh" else {}
        return {"cost": cost} | scale, {"acts": draw(rows(B, M)), "W_dec": draw(rows(M, D)), "price": draw(prices(M))}
    if cost == "l0":
        bandwidth = draw(st.sampled_from([0.25, 0.5, 1.0]))
        given = {"pre": draw(dyadic((B, M), -1.0)), "theta": draw(positive((M,))) + 0.25, "price": draw(prices(M))}
        return {"cost": cost, "bandwidth": bandwidth}, given
    if cost == "tie":
        return {"cost": cost}, {"W_enc": draw(rows(M, D)), "W_dec": draw(rows(M, D))}
    if cost == "aux":
        dead = draw(dyadic((M,), 0.0, 1.0, 1.0))
        dead[draw(st.integers(0, M - 1))] = 1
        given = {"residual": draw(halves(B, D)), "pre": pre(), "dead": dead, "W_dec": draw(halves(M, D))}
        return {"cost": cost, "k_aux": draw(st.integers(1, M + 1))}, given
    return {"cost": cost}, {"x": draw(halves(B, D)), "pre": pre(), "W_dec": draw(halves(M, D)), "b_dec": draw(halves(D))}


def every(*costs):
    """One question to each of several costs."""
    return st.tuples(*[charges(cost) for cost in costs])


def cost(adapter, config, inputs, **changes):
    return adapter("cost", config, **(inputs | changes))["cost"]


def gradient(adapter, config, inputs, d_cost=1.0, **changes):
    return adapter("cost_backward", config, **(inputs | changes), d_cost=d_cost)


def decode(adapter, config, inputs, acts):
    prefixes = {name: config[name] for name in ("prefixes",) if name in config}
    return adapter("decode", prefixes, acts=acts, W_dec=inputs["W_dec"], b_dec=inputs["b_dec"])["recons"]


def same(adapter, want, got):
    assert_same({"cost": want}, {"cost": got}, adapter.dtype)


def assert_gradient_is_slope(adapter, config, inputs, data, *names):
    """The gradient by each named input, at a d_cost that is not 1, is what differences of the cost say."""
    grads = gradient(adapter, config, inputs, d_cost=2.0)
    for name in names:
        direction = data.draw(halves(*inputs[name].shape), label=name)
        moved = lambda t: {name: inputs[name] + t * direction}
        assert_slope(grads[f"d_{name}"], direction, lambda t: 2.0 * cost(adapter, config, inputs, **moved(t)), f"d_{name}")


# ---------------------------------------------------------------- every cost


@clause("COST-1")
@given(asked=every(*OF_A_BATCH))
def test_no_samples_is_an_error_for_every_cost_and_gradient(adapter, asked):
    for config, inputs in asked:
        none = {name: array.take([], BATCH_AXIS[name]) if name in BATCH_AXIS else array for name, array in inputs.items()}
        assert "batch" in adapter.error("cost", config, **none)
        assert "batch" in adapter.error("cost_backward", config, **none, d_cost=1.0)


@clause("COST-2", "COST-4", "COST-6", "COST-7", "COST-12", "COST-16")
@given(asked=every(*OF_A_BATCH), times=st.integers(2, 3))
def test_a_batch_repeated_costs_the_same_and_each_sample_moves_that_much_less(adapter, asked, times):
    for config, inputs in asked:
        again = lambda name, array: np.concatenate([array] * times, BATCH_AXIS[name]) if name in BATCH_AXIS else array
        repeated = {name: again(name, array) for name, array in inputs.items()}
        same(adapter, cost(adapter, config, inputs), cost(adapter, config, repeated))
        want = {name: again(name[2:], grad) for name, grad in gradient(adapter, config, inputs).items()}
        got = gradient(adapter, config, repeated)
        got = {name: grad * times if name[2:] in BATCH_AXIS else grad for name, grad in got.items()}
        assert_same(want, got, adapter.dtype)


@clause("COST-2", "COST-4", "COST-6", "COST-7", "COST-12", "COST-16")
@given(asked=every(*OF_A_BATCH), inner=st.booleans())
def test_leading_dimensions_are_a_shape_and_nothing_else(adapter, asked, inner):
    for config, inputs in asked:
        deep = lambda name, array: np.expand_dims(array, BATCH_AXIS[name] + inner) if name in BATCH_AXIS else array
        shaped = {name: deep(name, array) for name, array in inputs.items()}
        same(adapter, cost(adapter, config, inputs), cost(adapter, config, shaped))
        want = {name: deep(name[2:], grad) for name, grad in gradient(adapter, config, inputs).items()}
        assert_same(want, gradient(adapter, config, shaped), adapter.dtype)


@clause("COST-2", "COST-4", "COST-6", "COST-9", "COST-12", "COST-16")
@given(asked=every("reconstruction", "l1", "tanh", "tie", "aux", "gate_reconstruction"), data=st.data())
def test_turning_the_input_space_changes_no_cost_and_turns_its_gradients(adapter, asked, data):
    for config, inputs in asked:
        D = next(array.shape[-1] for name, array in inputs.items() if name in IN_INPUT_SPACE)
        R = data.draw(rotations(D))
        turn = lambda arrays: {name: array @ R if name.removeprefix("d_") in IN_INPUT_SPACE else array
                               for name, array in arrays.items()}
        same(adapter, cost(adapter, config, inputs), cost(adapter, config, turn(inputs)))
        assert_same(turn(gradient(adapter, config, inputs)), gradient(adapter, config, turn(inputs)), adapter.dtype)


@clause("COST-4", "COST-6", "COST-7")
@given(asked=every("l1", "tanh", "l0"), data=st.data())
def test_prices_add_up(adapter, asked, data):
    for config, inputs in asked:
        other = data.draw(prices(len(inputs["price"])))
        both = cost(adapter, config, inputs, price=inputs["price"] + other)
        same(adapter, both, cost(adapter, config, inputs) + cost(adapter, config, inputs, price=other))
        one, two, sum_ = (gradient(adapter, config, inputs, price=price)
                          for price in (inputs["price"], other, inputs["price"] + other))
        assert_same({name: one[name] + two[name] for name in one}, sum_, adapter.dtype)


# ---------------------------------------------------------------- reconstruction


@clause("COST-2")
@given(asked=charges("reconstruction"), width=sizes)
def test_dimensions_that_are_reconstructed_cost_nothing(adapter, asked, width):
    config, inputs = asked
    widen = lambda array: np.concatenate([array, np.ones((*array.shape[:-1], width))], axis=-1)
    wider = {name: widen(array) for name, array in inputs.items()}
    same(adapter, cost(adapter, config, inputs), cost(adapter, config, wider))


@clause("COST-2")
@given(asked=charges("reconstruction"), shift=dyadic((1,), -1.0, 1.0, 0.5))
def test_only_the_error_counts_and_doubled_it_costs_four_times(adapter, asked, shift):
    config, inputs = asked
    once = cost(adapter, config, inputs)
    same(adapter, once, cost(adapter, config, inputs, x=inputs["x"] + shift, recons=inputs["recons"] + shift))
    same(adapter, 4 * once, cost(adapter, config, {name: 2 * array for name, array in inputs.items()}))


@clause("COST-3")
@given(asked=charges("reconstruction"))
def test_prefixes_cost_what_each_costs_alone_together(adapter, asked):
    config, inputs = asked
    each = [{"recons": recon[np.newaxis]} for recon in inputs["recons"]]
    same(adapter, sum(cost(adapter, config, inputs, **alone) for alone in each), cost(adapter, config, inputs))
    want = np.concatenate([gradient(adapter, config, inputs, **alone)["d_recons"] for alone in each])
    assert_same({"d_recons": want}, gradient(adapter, config, inputs), adapter.dtype)


@clause("COST-3")
@given(sae=saes(matryoshka=st.just(True)))
def test_the_objective_charges_each_prefix_once_and_nothing_besides(adapter, sae):
    acts = adapter("encode", sae.config, **sae.inputs)["acts"]
    recons = decode(adapter, sae.config, sae.inputs, acts)
    x = sae.inputs["x"]
    each = [cost(adapter, {"cost": "reconstruction"}, {"x": x, "recons": recon[np.newaxis]}) for recon in recons]
    got = adapter("objective", sae.config, **({"price": np.ones(sae.M)} | sae.inputs), dead=np.zeros(sae.M))
    assert_same({"reconstruction": sum(each)}, got, adapter.dtype)


# Slopes by differences need digits to lose: float64.
@clause("COST-2", "COST-3", dtypes=("float64",))
@given(asked=charges("reconstruction"), data=st.data())
def test_the_gradient_of_reconstruction_is_its_slope(adapter, asked, data):
    assert_gradient_is_slope(adapter, *asked, data, "recons")


# ---------------------------------------------------------------- l1 and tanh


@clause("COST-4", "COST-6")
@given(asked=every("l1", "tanh"), scale=st.sampled_from([0.25, 0.5, 2.0, 4.0]))
def test_activations_and_decoder_rows_may_trade_their_scales(adapter, asked, scale):
    for config, inputs in asked:
        traded = {"acts": inputs["acts"] * scale, "W_dec": inputs["W_dec"] / scale}
        same(adapter, cost(adapter, config, inputs), cost(adapter, config, inputs, **traded))
        want, got = gradient(adapter, config, inputs), gradient(adapter, config, inputs, **traded)
        assert_same(want, {"d_acts": got["d_acts"] * scale, "d_W_dec": got["d_W_dec"] / scale}, adapter.dtype)


@clause("COST-4", "COST-6")
@given(asked=every("l1", "tanh"))
def test_a_signs_cost_is_nothing_and_its_gradient_turns_with_it(adapter, asked):
    for config, inputs in asked:
        size = np.abs(inputs["acts"])
        same(adapter, cost(adapter, config, inputs, acts=size), cost(adapter, config, inputs))
        want, got = gradient(adapter, config, inputs, acts=size), gradient(adapter, config, inputs)
        assert_same({"d_acts": want["d_acts"] * np.sign(inputs["acts"]), "d_W_dec": want["d_W_dec"]}, got, adapter.dtype)


@clause("COST-4")
@given(asked=charges("l1"), scale=st.sampled_from([0.5, 2.0, 4.0]))
def test_l1_is_proportional_to_activations_and_latents_add_up(adapter, asked, scale):
    config, inputs = asked
    once = cost(adapter, config, inputs)
    same(adapter, scale * once, cost(adapter, config, inputs, acts=scale * inputs["acts"]))
    twice = {"acts": np.concatenate([inputs["acts"]] * 2, -1), "W_dec": np.concatenate([inputs["W_dec"]] * 2),
             "price": np.concatenate([inputs["price"]] * 2)}
    same(adapter, 2 * once, cost(adapter, config, twice))


@clause("COST-5")
@given(asked=every("l1", "tanh"), data=st.data())
def test_a_silent_latent_and_a_zero_row_get_exactly_nothing(adapter, asked, data):
    for config, inputs in asked:
        M = len(inputs["W_dec"])
        empty = data.draw(st.integers(0, M - 1))
        W_dec, acts = inputs["W_dec"].copy(), inputs["acts"].copy()
        W_dec[empty], acts[:, empty - 1] = 0, 0
        grads = gradient(adapter, config, inputs, acts=acts, W_dec=W_dec)
        assert np.all(grads["d_acts"][acts == 0] == 0), "an activation of 0 has a derivative"
        assert np.all(grads["d_W_dec"][(W_dec == 0).all(-1)] == 0), "a zero row has a gradient"
        assert all(np.all(np.isfinite(grad)) for grad in grads.values())


@clause("COST-6")
@given(asked=charges("tanh"), factor=st.sampled_from([0.5, 2.0, 4.0]))
def test_the_scale_is_inside_and_the_price_bounds_what_a_latent_costs(adapter, asked, factor):
    config, inputs = asked
    harder = config | {"tanh_scale": config["tanh_scale"] * factor}
    same(adapter, cost(adapter, harder, inputs), cost(adapter, config, inputs, acts=factor * inputs["acts"]))
    on = (inputs["acts"] != 0) & (inputs["W_dec"] != 0).any(-1)
    most = (inputs["price"] * on).sum() / len(on)
    same(adapter, most, cost(adapter, config, inputs, acts=4096 * inputs["acts"]))      # tanh of 512 or more is 1


@clause("COST-6")
@given(asked=charges("tanh"), scale=st.sampled_from([0.0, -0.5, -4.0, float("nan")]))
def test_a_scale_that_is_not_positive_is_an_error(adapter, asked, scale):
    config, inputs = asked
    assert "tanh_scale" in adapter.error("cost", config | {"tanh_scale": scale}, **inputs)


@clause("COST-4", dtypes=("float64",))
@given(asked=charges("l1", off_kink=True), data=st.data())
def test_the_gradient_of_l1_is_its_slope(adapter, asked, data):
    assert_gradient_is_slope(adapter, *asked, data, "acts", "W_dec")


@clause("COST-6", dtypes=("float64",))
@given(asked=charges("tanh", off_kink=True), data=st.data())
def test_the_gradient_of_tanh_is_its_slope(adapter, asked, data):
    assert_gradient_is_slope(adapter, *asked, data, "acts", "W_dec")


# ---------------------------------------------------------------- l0


@clause("COST-7")
@given(asked=charges("l0"))
def test_l0_is_the_priced_number_of_latents_that_jumprelu_lets_through(adapter, asked):
    config, inputs = asked
    acts = adapter("activation", {"activation": "jumprelu"}, pre=inputs["pre"], theta=inputs["theta"])["acts"]
    counts = adapter("firing_counts", acts=acts)["counts"]
    same(adapter, (counts * inputs["price"]).sum() / len(acts), cost(adapter, config, inputs))


@clause("COST-8")
@given(asked=charges("l0"))
def test_the_pseudo_gradient_of_l0_is_its_difference_across_the_window(adapter, asked):
    config, inputs = asked
    inputs = inputs | {"pre": inputs["pre"] + 1 / 16}           # off the window's edges, which differences do not see
    theta, reach = inputs["theta"], config["bandwidth"] / 2
    for i, each in enumerate(np.eye(len(theta))):
        beyond, before = (cost(adapter, config, inputs, theta=theta + sign * reach * each) for sign in (1, -1))
        got = gradient(adapter, config, inputs)["d_theta"][i]
        assert_same({"d_theta": (beyond - before) / config["bandwidth"]}, {"d_theta": got}, adapter.dtype)


@clause("COST-8")
@given(asked=charges("l0"))
def test_the_window_of_l0_reaches_as_far_below_the_threshold_as_above(adapter, asked):
    config, inputs = asked
    low = inputs | {"theta": inputs["theta"] - 0.25}            # down to 1/4, less than half of the widest window
    mirrored = low | {"pre": 2 * low["theta"] - low["pre"]}
    assert_same(gradient(adapter, config, low), gradient(adapter, config, mirrored), adapter.dtype)


@clause("COST-8")
@given(sae=saes(activations=("jumprelu",)), data=st.data(), factor=st.sampled_from([0.5, 2.0]))
def test_charging_l0_moves_the_thresholds_and_no_other_parameter(adapter, sae, data, factor):
    inputs = sae.inputs | {"price": data.draw(prices(sae.M)), "dead": np.zeros(sae.M)}
    free = adapter("objective", sae.config, **inputs)
    charged = adapter("objective", sae.config | {"l0_coefficient": factor}, **inputs)
    others = [f"d_{name}" for name in sae.params if name != "log_threshold"]
    assert_same(free, charged, adapter.dtype, others)


# ---------------------------------------------------------------- tie


@clause("COST-9")
@given(asked=charges("tie"), data=st.data())
def test_the_lengths_of_rows_do_not_matter_to_the_tie(adapter, asked, data):
    config, inputs = asked
    M = len(inputs["W_enc"])
    scales = {name: data.draw(st.lists(st.sampled_from([0.25, 1.0, 8.0]), min_size=M, max_size=M)) for name in inputs}
    columns = {name: np.array(scale)[:, np.newaxis] for name, scale in scales.items()}
    scaled = {name: inputs[name] * columns[name] for name in inputs}
    same(adapter, cost(adapter, config, inputs), cost(adapter, config, scaled))
    want, got = gradient(adapter, config, inputs), gradient(adapter, config, scaled)
    assert_same(want, {f"d_{name}": got[f"d_{name}"] * columns[name] for name in inputs}, adapter.dtype)


@clause("COST-9", "COST-11")
@given(asked=charges("tie"))
def test_a_row_and_its_opposite_cost_2_together_whatever_it_is_compared_with(adapter, asked):
    config, inputs = asked
    there, back = (cost(adapter, config, inputs, W_enc=sign * inputs["W_enc"]) for sign in (1, -1))
    same(adapter, 2.0, there + back)
    swapped = cost(adapter, config, {"W_enc": inputs["W_dec"], "W_dec": inputs["W_enc"]})
    same(adapter, 1 + there, 1 + swapped)
    assert -0.125 <= there <= 2.125, "1 - cosine lies between 0 and 2; an eighth is for bfloat16"


@clause("COST-9", "COST-11")
@given(asked=charges("tie"))
def test_the_tie_is_the_mean_over_latents(adapter, asked):
    config, inputs = asked
    pairs = [{name: array[[i]] for name, array in inputs.items()} for i in range(len(inputs["W_dec"]))]
    each = [cost(adapter, config, pair) for pair in pairs]
    same(adapter, 1 + np.mean(each), 1 + cost(adapter, config, inputs))


@clause("COST-9", dtypes=("float64",))
@given(asked=charges("tie", off_kink=True), data=st.data())
def test_the_gradient_of_the_tie_is_its_slope(adapter, asked, data):
    assert_gradient_is_slope(adapter, *asked, data, "W_enc", "W_dec")


@clause("COST-10")
@given(asked=charges("tie"), d_cost=st.sampled_from([0.5, 2.0]))
def test_a_tied_sae_pays_exactly_nothing_for_its_tie(adapter, asked, d_cost):
    tied, inputs = {"cost": "tie", "tied": True}, {"W_dec": asked[1]["W_dec"]}
    assert_same({"cost": np.array(0.0)}, {"cost": cost(adapter, tied, inputs)}, adapter.dtype, exact=True)
    assert_same({"d_W_dec": 0 * inputs["W_dec"]}, gradient(adapter, tied, inputs, d_cost), adapter.dtype, exact=True)


@clause("COST-10")
@given(sae=saes(tied=st.just(True)), factor=st.sampled_from([0.5, 2.0]))
def test_a_tie_coefficient_changes_nothing_for_a_tied_sae(adapter, sae, factor):
    inputs = {"price": np.ones(sae.M)} | sae.inputs | {"dead": np.zeros(sae.M)}
    want = adapter("objective", sae.config, **inputs)
    got = adapter("objective", sae.config | {"tie_coefficient": factor}, **inputs)
    assert_same(want | {"tie": np.array(0.0)}, got, adapter.dtype, exact=True)


@clause("COST-11")
@given(asked=charges("tie", off_kink=True), data=st.data())
def test_a_pair_with_a_zero_row_costs_1_and_neither_row_is_moved(adapter, asked, data):
    config, inputs = asked
    i = data.draw(st.integers(0, len(inputs["W_enc"]) - 1))
    for zeroed in (("W_enc",), ("W_dec",), ("W_enc", "W_dec")):
        emptied = {name: array.copy() for name, array in inputs.items()}
        for name in zeroed:
            emptied[name][i] = 0
        same(adapter, 1.0, cost(adapter, config, {name: array[[i]] for name, array in emptied.items()}))
        for grad in gradient(adapter, config, emptied).values():
            assert np.all(grad[i] == 0), "a row of the pair has a gradient"
            assert np.all(np.isfinite(grad))


# ---------------------------------------------------------------- aux


@clause("COST-12")
@given(asked=charges("aux"))
def test_the_dead_alone_are_a_topk_autoencoder_of_the_residual(adapter, asked):
    config, inputs = asked
    pre, M = np.where(inputs["dead"] != 0, inputs["pre"], -1.0), len(inputs["dead"])
    acts = adapter("activation", {"activation": "topk", "k": min(config["k_aux"], M)}, pre=pre)["acts"]
    recons = adapter("decode", acts=acts, W_dec=inputs["W_dec"], b_dec=np.zeros(inputs["W_dec"].shape[1]))["recons"]
    want = cost(adapter, {"cost": "reconstruction"}, {"x": inputs["residual"], "recons": recons})
    same(adapter, want, cost(adapter, config, inputs))


@clause("COST-12", "COST-14")
@given(asked=charges("aux"), data=st.data())
def test_what_the_living_say_is_nothing_to_the_dead(adapter, asked, data):
    config, inputs = asked
    alive = inputs["dead"] == 0
    other = {"pre": np.where(alive, data.draw(dyadic(inputs["pre"].shape, -4.0, 4.0)), inputs["pre"]),
             "W_dec": np.where(alive[:, np.newaxis], data.draw(halves(*inputs["W_dec"].shape)), inputs["W_dec"])}
    same(adapter, cost(adapter, config, inputs), cost(adapter, config, inputs, **other))
    grads = gradient(adapter, config, inputs, **other)
    assert_same(gradient(adapter, config, inputs), grads, adapter.dtype)
    assert np.all(grads["d_pre"][:, alive] == 0) and np.all(grads["d_W_dec"][alive] == 0), "a living latent has a gradient"


@clause("COST-12")
@given(asked=charges("aux"), k_aux=st.sampled_from([0, -1, 0.5, 1.5]))
def test_k_aux_is_a_whole_number_from_1(adapter, asked, k_aux):
    config, inputs = asked
    assert "k_aux" in adapter.error("cost", config | {"k_aux": k_aux}, **inputs)
    M = len(inputs["dead"])
    same(adapter, cost(adapter, config | {"k_aux": M}, inputs), cost(adapter, config | {"k_aux": 8 * M}, inputs))


@clause("COST-13")
@given(asked=charges("aux"))
def test_while_all_live_the_auxiliary_cost_is_exactly_nothing(adapter, asked):
    config, inputs = asked
    inputs = inputs | {"dead": 0 * inputs["dead"]}
    assert_same({"cost": np.array(0.0)}, {"cost": cost(adapter, config, inputs)}, adapter.dtype, exact=True)
    grads = gradient(adapter, config, inputs)
    assert_same({name: 0 * inputs[name[2:]] for name in ("d_pre", "d_W_dec")}, grads, adapter.dtype, exact=True)


@clause("COST-14")
@given(sae=saes(activations=("relu", "topk", "jumprelu")), data=st.data())
def test_the_auxiliary_cost_moves_no_living_latent_and_no_b_dec_through_the_residual(adapter, sae, data):
    dead = data.draw(dyadic((sae.M,), 0.0, 1.0, 1.0))
    inputs = sae.inputs | {"price": np.ones(sae.M), "dead": dead}
    config = sae.config | {"subtract_b_dec": False}         # else b_dec moves the dead latents' pre, and learns by that
    free = adapter("objective", config, **inputs)
    charged = adapter("objective", config | {"aux_coefficient": 1.0, "k_aux": sae.M}, **inputs)
    living = lambda result: {name: result[f"d_{name}"][dead == 0] for name in sae.params if name != "b_dec"}
    assert_same(living(free), living(charged), adapter.dtype)
    assert_same({"d_b_dec": free["d_b_dec"]}, charged, adapter.dtype)


@clause("COST-15", "COST-12", dtypes=("float64",))
@given(asked=charges("aux", off_kink=True), data=st.data())
def test_the_gradient_of_the_auxiliary_cost_is_its_slope_at_a_fixed_residual(adapter, asked, data):
    assert_gradient_is_slope(adapter, *asked, data, "pre", "W_dec")


@clause("COST-15")
@given(asked=charges("aux"))
def test_who_is_dead_and_not_positive_learns_nothing_however_large_k_aux(adapter, asked):
    config, inputs = asked
    grads = gradient(adapter, config | {"k_aux": 2 * len(inputs["dead"])}, inputs)
    assert np.all(grads["d_pre"][inputs["pre"] <= 0] == 0), "a latent that says nothing has a gradient"


# ---------------------------------------------------------------- the gate's own reconstruction


@clause("COST-16")
@given(asked=charges("gate_reconstruction"))
def test_the_gate_reconstructs_like_a_relu_autoencoder(adapter, asked):
    config, inputs = asked
    acts = adapter("activation", {"activation": "relu"}, pre=inputs["pre"])["acts"]
    recons = decode(adapter, {}, inputs, acts)
    want = cost(adapter, {"cost": "reconstruction"}, {"x": inputs["x"], "recons": recons})
    same(adapter, want, cost(adapter, config, inputs))
    assert np.all(gradient(adapter, config, inputs)["d_pre"][inputs["pre"] <= 0] == 0), "a closed gate has a gradient"


@clause("COST-16", dtypes=("float64",))
@given(asked=charges("gate_reconstruction", off_kink=True), data=st.data())
def test_the_gradient_of_the_gates_reconstruction_is_its_slope(adapter, asked, data):
    assert_gradient_is_slope(adapter, *asked, data, "pre")


@clause("COST-16", "COST-19")
@given(sae=saes(activations=("gated",), tied=st.just(False)))
def test_the_decoder_learns_nothing_while_only_the_gate_speaks(adapter, sae):
    inputs = sae.inputs | {"price": np.ones(sae.M), "dead": np.zeros(sae.M), "b_mag": np.full(sae.M, -16.0)}     # acts is 0
    got = adapter("objective", sae.config | {"subtract_b_dec": False}, **inputs)
    assert_same({"d_W_dec": 0 * sae.inputs["W_dec"]}, got, adapter.dtype, exact=True)
    recons = np.broadcast_to(sae.inputs["b_dec"], (len(sae.config.get("prefixes", [0])), *sae.inputs["x"].shape))
    error = gradient(adapter, {"cost": "reconstruction"}, {"x": sae.inputs["x"], "recons": recons})["d_recons"]
    assert_same({"d_b_dec": error.sum((0, 1))}, got, adapter.dtype)


# ---------------------------------------------------------------- the sum


@st.composite
def objectives(draw, terms=("l1", "l0", "tanh", "tie", "aux"), **kinds):
    """(config, inputs, terms charged): an autoencoder with prices, dead latents and some terms."""
    sae = draw(saes(**kinds))
    possible = [term for term in terms if term != "l0" or sae.config["activation"] == "jumprelu"]
    charged = draw(st.sets(st.sampled_from(possible)))
    config = sae.config | {f"{term}_coefficient": draw(st.sampled_from([0.5, 1.0, 2.0])) for term in sorted(charged)}
    config |= {"tanh_scale": 0.5, "k_aux": draw(st.integers(1, 3)), "warmth": draw(st.sampled_from([0.25, 0.5, 1.0]))}
    inputs = {"price": draw(prices(sae.M))} | sae.inputs | {"dead": draw(dyadic((sae.M,), 0.0, 1.0, 1.0))}
    return config, inputs, charged


def terms_of(result):
    return {name: value for name, value in result.items() if not name.startswith("d_")}


@clause("COST-17")
@given(asked=objectives(activations=("jumprelu",)), term=st.sampled_from(["l1", "l0", "tanh", "tie", "aux"]))
def test_a_reward_is_an_error(adapter, asked, term):
    config, inputs, _ = asked
    name = f"{term}_coefficient"
    for factor in (-0.5, -2.0, float("nan")):
        assert name in adapter.error("objective", config | {name: factor}, **inputs)


@clause("COST-18")
@given(asked=objectives())
def test_the_terms_are_those_that_were_asked_for_and_the_total_is_their_sum(adapter, asked):
    config, inputs, charged = asked
    terms = terms_of(adapter("objective", config, **inputs))
    total = terms.pop("total")
    always = {"reconstruction"} | ({"gate_reconstruction"} if config["activation"] == "gated" else set())
    assert set(terms) == always | charged
    assert_same({"total": sum(terms.values())}, {"total": total}, adapter.dtype)


@clause("COST-18")
@given(asked=objectives())
def test_a_coefficient_multiplies_its_own_term_and_warmth_only_sparsity(adapter, asked):
    config, inputs, charged = asked
    once = terms_of(adapter("objective", config | {"warmth": 1.0}, **inputs))
    dear = {f"{term}_coefficient": 4 * config[f"{term}_coefficient"] for term in charged}
    cold = terms_of(adapter("objective", config | {"warmth": 0.25}, **inputs))
    del once["total"]
    for term in charged:
        name = f"{term}_coefficient"
        alone = terms_of(adapter("objective", config | {"warmth": 1.0, name: dear[name]}, **inputs))
        want = {other: value * (4 if other == term else 1) for other, value in once.items()}
        assert_same(want, alone, adapter.dtype, sorted(want))
    want = {term: value * (0.25 if term in SPARSITY else 1) for term, value in once.items()}
    assert_same(want, cold, adapter.dtype, sorted(want))


@clause("COST-12", "COST-18", "COST-19")
@given(asked=objectives())
def test_a_term_costs_its_coefficient_times_what_the_cost_alone_says(adapter, asked):
    config, inputs, charged = asked
    gated = config["activation"] == "gated"
    said = adapter("encode", config, **{name: array for name, array in inputs.items() if name != "dead"})
    recon = decode(adapter, config, inputs, said["acts"])[-1]
    acts = adapter("activation", {"activation": "relu"}, pre=said["pre"])["acts"] if gated else said["acts"]
    given = {"acts": acts, "W_dec": inputs["W_dec"], "price": inputs["price"], "pre": said["pre"], "dead": inputs["dead"],
             "residual": inputs["x"] - recon, "theta": np.ones(len(inputs["price"])),          # theta = exp(0)
             "W_enc": inputs.get("W_enc", inputs["W_dec"])}
    got = adapter("objective", config, **inputs)
    for term in charged - ({"tie"} if "W_enc" not in inputs else set()):
        factor = config[f"{term}_coefficient"] * (config["warmth"] if term in SPARSITY else 1)
        needed = OPERATIONS["cost"].signature({"cost": term}).inputs
        alone = cost(adapter, config | {"cost": term}, {name: given[name] for name in needed})
        assert_same({term: factor * alone}, got, adapter.dtype)


# float64: sums of parts that cancel. By differences in every parameter at once; constants of the gradient stay out:
# aux (its residual), l0 (a pseudo-gradient), gated (its decoder), and choices by density, which depend on the decoder.
@clause("COST-18", dtypes=("float64",))
@given(data=st.data(),
       asked=objectives(terms=("l1", "tanh", "tie"), activations=("relu", "topk", "batch_topk"), off_kink=True))
def test_the_gradient_of_the_total_is_its_slope(adapter, asked, data):
    config, inputs, _ = asked
    # A zero row has no slope: its norm has a kink there.
    inputs = inputs | {name: inputs[name] + 0.25 for name in ("W_enc", "W_dec") if name in inputs}
    got = adapter("objective", config, **inputs)
    for name in ("W_enc", "W_dec", "b_enc", "b_dec"):
        if name in inputs:
            direction = data.draw(halves(*inputs[name].shape), label=name)
            moved = lambda t: inputs | {name: inputs[name] + t * direction}
            total = lambda t: adapter("objective", config, **moved(t))["total"]
            assert_slope(got[f"d_{name}"], direction, total, f"d_{name}")


# float64: sums of parts that cancel, some of them rounded.
@clause("COST-8", "COST-14", "COST-15", "COST-16", "COST-18", "COST-19", dtypes=("float64",))
@given(asked=objectives())
def test_the_gradient_of_the_total_is_each_terms_gradient_sent_back(adapter, asked):
    config, inputs, charged = asked
    gated, M = config["activation"] == "gated", len(inputs["price"])
    sae = {name: array for name, array in inputs.items() if name != "dead"}
    said = adapter("encode", config, **sae)
    recons = decode(adapter, config, inputs, said["acts"])
    speaks = np.maximum(said["pre"], 0) if gated else said["acts"]
    given = inputs | {"acts": speaks, "pre": said["pre"], "recons": recons, "residual": inputs["x"] - recons[-1],
                      "theta": np.ones(M)}                                       # theta = exp(0)
    d = {"d_recons": 0 * recons, "d_acts": 0 * speaks, "d_pre": 0 * speaks}
    direct = {}
    for term in {"reconstruction", *charged} | ({"gate_reconstruction"} if gated else set()):
        if term == "tie" and "W_enc" not in inputs:
            continue
        factor = config.get(f"{term}_coefficient", 1.0) * (config["warmth"] if term in SPARSITY else 1)
        for name, grad in gradient(adapter, config | {"cost": term}, given, d_cost=factor).items():
            home = d if name in d else direct
            home[name] = home.get(name, 0) + grad
    if gated:                                                                    # what is charged is the gate
        d["d_pre"], d["d_acts"] = d["d_pre"] + d["d_acts"] * (said["pre"] > 0), 0 * d["d_acts"]
    direct["d_log_threshold"] = direct.pop("d_theta", 0)                         # theta = 1, so is its derivative
    back = adapter("backward", config, **sae, **d)
    want = {name: grad + direct.get(name, 0) for name, grad in back.items() if name != "d_x"}
    assert_same(want, adapter("objective", config, **inputs), adapter.dtype)


@clause("COST-19")
@given(asked=objectives(activations=("gated",), terms=("l1", "tanh")), data=st.data())
def test_a_gates_sparsity_does_not_ask_how_loudly_it_speaks(adapter, asked, data):
    config, inputs, charged = asked
    config = config | {"l1_coefficient": 1.0, "tanh_coefficient": 1.0}
    quiet = inputs | {"b_mag": inputs["b_mag"] - data.draw(st.sampled_from([1.0, 16.0]))}
    want, got = (adapter("objective", config, **given) for given in (inputs, quiet))
    assert_same(want, got, adapter.dtype, ["l1", "tanh", "gate_reconstruction"])
    shut = inputs | {"b_enc": np.full_like(inputs["b_enc"], -16.0)}              # every gate is closed
    terms = adapter("objective", config, **shut)
    assert terms["l1"] == 0 and terms["tanh"] == 0, "a closed gate is charged"


@clause("COST-19")
@given(asked=objectives())
def test_a_gated_sae_always_pays_for_its_gates_reconstruction_and_no_other_does(adapter, asked):
    config, inputs, _ = asked
    got = adapter("objective", config, **inputs)
    assert ("gate_reconstruction" in got) == (config["activation"] == "gated")
    if "gate_reconstruction" in got:
        said = adapter("encode", config, **{name: array for name, array in inputs.items() if name != "dead"})
        given = {"x": inputs["x"], "pre": said["pre"], "W_dec": inputs["W_dec"], "b_dec": inputs["b_dec"]}
        assert_same({"gate_reconstruction": cost(adapter, {"cost": "gate_reconstruction"}, given)}, got, adapter.dtype)


@clause("COST-20")
@given(asked=objectives(activations=ACTIVATIONS), factor=st.sampled_from([0.5, 2.0]))
def test_l0_is_charged_to_jumprelu_and_an_error_elsewhere(adapter, asked, factor):
    config, inputs, _ = asked
    config = config | {"l0_coefficient": factor}
    if config["activation"] == "jumprelu":
        assert "l0" in adapter("objective", config, **inputs)
    else:
        assert "l0_coefficient" in adapter.error("objective", config, **inputs)
