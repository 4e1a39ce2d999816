"""COST: the auxiliary loss of dead latents and the gate's own reconstruction."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sae_spec.spec_tests.core.compare import assert_same
from sae_spec.spec_tests.core.properties import clause
from sae_spec.spec_tests.core.strategies import dyadic, saes
from sae_spec.spec_tests.conformance.costs.charges import (
    assert_gradient_is_slope, charges, cost, decode, gradient, halves, same,
)


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
    adapter.refuses("k_aux", "cost", config | {"k_aux": k_aux}, **inputs)
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


# ---------------------------------------------------------------- gate_reconstruction

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
