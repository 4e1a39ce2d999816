"""TRAIN: decoder rows of norm 1."""

import torch

from ..kernels.chunks import blocks
from ..kernels.precision import widen


def row_norms(W):
    """Euclidean length (M,) of each row of W (M, D), at least float32. A zero row gets gradient 0."""
    return torch.linalg.vector_norm(widen(W), dim=-1)


def normalize_rows(W):
    """Rows scaled to norm 1, zero rows left; W and result (M, D).  Clauses: TRAIN-1."""
    return directions(W).to(W.dtype)


def directions(W):
    """`normalize_rows` before rounding: at least float32."""
    norms = row_norms(W).unsqueeze(-1)                      # (M, 1)
    return widen(W) / torch.where(norms == 0, 1, norms)


def project_gradient(d_W, W):
    """d_W without its component along each row of W; all (M, D).  Clauses: TRAIN-2."""
    wide, W = widen(d_W, W)
    norms = row_norms(W)                                    # (M,)
    norms = torch.where(norms == 0, 1, norms)
    along = torch.linalg.vecdot(wide, W) / norms / norms    # (M,)  in units of the row
    return torch.addcmul(wide, along.unsqueeze(-1), W, value=-1).to(d_W.dtype)


@torch.no_grad()
def rewrite(W, function, *others):
    """W <- function(W, *others) for a function of rows, in place, a block at a time: its temporaries stay small.

    W, others  (M, D)
    """
    for rows in blocks(*W.shape, W.device):
        W[rows] = function(W[rows], *(other[rows] for other in others))
