"""ACT: the rules that choose among latents, by size (topk) or by value for money (budget_topk).

A choice is a set of indices; values are gathered there and scattered into zeros. So autograd saves k numbers
a row, and a pre-activation that was not chosen gets exactly zero gradient (ACT-19, ACT-20).
The rules that look at one sample raise ValueError for a k that is no whole number from 1 to M, the batch rules for one
that is not above 0 or above M.
"""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..kernels.precision import widen
from ..kernels.select import largest
from .activations import refuse


def topk(pre: Tensor, k: int) -> Tensor:
    """The k largest positive entries of each row, else 0; pre and result (B, M).

    Clauses: ACT-4, ACT-5, ACT-6.
    """
    index = largest(pre, whole(k, pre.shape[-1]), floor=0)                      # (B, k)
    return _place(pre, index, pre.gather(-1, index).relu())


def batch_topk(pre: Tensor, k: float) -> Tensor:
    """The k·B largest positive entries of the batch, else 0; pre and result (B, M).  Clauses: ACT-12, ACT-29."""
    return _as_one_row(topk, pre, k)


def abs_topk(pre: Tensor, k: int) -> Tensor:
    """The k entries of each row largest in size, sign kept, else 0; pre and result (B, M).

    Clauses: ACT-13.
    """
    index = largest(pre.abs(), whole(k, pre.shape[-1]), floor=0)                # (B, k)
    chosen = pre.gather(-1, index)
    return _place(pre, index, torch.where(chosen != 0, chosen, 0))              # a chosen 0 gets no gradient


def density(acts: Tensor, price: Tensor, dec_norm: Tensor) -> Tensor:
    """Squared error removed per unit of price, acts² · dec_norm² / price, at least float32.

    acts and result (B, M); price, dec_norm (M,)
    """
    acts, price, dec_norm = widen(acts, price, dec_norm)
    return acts.square() * dec_norm.square() / price


def budget_topk(pre: Tensor, k: int, price: Tensor, dec_norm: Tensor, check_inputs: bool = True) -> Tensor:
    """Each row buys its densest positive entries with a budget of k; pre and result (B, M).

    price            (M,), >= 1
    dec_norm         (M,)  norms of the decoder rows
    check_inputs     False skips the check of the prices' values, which waits for the device
    raises  ValueError for a price below 1

    Clauses: ACT-14 to ACT-17, ACT-20.
    """
    return _buy(pre, whole(k, pre.shape[-1]), budget_value(pre, price, dec_norm, check_inputs), price)


def batch_budget_topk(pre: Tensor, k: float, price: Tensor, dec_norm: Tensor, check_inputs: bool = True) -> Tensor:
    """The batch buys with one budget of k·B; arguments and errors as for `budget_topk`.  Clauses: ACT-18."""
    value = budget_value(pre, price, dec_norm, check_inputs)                      # (B, M)
    return _as_one_row(lambda row, budget: _buy(row, budget, value.flatten(), price), pre, k)


def _as_one_row(rule: Callable[[Tensor, int], Tensor], pre: Tensor, k: float) -> Tensor:
    """rule(the batch as one row (B·M,), floor(k·B)), laid out as pre (B, M); of nothing, nothing is on."""
    budget = of_the_batch(pre, k)
    return rule(pre.flatten(), budget).view_as(pre) if budget else torch.where(torch.zeros_like(pre, dtype=torch.bool), pre, 0)


def of_the_batch(pre: Tensor, k: float) -> int:
    """floor(k·B) for pre (B, M); ValueError unless k is above 0 and at most M.  Clauses: ACT-29."""
    return in_all(k, pre.numel() // pre.shape[-1], pre.shape[-1])


def in_all(k: Any, B: int, M: int) -> int:
    """What B samples may spend together, where an average one may spend k; errors as for `of_the_batch`."""
    if k is None or not 0 < k <= M:
        raise ValueError(f"k must be above 0 and at most M = {M}, got {k}")
    return math.floor(k * B)


def whole(k: Any, M: int) -> int:
    """k as an int; ValueError unless it is a whole number from 1 to M.  Clauses: ACT-6."""
    if k is None or not (1 <= k <= M and k == int(k)):
        raise ValueError(f"k must be a whole number from 1 to M = {M}, got {k}")
    return int(k)


def _place(pre: Tensor, index: Tensor, chosen: Tensor) -> Tensor:
    """Zeros like pre (.., n), but for chosen (.., k) at index (.., k)."""
    return torch.zeros_like(pre).scatter(-1, index, chosen)


@torch.no_grad()
def budget_value(pre: Tensor, price: Tensor, dec_norm: Tensor, check_inputs: bool) -> Tensor:
    """Density (B, M) of the positive entries; -1, below every density, for the silent ones.

    pre (B, M), price, dec_norm (M,); ValueError for a price below 1, unless check_inputs is False
    """
    if check_inputs:
        refuse(price < 1, "price must be at least 1")
    return torch.where(pre > 0, density(pre, price, dec_norm), -1)


def affordable(value: Tensor, price: Tensor, budget: int) -> Tensor:
    """Which of the candidates are bought: by value, while what is spent is below `budget`.

    value, price  (.., k)  of each candidate; ties go to the first
    returns (.., k) bool

    Float64 sums float32 prices exactly, in whatever order a device adds them.
    """
    ranking = value.sort(dim=-1, descending=True, stable=True).indices
    spent = price.detach().double().gather(-1, ranking).cumsum(-1)                # with this one
    last = spent >= budget                                  # nothing is left for the next
    return torch.ones_like(last).scatter(-1, ranking[..., 1:], ~last[..., :-1])


def _buy(pre: Tensor, budget: int, value: Tensor, price: Tensor) -> Tensor:
    """What each row can afford of its entries, 0 elsewhere; pre, value and result (.., n), price (M,).

    A price is at least 1, so no more than `budget` entries are bought, and need ranking. In the batch rule n is B·M.
    """
    index = largest(value, budget, floor=-1).sort(dim=-1).values                  # (.., k), lowest first
    bought = affordable(value.gather(-1, index), price[index % len(price)], budget)
    return _place(pre, index, torch.where(bought, pre.gather(-1, index).relu(), 0))
