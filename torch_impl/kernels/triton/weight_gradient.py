"""The gradient of either weight matrix on a GPU: sums over each latent's entries in a fixed order, no atomics.

A latent that speaks in thousands of samples would keep one program busy long after the others. So the
entries, sorted by latent, are cut at every multiple of PIECE. Pieces that lie within one latent are summed
first, all at once; the latent's own program then adds those sums, what comes before the first cut and what
comes after the last.
"""

import torch
import triton
import triton.language as tl
from torch import Tensor

from .decode import add_entries
from .launch import Floor, block_height, block_width, in_triton, launch, wide

PIECE = 128
ELEMENTS = 2048                                             # of rows in flight in one program


@triton.jit
def piece_kernel(coefficients, samples, whole, rows, pieces, D, LENGTH: tl.constexpr,
                 BLOCK_E: tl.constexpr, BLOCK_D: tl.constexpr, WIDE: tl.constexpr):
    """The sum of one piece, if the piece lies within one latent; others are left as they are and not read."""
    piece = tl.program_id(0)
    if tl.load(whole + piece) != 0:
        d = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)
        total, first = tl.zeros((BLOCK_E, BLOCK_D), WIDE), piece * LENGTH
        total = add_entries(total, coefficients, samples, rows, first, first + LENGTH, d, D, BLOCK_E, WIDE)
        tl.store(pieces + piece.to(tl.int64) * D + d, tl.sum(total, 0), mask=d < D)


@triton.jit
def latent_kernel(coefficients, samples, offsets, rows, pieces, out, D, LENGTH: tl.constexpr,
                  ADD: tl.constexpr, BLOCK_E: tl.constexpr, BLOCK_D: tl.constexpr, WIDE: tl.constexpr):
    """One latent and one block of columns; latents vary fastest, so that all meet the same slice of rows."""
    latent = tl.program_id(0).to(tl.int64)
    d = tl.program_id(1) * BLOCK_D + tl.arange(0, BLOCK_D)
    first, last = tl.load(offsets + latent).to(tl.int32), tl.load(offsets + latent + 1).to(tl.int32)
    head_end = tl.minimum(last, tl.cdiv(first, LENGTH) * LENGTH)
    tail_start = tl.maximum(head_end, last // LENGTH * LENGTH)
    total = tl.zeros((BLOCK_E, BLOCK_D), WIDE)
    total = add_entries(total, coefficients, samples, rows, first, head_end, d, D, BLOCK_E, WIDE)
    for start in range(head_end // LENGTH, tail_start // LENGTH, BLOCK_E):
        piece = start + tl.arange(0, BLOCK_E).to(tl.int64)
        inside = (piece < tail_start // LENGTH)[:, None] & (d < D)[None, :]
        total += tl.load(pieces + piece[:, None] * D + d[None, :], mask=inside, other=0)
    total = add_entries(total, coefficients, samples, rows, tail_start, last, d, D, BLOCK_E, WIDE)
    gradient = tl.sum(total, 0)
    at = out + latent * D + d
    if ADD:
        gradient += tl.load(at, mask=d < D, other=0).to(WIDE)
    tl.store(at, gradient.to(out.dtype.element_ty), mask=d < D)


def weight_gradient(coefficients: Tensor, rows: Tensor, transposed: tuple[Tensor, Tensor, Tensor],
                    out: Tensor | None = None, add: bool = False) -> Tensor:
    """See `sparse_products.weight_gradient`: coefficients (nnz,), rows (B, D), transposed: Transposed; returns (M, D)."""
    order, samples, offsets = transposed
    assert len(order) < 2**31, "more entries than a 32-bit integer counts"
    (B, D), M, nnz, dtype = rows.shape, len(offsets) - 1, len(order), wide(coefficients, rows)
    out = torch.empty(M, D, dtype=dtype, device=rows.device) if out is None else out
    coefficients, rows = coefficients[order], rows.contiguous()         # the kernel counts addresses in rows
    width = block_width(B, D, rows.element_size())
    blocks, count = triton.cdiv(D, width), nnz // PIECE
    sizes = {"LENGTH": PIECE, "BLOCK_E": block_height(nnz, M, width, ELEMENTS), "BLOCK_D": width,
             "WIDE": in_triton(dtype)}
    pieces = torch.empty(count, D, dtype=dtype, device=rows.device)
    whole = _whole(offsets, count)
    launch(piece_kernel, (count, blocks), coefficients, samples, whole, rows, pieces, D, **sizes)
    launch(latent_kernel, (M, blocks), coefficients, samples, offsets, rows, pieces, out, D, ADD=add, **sizes)
    return out


def _whole(offsets: Tensor, count: int) -> Tensor:
    """(count,) int32: 1 where a piece lies within one latent."""
    starts = torch.arange(count, device=offsets.device, dtype=offsets.dtype) * PIECE
    after = torch.searchsorted(offsets, starts, right=True)  # the latent after that of the piece's first
    return (offsets[after] >= starts + PIECE).int()


def floor(B: int, nnz: int, D: int, M: int, size: int) -> Floor:
    """The rows, once; coefficients and order; the gradient in float32.

    size  bytes of a number of rows and of coefficients; an index has 8
    """
    return Floor(B * D * size + nnz * (size + 8) + (M + 1) * 8 + M * D * 4, 2 * nnz * D)
