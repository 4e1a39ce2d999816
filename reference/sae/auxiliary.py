"""COST, the auxiliary losses: two ways to train latents that the reconstruction cannot reach.

AuxK asks dead latents to reconstruct what the living ones left over. The gated auxiliary loss asks the gate, which
a step cuts off from the reconstruction, to reconstruct by itself.
Both are squared errors, summed over D and averaged over B like the reconstruction's.
"""

import numpy as np

from .activations import relu, relu_backward
from .costs import batch_size, reconstruction, reconstruction_backward
from .selection import selection_backward, topk


def aux_acts(pre, dead, k_aux):
    """The k_aux largest positive pre-activations among the dead latents of each row.

    pre     (B, M)
    dead    (M,)  True where a latent is dead
    k_aux   >= 1; more than M is as good as M
    returns acts (B, M), not zero for dead latents only
    raises  ValueError for k_aux below 1
    """
    if k_aux is None or k_aux < 1 or k_aux % 1:
        raise ValueError(f"k_aux must be a whole number of at least 1, got {k_aux}")
    return topk(np.where(dead, pre, 0.0), min(k_aux, pre.shape[-1]))   # (B, M)


def aux(residual, pre, dead, W_dec, k_aux):
    """AuxK: the dead latents reconstruct the residual.

        cost = sum_D mean_B (residual - aux_acts @ W_dec)^2

    residual  (B, D)  x - recon, a constant here
    pre       (B, M)
    dead      (M,)    True where a latent is dead
    W_dec     (M, D)
    k_aux     how many dead latents may be on in a row
    returns a number

    [COST-12] The k_aux largest positive pre-activations of dead latents reconstruct the residual, without b_dec.
    [COST-13] With no dead latent the cost is exactly 0, not the residual's square.
    Source: arXiv 2406.04093, appendix A.2.
    """
    batch_size(residual)                                    # an empty batch is an error also when no latent is dead
    if not np.any(dead):
        return 0.0
    return reconstruction(residual, (aux_acts(pre, dead, k_aux) @ W_dec)[np.newaxis])


def aux_backward(d_cost, residual, pre, dead, W_dec, k_aux):
    """Gradient of `aux`: to the dead latents' pre-activations and decoder rows.

        d_recon = -2 (residual - aux_acts @ W_dec) · d_cost / B
        d_pre   = d_recon @ W_dec.T               where aux_acts is not 0, else 0
        d_W_dec = aux_acts.T @ d_recon

    residual, pre, dead, W_dec, k_aux  as for `aux`
    returns d_pre (B, M), d_W_dec (M, D)

    [COST-14] The residual is detached: nothing flows through it, to the living latents or to b_dec.
    [COST-15] The dead latents' encoder does learn from it, through pre; a zero among the k_aux does not.
    """
    batch_size(residual)
    if not np.any(dead):
        return np.zeros_like(pre), np.zeros_like(W_dec)
    acts, (M, D) = aux_acts(pre, dead, k_aux), W_dec.shape
    d_recon = reconstruction_backward(d_cost, residual, (acts @ W_dec)[np.newaxis])[0]   # (B, D)
    d_pre = selection_backward(d_recon @ W_dec.T, acts)                           # (B, M)
    return d_pre, acts.reshape(-1, M).T @ d_recon.reshape(-1, D)                  # (B, M), (M, D)


def gate_reconstruction(x, pre, W_dec, b_dec):
    """The gate reconstructs on its own; for gated SAEs.

        cost = sum_D mean_B (x - relu(pre) @ W_dec - b_dec)^2

    x      (B, D)
    pre    (B, M)  the gate's pre-activations
    W_dec  (M, D)
    b_dec  (D,)
    returns a number

    [COST-16] relu(pre) stands for the activations; W_dec and b_dec are detached.
    Source: arXiv 2404.16014, eq. 8.
    """
    return reconstruction(x, (relu(pre) @ W_dec + b_dec)[np.newaxis])


def gate_reconstruction_backward(d_cost, x, pre, W_dec, b_dec):
    """Gradient of `gate_reconstruction`: to pre alone.

        d_recon = -2 (x - relu(pre) @ W_dec - b_dec) · d_cost / B
        d_pre   = d_recon @ W_dec.T               where pre > 0, else 0

    x, pre, W_dec, b_dec  as for `gate_reconstruction`
    returns d_pre (B, M)
    """
    d_recon = reconstruction_backward(d_cost, x, (relu(pre) @ W_dec + b_dec)[np.newaxis])[0]   # (B, D)
    return relu_backward(d_recon @ W_dec.T, pre)                                  # (B, M)
