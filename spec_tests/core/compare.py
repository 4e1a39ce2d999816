"""The only comparator. Everything that is compared in this project is compared here.

    allowed = c · u(dtype) · max |expected|, taken over the tensor

u is the dtype's unit roundoff. Shape comes first, then where the numbers are not finite, then, for activations,
which are zero; all three exactly. A comparison fails unless `err <= allowed`, so a NaN fails.
"""

from typing import NamedTuple

import numpy as np

UNIT_ROUNDOFF = {"float64": 2.0**-53, "float32": 2.0**-24, "float16": 2.0**-11, "bfloat16": 2.0**-8}

# Measured on naive CPU implementations with the support pinned: the worst error of any output or gradient was
# 6.9 (float32), 5.0 (float16) and 2.7 (bfloat16) units of u · max|expected|. Frozen above that.
FACTOR = {"float64": 16, "float32": 16, "float16": 8, "bfloat16": 8}

# Below its smallest subnormal a dtype cannot round any better, whatever the scale.
SMALLEST = {"float64": 2.0**-1074, "float32": 2.0**-149, "float16": 2.0**-24, "bfloat16": 2.0**-133}


class Mismatch(NamedTuple):
    """Where one tensor differs from what was expected, worst element first."""

    tensor: str
    what: str               # "value", "shape", "finiteness", "support" or "missing"
    index: tuple
    want: object
    got: object
    error: float
    allowed: float
    differing: int          # elements that differ by more than allowed
    size: int
    nans: int

    def __str__(self):
        at = f"{self.tensor}[{', '.join(map(str, self.index))}]" if self.index else self.tensor
        if self.what in ("shape", "missing"):
            return f"{at}  {self.what}: want {self.want}, got {self.got}"
        limit = "0 (exact)" if self.allowed == 0 else f"{self.allowed:.3g}"
        why = {"support": "  (which activations are zero is compared exactly)",
               "finiteness": "  (which numbers are not finite is compared exactly)"}.get(self.what, "")
        return (f"{at}  want {self.want!r}   got {self.got!r}   |error| {self.error:.3g}   allowed {limit}"
                f"   {self.differing} of {self.size} elements differ, {self.nans} NaN{why}")


def allowed_error(want, dtype, exact=False):
    """The largest error that passes, for a tensor of which `want` is expected."""
    finite = np.abs(want[np.isfinite(want)])
    scale = finite.max() if finite.size else 0.0
    if exact or scale == 0:
        return 0.0
    return FACTOR[dtype] * max(UNIT_ROUNDOFF[dtype] * scale, SMALLEST[dtype])


def compare(tensor, want, got, dtype, exact=False, allowed=None):
    """(Mismatch or None, error / allowed). `allowed` overrides the formula where a case states its own."""
    if got is None:
        return Mismatch(tensor, "missing", (), f"an array of shape {np.shape(want)}", "nothing", np.inf, 0.0, 0, 0, 0), np.inf
    want, got = np.asarray(want, dtype=np.float64), np.asarray(got, dtype=np.float64)
    if want.shape != got.shape:
        return Mismatch(tensor, "shape", (), want.shape, got.shape, np.inf, 0.0, 0, want.size, 0), np.inf
    if want.size == 0:
        return None, 0.0
    if allowed is None:
        allowed = allowed_error(want, dtype, exact)

    what, bad = "finiteness", ~same_nonfinite(want, got)
    if not bad.any() and tensor == "acts":
        what, bad = "support", (want == 0) != (got == 0)
    with np.errstate(invalid="ignore"):
        error = np.where(np.isfinite(want) & np.isfinite(got), np.abs(want - got), np.where(bad, np.inf, 0.0))
    if not bad.any():
        what, bad = "value", ~(error <= allowed)
    if not bad.any():
        return None, worst_ratio(error.max(), allowed)
    index = np.unravel_index(np.argmax(np.where(bad, error, -1.0)), want.shape)
    return Mismatch(tensor, what, tuple(int(i) for i in index), float(want[index]), float(got[index]),
                    float(error[index]), float(allowed), int(bad.sum()), want.size, int(np.isnan(got).sum())), np.inf


def same_nonfinite(want, got):
    """Element by element: both finite, both NaN, or the same infinity."""
    plain = np.isfinite(want) & np.isfinite(got)
    return plain | (np.isnan(want) & np.isnan(got)) | (np.isinf(want) & (want == got))


def worst_ratio(error, allowed):
    """How much of the allowance was used."""
    return float(error / allowed) if allowed else 0.0


def assert_same(want, got, dtype="float64", tensors=None, exact=False):
    """Two results, {name: array} each, agree on `tensors` (on all of `want` unless given)."""
    names = sorted(want) if tensors is None else tensors
    assert names, "nothing was compared"
    for name in names:
        mismatch, _ = compare(name, want[name], got.get(name), dtype, exact=exact)
        assert mismatch is None, str(mismatch)
