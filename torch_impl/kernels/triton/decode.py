"""Sums of gathered rows on a GPU: for each segment, the rows that its entries name, times their values.

Decoding is that with W's rows and a segment for each sample; `weight_gradient.py` is that with the
samples' rows and a segment for each latent.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from .launch import Floor, block_height, block_width, in_triton, launch, wide

ELEMENTS = 4096                                             # of the table in flight in one program


@triton.jit
def add_entries(total, values, indices, table, first, last, d, D, BLOCK_E: tl.constexpr, WIDE: tl.constexpr):
    """total (BLOCK_E, BLOCK_D) plus values[e] · table[indices[e], d] for the entries first .. last - 1."""
    for start in range(first, last, BLOCK_E):
        entry = start + tl.arange(0, BLOCK_E)
        value = tl.load(values + entry, mask=entry < last, other=0).to(WIDE)
        row = tl.load(indices + entry, mask=entry < last, other=0).to(tl.int64)
        wanted = (value != 0)[:, None] & (d < D)[None, :]   # a value of 0 reads nothing
        read = tl.load(table + row[:, None] * D + d[None, :], mask=wanted, other=0)
        total += value[:, None] * read.to(WIDE)
    return total


@triton.jit
def segment_kernel(values, indices, offsets, table, out, D,
                   BLOCK_E: tl.constexpr, BLOCK_D: tl.constexpr, WIDE: tl.constexpr):
    """One segment and one block of columns.

    Segments vary fastest, so that all of them meet the same slice of the table.
    """
    segment = tl.program_id(0).to(tl.int64)
    d = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)
    first, last = tl.load(offsets + segment).to(tl.int32), tl.load(offsets + segment + 1).to(tl.int32)
    total = tl.zeros((BLOCK_E, BLOCK_D), WIDE)
    total = add_entries(total, values, indices, table, first, last, d, D, BLOCK_E, WIDE)
    tl.store(out + segment * D + d, tl.sum(total, 0).to(out.dtype.element_ty), mask=d < D)


def decode(values: Tensor, indices: Tensor, offsets: Tensor, W: Tensor) -> Tensor:
    """See `sparse_products.decode`: values, indices (nnz,), offsets (B + 1,), W (M, D); returns (B, D)."""
    assert len(indices) < 2**31, "more entries than a 32-bit integer counts"
    values, W = values.contiguous(), W.contiguous()         # the kernel counts addresses in rows
    B, D = len(offsets) - 1, W.shape[1]
    dtype = wide(values, W)
    out = torch.empty(B, D, dtype=dtype, device=W.device)
    width = block_width(len(W), D, W.element_size())
    launch(segment_kernel, (B, triton.cdiv(D, width)), values, indices, offsets, W, out, D,
           BLOCK_E=block_height(len(indices), B, width, ELEMENTS), BLOCK_D=width, WIDE=in_triton(dtype))
    return out


def floor(B: int, nnz: int, D: int, M: int, size: int) -> Floor:
    """The rows of W that are needed, once each; the entries; the sums in float32.

    size  bytes of a number of W and of values; an index has 8
    """
    return Floor(min(nnz, M) * D * size + nnz * (size + 8) + (B + 1) * 8 + B * D * 4, 2 * nnz * D)
