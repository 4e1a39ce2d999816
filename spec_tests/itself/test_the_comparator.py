"""The comparator lets nothing through: every way in which golden tests elsewhere have passed wrong results."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sae_spec.spec_tests.core.adapter import DTYPES
from sae_spec.spec_tests.core.compare import FACTOR, UNIT_ROUNDOFF, allowed_error, assert_same, compare
from sae_spec.spec_tests.core.strategies import dyadic

WANT = np.array([[1.0, -2.0], [0.0, 4.0]])


def differs(want, got, tensor="recons", dtype="float64", exact=False, allowed=None):
    mismatch, _ = compare(tensor, want, got, dtype, exact, allowed)
    return mismatch and mismatch.what


@pytest.mark.parametrize("dtype", DTYPES)
def test_equal_is_equal(dtype):
    assert differs(WANT, WANT.copy(), dtype=dtype) is None


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("dtype", DTYPES)
def test_one_number_that_is_not_finite_fails(bad, dtype):
    got = WANT.copy()
    got[1, 1] = bad
    assert differs(WANT, got, dtype=dtype) == "finiteness"


def test_all_nan_fails_even_with_a_generous_allowance():
    assert differs(WANT, np.full_like(WANT, np.nan), allowed=1e9) == "finiteness"


@pytest.mark.parametrize("got", [np.zeros((0,)), WANT.T[:1], WANT.ravel(), WANT[None], np.float64(1.0)])
def test_another_shape_fails(got):
    assert differs(WANT, got) == "shape"


def test_nothing_fails():
    assert differs(WANT, None) == "missing"
    with pytest.raises(AssertionError, match="nothing was compared"):
        assert_same({}, {"acts": WANT})
    with pytest.raises(AssertionError, match="missing"):
        assert_same({"acts": WANT}, {})


def test_an_expected_nan_or_infinity_must_come():
    want = np.array([np.nan, np.inf, -np.inf, 1.0])
    assert differs(want, want.copy()) is None
    assert differs(want, np.array([np.nan, -np.inf, -np.inf, 1.0])) == "finiteness"
    assert differs(want, np.array([0.0, np.inf, -np.inf, 1.0])) == "finiteness"


def test_the_support_of_activations_is_exact():
    got = WANT.copy()
    got[1, 0] = 1e-300
    assert differs(WANT, got, tensor="acts") == "support"
    assert differs(WANT, got, tensor="recons") is None


def test_zeros_are_expected_exactly():
    assert differs(np.zeros(3), np.array([0.0, 1e-300, 0.0])) == "value"


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_allowance_is_where_the_formula_puts_it(dtype):
    unit = FACTOR[dtype] * UNIT_ROUNDOFF[dtype] * 4.0           # 4 is the largest expected number
    just, beyond = WANT.copy(), WANT.copy()
    just[0, 0] += unit
    beyond[0, 0] += 1.1 * unit
    assert differs(WANT, just, dtype=dtype) is None
    assert differs(WANT, beyond, dtype=dtype) == "value"
    assert differs(WANT, just, dtype=dtype, exact=True) == "value"


@given(want=dyadic((2, 3)), scale=st.sampled_from([2.0**-8, 1.0, 2.0**8]))
def test_the_allowance_scales_with_the_tensor(want, scale):
    assert allowed_error(scale * want, "float32") == scale * allowed_error(want, "float32")


def test_the_message_says_where_and_how_much():
    got = WANT.copy()
    got[0, 1] = 3.0
    mismatch, _ = compare("recons", WANT, got, "float32")
    for part in ("recons[0, 1]", "want -2.0", "got 3.0", "|error| 5", "1 of 4 elements differ", "0 NaN"):
        assert part in str(mismatch)
