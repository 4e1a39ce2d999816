"""ACT: what stands in for a batch rule when there is no batch."""

import math
from typing import overload

import torch
from torch import Tensor

from ..kernels.precision import widen
from .activations import jumprelu, refuse
from .frequency import check_decay


@overload
def running_threshold(threshold: Tensor, seen: Tensor, kept: Tensor, decay: float) -> tuple[Tensor, Tensor]: ...
@overload
def running_threshold(threshold: float | Tensor, seen: int | Tensor, kept: Tensor,
                      decay: float) -> tuple[float | Tensor, int | Tensor]: ...


@torch.no_grad()
def running_threshold(threshold: float | Tensor, seen: int | Tensor, kept: Tensor,
                      decay: float) -> tuple[float | Tensor, int | Tensor]:
    """Follow the smallest positive value that a batch rule kept, without waiting for the device.

    threshold, seen  numbers or tensors without dimensions
    kept             (B, M), or any shape: what the rule ranked by, 0 where it kept nothing
    decay            from 0 to below 1
    returns threshold (at least float32) and seen, tensors on kept's device; for an empty batch what was given
    raises  ValueError for another decay

    Clauses: ACT-21, ACT-22.
    """
    check_decay(decay)
    if kept.numel() == 0:
        return threshold, seen
    positive = torch.where(kept > 0, widen(kept), math.inf)
    smallest = positive.min()
    some = smallest < math.inf
    first = torch.as_tensor(seen, device=kept.device) == 0
    moved = torch.where(first, smallest, decay * threshold + (1 - decay) * smallest)
    return torch.where(some, moved, threshold), seen + some.long()


@torch.no_grad()
def calibrated_threshold(value: Tensor, k: float, price: Tensor, check_inputs: bool = True) -> Tensor:
    """The smallest threshold, from 0 on, at which the entries above it cost an average sample at most k.

    value         (N, M)  what a batch rule ranks by; only positive entries count
    k             above 0, at most M
    price         (M,), >= 1
    check_inputs  False skips the check of the prices' values, which waits for the device
    returns a 0-d tensor, at least float32
    raises  ValueError for no samples, another k, or a price below 1

    Clauses: ACT-27, ACT-28.
    """
    if check_inputs:
        refuse(price < 1, "price must be at least 1")
    best = Contenders(value.numel() // value.shape[-1], k, price)
    best.see(value)
    return best.threshold()


class Contenders:
    """Of values that come in pieces, those that `calibrated_threshold` turns on: one more than the budget, as each costs 1 at least."""

    def __init__(self, N: int, k: float, price: Tensor) -> None:
        """N samples in all; k, price (M,) and errors as for `calibrated_threshold`"""
        if N == 0:
            raise ValueError("value must hold at least one sample")
        if not 0 < k <= len(price):
            raise ValueError(f"k must be above 0 and at most M = {len(price)}, got {k}")
        self.budget, self.price = k * N, price
        self.count = math.floor(self.budget) + 1
        self.values = self.prices = price.new_zeros(0)
        self.least: float | Tensor = 0.0                    # what a value must exceed to matter

    def see(self, value: Tensor) -> None:
        """The values (n, M) of n more samples."""
        flat = widen(value).flatten()
        place = (flat > self.least).nonzero().squeeze(1)
        self.values = torch.cat([self.values.to(flat.dtype), flat[place]])
        self.prices = torch.cat([self.prices, self.price[place % len(self.price)]])
        if len(self.values) > self.count:
            self.values, kept = self.values.topk(self.count, sorted=False)
            self.prices, self.least = self.prices[kept], self.values.min()

    def threshold(self) -> Tensor:
        """The largest value that cannot be paid for, 0 if all can."""
        values, order = self.values.sort(descending=True)
        dear = self.prices.double()[order].cumsum(0) > self.budget
        return values.where(dear, 0).amax() if len(values) else values.new_zeros(())


def batch_topk_inference(pre: Tensor, threshold: float | Tensor, check_inputs: bool = True) -> Tensor:
    """batch_topk for one sample at a time; pre and result (B, M), threshold a number or a 0-d tensor.

    check_inputs  False skips the check of the threshold's value, which waits for the device
    raises  ValueError for a negative threshold

    Clauses: ACT-23.
    """
    if check_inputs:
        refuse(threshold < 0, f"threshold must not be negative, got {threshold}")
    theta = torch.as_tensor(threshold, dtype=widen(pre).dtype, device=pre.device)
    return jumprelu(pre, theta.expand(pre.shape[-1]), check_inputs=False)


def budget_thresholds(tau: float | Tensor, price: Tensor, dec_norm: Tensor, check_inputs: bool = True) -> Tensor:
    """Thresholds of the jumprelu that does what batch_budget_topk does: sqrt(tau · price) / dec_norm.

    tau              the smallest density kept, >= 0, a number or 0-d tensor
    price, dec_norm  (M,)
    check_inputs     False skips the check of tau's value, which waits for the device
    returns theta (M,), at least float32; infinite for a decoder row of norm 0
    raises  ValueError for a negative tau

    Clauses: ACT-24, ACT-25.
    """
    if check_inputs:
        refuse(tau < 0, f"tau must not be negative, got {tau}")
    price, dec_norm = widen(price, dec_norm)
    silent = dec_norm == 0                                  # tau may be 0 too: 0 / 0 is not infinite
    least = (tau * price.double()).sqrt() / dec_norm        # in float64: tau is a square, and may be too small for price's dtype
    return torch.where(silent, math.inf, least).to(price.dtype)
