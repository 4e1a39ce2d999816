"""ABS, SAEBench's metric: how much of a probe's feature do latents write that do not stand for it?

x (B, D), acts (B, M), W_dec (M, D), probe (D,), main (M,) bool: the latents that stand for the feature. What a latent
writes is its activation times its decoder row's cosine with the probe: the rows' norms do not enter.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from ..sae.constraints import normalize_rows
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
PAPER = Thresholds(partial_cos=-1.0, partial_share=0.0, absorbers=math.inf)      # of the share alone: ABS-42


def contributions(acts: Tensor, W_dec: Tensor, probe: Tensor) -> tuple[Tensor, Tensor]:
    """What each latent writes of the probe (B, M), and the rows' cosines with it (M,); at least float32.

    raises  ValueError for a probe that is zero
    Clauses: ABS-1.
    """
    if not probe.any():
        raise ValueError("probe must not be zero")
    cos = normalize_rows(widen(W_dec)) @ _unit(probe)
    return widen(acts) * cos, cos


def wanted(x: Tensor, probe: Tensor) -> Tensor:
    """How much of the feature is in each sample, (B,), at least float32."""
    return widen(x) @ _unit(probe)


def _unit(probe: Tensor) -> Tensor:
    return normalize_rows(widen(probe)[None])[0]            # (D,)


def absorption_fraction(x: Tensor, acts: Tensor, W_dec: Tensor, probe: Tensor, main: Tensor,
                        thresholds: Thresholds = CODE) -> Tensor:
    """Share (B,), from 0 to 1, of the feature that others write in the main latents' place.

    raises  ValueError for a probe that is zero
    Clauses: ABS-2 to ABS-5.
    """
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


def full_absorption(x: Tensor, acts: Tensor, W_dec: Tensor, probe: Tensor, main: Tensor,
                    thresholds: Thresholds = CODE) -> Tensor:
    """Whether (B,) bool one latent writes the feature while the main ones are silent.

    raises  ValueError for a probe that is zero
    Clauses: ABS-6, ABS-7.
    """
    written, cos = contributions(acts, W_dec, probe)
    want = wanted(x, probe)                                 # (B,)
    top = written.argmax(-1)                                # (B,)  the first of equals
    largest = written.gather(-1, top[:, None])[:, 0]        # (B,)
    silent = (widen(acts)[:, main] < thresholds.silent).all(-1)    # (B,)
    takes = (cos[top] >= thresholds.full_cos) & (largest / want >= thresholds.full_share)
    return silent & takes & (want > 0)


def main_latents(ranking: Tensor, scores: Tensor, gain: float = 0.03) -> Tensor:
    """The main latents: the start of a ranking, as long as one more latent improves a probe's score by more than gain.

    ranking  (K,)  latents, the most telling first
    scores   (K,)  of a probe on the first 1, 2, .. K of them
    Clauses: ABS-8, ABS-9.
    """
    improves = scores[1:] > scores[:-1] + gain              # (K - 1,)
    return ranking[: 1 + int(improves.int().cumprod(0).sum())].clone()
