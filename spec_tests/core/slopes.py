"""Slopes by differences: what a gradient is checked against, in float64, away from kinks."""

import numpy as np

from sae_spec.spec_tests.core.compare import compare

STEP = 2.0**-10         # 6 of them move a pre-activation by less than `saes(off_kink=True)` keeps it from a kink


def slope(f):
    """df/dt at t = 0: two central differences, extrapolated, so that a polynomial of degree 4 is not truncated."""
    near, far = ((f(step) - f(-step)) / (2 * step) for step in (STEP / 2, STEP))
    return (4 * near - far) / 3


def assert_slope(gradient, direction, f, what):
    """The gradient, read along a direction, is the slope of f."""
    along, want = (gradient * direction).sum(), slope(f)
    # Rounding: u · |f| / STEP < 1e-9. Truncation: STEP^4 / 480 · fifth derivative < 1e-7 (tanh, the steepest).
    mismatch, _ = compare(what, want, along, "float64", allowed=1e-6 * max(1.0, np.abs(want)))
    assert mismatch is None, f"{mismatch}   the slope of what was asked, against the gradient along a direction"
