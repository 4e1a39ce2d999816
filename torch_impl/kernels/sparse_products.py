"""The three products with a sparse (B, M) matrix, of which only the listed entries are touched.

Over all entries e, each at latent i of sample b, with samples `rows` (B, D) and weights W (M, D), let

    total = sum over e of values[e] · (rows[b] · W[i])

    gathered_dots     its derivative by values: dense times dense, at the sparse places only
    decode            its derivative by rows: sparse times dense, a sum of weight rows for each sample
    weight_gradient   its derivative by W: sparse transposed times dense, a sum of sample rows for each latent

so that each is what the others' backward passes need. Where the matrix is not sparse, all three are dense products
of chunks filled with zeros: those do a number about 10 times as fast as a gathered sum does.
"""

import warnings
from collections.abc import Iterator
from functools import cache
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from . import triton_kernel
from .chunks import blocks, rows_at_once
from .precision import widen

CROWDED_PLACES = 16                                         # one entry in fewer places than these: dense is quicker ...
CROWDED_ENTRIES = 4096                                      # ... if there are more entries than these


@torch.no_grad()
def decode(values: Tensor, indices: Tensor, offsets: Tensor, W: Tensor) -> Tensor:
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
    if _is_crowded(indices, offsets, M):
        return torch.cat([W.new_zeros(R, M).index_put(places, values[entries], accumulate=True) @ W
                          for _, R, entries, places in _dense_chunks(indices, offsets, M)])
    return F.embedding_bag(indices, W, offsets, mode="sum", per_sample_weights=values,
                           include_last_offset=True)


@torch.no_grad()
def gathered_dots(rows: Tensor, indices: Tensor, offsets: Tensor, W: Tensor) -> Tensor:
    """out[e] = rows[b] · W[indices[e]] for each entry e of sample b; the same may be asked for more than once.

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
    if _is_crowded(indices, offsets, M):
        return torch.cat([(rows[first : first + R] @ W.T)[places]
                          for first, R, _, places in _dense_chunks(indices, offsets, M)])
    if rows.is_cuda:
        sample = samples_of(offsets)                          # (nnz,)
        return torch.cat([(rows[sample[part]] * W[indices[part]]).sum(-1)
                          for part in blocks(len(indices), D, rows.device)] or [rows.new_zeros(0)])
    ones = _csr(rows.new_ones(len(indices)), indices, offsets, M)
    return torch.sparse.sampled_addmm(ones, rows, W.T, beta=0).values()


class Transposed(NamedTuple):
    """The entries of a sparse (B, M) matrix, latent after latent, as in CSC."""

    order: Tensor
    """(nnz,) which entry stands where: sorted by latent, stable (then by sample)"""
    rows: Tensor
    """(nnz,) the sample of each entry, in this order"""
    offsets: Tensor
    """(M + 1,) latent i owns order[offsets[i] : offsets[i + 1]]"""


@torch.no_grad()
def transpose(indices: Tensor, offsets: Tensor, M: int) -> Transposed:
    """indices (nnz,), offsets (B + 1,) to Transposed; all int64, the same on every run."""
    order = indices.argsort(stable=True)
    return Transposed(order, samples_of(offsets)[order], counted_offsets(torch.bincount(indices, minlength=M)))


@torch.no_grad()
def weight_gradient(coefficients: Tensor, rows: Tensor, transposed: Transposed, out: Tensor | None = None,
                    add: bool = False) -> Tensor:
    """out[i] = sum over the entries e of latent i of coefficients[e] · rows[sample of e].

    coefficients  (nnz,)  in the order of the samples, as they were before `transpose`
    rows          (B, D)
    transposed    the places, by latent
    out           (M, D)  where to write; a new tensor unless given
    add           True: add to what `out` holds
    returns (M, D), accumulated in and of at least float32; a latent without entries is 0

    Sorted segments, no atomics: the same bits on every run.
    """
    if kernel := triton_kernel("weight_gradient", rows):
        return kernel(coefficients, rows, transposed, out, add)
    coefficients, rows = widen(coefficients[transposed.order], rows)
    entries = coefficients, transposed.rows, transposed.offsets
    in_place = rows.device.type == "cpu" and torch.backends.mkl.is_available()    # torch's product that adds to `out`
    if out is not None and in_place and not _is_crowded(*entries[1:], len(rows)):
        return torch.addmm(out, _csr(*entries, len(rows)), rows, beta=float(add), out=out)
    gradient = decode(*entries, rows)
    if out is None:
        return gradient
    return out.add_(gradient) if add else out.copy_(gradient)


def counted_offsets(counts: Tensor) -> Tensor:
    """offsets (B + 1,) from the number of entries of each sample, (B,)."""
    return F.pad(counts.cumsum(0), (1, 0))


def samples_of(offsets: Tensor) -> Tensor:
    """The sample of each entry, (nnz,), from offsets (B + 1,)."""
    return torch.arange(len(offsets) - 1, device=offsets.device).repeat_interleave(offsets.diff())


def _is_crowded(indices: Tensor, offsets: Tensor, width: int) -> bool:
    """Is a matrix with these entries, (len(offsets) - 1, width), better multiplied as a dense one?"""
    places = (len(offsets) - 1) * width
    if len(indices) > places:                               # some are asked for twice: torch takes no such sparse tensor
        return True
    return len(indices) > CROWDED_ENTRIES and len(indices) * CROWDED_PLACES > places


def _dense_chunks(indices: Tensor, offsets: Tensor, width: int) -> Iterator[tuple[int, int, slice, tuple[Tensor, Tensor]]]:
    """A crowded matrix by chunks of rows: first row, number of rows R, its entries, and their places (row, column)."""
    step = rows_at_once(len(offsets) - 1, width, indices.device)
    for first in range(0, len(offsets) - 1, step):
        bounds = offsets[first : first + step + 1]
        entries = slice(*bounds[[0, -1]].tolist())
        yield first, len(bounds) - 1, entries, (samples_of(bounds), indices[entries])


def _csr(values: Tensor, indices: Tensor, offsets: Tensor, width: int) -> Tensor:
    """A sparse (len(offsets) - 1, width) torch tensor, unchecked: the callers build valid ones."""
    _silence_warning_that_csr_is_in_beta()
    return torch.sparse_csr_tensor(offsets, indices, values, (len(offsets) - 1, width), check_invariants=False)


@cache
def _silence_warning_that_csr_is_in_beta() -> None:
    """torch warns at the first such tensor of a process only: make that one here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        none = torch.zeros(0, dtype=torch.int64)
        torch.sparse_csr_tensor(torch.zeros(2, dtype=torch.int64), none, none.float(), (1, 1), check_invariants=False)
