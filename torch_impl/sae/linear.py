"""SAE, the linear part: how a latent reads a sample and how it writes one.

params  {name: tensor}: W_dec (M, D), b_dec (D,), b_enc (M,); untied: W_enc (M, D);
        jumprelu: theta or log_threshold (M,); gated: r_mag, b_mag (M,)
config  any mapping; this file reads "subtract_b_dec" (True)
B stands for any number of leading dimensions.
"""

from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any

import torch
from torch import Tensor

from ..kernels.precision import widen
from ..kernels.product import product
from ..kernels.sparse_products import counted_offsets
from ..sparse.autograd import combine
from ..sparse.entries import Entries, Matrix, Places


def encoder_weight(params: Mapping[str, Tensor]) -> Tensor:
    """W_enc (M, D); a tied SAE's is W_dec itself.  Clauses: SAE-2, SAE-9."""
    return params["W_enc"] if "W_enc" in params else params["W_dec"]


def pre_activations(x: Tensor, params: Mapping[str, Tensor], config: Mapping[str, Any]) -> tuple[Tensor, Tensor]:
    """shared = (x - b_dec) @ W_enc.T and pre = shared + b_enc.

    x (B, D); returns shared, pre, each (B, M), at least float32

    Clauses: SAE-1, SAE-3, SAE-4, SAE-8, SAE-10.
    """
    centred, b_dec, b_enc = widen(x, params["b_dec"], params["b_enc"])
    if config.get("subtract_b_dec", True):
        centred = centred - b_dec                           # (B, D)
    shared = product(centred, encoder_weight(params))       # (B, M)
    return shared, shared + b_enc


def decode(acts: Matrix, params: Mapping[str, Tensor], prefixes: Sequence[int] | None = None) -> Tensor:
    """Activations to reconstructions, one for each prefix of the latents.

    acts      (B, M), a tensor or Entries
    prefixes  sizes that increase up to M; [M] unless given
    returns recons (G, B, D) in acts' dtype
    raises  ValueError for other prefixes

    Each slice between two prefixes is multiplied once; a prefix's reconstruction is the sum so far.
    Clauses: SAE-5, SAE-6, SAE-7.
    """
    W_dec, b_dec = params["W_dec"], params["b_dec"]
    M, D = W_dec.shape
    prefixes = [M] if prefixes is None else prefixes
    if any(m != int(m) for m in prefixes) or list(prefixes[-1:]) != [M] or any(m >= n for m, n in pairwise([0, *prefixes])):
        raise ValueError(f"prefixes must increase from at least 1 to M = {M}, got {prefixes}")
    sizes = [int(m) for m in prefixes]
    if isinstance(acts, Entries):
        values, places = _by_slice(acts, sizes) if len(sizes) > 1 else (acts.values, acts.places)
        buffer = acts.buffers["W_dec"] if acts.buffers else None
        slices = combine(values, places, W_dec, buffer)                                       # (B·G, D)
        slices = slices.view(acts.shape[0], len(sizes), D).transpose(0, 1)                    # (G, B, D)
        return (slices.cumsum(0) if len(sizes) > 1 else slices) + b_dec
    wide, W_dec, b_dec = widen(acts, W_dec, b_dec)
    slices = (wide[..., m:n] @ W_dec[m:n] for m, n in pairwise([0, *sizes]))                  # (B, D) each
    _, *recons = accumulate(slices, initial=b_dec)
    return torch.stack(recons).to(acts.dtype)


def _by_slice(acts: Entries, prefixes: list[int]) -> tuple[Tensor, Places]:
    """Values and Places (B·G, M): each sample in G rows, one for each slice between two prefixes."""
    G, (indices, M) = len(prefixes), (acts.places.indices, acts.places.M)
    slice_of = torch.bucketize(indices, torch.tensor(prefixes, device=indices.device), right=True)
    row = acts.places.rows * G + slice_of                   # (nnz,)
    order, counts = row.argsort(stable=True), torch.bincount(row, minlength=acts.shape[0] * G)
    return acts.values[order], Places(indices[order], counted_offsets(counts), M)


def check(x: Tensor, params: Mapping[str, Tensor], finite: bool = True) -> None:
    """Shapes that fit and, unless told otherwise, finite numbers.

    x       (B, D)
    params  and whatever else has one entry for each latent, such as "price"
    finite  False: numbers are not looked at, which waits for the device
    raises  ValueError that names the argument

    Clauses: SAE-11, SAE-12.
    """
    W_dec = params["W_dec"]
    if W_dec.dim() != 2:
        raise ValueError(f"W_dec has shape {tuple(W_dec.shape)}, expected (M, D)")
    M, D = W_dec.shape
    shapes = {"x": (*x.shape[:-1], D), "W_dec": (M, D), "W_enc": (M, D), "b_dec": (D,)}
    tensors = {"x": x, **params}
    for name, tensor in tensors.items():
        want = shapes.get(name, (M,))
        if tensor.shape != want:
            raise ValueError(f"{name} has shape {tuple(tensor.shape)}, expected {want}")
    if finite and not torch.compiler.is_compiling():
        check_finite(tensors)


def check_finite(tensors: Mapping[str, Tensor]) -> None:
    """ValueError that names the first of {name: tensor} that is not finite; waits for the device once.

    A sum is finite only if every number is: one quick pass. One that merely overflowed is looked at closely.
    Clauses: SAE-11.
    """
    totals = torch.stack([widen(tensor).sum().double() for tensor in tensors.values()])
    for (name, tensor), good in zip(tensors.items(), totals.isfinite().tolist()):
        if not good and not tensor.isfinite().all():
            raise ValueError(f"{name} holds a number that is not finite")
