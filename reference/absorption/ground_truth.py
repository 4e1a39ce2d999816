"""ABS, where the truth is known: in a toy world, which features does an SAE find and which does it hide?

`truth` is (B, F), True where a feature is in a sample; `fires` is (B, M), True where a latent fires. A latent
stands for the feature whose direction its decoder row is matched with.
"""

import numpy as np
from scipy.optimize import linear_sum_assignment

from ..sae.constraints import normalize_rows


def match(W_dec, directions):
    """One latent for each feature, so that the sum of their |cosines| is largest.

    W_dec       (M, D)
    directions  (F, D)
    returns latent (F,), the matched latent or -1 (F > M leaves features without one), cosine (F,), 0 where unmatched

    [ABS-10] A latent is matched with at most one feature and a feature with at most one latent; |cosine| decides,
             and a zero row has cosine 0.
    Source: the Hungarian assignment behind the mean correlation coefficient, arXiv 2411.13117.
    """
    cosine = np.abs(normalize_rows(directions) @ normalize_rows(W_dec).T)         # (F, M)
    features, latents = linear_sum_assignment(-cosine)
    latent, matched = np.full(len(directions), -1), np.zeros(len(directions))
    latent[features], matched[features] = latents, cosine[features, latents]
    return latent, matched


def mcc(W_dec, directions):
    """Mean |cosine| of matched pairs: 1 when every feature has a latent of its direction.

    W_dec       (M, D)
    directions  (F, D)
    returns a number

    [ABS-11] The mean is over min(M, F) pairs.
    """
    latent, cosine = match(W_dec, directions)
    return cosine[latent >= 0].mean()


def scores(fires, truth):
    """How well a latent's firing tells a feature, pair by pair along the last dimension.

        precision = true firings / firings    recall = true firings / occurrences    f1 = 2 · their product / their sum

    fires, truth  (B, n)  latent j against feature j
    returns precision, recall, f1, (n,) each, and dead (n,), True for a latent that never fires

    [ABS-12] A quotient of nothing by nothing is 0; a dead latent scores 0 and is told apart by `dead`.
    """
    hits = (fires & truth).sum(0)                           # (n,)
    firings, occurrences = fires.sum(0), truth.sum(0)       # (n,)
    precision = hits / np.maximum(firings, 1)               # (n,)
    recall = hits / np.maximum(occurrences, 1)              # (n,)
    total = precision + recall                              # (n,)
    f1 = 2 * precision * recall / np.where(total == 0, 1, total)                  # (n,)
    return precision, recall, f1, firings == 0


def recall_hole(fires, parent, child):
    """How much rarer the parent's latent fires beside the child than without it.

        hole = 1 - P(fires | parent and child) / P(fires | parent, no child)

    fires          (B,)  True where the parent's latent fires
    parent, child  (B,)  True where the feature is in the sample
    returns a number; 1 is full absorption, 0 none; negative if it fires more often beside the child

    [ABS-13] Where the parent never comes with the child, or never without it, or its latent never fires without it,
             there is nothing to compare and the hole is 0.
    """
    both, alone = parent & child, parent & ~child           # (B,)
    if not both.any() or not fires[alone].any():
        return 0.0
    return 1.0 - fires[both].mean() / fires[alone].mean()


def carried_share(acts, W_dec, direction, latent, samples):
    """The share of what is written of a feature that latents other than its own write.

        share = 1 - sum_b acts[b, latent] · (W_dec[latent] · direction) / sum_b recon[b] · direction

    acts       (B, M)
    W_dec      (M, D)
    direction  (D,)  the feature's
    latent     the feature's
    samples    (B,)  True for the samples that count: those with both parent and child
    returns a number; 0 when its latent writes all that is written of it, 1 when others do

    [ABS-14] The whole is what the SAE writes of the direction, without b_dec; if it writes nothing the share is 0.
    """
    along = W_dec @ direction                               # (M,)
    written = (acts[samples] @ along).sum()
    if written == 0:
        return 0.0
    return 1.0 - acts[samples, latent].sum() * along[latent] / written


def hedging(W_enc, W_dec, latent, other):
    """Whether a latent has mixed another feature into itself (hedging) or excluded it (absorption).

        cos(W_enc[latent], other), cos(W_dec[latent], other)

    W_enc, W_dec  (M, D)
    latent        the parent's latent
    other         (D,)  the child's own direction
    returns the two cosines

    [ABS-15] Hedging has both positive: a narrow SAE writes and reads a mixture. Absorption has the encoder's
             negative and the decoder's near 0: the latent has learned to stay silent beside the child.
    Source: arXiv 2505.11756.
    """
    unit = normalize_rows(other[np.newaxis])[0]             # (D,)
    return normalize_rows(W_enc)[latent] @ unit, normalize_rows(W_dec)[latent] @ unit
