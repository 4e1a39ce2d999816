"""THEORY: closed forms that trained SAEs must reproduce.

Unless said otherwise the world has two orthonormal features, a parent f1 and a child f2 that fires only with it, with
magnitude 1. p11 is the share of samples in which both fire, p10 that in which the parent fires alone.
"""

import numpy as np


def delta_family(parent, child, delta, unit=True):
    """SAEs that reconstruct the two-feature world exactly, from no absorption (0) to full (1).

        W_enc = [f1 - delta · f2,  f2]        W_dec = [f1,  f2 + delta · f1]

    On f1 the activations are (1, 0), on f1 + f2 they are (1 - delta, 1): the child's latent writes delta of the parent.

    parent, child  (D,)  orthonormal
    delta          0 to 1
    unit           divide the child's decoder row by its norm, and multiply its encoder row by it
    returns W_enc (2, D), W_dec (2, D)

    [THEORY-1] Every member reconstructs f1 and f1 + f2 exactly.
    [THEORY-2] cos(W_enc[0], W_dec[1]) is 0 for every delta: the cross cosine of encoder and decoder says nothing
               of absorption.
    [THEORY-3] cos(W_dec[0], W_dec[1]) - cos(W_enc[0], W_enc[1]) = 2 delta / sqrt(1 + delta^2).
    Source: arXiv 2409.14507, appendix A.2.
    """
    W_enc = np.stack([parent - delta * child, child])       # (2, D)
    W_dec = np.stack([parent, child + delta * parent])      # (2, D)
    if unit:
        scale = np.array([[1.0], [np.sqrt(1 + delta**2)]])  # (2, 1)
        W_enc, W_dec = W_enc * scale, W_dec / scale
    return W_enc, W_dec


def delta_l1(p10, p11, delta):
    """What L1, weighted by decoder norms, charges a member of the family for a sample on average.

        p11 · ((1 - delta) + sqrt(1 + delta^2)) + p10

    returns a number

    [THEORY-4] p11 · ((1 - delta) + sqrt(1 + delta^2)) + p10: it falls all the way to delta = 1, so L1 pays for
               absorption, (2 - sqrt(2)) · p11 in all.
    """
    return p11 * ((1 - delta) + np.sqrt(1 + delta**2)) + p10


def absorption_gain(p10, p11, D):
    """How much full absorption still saves under the plain frequency-aware price, in a sample on average.

        gain = g(p10 + p11) - g(p10),    g(p) = p · log_D max(D, 1 / p)

    D       input dimension
    returns a number

    [THEORY-5] Disentangled, the parent fires with frequency p10 + p11; absorbed, with p10. The gain is positive for
               D >= 3 and p10, p11 > 0, at least p11 · (1 - 1 / ln D): the plain price does not stop absorption.
    """
    g = lambda p: p * np.maximum(1.0, np.log(1 / p) / np.log(D))
    return g(p10 + p11) - g(p10)


def hedging_angle(p10, p11, biases=False):
    """The direction that a single tied latent of norm 1 learns, as its angle from the parent towards the child.

        angle = arctan(2 p11 / p10) / 2                                       without biases
        angle = arctan(2 p11 · p00 / (p10 · (p00 - p11))) / 2                 with b_enc and b_dec free

    biases  whether b_enc and b_dec are trained too
    returns radians; 0 to pi / 4 without biases, 0 to pi / 2 with them

    [THEORY-6] Without biases, b_enc = b_dec = 0, tan(2 · angle) = 2 p11 / p10: the top eigenvector of the second moment. An
               SAE without a latent for the child mixes it into the parent's.
    [THEORY-8] With b_enc and b_dec free, tan(2 · angle) = 2 p11 · p00 / (p10 · (p00 - p11)), p00 = 1 - p10 - p11 the share of
               samples with neither: the top eigenvector of the covariance. What one latent reconstructs lies on a line, and
               this is the best line; b_dec, the mean's part across it, and b_enc = 0 reach it. For p10 = .2, p11 = .05 the
               angle is 14.09 degrees, not 13.28.
    """
    p00 = 1 - p10 - p11
    return 0.5 * (np.arctan2(2 * p11 * p00, p10 * (p00 - p11)) if biases else np.arctan2(2 * p11, p10))


def gram_schmidt(directions):
    """What a tied SAE with as many latents as features learns of independent, overlapping features.

    directions  (F, D)  unit vectors, the most frequent first
    returns rows (F, D), orthonormal: each direction without its components along those before it

    [THEORY-7] A tied SAE's rows are orthonormal where it reconstructs exactly, so of two features at cosine rho the
               second is learned as its orthogonal part, at cosine sqrt(1 - rho^2) with the truth.
    """
    rows = []
    for direction in directions:
        for row in rows:
            direction = direction - (direction @ row) * row
        rows.append(direction / np.sqrt((direction**2).sum()))
    return np.stack(rows)                                   # (F, D)


def adam_reach(step, beta1=0.9, beta2=0.999):
    """The farthest that one step of Adam can move a parameter, in units of its learning rate, whatever the gradients.

        sqrt(sum_i beta2^i · sum_i rho^i) / sum_i beta1^i        over i = 0 .. step, with rho = beta1^2 / beta2

    step    counts from 0
    returns a number: 1 for the first step, and never above 7.3 with these betas

    [THEORY-9] No step of Adam moves a parameter by more than adam_reach times its rate, and gradients that grow as
               (beta2 / beta1)^t reach it: m = sum w_i · g_i and v = sum u_i · g_i^2, so by Cauchy-Schwarz
               m^2 <= v · sum w_i^2 / u_i. Constant gradients move it by the rate. So a threshold whose logarithm is
               trained changes by a factor of at most exp(7.3 · sum of rates), of exp(sum of rates) where its
               gradients are steady: by e in 1,000 steps at 1e-3, whatever the coefficient.
    """
    ages = np.arange(step + 1)                              # (step + 1,)
    return np.sqrt((beta2**ages).sum() * ((beta1**2 / beta2) ** ages).sum()) / (beta1**ages).sum()
