"""Worlds as SAELens makes them: features that fire together by a Gaussian copula, in trees, with magnitudes that follow the parent's.

`toy_models.World` has features that depend on their parents alone and groups of known rates. A Forest has what SynthSAEBench
needs besides; where both can say the same, `toy_models.expected_cofiring` says how often features of a Forest fire together.
A sample is drawn in this order:

    1. which features are up     u < rate, independent; or factor · e + rest · n above the quantile at which the rate is met
    2. magnitudes                max(0, mean + std · n) of what is up; what is above 0 is on
    3. from the roots downwards  off where the parent is off; where `scaled`, times the parent's magnitude / the parent's mean;
                                 of each group one feature that is on, chosen evenly, stays
    4. x = bias + sum of magnitude · direction
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor


class Forest(NamedTuple):
    """F features in D dimensions, in any order."""

    directions: Tensor     # (F, D)  of any length
    bias: Tensor           # (D,)
    rate: Tensor           # (F,)    chance to be up: before the parent and the group have their say
    mean: Tensor           # (F,)    magnitude when firing
    std: Tensor            # (F,)    its standard deviation
    parent: Tensor         # (F,)    int64: index of the parent, -1 for none
    scaled: Tensor         # (F,)    bool: the magnitude follows the parent's
    group: Tensor          # (F,)    int64: members of a group have one parent and exclude each other; -1 for none
    factor: Tensor         # (F, R)  loadings of what features have in common; R = 0: they are independent
    rest: Tensor           # (F,)    standard deviation of what a feature has of its own, where R > 0


class Samples(NamedTuple):
    """What was drawn: a row x is the sum of its features' directions, each times its magnitude, plus the bias."""

    rows: Tensor                     # (N, D)
    magnitudes: tuple[Tensor, ...]   # (B, F) sparse, B rows each in order: 0 where a feature is not there

    def batches(self) -> Iterator[tuple[Tensor, Tensor]]:
        """x (B, D) and magnitudes (B, F), not sparse."""
        first = 0
        for part in self.magnitudes:
            yield self.rows[first : first + len(part)], part.to_dense()
            first += len(part)


def edges(forest: Forest) -> Tensor:
    """(2, E) int64: parents, and their children."""
    children = (forest.parent >= 0).nonzero()[:, 0]
    return torch.stack([forest.parent[children], children])


def generations(parent: Tensor) -> list[Tensor]:
    """The features with a parent at 0, 1, ... steps from a root, int64; the roots come first.

    parent  (F,)  -1 for none
    raises  ValueError where a feature is its own ancestor
    """
    found, above = [], parent < 0
    rest = ~above
    found.append(above.nonzero()[:, 0])
    while rest.any():
        now = rest & above[parent.clamp_min(0)]
        if not now.any():
            raise ValueError(f"feature {int(rest.nonzero()[0, 0])} is its own ancestor")
        found.append(now.nonzero()[:, 0])
        above, rest = now, rest & ~now
    return found


@torch.no_grad()
def draw(forest: Forest, samples: int, seed: int = 0, batch_size: int = 1024) -> Samples:
    """Samples of a Forest, float32, on the CPU; the same for the same arguments.

    samples     how many (N)
    batch_size  how many are drawn at once; other sizes draw other samples
    """
    rng, order = torch.Generator().manual_seed(seed), generations(forest.parent)
    rows, parts = torch.empty(samples, forest.directions.shape[1]), []
    for first in range(0, samples, batch_size):
        magnitudes = _magnitudes(forest, order, min(batch_size, samples - first), rng)
        rows[first : first + batch_size] = magnitudes @ forest.directions + forest.bias
        parts.append(magnitudes.to_sparse())
    return Samples(rows, tuple(parts))


def _magnitudes(forest: Forest, order: list[Tensor], samples: int, rng: torch.Generator) -> Tensor:
    up = _up(forest, samples, rng)                          # (B, F)
    feature = up.nonzero()[:, 1]                            # few are up: only they get a number
    magnitudes = torch.zeros(up.shape)
    magnitudes[up] = (forest.mean[feature] + forest.std[feature] * torch.randn(len(feature), generator=rng)).clamp_min(0)
    for depth, features in enumerate(order):
        if depth:
            parents = forest.parent[features]
            above = magnitudes[:, parents]
            scale = torch.where(forest.scaled[features], above / forest.mean[parents], 1.0)
            magnitudes[:, features] *= torch.where(above > 0, scale, 0)
        grouped = features[forest.group[features] >= 0]
        if len(grouped):
            magnitudes[:, grouped] *= _one_of_each_group(magnitudes[:, grouped] > 0, forest.group[grouped], rng)
    return magnitudes


def _up(forest: Forest, samples: int, rng: torch.Generator) -> Tensor:
    F, R = forest.factor.shape
    if R == 0:
        return torch.rand(samples, F, generator=rng, dtype=torch.float64) < forest.rate
    common = torch.randn(samples, R, generator=rng) @ forest.factor.T
    level = torch.special.ndtri(1 - forest.rate.double())             # (F,)  a standard normal is above it at the rate
    return common + forest.rest * torch.randn(samples, F, generator=rng) > level


def _one_of_each_group(on: Tensor, group: Tensor, rng: torch.Generator) -> Tensor:
    """Which of the features that are on (B, n) stay; group (n,)."""
    of, number = group.unique(return_inverse=True)
    sample, feature = on.nonzero(as_tuple=True)
    lots, place = torch.rand(len(sample), generator=rng, dtype=torch.float64), sample * len(of) + number[feature]
    best = torch.full((len(on) * len(of),), -1.0, dtype=torch.float64).scatter_reduce_(0, place, lots, "amax")
    stays = torch.zeros_like(on)
    stays[sample, feature] = lots == best[place]
    return stays
