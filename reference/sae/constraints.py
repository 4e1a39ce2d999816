"""TRAIN, the constraints: what training holds fixed, because the same could be said in many ways.

Rows. An activation and a row write the same as half the activation and twice the row. After every training step the
decoder's rows have norm 1: activations of different latents can be compared, and a cost that does not weigh them by the rows'
norms cannot be lowered by longer rows.

Units. A threshold, a bandwidth, a coefficient and a learning rate are numbers in the unit of the data, and one model's
activations are a thousand times another's. So training sees samples multiplied by one number, such that their mean squared norm is D:

    s = scale_factor(x)                           before training
    training on s · x
    fold(params, s), fold_threshold(...)          after it: x is given as it is, and the same is said of it, in its unit

Libraries differ in both halves. SAELens ("expected_average_only_in") and Language-Model-SAEs take sqrt(D) over the mean norm, by
which the mean squared norm is above D wherever norms differ; dictionary_learning takes 1 over the root of the mean squared norm,
by which it is 1. SAELens folds the factor into both weight matrices, so that activations stay in the unit of
training; dictionary_learning folds as is done here.
"""

import numpy as np


def row_norms(W):
    """Euclidean norm of each row.

    W       (M, D)
    returns norms (M,)
    """
    return np.sqrt((W**2).sum(-1))                          # (M,)


def normalize_rows(W):
    """Scale each row to norm 1.

        unit[i] = W[i] / ||W[i]||

    W       (M, D)
    returns unit (M, D)

    [TRAIN-1] A zero row has no direction and stays zero; no NaN arises.
    """
    norms = row_norms(W)[:, np.newaxis]                     # (M, 1)
    return W / np.where(norms == 0, 1.0, norms)             # (M, D)


def project_gradient(d_W, W):
    """Take out of each row's gradient what would only change the row's length.

        d_W[i] <- d_W[i] - (d_W[i] · u) u,    u = W[i] / ||W[i]||

    d_W, W  (M, D)
    returns d_W (M, D)

    [TRAIN-2] What is left of a row's gradient is orthogonal to the row, whatever the row's length; a zero
              row's gradient is left as it is.
    """
    unit = normalize_rows(W)                                # (M, D)
    along = (d_W * unit).sum(-1, keepdims=True)             # (M, 1)
    return d_W - along * unit                               # (M, D)


def project_thresholds(theta):
    """The nearest thresholds that a JumpReLU can have.

        theta[i] <- max(theta[i], 0)

    theta   (M,)
    returns theta (M,)

    [TRAIN-15] A trained theta that a step takes below 0 is 0 after it, before anything reads it; Adam's moments stay.
    """
    return np.maximum(theta, 0.0)                           # (M,)


def scale_factor(x):
    """The number by which samples are multiplied for training.

        s = sqrt(D / mean_b ||x[b]||^2)

    x       (B, D)
    returns scale, above 0
    raises  ValueError for no samples, a number that is not finite, and samples that no finite s brings to that size

    [TRAIN-18] The mean squared norm of s · x is D, taken over all samples as they are: b_dec is not subtracted.
    [TRAIN-19] No square over- or underflows: 2^n · x has the factor s / 2^n. Where x holds no sample, or nothing but 0, there is
               no such factor, and that is an error.
    """
    peak = np.abs(x).max(initial=0.0)
    if not 0 < peak < np.inf:
        raise ValueError(f"x must hold a number that is not 0 and only finite ones, the largest is {peak}")
    exponent = np.frexp(peak)[1]
    unit = np.ldexp(x, -exponent)                           # (B, D)  the same data, its largest number from 1/2 to 1
    D = x.shape[-1]
    with np.errstate(over="ignore"):
        scale = np.ldexp(np.sqrt(D / (unit**2).sum(-1).mean()), -exponent)
    if scale == np.inf:
        raise ValueError(f"x is too small, its largest number is {peak}")
    return scale


def fold(params, scale):
    """Parameters that were trained on scale · x, in the unit of x.

        b_enc, b_dec, b_mag, theta <- each divided by scale
        log_threshold              <- log_threshold - ln scale
        W_enc, W_dec, r_mag           have no unit, and stay

    since, with s the scale, (s · x - b_dec) @ W_enc.T + b_enc = s · ((x - b_dec / s) @ W_enc.T + b_enc / s), and an activation
    of s times everything is s times the activation.

    params  see `linear.py`
    scale   above 0
    returns params
    raises  ValueError for a scale that is not a finite number above 0

    [TRAIN-20] Folded, an SAE has those latents on for x that it had on for scale · x, and pre, acts and recon divided by scale.
               Decoder rows keep their norms; frequencies and prices have no unit.
    """
    if not 0 < scale < np.inf:
        raise ValueError(f"scale must be finite and above 0, got {scale}")
    with_unit = ("b_enc", "b_dec", "b_mag", "theta")
    folded = {name: array / scale if name in with_unit else np.array(array) for name, array in params.items()}
    if "log_threshold" in params:
        folded["log_threshold"] = params["log_threshold"] - np.log(scale)         # (M,)
    return folded


def fold_threshold(threshold, scale, activation):
    """The inference threshold of a batch rule, in the unit of x.

        batch_topk:         threshold / scale           it is compared with pre-activations
        batch_budget_topk:  threshold / scale^2         with densities, in which an activation is squared

    threshold   running or calibrated, see `inference.py`
    scale       above 0
    activation  the name of the rule
    returns threshold

    [TRAIN-21] A threshold has the unit of what is compared with it: batch_topk's is divided by scale, batch_budget_topk's by
               scale^2.
    """
    return threshold / scale / scale if activation == "batch_budget_topk" else threshold / scale
