"""COST: l1, tanh and l0."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sae_spec.spec_tests.core.compare import assert_same
from sae_spec.spec_tests.core.properties import clause
from sae_spec.spec_tests.core.strategies import prices, saes
from sae_spec.spec_tests.conformance.costs.charges import assert_gradient_is_slope, charges, cost, every, gradient, same


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
    adapter.refuses("tanh_scale", "cost", config | {"tanh_scale": scale}, **inputs)


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
    for i, latent in enumerate(np.eye(len(theta))):
        beyond, before = (cost(adapter, config, inputs, theta=theta + sign * reach * latent) for sign in (1, -1))
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
