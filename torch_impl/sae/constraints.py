"""TRAIN: decoder rows of norm 1, and the unit of the data while training."""

import math
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from ..kernels.chunks import blocks
from ..kernels.precision import widen

_ROWS = 4096                                                 # samples that are summed in float64 at once
WITH_UNIT = ("b_enc", "b_dec", "b_mag", "theta", "log_threshold")             # parameters that have the unit of the data


def row_norms(W: Tensor) -> Tensor:
    """Euclidean length (M,) of each row of W (M, D), at least float32. A zero row gets gradient 0."""
    return torch.linalg.vector_norm(widen(W), dim=-1)


def normalize_rows(W: Tensor) -> Tensor:
    """Rows scaled to norm 1, zero rows left; W and result (M, D), of one dtype.  Clauses: TRAIN-1."""
    norms = row_norms(W).unsqueeze(-1)                      # (M, 1)
    return (widen(W) / torch.where(norms == 0, 1, norms)).to(W.dtype)


def project_gradient(d_W: Tensor, W: Tensor) -> Tensor:
    """d_W without its component along each row of W; all (M, D).  Clauses: TRAIN-2."""
    wide, W = widen(d_W, W)
    norms = row_norms(W)                                    # (M,)
    norms = torch.where(norms == 0, 1, norms)
    along = torch.linalg.vecdot(wide, W) / norms / norms    # (M,)  in units of the row
    return torch.addcmul(wide, along.unsqueeze(-1), W, value=-1).to(d_W.dtype)


@torch.no_grad()
def rewrite(W: Tensor, function: Callable[..., Tensor], *others: Tensor) -> None:
    """W <- function(W, *others) in place, a block of rows at a time: temporaries stay small.

    W, others  (M, D)
    function   of blocks (n, D), each row by itself; returns (n, D)
    """
    for rows in blocks(W.shape[0], W.shape[1], W.device):
        W[rows] = function(W[rows], *(other[rows] for other in others))


def project_thresholds(theta: Tensor) -> Tensor:
    """max(theta, 0); both (M,).  Clauses: TRAIN-15."""
    return theta.clamp(min=0)


@torch.no_grad()
def scale_factor(x: Tensor) -> float:
    """The number that brings samples x (B, D) to a mean squared norm of D; in float64, a block of rows at a time.

    raises  ValueError for no samples, nothing but 0, numbers that are not finite or too small for a finite factor

    Clauses: TRAIN-18, TRAIN-19.
    """
    peak = float(max(map(abs, x.aminmax()))) if x.numel() else 0.0
    if not 0 < peak < math.inf:
        raise ValueError(f"x must hold a sample that is not 0, and finite numbers only; the largest is {peak}")
    exponent = -math.frexp(peak)[1]                         # by its power of two the largest number comes to lie below 1
    total = 0.0
    for rows in x.split(_ROWS):
        total += float(times_power(rows.double(), exponent).square().sum())
    try:
        return math.ldexp(math.sqrt(x.shape[-1] * len(x) / total), exponent)
    except OverflowError:
        raise ValueError(f"x is too small to be scaled, the largest number is {peak}") from None


def times_power(x: Tensor, exponent: int) -> Tensor:
    """x · 2^exponent, in two steps: the power itself may not be a number of x's dtype."""
    half = exponent // 2
    return x * 2.0**half * 2.0 ** (exponent - half)


@torch.no_grad()
def fold(params: Mapping[str, Tensor], scale: float | Tensor) -> dict[str, Tensor]:
    """Parameters that were trained on scale · x, in the unit of x; each in its own dtype, computed in float64.

    raises  ValueError for a scale that is not finite and above 0

    Clauses: TRAIN-20.
    """
    scale = float(scale)
    if not 0 < scale < math.inf:
        raise ValueError(f"scale must be finite and above 0, got {scale}")
    folded = {name: tensor.clone() for name, tensor in params.items()}
    for name in set(WITH_UNIT) & set(params):
        wide = params[name].double()
        folded[name] = (wide - math.log(scale) if name == "log_threshold" else wide / scale).to(params[name].dtype)
    return folded


@torch.no_grad()
def fold_threshold(threshold: Tensor, scale: float | Tensor, activation: str) -> Tensor:
    """A batch rule's inference threshold, a 0-d tensor, in the unit of x, float64: a density of small x is smaller than float32 goes.

    Clauses: TRAIN-21.
    """
    wide = threshold.double() / float(scale)
    return wide / float(scale) if activation == "batch_budget_topk" else wide
