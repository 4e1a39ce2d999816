"""TRAIN: rows of norm 1, and gradients that keep them so."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sae_spec.spec_tests.core.compare import assert_same
from sae_spec.spec_tests.core.properties import clause
from sae_spec.spec_tests.core.strategies import dyadic
from sae_spec.spec_tests.conformance.training.calls import stretched


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
