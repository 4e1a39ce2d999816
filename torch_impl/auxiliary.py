"""COST: the auxiliary losses, AuxK for dead latents and the gate's own reconstruction."""

import torch

from .activations import relu
from .costs import reconstruction
from .precision import widen
from .selection import topk


def aux_acts(pre, dead, k_aux):
    """The k_aux largest positive entries among the dead of each row; pre and result (B, M), dead (M,)."""
    if not (k_aux >= 1 and k_aux % 1 == 0):
        raise ValueError(f"k_aux must be a whole number of at least 1, got {k_aux}")
    return topk(torch.where(dead, pre, 0), min(k_aux, pre.shape[-1]))


def aux(residual, pre, dead, W_dec, k_aux):
    """AuxK: the dead latents reconstruct the detached residual (B, D), without b_dec.

    pre (B, M), dead (M,) bool, W_dec (M, D)

    Clauses: COST-12 to COST-15.
    """
    if not dead.any():                                      # one wait saves a topk and a product
        return torch.zeros((), dtype=widen(pre).dtype, device=pre.device)
    acts, W_dec = widen(aux_acts(pre, dead, k_aux), W_dec)
    return reconstruction(residual.detach(), (acts @ W_dec).unsqueeze(0))


def gate_reconstruction(x, pre, W_dec, b_dec):
    """relu(pre) reconstructs x through a detached decoder; x (B, D), pre (B, M), W_dec (M, D), b_dec (D,).

    Clauses: COST-16.
    """
    acts, W_dec, b_dec = widen(relu(pre), W_dec.detach(), b_dec.detach())
    return reconstruction(x, (acts @ W_dec + b_dec).unsqueeze(0))
