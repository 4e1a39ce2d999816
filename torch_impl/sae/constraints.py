"""TRAIN: decoder rows of norm 1."""

from collections.abc import Callable

import torch
from torch import Tensor

from ..kernels.chunks import blocks
from ..kernels.precision import widen


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
