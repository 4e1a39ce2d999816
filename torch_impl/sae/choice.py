"""Which latents speak, found a chunk of pre-activations at a time: no (B, M) tensor outlives its chunk.

topk and batch_topk have kernels that need no chunk. Another rule that looks at one sample is asked chunk by chunk. A
batch rule keeps candidates: of what it has seen so far, the entries that can still be among the best of the whole
batch; there are never more than its budget.
"""

import torch

from .activations import relu, threshold
from . import BATCH_RULES, BUDGET_RULES
from .constraints import row_norms
from ..sparse.entries import Places, counted_offsets
from .inference import budget_thresholds
from ..kernels.product import products
from ..kernels.select import largest, select
from ..kernels.top_products import batch_top_products, top_products
from ..kernels.precision import widen
from .selection import affordable, budget_value, whole

SAMPLE = 2**17                                              # entries from which a first guess is made


@torch.no_grad()
def choose(centred, W, params, config, price=None, inference_threshold=None, check_inputs=True):
    """What the activation that `config` names may turn on.

    centred  (B, D)
    W        (M, D)  the encoder's
    returns values (nnz,), what the product gave there (gated: before its bias), and Places
    """
    M, name = len(W), config["activation"]
    if name == "topk":
        values, indices, counts = _flat(*top_products(centred, W, params["b_enc"], whole(config["k"], M)))
        return values, Places(indices, counted_offsets(counts), M)
    if name == "batch_topk" and inference_threshold is None:
        if found := batch_top_products(centred, W, params["b_enc"], whole(config["k"], M)):
            return found[0], Places(*found[1:], M)
    pieces = products(centred, W, None if name == "gated" else params["b_enc"])
    value = _value_of(params, price, check_inputs) if name in BUDGET_RULES else None
    if name in BATCH_RULES and inference_threshold is None:
        return _over_the_batch(pieces, widen(centred.new_zeros(0)), len(centred), M, whole(config["k"], M), value, price)
    rule = _row_rule(params, config, price, inference_threshold, value, check_inputs)
    found = [rule(pre) for _, pre in pieces] or [rule(widen(centred.new_zeros(0, M)))]
    values, indices, counts = map(torch.cat, zip(*found))
    return values, Places(indices, counted_offsets(counts), M)


def _value_of(params, price, check_inputs):
    """The function that ranks a chunk of pre-activations by density."""
    if price is None:
        raise ValueError("price is needed by a budget rule, got None")
    price, dec_norm = price.detach(), row_norms(params["W_dec"].detach())
    return lambda pre: budget_value(pre, price, dec_norm, check_inputs)


def _row_rule(params, config, price, inference_threshold, value, check_inputs):
    """The function that takes a chunk (R, M) to flat values, indices, and counts (R,)."""
    name, k, M = config["activation"], config.get("k"), len(params["W_dec"])
    if name == "batch_topk":
        return lambda pre: _where(pre, above(pre, inference_threshold))
    if name == "batch_budget_topk":
        theta = budget_thresholds(inference_threshold, price, row_norms(params["W_dec"]), check_inputs)
        return lambda pre: _where(pre, above(pre, theta))
    if name == "abs_topk":
        return lambda pre: _flat(*select(pre, whole(k, M), pre.abs()))
    if name == "budget_topk":
        return lambda pre: _flat(*_bought(pre, whole(k, M), value(pre), price))
    if name == "jumprelu":
        theta, reach = threshold(params["log_threshold"]), config.get("bandwidth", 0) / 2
        return lambda pre: _where(pre, above(pre, theta) | ((pre - theta).abs() < reach))  # the window learns
    if name == "gated":
        b_enc = widen(params["b_enc"])
        return lambda shared: _where(shared, above(shared + b_enc, 0))
    if name == "relu":
        return lambda pre: _where(pre, above(pre, 0))
    raise ValueError(f"activation {name!r} is not known")


def above(pre, least):
    """pre > least, element by element; true of a NaN too, so that the loss sees it."""
    return (pre <= least).logical_not_()


def _flat(values, indices):
    counts = torch.full((len(values),), values.shape[1], device=values.device)
    return values.flatten(), indices.flatten(), counts


def _where(pre, on):
    """The entries of pre (R, M) where `on` is true."""
    place = on.flatten().nonzero().squeeze(1)
    return pre.flatten()[place], place % pre.shape[1], on.sum(1)


def _bought(pre, k, value, price):
    """budget_topk of a chunk: values (R, k), 0 where the budget was spent, and indices (R, k)."""
    indices = select(pre, k, value)[1].sort(-1).values      # lowest first: ties go by index
    kept = affordable(value.gather(-1, indices), price[indices], k)
    return torch.where(kept, relu(pre.gather(-1, indices)), 0), indices


def _over_the_batch(pieces, nothing, B, M, k, value, price):
    """batch_topk, or batch_budget_topk where `value` ranks: values and Places, row-major.

    nothing  (0,)  of the product's type
    """
    floor, budget = (0 if value is None else -1), k * B
    place, rank, kept = nothing.long(), nothing, nothing
    for first, pre in pieces:
        order = (pre if value is None else value(pre)).flatten()
        new = candidates(order, budget, rank.min() if len(rank) == budget else None, floor)
        found = new + first * M, order[new], pre.flatten()[new]
        place, rank, kept = map(torch.cat, zip((place, rank, kept), found))
        if len(place) > budget:
            best = largest(rank, budget, floor).sort().values                    # row-major again
            place, rank, kept = place[best], rank[best], kept[best]
    if value is not None:
        fits = affordable(rank, price[place % M], budget)
        place, kept = place[fits], kept[fits]
    return kept, Places(place % M, counted_offsets(torch.bincount(place // M, minlength=B)), M)


def candidates(order, budget, least, floor):
    """Indices (n,), ascending, of all entries that may be among the `budget` largest of the batch.

    order  (R·M,)  what ranks them, by chunk
    least  the smallest of `budget` earlier entries: one that equals it loses the tie; None if they are fewer
    floor  entries at or below it are never kept

    Without a `least` a guess is read off a sample, and lowered until it lets `budget` entries of this chunk
    through: they are then reason enough to drop the rest.
    """
    if least is not None:
        return above(order, least).nonzero().squeeze(1)
    sample = order[:: max(1, len(order) // SAMPLE) | 1]
    wanted = 1.25 * budget / len(order) * len(sample) + 8
    while wanted < len(sample):
        guess = sample.topk(int(wanted)).values[-1]
        if guess > floor:
            passed = (order < guess).logical_not_()
            if passed.count_nonzero() >= budget:
                return passed.nonzero().squeeze(1)
            wanted *= 2
        else:
            break
    return above(order, floor).nonzero().squeeze(1)
