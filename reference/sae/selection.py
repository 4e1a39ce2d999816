"""ACT, second part: activations that choose which latents may be on.

topk, batch_topk and abs_topk choose by size; budget_topk and batch_budget_topk by what a latent writes for its price.
All share one gradient, `selection_backward`, because the choice itself is piecewise constant.
How the two batch rules choose when there is no batch is in `inference.py`.
B stands for any number of leading dimensions.
"""

import numpy as np

from .activations import relu


def topk(pre, k):
    """Keep the k largest positive pre-activations of each row.

    pre     (B, M)  pre-activations
    k       how many may be on, 1 <= k <= M
    returns acts (B, M)
    raises  ValueError for k outside 1 .. M

    [ACT-4] Only positive entries are ever active: relu comes first, so a row with fewer than k
            positive entries keeps fewer than k.
    [ACT-5] Ties go to the lowest index.
    [ACT-6] k is a whole number from 1 to M.
    Source: arXiv 2406.04093, section 2.3.
    """
    if k not in range(1, pre.shape[-1] + 1):
        raise ValueError(f"k must be a whole number from 1 to M = {pre.shape[-1]}, got {k}")
    acts = relu(pre)                                        # (B, M)
    order = np.argsort(-acts, axis=-1, kind="stable")       # (B, M)  best first; stable: ties keep their order
    rest = order[..., int(k) :]                             # (B, M - k)
    np.put_along_axis(acts, rest, 0.0, axis=-1)
    return acts                                             # (B, M)


def of_the_batch(pre, k):
    """What a batch rule has in place of k: floor(k·B), a whole number.

    pre     (B, M)
    k       of an average row, 0 < k <= M
    raises  ValueError for k outside 0 .. M

    [ACT-29] k is the mean over the batch, so it may be a fraction: above 0 and at most M. The batch has floor(k·B), k·B
             rounded as float64 rounds it; where that is 0 nothing is on.
    """
    M = pre.shape[-1]
    if not 0 < k <= M:
        raise ValueError(f"k must be above 0 and at most M = {M}, got {k}")
    return int(k * (pre.size // M))


def batch_topk(pre, k):
    """Keep the k·B largest positive pre-activations of the whole batch.

    pre     (B, M)  pre-activations
    k       how many may be on in an average row, 0 < k <= M
    returns acts (B, M)
    raises  ValueError for k outside 0 .. M

    [ACT-12] batch_topk is topk of the batch laid out as one row, with k·B in place of k: at most k·B entries are
             kept, fewer if fewer are positive; ties go to the lowest row-major index, and one row may hold many
             more than k.
    Source: arXiv 2412.06410.
    """
    budget = of_the_batch(pre, k)
    if budget == 0:
        return np.zeros_like(pre)                           # no rows, or a fraction of an entry
    return topk(pre.reshape(-1), budget).reshape(pre.shape)


def abs_topk(pre, k):
    """Keep the k entries of each row that are largest in size, with their sign.

    pre     (B, M)  pre-activations
    k       how many may be on, 1 <= k <= M
    returns acts (B, M), of either sign
    raises  ValueError for k outside 1 .. M

    [ACT-13] Entries are ranked by |pre| and keep their sign; ties go to the lowest index, whatever the sign.
    """
    chosen = topk(np.abs(pre), k) > 0                       # (B, M)
    return np.where(chosen, pre, 0.0)                       # (B, M)


def density(acts, price, dec_norm):
    """How much a latent writes for its price: the squared norm of acts[b, i] · W_dec[i] per unit of price.

        density[b, i] = acts[b, i]^2 · dec_norm[i]^2 / price[i]

    acts      (B, M)
    price     (M,)    prices, >= 1 (see `frequency.price`)
    dec_norm  (M,)    norms of the decoder rows
    returns density (B, M)
    """
    return acts**2 * dec_norm**2 / price                    # (B, M)


def budget_topk(pre, k, price, dec_norm):
    """The frequency-aware topk: each row has a budget of k and spends it on the densest latents first.

    pre       (B, M)  pre-activations
    k         the budget of a row, 1 <= k <= M
    price     (M,)    prices, >= 1
    dec_norm  (M,)    norms of the decoder rows
    returns acts (B, M)
    raises  ValueError for k outside 1 .. M or a price below 1

    [ACT-14] Positive entries are ranked by density; ties go to the lowest index.
    [ACT-15] Latents are bought down the ranking while any of the budget is left: the first is always bought, whatever it
             costs, and the last may cost more than is left; nothing is passed over.
    [ACT-16] With every price 1 and every decoder row of norm 1 it is topk, exactly, as long as the squares of the
             activations neither underflow nor overflow.
    [ACT-17] A price is at least 1, so at most k latents of a row are on; a lower price is an error, and so is a budget rule
             that is given no prices.

    A rule that never overdraws has a state without a way out: a latent dearer than k never fires again, and silences
    every row in which it ranks first. In training a high price also starves: who is dear ranks lower, fires less and gets
    dearer. A min_frequency of D^-1.25, at which the price is 1.25, keeps most of them alive; not all where M is far above k · D.
    """
    if k not in range(1, pre.shape[-1] + 1):
        raise ValueError(f"k must be a whole number from 1 to M = {pre.shape[-1]}, got {k}")
    if np.any(price < 1):
        raise ValueError("price must be at least 1")
    acts = relu(pre)                                        # (B, M)
    value = np.where(acts > 0, density(acts, price, dec_norm), -1.0)  # (B, M)  silent entries rank last
    order = np.argsort(-value, axis=-1, kind="stable")      # (B, M)  best first; stable: ties keep their order
    spent = np.cumsum(price[order], axis=-1)[..., :-1]      # (B, M - 1)  before the second, the third, ..
    spent = np.insert(spent, 0, 0.0, axis=-1)               # (B, M)  and nothing before the first
    place = np.argsort(order, axis=-1)                      # (B, M)  where in the ranking each latent stands
    bought = np.take_along_axis(spent < k, place, axis=-1)  # (B, M)
    return np.where(bought, acts, 0.0)                      # (B, M)


def batch_budget_topk(pre, k, price, dec_norm):
    """budget_topk with one budget of k·B for the whole batch.

    pre, k, price, dec_norm  as for `budget_topk`; k is the budget of an average row, 0 < k <= M
    returns acts (B, M)
    raises  ValueError as `budget_topk` does

    [ACT-18] batch_budget_topk is budget_topk of the batch laid out as one row, with budget k·B; ties go to the lowest
             row-major index.
    """
    budget, rows = of_the_batch(pre, k), pre.size // pre.shape[-1]
    if budget == 0:
        return np.zeros_like(pre)                           # no rows, or less than the lowest price
    flat = budget_topk(pre.reshape(-1), budget, np.tile(price, rows), np.tile(dec_norm, rows))
    return flat.reshape(pre.shape)                          # (B, M)


def selection_backward(d_acts, acts):
    """Gradient of topk, batch_topk, abs_topk, budget_topk and batch_budget_topk alike.

        d_pre[b, i] = d_acts[b, i]  where acts[b, i] != 0, else 0

    d_acts, acts  (B, M)
    returns d_pre (B, M)

    [ACT-19] An inactive latent's pre-activation gets exactly zero gradient from acts, also when a zero
             was among the k largest.
    [ACT-20] No gradient flows to prices or decoder norms through a choice.
    """
    return np.where(acts != 0, d_acts, 0.0)                 # (B, M)
