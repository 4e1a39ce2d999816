"""Dense times dense at few places: what each active latent would gain."""

import torch

from .precision import widen
from . import triton_kernel
from .chunks import blocks
from .crowded import crowded, pieces
from .csr import csr


@torch.no_grad()
def gathered_dots(rows, indices, offsets, W):
    """out[e] = rows[b] · W[indices[e]] for each entry e of sample b.

    rows     (B, D)
    indices  (nnz,)
    offsets  (B + 1,)
    W        (M, D)
    returns (nnz,), accumulated in and of at least float32
    """
    if kernel := triton_kernel("gathered_dots", rows):
        return kernel(rows, indices, offsets, W)
    rows, W = widen(rows, W)
    M, D = W.shape
    if crowded(indices, offsets, M):
        return torch.cat([(rows[part] @ W.T)[row, column] for part, _, row, column in pieces(indices, offsets, M)])
    if rows.is_cuda:
        sample = torch.arange(len(rows), device=rows.device).repeat_interleave(offsets.diff())   # (nnz,)
        return torch.cat([(rows[sample[part]] * W[indices[part]]).sum(-1)
                          for part in blocks(len(indices), D, rows.device)] or [rows.new_zeros(0)])
    places = csr(rows.new_ones(len(indices)), indices, offsets, M)
    return torch.sparse.sampled_addmm(places, rows, W.T, beta=0).values()
