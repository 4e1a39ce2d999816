"""The dense and the memory-bound steps, each in one place, so that a faster one needs no change elsewhere.

    product.py           the encoder's dense product
    select.py            the k largest of each row
    top_products.py      both at once, a block of latents at a time
    decode.py            sparse times dense: a sum of weight rows for each sample
    dots.py              dense times dense at the sparse places only
    transpose.py         the sparse places ordered by latent instead of by sample
    weight_gradient.py   sparse transposed times dense: a sum of sample rows for each latent

top_products.py chooses by the bounds of screen.py from the candidates of shortlist.py.
A sparse (B, M) matrix is given as in CSR: `indices` (nnz,) int64 latents, sample after sample, and `offsets`
(B + 1,) int64: sample b owns indices[offsets[b] : offsets[b + 1]]. A sample may own none, or many.
Each file holds the path of standard torch operations and gives way to triton/<name>.py where `triton_kernel`
finds it usable.
"""

import os
from functools import cache
from importlib import import_module
from importlib.util import find_spec

FORCED = "SAE_SPEC_KERNELS"
"""The environment variable that forces a path, for tests: dense, torch or interpreter."""


def forced():
    """What the environment forces: "dense", "torch", "interpreter" or "" (nothing)."""
    name = os.environ.get(FORCED, "")
    if name not in ("", "dense", "torch", "interpreter"):
        raise ValueError(f"{FORCED} must be dense, torch or interpreter, got {name!r}")
    return name


def triton_kernel(name, tensor):
    """The function `name` of triton/<file>.py if it is to be used on this tensor, else None.

    name  "select", "decode", "gathered_dots", "transpose" or "weight_gradient"

    Chosen on CUDA where Triton is installed; forced by SAE_SPEC_KERNELS=interpreter, on the CPU too.
    """
    path = forced()
    if path == "interpreter" or (path == "" and tensor.is_cuda and _has_triton()):
        return _load(name)
    return None


@cache
def _has_triton():
    return find_spec("triton") is not None


@cache
def _load(name):
    if forced() == "interpreter":
        os.environ["TRITON_INTERPRET"] = "1"                # Triton reads it when it is imported
    file = {"gathered_dots": "dots"}.get(name, name)
    if find_spec(f"{__name__}.triton.{file}") is None:
        return None
    return getattr(import_module(f".triton.{file}", __name__), name, None)
