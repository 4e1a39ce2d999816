"""META: an SAE trained on another SAE's decoder rows, to see which of them are sums of directions that they share.

The samples are the M decoder rows, scaled to norm 1; the meta-SAE is any SAE of `autoencoder.py`, trained as any
other. An absorbing child's row contains its parent's direction, so the two rows share a meta-latent.
Source: arXiv 2502.04878 (Leask et al.), which trains a BatchTopK SAE with 4 meta-latents a row on average.
"""

import numpy as np

from ..sae.constraints import normalize_rows


def meta_samples(W_dec, alive):
    """What a meta-SAE is trained on.

    W_dec   (M, D)
    alive   (M,)  True for latents that fire; the rows of others are noise
    returns rows (number alive, D), each of norm 1

    [META-1] The samples are the living latents' decoder rows, scaled to norm 1; zero rows are left out.
    """
    rows = normalize_rows(W_dec[alive])                     # (n, D)
    return rows[(rows != 0).any(-1)]


def variance_explained(x, recon):
    """How much of the samples' variance a reconstruction explains.

        1 - sum (x - recon)^2 / sum (x - mean of x)^2

    x, recon  (B, D)
    returns a number, at most 1
    raises  ValueError for samples without variance

    [META-2] The error is not centred: a constant offset counts against the reconstruction. The variance is taken
             about the mean of the samples, summed over D.
    """
    variance = ((x - x.mean(0)) ** 2).sum()
    if not variance > 0:
        raise ValueError("x has no variance to explain")
    return 1.0 - ((x - recon) ** 2).sum() / variance


def shared_meta_latents(meta_acts):
    """How strongly two latents use the same meta-latent.

        shared[i, j] = max_k min(meta_acts[i, k], meta_acts[j, k])

    meta_acts  (M, K)  activations of the meta-SAE on the rows, at least 0
    returns shared (M, M); 0 on the diagonal

    [META-3] Two latents share a meta-latent as strongly as the weaker of them uses it.
    [META-4] The relation has no direction: it says that two latents have something in common, not which of them
             hides the other.
    """
    shared = np.minimum(meta_acts[:, np.newaxis], meta_acts[np.newaxis]).max(-1)  # (M, M)
    np.fill_diagonal(shared, 0.0)
    return shared
