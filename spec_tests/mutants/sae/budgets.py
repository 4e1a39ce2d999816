"""Mutants of ACT, third part: the budget rules, and what stands in for a batch at inference."""

import numpy as np

from sae_spec.spec_tests.mutants import mutant
from sae_spec.spec_tests.mutants.sae.selection import column_major


# ---------------------------------------------------------------- budgets

def bought(pre, k, price, dec_norm, keep, silent=-1.0):
    """budget_topk, but for `keep`, which sees prices in rank order and says who stays, and the value of the silent."""
    acts = np.maximum(pre, 0.0)
    with np.errstate(all="ignore"):                         # where a price of 0 is let in
        value = np.where(acts > 0, acts**2 * dec_norm**2 / price, silent)
    order = np.argsort(-value, axis=-1, kind="stable")
    stays = np.take_along_axis(keep(price[order]), np.argsort(order, axis=-1), axis=-1)
    return np.where(stays, acts, 0.0)


@mutant("density: ranked by pre alone", clause="ACT-14", target="selection.density")
def by_size(right, acts, price, dec_norm):
    return acts + 0 * price


@mutant("density: price forgotten", clause="ACT-14", target="selection.density")
def price_forgotten(right, acts, price, dec_norm):
    return right(acts, np.ones_like(price), dec_norm)


@mutant("density: times the price", clause="ACT-14", target="selection.density")
def times_price(right, acts, price, dec_norm):
    return right(acts, 1 / price, dec_norm)


@mutant("density: per square of the price", clause="ACT-14", target="selection.density")
def price_squared(right, acts, price, dec_norm):
    return right(acts, price**2, dec_norm)


@mutant("density: norm not squared", clause="ACT-14", target="selection.density")
def norm_not_squared(right, acts, price, dec_norm):
    return right(acts, price, np.sqrt(dec_norm))


@mutant("budget_topk: ties go to the highest index", clause="ACT-14", target="selection.budget_topk")
def budget_highest_index(right, pre, k, price, dec_norm):
    return right(pre[..., ::-1].copy(), k, price[::-1], dec_norm[::-1])[..., ::-1]


@mutant("budget_topk: a silent latent ranks like one that writes nothing, and spends", clause="ACT-14", target="selection.budget_topk")
def silent_ones_spend(right, pre, k, price, dec_norm):
    right(pre, k, price, dec_norm)
    return bought(pre, k, price, dec_norm, lambda prices: spent_before(prices) < k, silent=0.0)


@mutant("budget_topk: negative entries rank by their square and spend", clause="ACT-14", target="selection.budget_topk")
def negatives_spend(right, pre, k, price, dec_norm):
    return np.maximum(right(abs(pre), k, price, dec_norm) * np.sign(pre), 0.0)


def spent_before(prices):
    """What the earlier ones of a ranking cost."""
    return np.cumsum(prices, -1) - prices


def buys_otherwise(name, keep):
    """keep(prices in rank order, k) says who stays."""
    @mutant(f"budget_topk: {name}", clause="ACT-15", target="selection.budget_topk")
    def wrong(right, pre, k, price, dec_norm):
        right(pre, k, price, dec_norm)
        return bought(pre, k, price, dec_norm, lambda prices: keep(prices, k))


def within_budget(prices, k):
    return np.cumsum(prices, -1) <= k


def passing_over(prices, k):
    """As much as fits, in the order of the ranking."""
    stays, spent = np.zeros(prices.shape, bool), np.zeros(prices.shape[:-1])
    for i in range(prices.shape[-1]):
        stays[..., i] = spent + prices[..., i] <= k
        spent = spent + stays[..., i] * prices[..., i]
    return stays


buys_otherwise("a latent dearer than k silences its row", within_budget)
buys_otherwise("skips what does not fit", passing_over)
buys_otherwise("a price above k counts as k", lambda prices, k: within_budget(np.minimum(prices, k), k))
buys_otherwise("the first alone may cost more than is left",
               lambda prices, k: within_budget(prices, k) | (np.arange(prices.shape[-1]) == 0))
buys_otherwise("the price decides the order alone", lambda prices, k: spent_before(np.ones_like(prices)) < k)
buys_otherwise("one more when nothing is left", lambda prices, k: spent_before(prices) <= k)


@mutant("budget_topk: a price of 1 is a little less than 1", clause="ACT-16", target="selection.budget_topk")
def price_not_quite_one(right, pre, k, price, dec_norm):
    right(pre, k, price, dec_norm)
    return bought(pre, k, price * (1 - 2.0**-50), dec_norm, lambda prices: spent_before(prices) < k)


@mutant("budget_topk: a price below 1 counts as 1", clause="ACT-17", target="selection.budget_topk")
def price_lifted(right, pre, k, price, dec_norm):
    return right(pre, k, np.maximum(price, 1.0), dec_norm)


@mutant("budget_topk: a price below 1 lets in more than k", clause="ACT-17", target="selection.budget_topk")
def price_unchecked(right, pre, k, price, dec_norm):
    return bought(pre, k, price, dec_norm, lambda prices: spent_before(prices) < k)


@mutant("activate: without prices every latent costs 1", clause="ACT-17", target="autoencoder.activate")
def free_of_prices(right, shared, pre, params, config, price=None, *more):
    return right(shared, pre, params, config, np.ones(pre.shape[-1]) if price is None else price, *more)


@mutant("batch_budget_topk: a budget of k for the whole batch", clause="ACT-18", target="selection.batch_budget_topk")
def batch_budget_k(right, pre, k, price, dec_norm):
    rows = pre.size // pre.shape[-1]
    if not rows:
        return right(pre, k, price, dec_norm)
    tile = lambda array: np.tile(array, rows)
    keep = lambda prices: spent_before(prices) < k
    return bought(pre.reshape(-1), k, tile(price), tile(dec_norm), keep).reshape(pre.shape)


@mutant("batch_budget_topk: a budget for every row", clause="ACT-18", target="selection.batch_budget_topk")
def batch_budget_by_row(right, pre, k, price, dec_norm):
    right(pre, k, price, dec_norm)
    return bought(pre, k, price, dec_norm, lambda prices: spent_before(prices) < k)


@mutant("batch_budget_topk: ties go down the columns", clause="ACT-18", target="selection.batch_budget_topk")
def batch_budget_column_major(right, pre, k, price, dec_norm):
    def buy(flat, budget, prices, norms):
        return bought(flat, budget, prices, norms, lambda ranked: spent_before(ranked) < budget)

    right(pre, k, price, dec_norm)
    return column_major(buy, pre, k, price, dec_norm)


# ---------------------------------------------------------------- inference

@mutant("running_threshold: starts from 0", clause="ACT-21", target="inference.running_threshold",
        seen_in=("SAELens 6.54.12", "matryoshka_sae"), convention=True)
def starts_from_zero(right, threshold, seen, kept, decay):
    return right(threshold if seen else 0.0, 1, kept, decay)[0], right(threshold, seen, kept, decay)[1]


@mutant("running_threshold: weights exchanged", clause="ACT-21", target="inference.running_threshold")
def weights_exchanged(right, threshold, seen, kept, decay):
    moved, count = right(threshold, seen, kept, decay)
    return (moved if seen == 0 else right(threshold, 1, kept, 0.0)[0] * decay + threshold * (1 - decay)), count


@mutant("running_threshold: mean of the rows' smallest", clause="ACT-21", target="inference.running_threshold",
        seen_in=("dictionary_learning 0.1.0",), where="TopK", convention=True)
def mean_of_rows(right, threshold, seen, kept, decay):
    smallest = np.where(kept > 0, kept, np.inf).min(axis=-1, initial=np.inf)
    speaking = np.isfinite(smallest)
    return right(threshold, seen, smallest[speaking].mean(keepdims=True) if speaking.any() else kept, decay)


@mutant("running_threshold: a batch that keeps nothing counts as 0", clause="ACT-22", target="inference.running_threshold",
        seen_in=("overcomplete 0.3.0",), convention=True)
def nothing_counts_as_zero(right, threshold, seen, kept, decay):
    if np.any(kept > 0):
        return right(threshold, seen, kept, decay)
    return (decay * threshold if seen else 0.0), seen + 1


@mutant("running_threshold: a batch that keeps nothing counts as infinity", clause="ACT-22",
        target="inference.running_threshold", seen_in=("dictionary_learning 0.1.0",), where="TopK")
def nothing_counts_as_infinity(right, threshold, seen, kept, decay):
    return right(threshold, seen, kept if np.any(kept > 0) else np.array([np.inf]), decay)


@mutant("running_threshold: a batch that keeps nothing is counted", clause="ACT-22", target="inference.running_threshold")
def nothing_is_counted(right, threshold, seen, kept, decay):
    return right(threshold, seen, kept, decay)[0], seen + 1


def spends(value, k, price, budget=None):
    """(ranking, values best first, which of them cannot be paid for): of calibrated_threshold."""
    order = np.argsort(-value, axis=None, kind="stable")
    budget = k * (value.size // value.shape[-1]) if budget is None else budget
    return value.reshape(-1)[order], np.cumsum(price[order % value.shape[-1]]) > budget


@mutant("calibration: k for all samples", clause="ACT-27", target="inference.calibrated_threshold")
def calibrated_to_k(right, value, k, price):
    right(value, k, price)
    ranked, dear = spends(value, k, price, budget=k)
    return max(0.0, ranked[dear].max(initial=0.0))


@mutant("calibration: the smallest value that is paid for", clause="ACT-27", target="inference.calibrated_threshold",
        seen_in=("BatchTopK", "SAELens 6.54.12", "dictionary_learning 0.1.0"), where="the running threshold", convention=True)
def calibrated_to_the_last_on(right, value, k, price):
    right(value, k, price)
    ranked, dear = spends(value, k, price)
    return ranked[~dear & (ranked > 0)].min(initial=np.inf) if np.any(~dear & (ranked > 0)) else 0.0


@mutant("calibration: half way between on and off", clause="ACT-27", target="inference.calibrated_threshold")
def calibrated_half_way(right, value, k, price):
    return (calibrated_to_the_last_on(right, value, k, price) + right(value, k, price)) / 2


@mutant("calibration: mean of the samples' own thresholds", clause="ACT-27", target="inference.calibrated_threshold")
def calibrated_by_sample(right, value, k, price):
    rows = value.reshape(-1, value.shape[-1])
    right(value, k, price)
    return np.mean([right(row[np.newaxis], k, price) for row in rows])


@mutant("calibration: prices forgotten", clause="ACT-27", target="inference.calibrated_threshold")
def calibrated_without_prices(right, value, k, price):
    right(value, k, price)
    return right(value, k, np.ones_like(price))


@mutant("calibration: what does not fit is skipped", clause="ACT-27", target="inference.calibrated_threshold")
def calibrated_skipping(right, value, k, price):
    right(value, k, price)
    order, left = np.argsort(-value, axis=None, kind="stable"), k * (value.size // value.shape[-1])
    for place in order:
        if price[place % value.shape[-1]] <= left:
            left -= price[place % value.shape[-1]]
            last = place
    off = value.reshape(-1)[order[list(order).index(last) + 1 :]] if left < k * (value.size // value.shape[-1]) else value
    return max(0.0, off.max(initial=0.0))


@mutant("calibration: the budget may not be met", clause="ACT-27", target="inference.calibrated_threshold")
def calibrated_open(right, value, k, price):
    right(value, k, price)
    ranked, dear = spends(value, k, price, budget=k * (value.size // value.shape[-1]) - 2.0**-40)
    return max(0.0, ranked[dear].max(initial=0.0))


@mutant("calibration: equals are let in", clause="ACT-27", target="inference.calibrated_threshold")
def calibrated_with_ties(right, value, k, price):
    threshold = right(value, k, price)
    return value[value < threshold].max(initial=0.0) if (value == threshold).sum() > 1 else threshold


@mutant("calibration: negative where few are positive", clause="ACT-27", target="inference.calibrated_threshold")
def calibrated_below_zero(right, value, k, price):
    threshold = right(value, k, price)
    ranked, dear = spends(value, k, price)
    return ranked[dear].max() if dear.any() else threshold


@mutant("calibration: no samples give 0", clause="ACT-28", target="inference.calibrated_threshold")
def calibrated_on_nothing(right, value, k, price):
    return right(value, k, price) if value.size else 0.0


@mutant("calibration: k is brought into its range", clause="ACT-28", target="inference.calibrated_threshold")
def calibrated_k_clipped(right, value, k, price):
    return right(value, min(max(k, 0.5), value.shape[-1]), price)


@mutant("calibration: a fraction of k is cut off", clause="ACT-28", target="inference.calibrated_threshold")
def calibrated_whole_k(right, value, k, price):
    right(value, k, price)
    ranked, dear = spends(value, np.floor(k), price)
    return max(0.0, ranked[dear].max(initial=0.0))


@mutant("calibration: a price below 1 counts as 1", clause="ACT-28", target="inference.calibrated_threshold")
def calibrated_price_lifted(right, value, k, price):
    return right(value, k, np.maximum(price, 1.0))


@mutant("inference: on at equality", clause="ACT-23", target="inference.batch_topk_inference",
        seen_in=("overcomplete 0.3.0",), convention=True)
def inference_on_at_equality(right, pre, threshold):
    return np.where(pre >= threshold, pre, 0.0)


@mutant("inference: relu whatever the threshold", clause="ACT-23", target="inference.batch_topk_inference",
        seen_in=("dictionary_learning 0.1.0",), where="before step 1000", convention=True)
def inference_is_relu(right, pre, threshold):
    return np.maximum(pre, 0.0)


@mutant("inference: the batch still decides", clause="ACT-23", target="autoencoder.activate",
        seen_in=("BatchTopK", "Language-Model-SAEs"), convention=True)
def inference_sees_the_batch(right, shared, pre, params, config, price=None, inference_threshold=None):
    return right(shared, pre, params, config, price, None)


@mutant("inference: the batch still decides what a budget buys", clause="ACT-24", target="autoencoder.activate")
def inference_buys_in_the_batch(right, shared, pre, params, config, price=None, inference_threshold=None):
    return right(shared, pre, params, config, price, inference_threshold if config["activation"] == "batch_topk" else None)


@mutant("budget_thresholds: root forgotten", clause="ACT-24", target="inference.budget_thresholds")
def root_forgotten(right, tau, price, dec_norm):
    return right(tau**2, price**2, dec_norm)


@mutant("budget_thresholds: price forgotten", clause="ACT-24", target="inference.budget_thresholds")
def threshold_without_price(right, tau, price, dec_norm):
    return right(tau, np.ones_like(price), dec_norm)


@mutant("budget_thresholds: decoder norm forgotten", clause="ACT-24", target="inference.budget_thresholds")
def threshold_without_norm(right, tau, price, dec_norm):
    return right(tau, price, np.where(dec_norm > 0, 1.0, 0.0))


@mutant("budget_thresholds: price outside the root", clause="ACT-24", target="inference.budget_thresholds")
def price_outside_root(right, tau, price, dec_norm):
    return right(tau, price**2, dec_norm)


@mutant("budget_thresholds: a zero row divides by zero", clause="ACT-25", target="inference.budget_thresholds")
def zero_row_divides(right, tau, price, dec_norm):
    with np.errstate(all="ignore"):
        return np.sqrt(tau * price) / dec_norm


@mutant("budget_thresholds: norms clamped at 1e-8", clause="ACT-25", target="inference.budget_thresholds",
        seen_in=("SAELens 6.54.12",), where="fold_W_dec_norm", convention=True)
def zero_row_clamped(right, tau, price, dec_norm):
    return right(tau, price, np.maximum(dec_norm, 1e-8))


@mutant("budget_thresholds: a zero row has threshold 0", clause="ACT-25", target="inference.budget_thresholds")
def zero_row_always_on(right, tau, price, dec_norm):
    return np.where(dec_norm == 0, 0.0, right(tau, price, dec_norm))
