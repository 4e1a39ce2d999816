"""FREQ: how often a latent fires, and what that makes it cost. All of it is at least float32."""

import math
from typing import TypeVar

import torch
from torch import Tensor

from ..kernels.precision import widen
from ..sparse.entries import Matrix, apply, sum_by_latent

_Count = TypeVar("_Count", int, Tensor)


def firing_counts(acts: Matrix) -> Tensor:
    """In how many samples each latent's activation is not 0; acts (B, M), result (M,), at least float32.

    A float32 total stops counting at 2^24: add up a large data set in float64.
    Clauses: FREQ-1.
    """
    counts = sum_by_latent(apply(lambda a: a != 0, acts))
    return counts.to(torch.promote_types(acts.dtype, torch.float32))


def frequency(counts: Tensor, samples: float) -> Tensor:
    """Firings per sample; counts and result (M,); ValueError unless samples > 0.  Clauses: FREQ-2."""
    if not samples > 0:
        raise ValueError(f"samples must be positive, got {samples}")
    return widen(counts) / samples


def running_mean(mean: Tensor, batches: _Count, acts: Matrix, decay: float) -> tuple[Tensor, _Count]:
    """Exponential average of the frequency, from 0, which one more batch moves.

    mean     (M,)
    batches  how many it has seen, a number or a tensor without dimensions
    acts     (B, M); an empty batch changes nothing
    decay    from 0 to below 1
    returns mean (M,), batches
    raises  ValueError for another decay

    Clauses: FREQ-3, FREQ-4.
    """
    check_decay(decay)
    samples = acts.numel() // acts.shape[-1]
    if samples == 0:
        return mean, batches
    mean, counts = widen(mean, firing_counts(acts))
    return decay * mean + (1 - decay) * frequency(counts, samples), batches + 1


def running_frequency(mean: Tensor, batches: int, decay: float) -> Tensor:
    """The average without its bias towards 0; mean and result (M,); ValueError unless batches >= 1.

    Clauses: FREQ-5.
    """
    if batches < 1:
        raise ValueError("the running frequency needs at least one batch")
    return widen(mean) / (1 - decay**batches)


def price(frequency: Tensor, D: int, min_frequency: float) -> Tensor:
    """log_D max(D, 1 / frequency), at least 1; frequency and result (M,).

    min_frequency  a lower frequency is priced as this one
    raises  ValueError for D below 2, or a min_frequency that is not above 0 and at most 1

    The logarithm is taken in float64 and rounded once, so that the price of D^-2 is 2 and a budget it just
    meets is met. A frequency of 1 / D, as rounded, costs exactly 1: no logarithm is asked.
    Clauses: FREQ-6, FREQ-7, FREQ-8, FREQ-9.
    """
    if D < 2:
        raise ValueError(f"D must be at least 2 for prices, got {D}")
    if not 0 < min_frequency <= 1:
        raise ValueError(f"min_frequency must be above 0 and at most 1, got {min_frequency}")
    frequency = widen(frequency.detach())
    rarity = -frequency.double().clamp_min(min_frequency).log() / math.log(D)     # (M,)  1 means 1 / D
    common = frequency >= 1 / D                             # (M,)
    return torch.where(common, 1, rarity.clamp_min(1)).to(frequency.dtype)


def running_price(mean: Tensor, batches: int, decay: float, D: int, min_frequency: float) -> Tensor:
    """The price (M,) for the next batch, from the batches before it; 1 if there were none; mean (M,).

    Clauses: FREQ-10, FREQ-11.
    """
    if batches == 0:
        return torch.ones_like(widen(mean))
    return price(running_frequency(mean, batches, decay), D, min_frequency)


def check_decay(decay: float) -> None:
    """ValueError unless decay, the memory of a running estimate, is at least 0 and below 1."""
    if not 0 <= decay < 1:
        raise ValueError(f"decay must be at least 0 and below 1, got {decay}")
