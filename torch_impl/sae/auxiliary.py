"""COST: the auxiliary losses, AuxK for dead latents and the gate's own reconstruction."""

import torch

from . import autoencoder, sparse_autoencoder
from .activations import relu
from .costs import batch_size, reconstruction
from ..sparse.entries import Entries, apply
from ..kernels.precision import widen
from .selection import topk
from ..sparse.autograd import combine, rows_of


def aux_acts(pre, dead, k_aux):
    """The k_aux largest positive entries among the dead of each row; pre and result (B, M), dead (M,)."""
    return topk(torch.where(dead, pre, 0), how_many(k_aux, pre.shape[-1]))


def how_many(k_aux, M):
    """k_aux as a number of M latents, all of them where it is more."""
    if not (k_aux >= 1 and k_aux % 1 == 0):
        raise ValueError(f"k_aux must be a whole number of at least 1, got {k_aux}")
    return min(k_aux, M)


def aux(residual, pre, dead, W_dec, k_aux):
    """AuxK: the dead latents reconstruct the detached residual (B, D), without b_dec.

    pre (B, M), dead (M,) bool, W_dec (M, D)

    Clauses: COST-12 to COST-15.
    """
    batch_size(residual)                                    # an empty batch is an error, dead latents or not
    if not dead.any():                                      # one wait saves a topk and a product
        return torch.zeros((), dtype=widen(pre).dtype, device=pre.device)
    acts, W_dec = widen(aux_acts(pre, dead, k_aux), W_dec)
    return reconstruction(residual.detach(), (acts @ W_dec).unsqueeze(0))


def sparse_aux(residual, x, params, config, dead, k_aux, kept=None):
    """AuxK without pre: an SAE of the dead latents alone reconstructs the detached residual (B, D), without b_dec.

    Which latents are dead is known when all of the batch is; their pre-activations are computed again.
    x (B, D), dead (M,) bool; kept as for sparse_autoencoder.encode

    Clauses: COST-12 to COST-15.
    """
    index = dead.nonzero().squeeze(1)                       # (n,)
    if not len(index):
        return torch.zeros((), dtype=widen(x).dtype, device=x.device)
    few = {name: rows_of(params[name], index, kept and kept[name])
           for name in ("W_enc", "W_dec") if name in params}
    few |= {"b_enc": params["b_enc"][index], "b_dec": params["b_dec"]}
    rule = {"activation": "topk", "k": how_many(k_aux, len(index)),
            "subtract_b_dec": config.get("subtract_b_dec", True)}
    _, acts = sparse_autoencoder.encode(x, few, rule, check_inputs=False)
    recon = combine(acts.values, acts.places, few["W_dec"])                       # (B, D)
    return reconstruction(residual.detach().view_as(recon), recon.unsqueeze(0))


def gate_reconstruction(x, pre, W_dec, b_dec):
    """relu(pre) reconstructs x through a detached decoder; x (B, D), pre (B, M), W_dec (M, D), b_dec (D,).

    Clauses: COST-16.
    """
    acts, detached = apply(lambda p: widen(relu(p)), pre), {"W_dec": W_dec.detach(), "b_dec": b_dec.detach()}
    recons = (sparse_autoencoder if isinstance(acts, Entries) else autoencoder).decode(acts, detached)
    return reconstruction(x, recons)
