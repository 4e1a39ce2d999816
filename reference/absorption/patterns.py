"""ABS, what weights show: patterns of single latents and of pairs.

Absorption: a latent that stands for a common feature, the parent, is silent or speaks too low in samples that contain the
feature, because a latent that stands for a rarer feature, the child, fires there and writes the parent's direction too.
(The example of the literature: a latent for "starts with S" that does not fire on "short", which has a latent of its own.)

It leaves a trace in the weights: the child's decoder row has a part along the parent's, and the parent's encoder row a
negative part along the child's. But weights alone do not prove it: an ideal SAE of independent features that overlap has
exactly the weights of an absorbing one. So the activations are read as well, in `stream.py`. Pairs are indexed [parent, child].
"""

import numpy as np

from ..sae.constraints import normalize_rows


def alignment(W_enc, W_dec):
    """Cosine of each latent's two directions.

        alignment[i] = cos(W_enc[i], W_dec[i])

    W_enc, W_dec  (M, D)
    returns alignment (M,); 1 for every latent of a tied SAE, 0 where a row is zero

    [ABS-16] A latent's alignment falls with absorption, its parent's and its child's alike: in the delta family both
             are 1 / sqrt(1 + delta^2). It falls with any other interference too.
    """
    return (normalize_rows(W_enc) * normalize_rows(W_dec)).sum(-1)                # (M,)


def pattern_gap(W_enc, W_dec):
    """How much more alike two latents write than they read.

        gap[p, c] = cos(W_dec[p], W_dec[c]) - cos(W_enc[p], W_enc[c])

    returns gap (M, M), symmetric, 0 on the diagonal

    [ABS-17] The gap is 0 for a tied SAE and for latents that hedge, positive under absorption: 2 delta / sqrt(1 + delta^2)
             in the delta family. It is as positive for independent features that overlap: 2 rho for small rho.
    """
    read, write = normalize_rows(W_enc), normalize_rows(W_dec)                    # (M, D)
    gap = write @ write.T - read @ read.T                   # (M, M)
    np.fill_diagonal(gap, 0.0)
    return gap


def within_data(W_enc, x):
    """The part of each encoder row that can ever be seen: its projection on the span of the samples.

    W_enc   (M, D)
    x       (B, D)  samples with b_dec subtracted where the encoder does
    returns W_enc (M, D)

    [ABS-18] Encoder components orthogonal to all samples change no activation and never get a gradient: initial noise
             survives there and lowers every cosine. Compare encoders within the span of the data.
    """
    _, size, basis = np.linalg.svd(x, full_matrices=False)  # basis (min(B, D), D), orthonormal rows
    basis = basis[size > 1e-9 * size.max(initial=0.0)]      # what is left spans the data
    return W_enc @ basis.T @ basis                          # (M, D)
