"""Sparse transposed times dense: each latent's gradient is a sum over the samples in which it spoke."""

import torch

from .precision import widen
from . import triton_kernel
from .crowded import crowded
from .csr import csr
from .decode import decode


@torch.no_grad()
def weight_gradient(coefficients, rows, transposed, out=None, add=False):
    """out[i] = sum over the entries e of latent i of coefficients[e] · rows[sample of e].

    coefficients  (nnz,)  in the order of the samples, as they were before `transpose`
    rows          (B, D)
    transposed    transpose.Transposed
    out           (M, D)  where to write; a new tensor unless given
    add           True: add to what `out` holds
    returns (M, D), accumulated in and of at least float32; a latent without entries is 0

    Sorted segments, no atomics: the same bits on every run.
    """
    if kernel := triton_kernel("weight_gradient", rows):
        return kernel(coefficients, rows, transposed, out, add)
    coefficients, rows = widen(coefficients[transposed.order], rows)
    entries = coefficients, transposed.rows, transposed.offsets
    if out is not None and _in_place(rows) and not crowded(*entries[1:], len(rows)):
        return torch.addmm(out, csr(*entries, len(rows)), rows, beta=float(add), out=out)
    found = decode(*entries, rows)
    if out is None:
        return found
    return out.add_(found) if add else out.copy_(found)


def _in_place(rows):
    """Has torch a product of a CSR matrix that writes into, or adds to, a given one?"""
    return rows.device.type == "cpu" and torch.backends.mkl.is_available()
