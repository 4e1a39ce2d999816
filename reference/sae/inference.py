"""ACT, third part: what the batch rules do when there is no batch.

batch_topk and batch_budget_topk look at a whole batch to choose. After training a sample must be encoded the same
way whatever it is batched with, so inference compares with one threshold: both rules become a jumprelu. While it trains,
the threshold is a running estimate of the smallest value that was chosen; that lags behind parameters that move, so
where training stops it is calibrated: read off samples that are all encoded with the parameters as they are then.
B stands for any number of leading dimensions.
"""

import numpy as np

from .activations import jumprelu


def running_threshold(threshold, seen, kept, decay):
    """Follow the smallest value that a batch kept.

        smallest = the smallest positive entry of kept
        threshold <- smallest                                       the first time
        threshold <- decay · threshold + (1 - decay) · smallest     afterwards

    threshold  the estimate so far; meaningless while seen is 0
    seen       how many batches it has observed
    kept       (B, M)  batch_topk: acts; batch_budget_topk: the density of the active entries, 0 elsewhere
    decay      0 <= decay < 1
    returns threshold, seen
    raises  ValueError for a decay outside [0, 1)

    [ACT-21] The first observation initialises the estimate; later ones enter with weight 1 - decay.
    [ACT-22] A batch that keeps nothing leaves the estimate and its count alone.
    """
    if not 0 <= decay < 1:
        raise ValueError(f"decay must be at least 0 and below 1, got {decay}")
    positive = kept[kept > 0]
    if positive.size == 0:
        return threshold, seen
    smallest = positive.min()
    if seen == 0:
        return smallest, 1
    return decay * threshold + (1 - decay) * smallest, seen + 1


def calibrated_threshold(value, k, price):
    """The threshold at which an average sample spends k.

        threshold = the smallest t >= 0 for which the entries with value > t cost at most k · N, at price[i] each

    value   (N, M)  what the rule ranks by. batch_topk: pre; batch_budget_topk: the density of the positive entries, 0 elsewhere
    k       what an average sample may spend, 0 < k <= M
    price   (M,)    prices, >= 1; of batch_topk all 1, so that k is the mean number of active latents
    returns threshold, >= 0
    raises  ValueError for no samples, k outside 0 .. M, a price below 1

    [ACT-27] It is the largest value that has to stay off, and all that equal it stay off with it: the entries above it
             cost at most k · N, and with its equals more. Where all positive entries can be paid for it is 0.
    [ACT-28] It takes at least one sample, a k above 0 and at most M, which may be a fraction, and prices of at least 1.
    """
    M = value.shape[-1]
    if value.size == 0:
        raise ValueError("value must hold at least one sample")
    if not 0 < k <= M:
        raise ValueError(f"k must be above 0 and at most M = {M}, got {k}")
    if np.any(price < 1):
        raise ValueError("price must be at least 1")
    order = np.argsort(-value, axis=None)                   # (N·M,)  best first; among equals any order will do
    spent = np.cumsum(price[order % M])                     # (N·M,)  what each prefix costs
    off = value.reshape(-1)[order[spent > k * (value.size // M)]]                 # what cannot be paid for, best first
    return max(0.0, off[0]) if off.size else 0.0


def batch_topk_inference(pre, threshold):
    """batch_topk for one sample at a time.

        acts[b, i] = pre[b, i]  if pre[b, i] > threshold  else 0

    pre        (B, M)
    threshold  >= 0, see above
    returns acts (B, M)
    raises  ValueError for a negative threshold

    [ACT-23] At inference a latent is on exactly if pre > threshold, whatever else is in the batch.
    """
    if threshold < 0:
        raise ValueError(f"threshold must not be negative, got {threshold}")
    return jumprelu(pre, np.full(pre.shape[-1], threshold))  # (B, M)


def budget_thresholds(tau, price, dec_norm):
    """The thresholds by which a jumprelu does what batch_budget_topk does.

        theta[i] = sqrt(tau · price[i]) / dec_norm[i]

    so that acts > theta says the same as acts^2 · dec_norm^2 / price > tau. One number can stand for the budget because a
    ranking is bought from the top and nothing is passed over: a batch bought what has density tau or more.

    tau       the threshold of densities, >= 0: the budget's Lagrange multiplier
    price     (M,)
    dec_norm  (M,)
    returns theta (M,)
    raises  ValueError for a negative tau

    [ACT-24] At inference a latent is on exactly if its density exceeds tau, so theta = sqrt(tau · price) / dec_norm.
    [ACT-25] A latent whose decoder row is zero writes nothing and is never on: its threshold is infinite.
    """
    if tau < 0:
        raise ValueError(f"tau must not be negative, got {tau}")
    zero = dec_norm == 0                                    # (M,)
    least = np.sqrt(tau * price)                            # (M,)  what acts · dec_norm must exceed
    return np.where(zero, np.inf, least / np.where(zero, 1.0, dec_norm))          # (M,)
