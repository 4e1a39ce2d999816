"""Sparse times dense: each sample is a sum of few weight rows."""

import torch
import torch.nn.functional as F

from .precision import widen
from . import triton_kernel
from .crowded import crowded, filled, pieces


@torch.no_grad()
def decode(values, indices, offsets, W):
    """out[b] = sum over the entries e of sample b of values[e] · W[indices[e]].

    values, indices  (nnz,)
    offsets          (B + 1,)
    W                (M, D)
    returns (B, D), accumulated in and of at least float32; a sample without entries is 0

    Clauses: SAE-5 (without b_dec).
    """
    if kernel := triton_kernel("decode", W):
        return kernel(values, indices, offsets, W)
    values, W = widen(values, W)
    M, D = W.shape
    if not len(indices):
        return W.new_zeros(len(offsets) - 1, D)
    if crowded(indices, offsets, M):
        return torch.cat([filled(values[entries], row, column, len(range(len(offsets) - 1)[rows]), M) @ W
                          for rows, entries, row, column in pieces(indices, offsets, M)])
    return F.embedding_bag(indices, W, offsets, mode="sum", per_sample_weights=values,
                           include_last_offset=True)
