"""ACT: the rules that choose among latents, by size (topk) or by value for money (budget_topk).

A choice is a set of indices; values are gathered there and scattered into zeros. So autograd keeps k numbers
a row, and a pre-activation that was not chosen gets exactly zero gradient (ACT-19, ACT-20).
"""

import torch

from .activations import refuse
from .precision import widen


def topk(pre, k):
    """The k largest positive entries of each row, else 0; pre and result (B, M).

    Clauses: ACT-4, ACT-5, ACT-6.
    """
    index = _largest(pre, _whole(k, pre.shape[-1]), floor=0)                      # (B, k)
    return _place(pre, index, pre.gather(-1, index).relu())


def batch_topk(pre, k):
    """The k·B largest positive entries of the batch, else 0; pre and result (B, M).  Clauses: ACT-12."""
    M = pre.shape[-1]
    k, rows = _whole(k, M), pre.numel() // M
    if rows == 0:
        return pre.clone()
    return topk(pre.flatten(), k * rows).view_as(pre)


def abs_topk(pre, k):
    """The k entries of each row largest in size, sign kept, else 0; pre and result (B, M).

    Clauses: ACT-13.
    """
    index = _largest(pre.abs(), _whole(k, pre.shape[-1]), floor=0)                # (B, k)
    kept = pre.gather(-1, index)
    return _place(pre, index, torch.where(kept != 0, kept, 0))                   # a chosen 0 gets no gradient


def density(acts, price, dec_norm):
    """Squared error removed per unit of price, at least float32.

    acts and result (B, M); price, dec_norm (M,)
    """
    acts, price, dec_norm = widen(acts, price, dec_norm)
    return acts.square() * dec_norm.square() / price


def budget_topk(pre, k, price, dec_norm, check_inputs=True):
    """Each row buys its densest positive entries with a budget of k; pre and result (B, M).

    price, dec_norm  (M,)
    check_inputs     False skips the check of the prices' values, which waits for the device

    Clauses: ACT-14 to ACT-17, ACT-20.
    """
    return _buy(pre, _whole(k, pre.shape[-1]), _value(pre, price, dec_norm, check_inputs), price)


def batch_budget_topk(pre, k, price, dec_norm, check_inputs=True):
    """The batch buys with one budget of k·B; arguments as for `budget_topk`.  Clauses: ACT-18."""
    M = pre.shape[-1]
    k, rows = _whole(k, M), pre.numel() // M
    value = _value(pre, price, dec_norm, check_inputs)
    if rows == 0:
        return pre.clone()
    return _buy(pre.flatten(), k * rows, value.flatten(), price).view_as(pre)


def _whole(k, M):
    """k as an int, or the reason why it is none (ACT-6)."""
    if k is None or not (1 <= k <= M and k == int(k)):
        raise ValueError(f"k must be a whole number from 1 to M = {M}, got {k}")
    return int(k)


def _place(pre, index, kept):
    """Zeros like pre (.., n), but for kept (.., k) at index (.., k)."""
    return torch.zeros_like(pre).scatter(-1, index, kept)


@torch.no_grad()
def _largest(value, k, floor):
    """Indices (.., k) of the k largest of each row (.., n), in no order; ties go to the lowest index.

    torch.topk breaks ties as it likes. It matters only in rows whose k-th and next value are equal, and only
    above `floor` (at or below it the caller keeps nothing). Those rows, few or none, are chosen anew; finding
    them waits for the device.
    """
    best = value.topk(min(k + 1, value.shape[-1]))
    last = best.values[..., k - 1]                          # (..)
    tied = (best.values[..., k:] == last.unsqueeze(-1)).any(-1) & (last > floor)
    index = best.indices[..., :k]
    index[tied] = _first_largest(value[tied], last[tied].unsqueeze(-1), k)
    return index


def _first_largest(value, last, k):
    """Indices (rows, k) of all above the k-th value, filled up with the first that equal it."""
    above, level = value > last, value == last              # (rows, n)
    room = k - above.sum(-1, keepdim=True)                  # (rows, 1)
    chosen = above | level & (level.cumsum(-1, dtype=torch.int32) <= room)
    return chosen.nonzero()[:, 1].view(-1, k)


@torch.no_grad()
def _value(pre, price, dec_norm, check_inputs):
    """Density (B, M) of the positive entries; -1, below every density, for the silent ones."""
    if check_inputs:
        refuse(price < 1, "price must be at least 1")
    return torch.where(pre > 0, density(pre, price, dec_norm), -1)


def _buy(pre, budget, value, price):
    """Keep of each row (.., n) the longest prefix by value whose prices sum to at most `budget`.

    A price is at least 1, so no more than `budget` entries need ranking. In the batch rule n is B·M.
    Float64 sums float32 prices exactly, in whatever order a device adds them.
    """
    index = _largest(value, budget, floor=-1).sort(dim=-1).values                 # (.., k), lowest first
    ranking = value.gather(-1, index).sort(dim=-1, descending=True, stable=True).indices
    index = index.gather(-1, ranking)                       # best first, ties by index
    fits = price.detach().double()[index % len(price)].cumsum(-1) <= budget
    return _place(pre, index, torch.where(fits, pre.gather(-1, index).relu(), 0))
