"""Gathered dot products on a GPU: what each active latent's direction says of its sample."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from .launch import Floor, block_height, block_width, in_triton, launch, wide

ELEMENTS = 4096                                             # of W in flight in one program


@triton.jit
def dots_kernel(rows, indices, offsets, W, partial, nnz, D,
                BLOCK_E: tl.constexpr, BLOCK_D: tl.constexpr, WIDE: tl.constexpr):
    """One sample and one block of columns: that block's share of each of the sample's products.

    Samples vary fastest, so that all of them meet the same slice of W.
    """
    sample, block = tl.program_id(0).to(tl.int64), tl.program_id(1).to(tl.int64)
    d = block * BLOCK_D + tl.arange(0, BLOCK_D)
    first, last = tl.load(offsets + sample).to(tl.int32), tl.load(offsets + sample + 1).to(tl.int32)
    x = tl.load(rows + sample * D + d, mask=d < D, other=0).to(WIDE)
    for start in range(first, last, BLOCK_E):
        entry = start + tl.arange(0, BLOCK_E)
        latent = tl.load(indices + entry, mask=entry < last, other=0).to(tl.int64)
        inside = (entry < last)[:, None] & (d < D)[None, :]
        direction = tl.load(W + latent[:, None] * D + d[None, :], mask=inside, other=0).to(WIDE)
        tl.store(partial + block * nnz + entry, tl.sum(x[None, :] * direction, 1), mask=entry < last)


def gathered_dots(rows: Tensor, indices: Tensor, offsets: Tensor, W: Tensor) -> Tensor:
    """See `sparse_products.gathered_dots`: rows (B, D), indices (nnz,), offsets (B + 1,), W (M, D); returns (nnz,)."""
    assert len(indices) < 2**31, "more entries than a 32-bit integer counts"
    rows, W = rows.contiguous(), W.contiguous()             # the kernel counts addresses in rows
    (B, D), nnz = rows.shape, len(indices)
    dtype = wide(rows, W)
    width = block_width(len(W), D, W.element_size())
    blocks = triton.cdiv(D, width)
    partial = torch.empty(blocks, nnz, dtype=dtype, device=rows.device)
    launch(dots_kernel, (B, blocks), rows, indices, offsets, W, partial, nnz, D,
           BLOCK_E=block_height(nnz, B, width, ELEMENTS), BLOCK_D=width, WIDE=in_triton(dtype))
    return partial.sum(0) if blocks > 1 else partial[0]


def floor(B: int, nnz: int, D: int, M: int, size: int) -> Floor:
    """The rows of W that are needed, once each; the samples; the indices; the products in float32.

    size  bytes of a number of W and of rows; an index has 8
    """
    return Floor(min(nnz, M) * D * size + B * D * size + nnz * (8 + 4) + (B + 1) * 8, 2 * nnz * D)
