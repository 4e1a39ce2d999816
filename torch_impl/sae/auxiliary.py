"""COST: the auxiliary losses, AuxK for dead latents and the gate's own reconstruction."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..kernels.precision import widen
from ..sparse.autograd import Buffers, combine, rows_of
from ..sparse.entries import Matrix, apply
from . import sparse_autoencoder
from .activations import relu
from .costs import batch_size, reconstruction
from .linear import decode
from .selection import topk


def aux_acts(pre: Tensor, dead: Tensor, k_aux: int) -> Tensor:
    """The k_aux largest positive entries among the dead of each row; pre and result (B, M), dead (M,) bool.

    raises  ValueError for a k_aux that is no whole number of at least 1; more than M are M
    """
    return topk(torch.where(dead, pre, 0), _at_most(k_aux, pre.shape[-1]))


def _at_most(k_aux: int, M: int) -> int:
    """k_aux as a number of M latents, all of them where it is more; ValueError unless a whole number from 1."""
    if not (k_aux >= 1 and k_aux % 1 == 0):
        raise ValueError(f"k_aux must be a whole number of at least 1, got {k_aux}")
    return min(k_aux, M)


def aux(residual: Tensor, pre: Tensor, dead: Tensor, W_dec: Tensor, k_aux: int) -> Tensor:
    """AuxK: the dead latents reconstruct the detached residual, without b_dec.

    residual  (B, D)  what the reconstruction leaves of x
    pre       (B, M)
    dead      (M,) bool
    W_dec     (M, D)
    k_aux     how many of them may speak in a sample
    returns a tensor without dimensions; 0 where none is dead
    raises  ValueError for an empty batch, and as `aux_acts`

    Clauses: COST-12 to COST-15.
    """
    batch_size(residual)                                    # an empty batch is an error, dead latents or not
    if not dead.any():                                      # one wait saves a topk and a product
        return torch.zeros((), dtype=widen(pre).dtype, device=pre.device)
    acts, W_dec = widen(aux_acts(pre, dead, k_aux), W_dec)
    return reconstruction(residual.detach(), (acts @ W_dec).unsqueeze(0))


def sparse_aux(residual: Tensor, x: Tensor, params: Mapping[str, Tensor], config: Mapping[str, Any], dead: Tensor,
               k_aux: int, buffers: Buffers | None = None) -> Tensor:
    """`aux` without pre: an SAE of the dead latents alone reconstructs the detached residual, without b_dec.

    residual, x     (B, D)
    params, config  of the whole SAE
    dead            (M,) bool
    k_aux           as for `aux`
    buffers         as for sparse_autoencoder.encode
    returns a tensor without dimensions; 0 where none is dead

    Which latents are dead is known when all of the batch is; their pre-activations are computed again.

    Clauses: COST-12 to COST-15.
    """
    index = dead.nonzero().squeeze(1)                       # (n,)
    if not len(index):
        return torch.zeros((), dtype=widen(x).dtype, device=x.device)
    of_dead = {name: rows_of(params[name], index, buffers[name] if buffers else None)
               for name in ("W_enc", "W_dec") if name in params}
    of_dead |= {"b_enc": params["b_enc"][index], "b_dec": params["b_dec"]}
    rule = {"activation": "topk", "k": _at_most(k_aux, len(index)),
            "subtract_b_dec": config.get("subtract_b_dec", True)}
    *_, acts = sparse_autoencoder.encode(x, of_dead, rule, check_inputs=False)
    recon = combine(acts.values, acts.places, of_dead["W_dec"])                   # (B, D)
    return reconstruction(residual.detach().view_as(recon), recon.unsqueeze(0))


def gate_reconstruction(x: Tensor, pre: Matrix, W_dec: Tensor, b_dec: Tensor) -> Tensor:
    """relu(pre) reconstructs x through a detached decoder.

    x (B, D), pre (B, M), W_dec (M, D), b_dec (D,)
    returns a tensor without dimensions
    raises  ValueError for an empty batch

    Clauses: COST-16.
    """
    acts = apply(lambda p: widen(relu(p)), pre)             # (B, M)
    return reconstruction(x, decode(acts, {"W_dec": W_dec.detach(), "b_dec": b_dec.detach()}))
