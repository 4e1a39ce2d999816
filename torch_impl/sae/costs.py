"""COST: each a number for the batch, in at least float32: a sum over a batch does not fit a half type.

Every cost is a tensor without dimensions, and refuses an empty batch with ValueError. Prices (M,) are constants
(FREQ-9). acts and pre (B, M) may be Entries. B stands for any number of leading dimensions.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from ..kernels.precision import widen
from ..sparse.entries import Matrix, apply, sum_by_latent
from .activations import step
from .constraints import normalize_rows, row_norms


def batch_size(rows: Matrix) -> int:
    """B of rows (B, ..), at least 1; ValueError if there is none.  Clauses: COST-1."""
    B = rows.numel() // rows.shape[-1]
    if B == 0:
        raise ValueError("a cost needs at least one sample, the batch is empty")
    return B


def reconstruction(x: Tensor, recons: Tensor) -> Tensor:
    """Squared error, summed over prefixes and D, mean over B; x (B, D), recons (G, B, D).

    Clauses: COST-2, COST-3.
    """
    B, (wide, recons) = batch_size(x), widen(x, recons)
    return F.mse_loss(recons, wide.expand_as(recons), reduction="sum") / B        # one pass, and nothing saved


def l1(acts: Matrix, W_dec: Tensor, price: Tensor) -> Tensor:
    """Priced, norm-weighted L1; acts (B, M), W_dec (M, D), price (M,).  Clauses: COST-4, COST-5."""
    B = batch_size(acts)
    return l1_charges(sum_by_latent(apply(lambda a: widen(a).abs(), acts)), W_dec, price).sum() / B


def l1_charges(acts: Tensor, W_dec: Tensor, price: Tensor) -> Tensor:
    """What L1 charges activations (.., M), or sums of them; the result has their shape, the rest is as for `l1`."""
    return price.detach() * row_norms(W_dec) * acts.abs()


def tanh(acts: Matrix, W_dec: Tensor, price: Tensor, scale: float) -> Tensor:
    """Priced tanh of `scale` times the norm-weighted activation; acts (B, M), W_dec (M, D), price (M,).

    raises  ValueError for a scale that is not positive

    Clauses: COST-5, COST-6.
    """
    if not scale > 0:
        raise ValueError(f"tanh_scale must be positive, got {scale}")
    B = batch_size(acts)
    bounded = apply(lambda a, norm: _bounded(a, norm, scale), acts, row_norms(W_dec))
    return (price.detach() * sum_by_latent(bounded)).sum() / B


def tanh_charges(acts: Tensor, W_dec: Tensor, price: Tensor, scale: float) -> Tensor:
    """What tanh charges activations (.., M); the result has their shape, the rest is as for `tanh`."""
    return price.detach() * _bounded(acts, row_norms(W_dec), scale)


def _bounded(acts: Tensor, norm: Tensor, scale: float) -> Tensor:
    return torch.tanh(scale * widen(acts).abs() * norm)


def l0(pre: Matrix, theta: Tensor, price: Tensor, bandwidth: float | None = None, check_inputs: bool = True) -> Tensor:
    """Priced count of latents above their threshold; pre (B, M), theta, price (M,).

    bandwidth, check_inputs, and errors  as for `activations.step`

    Clauses: COST-7, COST-8.
    """
    B = batch_size(pre)
    on = apply(lambda p, at: step(widen(p), at, bandwidth, check_inputs), pre, theta)
    return (price.detach() * sum_by_latent(on)).sum() / B


def tie(W_enc: Tensor | None, W_dec: Tensor) -> Tensor:
    """Mean over latents of 1 - cos(W_enc[i], W_dec[i]); both (M, D). Without a W_enc, of a tied SAE, 0.

    Clauses: COST-9, COST-10, COST-11.
    """
    if W_enc is None:
        return torch.zeros((), dtype=widen(W_dec).dtype, device=W_dec.device)
    cos = (normalize_rows(widen(W_enc)) * normalize_rows(widen(W_dec))).sum(-1)   # (M,)
    both = (row_norms(W_enc) > 0) & (row_norms(W_dec) > 0)  # (M,)
    return (1 - torch.where(both, cos, 0)).mean()           # the zero row's partner gets no gradient either
