"""ABS, SAEBench's metric: how much of a probe's feature do others than its main latents write?

x (B, D), acts (B, M), W_dec (M, D), probe (D,), main (M,) bool. Rows are cosines: their norms do not enter.
"""

import math
from typing import NamedTuple

import torch

from ..sae.constraints import directions
from ..kernels.precision import widen


class Thresholds(NamedTuple):
    """What makes a latent eligible and a share worth counting; the defaults are the published code's."""

    partial_cos: float = 0.1
    partial_share: float = 0.4
    absorbers: float = 3
    full_cos: float = 0.025
    full_share: float = 0.4
    silent: float = 1e-8


CODE = Thresholds()
PAPER = Thresholds(partial_cos=-1.0, partial_share=0.0, absorbers=math.inf)


def contributions(acts, W_dec, probe):
    """What each latent writes of the probe (B, M), and the rows' cosines with it (M,).  Clauses: ABS-1."""
    if not probe.any():
        raise ValueError("probe must not be zero")
    cos = directions(W_dec) @ directions(probe[None])[0]
    return widen(acts) * cos, cos


def wanted(x, probe):
    """How much of the feature is in each sample, (B,)."""
    return widen(x) @ directions(probe[None])[0]


def absorption_fraction(x, acts, W_dec, probe, main, thresholds=CODE):
    """Share (B,) of the feature that others write in the main latents' place.  Clauses: ABS-2 to ABS-5."""
    written, cos = contributions(acts, W_dec, probe)
    want = wanted(x, probe)                                 # (B,)
    others = written.where(~main & (cos >= thresholds.partial_cos), 0).relu()     # (B, M)
    count = int(min(thresholds.absorbers, others.shape[-1]))
    absorbed = others.topk(count, dim=-1).values.sum(-1)    # (B,)
    by_main = written[:, main].sum(-1)                      # (B,)
    missing = want - by_main                                # (B,)
    counts = (want > 0) & (missing > 0) & (absorbed / want >= thresholds.partial_share)
    taken = torch.minimum(absorbed, missing)                # (B,)
    share = (taken / (taken + by_main)).where(by_main > 0, 1)
    return share.clamp(0, 1).where(counts, 0)


def full_absorption(x, acts, W_dec, probe, main, thresholds=CODE):
    """Whether (B,) one latent writes the feature while the main ones are silent.  Clauses: ABS-6, ABS-7."""
    written, cos = contributions(acts, W_dec, probe)
    want = wanted(x, probe)                                 # (B,)
    top = written.argmax(-1)                                # (B,)  the first of equals
    largest = written.gather(-1, top[:, None])[:, 0]        # (B,)
    silent = (widen(acts)[:, main] < thresholds.silent).all(-1)    # (B,)
    takes = (cos[top] >= thresholds.full_cos) & (largest / want >= thresholds.full_share)
    return silent & takes & (want > 0)


def main_latents(ranking, scores, gain=0.03):
    """The start of ranking (K,) that improves scores (K,) by more than gain each.  Clauses: ABS-8, ABS-9."""
    improves = scores[1:] > scores[:-1] + gain              # (K - 1,)
    return ranking[: 1 + int(improves.int().cumprod(0).sum())]
