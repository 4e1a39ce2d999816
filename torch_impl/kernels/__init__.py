"""The dense and the memory-bound steps, each in one place, so that a faster one needs no change elsewhere.

    precision.py         the dtype in which all is computed
    chunks.py            how much of a large matrix is in memory at once
    product.py           the encoder's dense product
    sparse_products.py   the three products with a sparse (B, M) matrix: decode, gathered_dots, weight_gradient
    select.py            the k largest of each row, of a matrix and of a product that is never whole in memory
    screen.py            upper bounds of that product's entries, a block of latents at a time
    shortlist.py         the latents that those bounds leave as candidates

A sparse (B, M) matrix is given as in CSR: `indices` (nnz,) int64 latents, sample after sample, and `offsets`
(B + 1,) int64: sample b owns indices[offsets[b] : offsets[b + 1]]. A sample may own none, or many.
The functions `decode`, `gathered_dots`, `weight_gradient` and `select` are the path of standard torch operations;
each gives way to the function of its name in triton/ where `triton_kernel` finds that usable.
"""

import os
from collections.abc import Callable
from functools import cache
from importlib import import_module
from importlib.util import find_spec

import torch

FORCED = "SAE_SPEC_KERNELS"
"""The environment variable that forces a path, for tests: dense, torch or interpreter."""


def forced() -> str:
    """What the environment forces: "dense", "torch", "interpreter" or "" (nothing).

    raises  ValueError for any other value
    """
    name = os.environ.get(FORCED, "")
    if name not in ("", "dense", "torch", "interpreter"):
        raise ValueError(f"{FORCED} must be dense, torch or interpreter, got {name!r}")
    return name


def triton_kernel(name: str, tensor: torch.Tensor) -> Callable | None:
    """The function `name` of triton/<name>.py if it is to be used on this tensor, else None.

    name    "select", "decode", "gathered_dots" or "weight_gradient"
    tensor  any of the operation's, for its device
    raises  ValueError for a value of SAE_SPEC_KERNELS that is not known

    Chosen on CUDA where Triton is installed; forced by SAE_SPEC_KERNELS=interpreter, on the CPU too.
    """
    path = forced()
    if path == "interpreter" or (path == "" and tensor.is_cuda and _has_triton()):
        return _load(name)
    return None


@cache
def _has_triton() -> bool:
    return find_spec("triton") is not None


@cache
def _load(name: str) -> Callable:
    if forced() == "interpreter":
        os.environ["TRITON_INTERPRET"] = "1"                # Triton reads it when it is imported
    return getattr(import_module(f".triton.{name}", __name__), name)
