"""SAE: gated activations and their gradient."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sae_spec.spec_tests.core.compare import assert_same
from sae_spec.spec_tests.core.properties import clause
from sae_spec.spec_tests.core.strategies import dyadic, sizes
from sae_spec.spec_tests.conformance.sae.questions import UNTIED, asked, backward, changed, whole


@st.composite
def gates(draw):
    """What the gated activation takes, multiples of 1/4 so that every dtype adds them exactly."""
    B, M = draw(sizes), draw(sizes)
    return {"shared": draw(dyadic((B, M))), "b_enc": draw(dyadic((M,))), "r_mag": np.zeros(M), "b_mag": draw(dyadic((M,)))}


def gated(adapter, gate, **changes):
    return adapter("activation", {"activation": "gated"}, **(gate | changes))["acts"]


@clause("SAE-13")
@given(gate=gates())
def test_a_gate_with_something_to_say_is_on_exactly_above_zero(adapter, gate):
    pre = gate["shared"] + gate["b_enc"]
    acts = gated(adapter, gate, b_mag=gate["b_mag"] + 8)              # every magnitude is positive
    assert np.array_equal(acts != 0, pre > 0), "the gate is not 1[pre > 0]"


@clause("SAE-13")
@given(gate=gates())
def test_an_open_gate_is_a_relu_of_the_magnitude_whatever_its_bias(adapter, gate):
    mag = gate["shared"] + gate["b_mag"]
    want = adapter("activation", {"activation": "relu"}, pre=mag)
    for bias in (4.0, 8.0):                                             # |shared| <= 2: all gates are open
        assert_same(want, {"acts": gated(adapter, gate, b_enc=np.full_like(gate["b_enc"], bias))}, adapter.dtype)


@clause("SAE-13")
@given(gate=gates(), r=st.tuples(*[st.sampled_from([-1.0, -0.5, 0.5, 1.0])] * 2))
def test_scales_multiply_where_their_logarithms_add_and_leave_the_bias_alone(adapter, gate, r):
    opened = gate | {"b_enc": np.full_like(gate["b_enc"], 4.0)}
    said = lambda scale, **changes: gated(adapter, opened, r_mag=np.full_like(gate["r_mag"], scale), **changes)
    no_bias = {"b_mag": 0 * gate["b_mag"]}
    assert_same({"acts": said(r[0], **no_bias) * said(r[1], **no_bias)},
                {"acts": said(r[0] + r[1], **no_bias) * said(0.0, **no_bias)}, adapter.dtype)
    silent = {"shared": 0 * gate["shared"]}
    assert_same({"acts": said(0.0, **silent)}, {"acts": said(r[0], **silent)}, adapter.dtype)


@clause("SAE-14")
@given(ask=asked(activations=("gated",)))
def test_the_gates_bias_gets_exactly_nothing_from_acts_and_recons(adapter, ask):
    sae, d = ask
    for output in ("d_acts", "d_recons"):
        grads = backward(adapter, sae, **{output: d[output]})
        assert_same({"d_b_enc": 0 * sae.inputs["b_enc"]}, grads, adapter.dtype)


@clause("SAE-14")
@given(ask=asked(activations=("gated",), tied=UNTIED), data=st.data())
def test_stretching_an_encoder_row_is_turning_up_its_magnitude(adapter, ask, data):
    sae, d = ask
    sae = changed(sae, r_mag=data.draw(dyadic((sae.M,), -1.0, 1.0, 0.5)))
    grads = backward(adapter, sae, d_acts=d["d_acts"])
    assert_same({"d_r_mag": (grads["d_W_enc"] * sae.inputs["W_enc"]).sum(-1)}, grads, adapter.dtype)


@clause("SAE-14")
@given(gate=gates(), data=st.data())
def test_a_latent_that_is_off_gets_no_gradient_through_its_magnitude(adapter, gate, data):
    d_acts = data.draw(whole(*gate["shared"].shape))
    off = gated(adapter, gate) == 0
    grads = adapter("activation_backward", {"activation": "gated"}, **gate, d_acts=d_acts * off)
    assert_same({name: 0 * grads[name] for name in ("d_shared", "d_r_mag", "d_b_mag")}, grads, adapter.dtype)
