"""ACT: the rules that choose among latents, by size (topk) or by value for money (budget_topk).

A choice is a set of indices; values are gathered there and scattered into zeros. So autograd keeps k numbers
a row, and a pre-activation that was not chosen gets exactly zero gradient (ACT-19, ACT-20).
"""

import torch

from .activations import refuse
from ..kernels.select import largest
from ..kernels.precision import widen


def topk(pre, k):
    """The k largest positive entries of each row, else 0; pre and result (B, M).

    Clauses: ACT-4, ACT-5, ACT-6.
    """
    index = largest(pre, whole(k, pre.shape[-1]), floor=0)                      # (B, k)
    return _place(pre, index, pre.gather(-1, index).relu())


def batch_topk(pre, k):
    """The k·B largest positive entries of the batch, else 0; pre and result (B, M).  Clauses: ACT-12."""
    M = pre.shape[-1]
    k, rows = whole(k, M), pre.numel() // M
    if rows == 0:
        return pre.clone()
    return topk(pre.flatten(), k * rows).view_as(pre)


def abs_topk(pre, k):
    """The k entries of each row largest in size, sign kept, else 0; pre and result (B, M).

    Clauses: ACT-13.
    """
    index = largest(pre.abs(), whole(k, pre.shape[-1]), floor=0)                # (B, k)
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
    return _buy(pre, whole(k, pre.shape[-1]), budget_value(pre, price, dec_norm, check_inputs), price)


def batch_budget_topk(pre, k, price, dec_norm, check_inputs=True):
    """The batch buys with one budget of k·B; arguments as for `budget_topk`.  Clauses: ACT-18."""
    M = pre.shape[-1]
    k, rows = whole(k, M), pre.numel() // M
    value = budget_value(pre, price, dec_norm, check_inputs)
    if rows == 0:
        return pre.clone()
    return _buy(pre.flatten(), k * rows, value.flatten(), price).view_as(pre)


def whole(k, M):
    """k as an int, or the reason why it is none (ACT-6)."""
    if k is None or not (1 <= k <= M and k == int(k)):
        raise ValueError(f"k must be a whole number from 1 to M = {M}, got {k}")
    return int(k)


def _place(pre, index, kept):
    """Zeros like pre (.., n), but for kept (.., k) at index (.., k)."""
    return torch.zeros_like(pre).scatter(-1, index, kept)


@torch.no_grad()
def budget_value(pre, price, dec_norm, check_inputs):
    """Density (B, M) of the positive entries; -1, below every density, for the silent ones."""
    if check_inputs:
        refuse(price < 1, "price must be at least 1")
    return torch.where(pre > 0, density(pre, price, dec_norm), -1)


def affordable(value, price, budget):
    """Which of the candidates are bought: the longest prefix by value whose prices sum to at most `budget`.

    value, price  (.., k)  of each candidate; ties go to the first
    returns (.., k) bool

    Float64 sums float32 prices exactly, in whatever order a device adds them.
    """
    ranking = value.sort(dim=-1, descending=True, stable=True).indices
    fits = price.detach().double().gather(-1, ranking).cumsum(-1) <= budget
    return torch.zeros_like(fits).scatter(-1, ranking, fits)


def _buy(pre, budget, value, price):
    """Keep of each row (.., n) what it can afford, 0 elsewhere.

    A price is at least 1, so no more than `budget` entries need ranking. In the batch rule n is B·M.
    """
    index = largest(value, budget, floor=-1).sort(dim=-1).values                  # (.., k), lowest first
    fits = affordable(value.gather(-1, index), price[index % len(price)], budget)
    return _place(pre, index, torch.where(fits, pre.gather(-1, index).relu(), 0))
