"""COST: what a sparse autoencoder pays for, each term above its gradient.

Every cost returns one number for the whole batch: sums over D or M, the mean over B. A cost's gradient takes
`d_cost`, the factor by which the term enters the total (see `objective.py`), and what the cost takes. Prices are 1
unless the frequency-aware price is used; they are constants in every gradient [FREQ-9].
B stands for any number of leading dimensions.
"""

import numpy as np

from .activations import step, step_backward
from .constraints import normalize_rows, row_norms


def batch_size(rows):
    """Number of samples in an array whose dimensions but the last count samples.

    rows    (B, anything)
    returns a whole number
    raises  ValueError for an empty batch

    [COST-1] A mean over no samples is not a number: every cost of an empty batch is an error.
    """
    B = rows.size // rows.shape[-1]
    if B == 0:
        raise ValueError("a cost needs at least one sample, the batch is empty")
    return B


def reconstruction(x, recons):
    """Squared error of every prefix's reconstruction.

        cost = sum_g sum_D mean_B (x - recons[g])^2

    x       (B, D)
    recons  (G, B, D), G = 1 unless Matryoshka
    returns a number

    [COST-2] The squared error is summed over D and averaged over B.
    [COST-3] A Matryoshka SAE pays the sum over its prefixes, each with weight 1.
    """
    return ((x - recons) ** 2).sum() / batch_size(x)


def reconstruction_backward(d_cost, x, recons):
    """Gradient of `reconstruction`.

        d_recons[g] = -2 (x - recons[g]) · d_cost / B

    returns d_recons (G, B, D)
    """
    return -2 * (x - recons) * d_cost / batch_size(x)       # (G, B, D)


def l1(acts, W_dec, price):
    """The priced L1 cost.

        cost = mean_B sum_i price[i] · |acts[b, i]| · ||W_dec[i]||

    acts   (B, M)
    W_dec  (M, D)
    price  (M,)
    returns a number

    [COST-4] An activation is weighted by its decoder row's norm, so that scaling one against the other
             saves nothing, and by its price.
    """
    return l1_charges(acts, W_dec, price).sum() / batch_size(acts)


def l1_charges(acts, W_dec, price):
    """What L1 charges each activation, (B, M); the rest as for `l1`."""
    return price * np.abs(acts) * row_norms(W_dec)          # (B, M)


def l1_backward(d_cost, acts, W_dec, price):
    """Gradient of `l1`.

        d_acts[b, i] = price[i] · sign(acts[b, i]) · ||W_dec[i]||     · d_cost / B
        d_W_dec[i]   = price[i] · sum_b |acts[b, i]| · W_dec[i] / ||W_dec[i]|| · d_cost / B

    returns d_acts (B, M), d_W_dec (M, D)

    [COST-5] At acts == 0 the derivative is 0, and a zero decoder row gets none: in l1 and in tanh.
    """
    B, M = batch_size(acts), acts.shape[-1]
    d_acts = price * np.sign(acts) * row_norms(W_dec) * d_cost / B                # (B, M)
    d_norm = (price * np.abs(acts)).reshape(-1, M).sum(0) * d_cost / B            # (M,)
    return d_acts, d_norm[:, np.newaxis] * normalize_rows(W_dec)


def tanh(acts, W_dec, price, scale):
    """The priced tanh cost: like L1 near 0, like a count of active latents far from it.

        cost = mean_B sum_i price[i] · tanh(scale · |acts[b, i]| · ||W_dec[i]||)

    acts   (B, M)
    W_dec  (M, D)
    price  (M,)
    scale  > 0; 4 in the literature
    returns a number
    raises  ValueError for a scale that is not positive

    [COST-6] tanh is taken of scale times the norm-weighted activation; the price multiplies outside.
    Source: Anthropic, Circuits Updates January 2025, of whose recipe for jumprelu this is the sparsity cost. Not covered, and
    not expressible here: its pre-activation loss, mean_B sum_i relu(theta[i] - pre[b, i]) · ||W_dec[i]||, which pulls up latents
    below their threshold, and its straight-through gradient, which reaches every parameter through pre; here it ends at theta.
    """
    if not scale > 0:
        raise ValueError(f"tanh_scale must be positive, got {scale}")
    return tanh_charges(acts, W_dec, price, scale).sum() / batch_size(acts)


def tanh_charges(acts, W_dec, price, scale):
    """What tanh charges each activation, (B, M); the rest as for `tanh`."""
    return price * np.tanh(scale * np.abs(acts) * row_norms(W_dec))               # (B, M)


def tanh_backward(d_cost, acts, W_dec, price, scale):
    """Gradient of `tanh`, with s[b, i] = scale · (1 - tanh^2(scale · |acts| · norm)).

        d_acts[b, i] = price[i] · s[b, i] · sign(acts[b, i]) · ||W_dec[i]||          · d_cost / B
        d_W_dec[i]   = price[i] · sum_b s[b, i] · |acts[b, i]| · W_dec[i] / ||W_dec[i]|| · d_cost / B

    returns d_acts (B, M), d_W_dec (M, D)
    """
    B, M, norms = batch_size(acts), acts.shape[-1], row_norms(W_dec)
    slope = price * scale * (1 - np.tanh(scale * np.abs(acts) * norms) ** 2) * d_cost / B   # (B, M)
    d_acts = slope * np.sign(acts) * norms                                        # (B, M)
    d_norm = (slope * np.abs(acts)).reshape(-1, M).sum(0)                         # (M,)
    return d_acts, d_norm[:, np.newaxis] * normalize_rows(W_dec)


def l0(pre, theta, price):
    """The priced number of latents that are on; for jumprelu.

        cost = mean_B sum_i price[i] · 1[pre[b, i] > theta[i]]

    pre    (B, M)
    theta  (M,)
    price  (M,)
    returns a number

    [COST-7] L0 counts raw pre-activations above their threshold, each at its latent's price.
    """
    return (price * step(pre, theta)).sum() / batch_size(pre)


def l0_backward(d_cost, pre, theta, price, bandwidth):
    """Gradient of `l0`, a straight-through estimate: through the step to the thresholds, and nowhere else.

        d_theta[i] = -sum_b (1 / bandwidth) · price[i] · d_cost / B    where |pre - theta| < bandwidth / 2

    bandwidth  width of the window, > 0, in units of pre
    returns d_theta (M,)

    [COST-8] Only the thresholds feel the L0 cost.
    """
    d_on = np.broadcast_to(price * d_cost / batch_size(pre), pre.shape)           # (B, M)
    return step_backward(d_on, pre, theta, bandwidth)                             # (M,)


def tie(W_enc, W_dec):
    """The tie penalty: how far the encoder's directions are from the decoder's.

        cost = mean_i (1 - cos(W_enc[i], W_dec[i]))

    W_enc  (M, D), or None: the SAE is tied and has none
    W_dec  (M, D)
    returns a number from 0 to 2

    [COST-9] The cost looks at directions alone: scaling a row of either matrix changes nothing.
    [COST-10] For a tied SAE, which has no W_enc, it is exactly 0 and has no gradient. The caller says so, with None: arrays
              that happen to be equal are computed like any others.
    [COST-11] A zero row has cosine 0 with everything, and neither row of its pair gets a gradient.
    """
    if W_enc is None:
        return 0.0
    cos = (normalize_rows(W_enc) * normalize_rows(W_dec)).sum(-1)                 # (M,)
    return (1 - cos).mean()


def tie_backward(d_cost, W_enc, W_dec):
    """Gradient of `tie`, with e = W_enc[i] / ||W_enc[i]|| and d = W_dec[i] / ||W_dec[i]||.

        d_W_enc[i] = -(d - cos · e) / ||W_enc[i]|| · d_cost / M
        d_W_dec[i] = -(e - cos · d) / ||W_dec[i]|| · d_cost / M

    returns d_W_enc (M, D), None for a tied SAE, and d_W_dec (M, D)
    """
    if W_enc is None:
        return None, np.zeros_like(W_dec)
    norm_e, norm_d = row_norms(W_enc)[:, np.newaxis], row_norms(W_dec)[:, np.newaxis]   # (M, 1)
    nonzero = (norm_e > 0) & (norm_d > 0)                                         # (M, 1)
    e, d = normalize_rows(W_enc), normalize_rows(W_dec)                           # (M, D)
    cos = (e * d).sum(-1, keepdims=True)                                          # (M, 1)
    d_cos = np.where(nonzero, -d_cost / len(W_enc), 0.0)                          # (M, 1)
    d_W_enc = d_cos * (d - cos * e) / np.where(nonzero, norm_e, 1.0)              # (M, D)
    d_W_dec = d_cos * (e - cos * d) / np.where(nonzero, norm_d, 1.0)              # (M, D)
    return d_W_enc, d_W_dec
