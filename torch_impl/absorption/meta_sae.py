"""META: an SAE trained on another SAE's decoder rows, to see which of them are sums of directions that they share."""

import torch
from torch import Tensor

from ..sae.constraints import normalize_rows
from ..kernels.precision import widen


def meta_samples(W_dec: Tensor, alive: Tensor) -> Tensor:
    """Rows (n, D) of norm 1: the living latents' of W_dec (M, D), zero rows left out; alive (M,) bool.

    Clauses: META-1.
    """
    return normalize_rows(W_dec[alive & W_dec.any(-1)])


def variance_explained(x: Tensor, recon: Tensor) -> Tensor:
    """Share () of the variance of x (B, D) that recon (B, D) explains, at least float32.

    raises  ValueError for samples without variance
    Clauses: META-2.
    """
    x, recon = widen(x, recon)
    variance = (x - x.mean(0)).square().sum()
    if not variance > 0:
        raise ValueError("x has no variance to explain")
    return 1 - (x - recon).square().sum() / variance


def shared_meta_latents(meta_acts: Tensor) -> Tensor:
    """How strongly (M, M) two rows use one meta-latent, from activations (M, K) >= 0; diagonal 0.

    Row after row, so that no (M, M, K) array arises. Clauses: META-3, META-4.
    """
    shared = torch.stack([torch.minimum(meta_acts, row).amax(-1) for row in meta_acts])
    return shared.fill_diagonal_(0)
