"""The sparse places ordered by latent: one index that serves both weight gradients."""

from typing import NamedTuple

import torch

from . import triton_kernel


class Transposed(NamedTuple):
    """The entries of a sparse (B, M) matrix, latent after latent, as in CSC."""

    order: torch.Tensor
    """(nnz,) which entry stands where: sorted by latent, stable (then by sample)"""
    rows: torch.Tensor
    """(nnz,) the sample of each entry, in this order"""
    offsets: torch.Tensor
    """(M + 1,) latent i owns order[offsets[i] : offsets[i + 1]]"""


@torch.no_grad()
def transpose(indices, offsets, M):
    """indices (nnz,), offsets (B + 1,) to Transposed; all int64, the same on every run."""
    if kernel := triton_kernel("transpose", indices):
        return kernel(indices, offsets, M)
    counts = torch.bincount(indices, minlength=M)           # (M,)
    order = indices.argsort(stable=True)
    sample = torch.arange(len(offsets) - 1, device=indices.device).repeat_interleave(offsets.diff())
    return Transposed(order, sample[order], torch.nn.functional.pad(counts.cumsum(0), (1, 0)))
