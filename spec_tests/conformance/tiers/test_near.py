"""Nearness: a last bit decides. Numbers are compared as they are, in their own dtype, and with no tolerance.

Half precision is left to `test_half.py`: what it cannot tell apart is told apart in float32.
"""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sae_spec.spec_tests.core.properties import clause
from sae_spec.spec_tests.core.strategies import dyadic, positive

WIDE = ("float64", "float32")
values = st.integers(1, 8).map(lambda n: n / 4)
sides = st.sampled_from([-1, 0, 1])


def beside(adapter, number, side):
    """The next number below (side -1) or above (side 1) in the adapter's dtype, or the number itself."""
    to = np.dtype(adapter.dtype).type
    return float(np.nextafter(to(number), to(np.inf * side))) if side else float(number)


def chosen(adapter, rule, pre, k=1, **inputs):
    acts = adapter("activation", {"activation": rule, "k": k}, pre=pre, **inputs)["acts"]
    return [tuple(int(i) for i in place) for place in np.argwhere(acts)]


@clause("ACT-5", "ACT-4", "ACT-13", dtypes=WIDE)
@given(M=st.integers(2, 6), value=values, data=st.data(), rule=st.sampled_from(("topk", "abs_topk")))
def test_the_last_bit_makes_the_largest(adapter, M, value, data, rule):
    at = data.draw(st.integers(0, M - 1))
    pre = np.full((1, M), value)
    pre[0, at] = beside(adapter, value, 1)
    if rule == "abs_topk":
        pre = pre * data.draw(dyadic((M,), 0.0, 1.0, 1.0).map(lambda array: 1 - 2 * array))
    assert chosen(adapter, rule, pre) == [(0, at)]


@clause("ACT-12", "ACT-18", dtypes=WIDE)
@given(B=st.integers(1, 3), M=st.integers(1, 4), value=values, data=st.data())
def test_the_last_bit_chooses_among_the_batch(adapter, B, M, value, data):
    order = data.draw(st.permutations(range(B * M)))
    pre = np.full(B * M, value)
    for place in order[:B]:
        pre[place] = beside(adapter, value, 1)
    want = sorted(divmod(place, M) for place in order[:B])
    assert chosen(adapter, "batch_topk", pre.reshape(B, M)) == want


@clause("ACT-14", "ACT-18", dtypes=WIDE)
@given(M=st.integers(2, 5), value=values, data=st.data(), rule=st.sampled_from(("budget_topk", "batch_budget_topk")))
def test_the_last_bits_make_the_densest(adapter, M, value, data, rule):
    """Four last bits: a density is squared and multiplied, and rounded at each."""
    at, pre = data.draw(st.integers(0, M - 1)), np.full((1, M), value)
    for _ in range(4):
        pre[0, at] = beside(adapter, pre[0, at], 1)
    assert chosen(adapter, rule, pre, price=np.ones(M), dec_norm=np.ones(M)) == [(0, at)]


@clause("ACT-7", "ACT-10", "ACT-23", "COST-7", dtypes=WIDE)
@given(theta=values, side=sides)
def test_the_last_bit_clears_the_threshold(adapter, theta, side):
    pre, on = [[beside(adapter, theta, side)]], side > 0
    for gate in ("jumprelu", "step"):
        assert bool(adapter("activation", {"activation": gate}, pre=pre, theta=[theta])["acts"][0, 0]) == on, gate
    assert bool(adapter("batch_topk_inference", pre=pre, threshold=theta)["acts"][0, 0]) == on
    assert bool(adapter("cost", {"cost": "l0"}, pre=pre, theta=[theta], price=[1.0])["cost"]) == on


@clause("ACT-8", "ACT-11", dtypes=WIDE)
@given(theta=positive((1,)), side=sides, edge=st.sampled_from([-1, 1]), gate=st.sampled_from(("jumprelu", "step")))
def test_the_last_bit_leaves_the_window(adapter, theta, side, edge, gate):
    """The window reaches from 0.5 to 1.5 times the threshold; nothing rounds the distance."""
    pre = beside(adapter, theta[0] * (1 + edge / 2), side)
    inputs = {"pre": [[pre]], "theta": theta, "d_acts": [[1.0]]}
    d_theta = adapter("activation_backward", {"activation": gate, "bandwidth": float(theta[0])}, **inputs)["d_theta"]
    assert bool(d_theta[0]) == (side * edge < 0)


@clause("ACT-1", "SAE-13", dtypes=WIDE)
@given(power=st.integers(-60, 0), sign=st.sampled_from([-1.0, 1.0]))
def test_what_is_above_zero_is_on_however_small(adapter, power, sign):
    pre = sign * 2.0**power
    assert bool(adapter("activation", {"activation": "relu"}, pre=[[pre]])["acts"][0, 0]) == (sign > 0)
    gate = {"shared": [[pre]], "b_enc": [0.0], "r_mag": [0.0], "b_mag": [2.0]}
    assert bool(adapter("activation", {"activation": "gated"}, **gate)["acts"][0, 0]) == (sign > 0)


@clause("SAE-15", dtypes=("float64",))
@given(large=st.sampled_from([2.0**14, -(2.0**14)]), small=dyadic((1,), 1.0, 7.0, 1.0))
def test_float64_is_summed_in_float64(adapter, large, small):
    weights = {"W_enc": [[1.0, 2.0**-13]], "W_dec": [[1.0, 0.0]], "b_enc": [0.0], "b_dec": [0.0, 0.0]}
    pre = adapter("encode", {"activation": "relu"}, x=[[large, small[0]]], **weights)["pre"]
    assert pre[0, 0] - large == small[0] * 2.0**-13
    rows = {"acts": [[large, small[0]]], "W_dec": [[1.0], [2.0**-13]], "b_dec": [0.0]}
    assert adapter("decode", **rows)["recons"][0, 0, 0] - large == small[0] * 2.0**-13
