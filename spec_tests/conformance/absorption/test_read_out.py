"""ABS, the corrected read-out: activations with what children carry."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sae_spec.spec_tests.core.compare import assert_same
from sae_spec.spec_tests.core.properties import clause
from sae_spec.spec_tests.core.strategies import dyadic
from sae_spec.spec_tests.conformance.absorption.scenes import detect, family, powers


@clause("ABS-33")
@given(probability=dyadic((3, 3), 0.0, 1.0, 0.25), W_dec=dyadic((3, 3)), threshold=st.sampled_from([0.25, 0.5]))
def test_the_coefficient_takes_the_parent_out_of_the_childs_row(adapter, probability, W_dec, threshold):
    """What is left of the child's row is orthogonal to the parent's; at the threshold nothing is detected yet."""
    A = adapter("corrected_read_out", {"threshold": threshold}, acts=np.zeros((1, 3)), probability=probability, W_dec=W_dec)["A"]
    along, squares = W_dec @ W_dec.T, (W_dec**2).sum(-1)[:, np.newaxis]
    detected = probability > threshold
    assert_same({"along": np.where(detected, along, 0)}, {"along": A * squares}, adapter.dtype)
    assert not A[~detected].any() and not A[squares[:, 0] == 0].any()


@clause("ABS-34")
@given(acts=dyadic((3, 3)), more=dyadic((3, 3)), probability=dyadic((3, 3), 0.0, 1.0, 0.5))
def test_the_read_out_adds_up_and_leaves_alone_what_no_child_carries(adapter, acts, more, probability):
    W_dec = np.array([[1, 0, 0], [0.5, 1, 0], [-0.5, 0.5, 1]])
    read = lambda acts, probability: adapter("corrected_read_out", {}, acts=acts, probability=probability, W_dec=W_dec)["read_out"]
    assert_same({"read_out": acts}, {"read_out": read(acts, 0 * probability)}, adapter.dtype)
    np.fill_diagonal(probability, 0)
    one, other, both = read(acts, probability), read(more, probability), read(acts + more, probability)
    assert_same({"read_out": np.append(one + other, 4)}, {"read_out": np.append(both, 4)}, adapter.dtype)
    quiet = ~probability.any(1)                                   # nobody's parents
    assert_same({"read_out": np.append(acts[:, quiet], 4)}, {"read_out": np.append(one[:, quiet], 4)}, adapter.dtype)


@clause("ABS-33", "ABS-34")
@given(delta=st.integers(5, 8).map(lambda count: count / 8), scale=powers)
def test_the_parent_of_the_delta_family_is_back(adapter, delta, scale):
    """Detected, corrected: in every sample the parent reads as it is in the truth, in its own row's units."""
    stream = family(delta)
    stream["W_dec"], stream["acts"] = stream["W_dec"] * [[scale], [1], [1]], stream["acts"] / [scale, 1, 1]
    probability = detect(adapter, stream)["probability"]
    got = adapter("corrected_read_out", {}, acts=stream["acts"], probability=probability, W_dec=stream["W_dec"])
    assert_same({"read_out": stream["x"] / [scale, 1, 1]}, got, adapter.dtype)
