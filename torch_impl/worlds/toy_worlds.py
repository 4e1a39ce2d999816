"""TOY, the worlds: each a function of a numpy.random.Generator that draws its directions; float64 on the CPU.

F is the number of features, D that of dimensions. Unless said otherwise magnitudes are 1, directions orthonormal.
"""

from collections.abc import Sequence

import torch
from numpy.random import Generator
from torch import Tensor

from ..sae.constraints import normalize_rows
from .toy_models import World, directions_with_cosine

_Numbers = float | Sequence[float] | Tensor       # one for all features alike, or one for each


def world(directions: Tensor, rate: _Numbers, parent: _Numbers | None = None, rate_alone: _Numbers = 0.0,
          group: _Numbers | None = None, mean: _Numbers = 1.0, std: _Numbers = 0.0) -> World:
    """A World from as little as its directions (F, D) and rates; see `toy_models.World` for the others."""
    def per_feature(value: _Numbers, dtype: torch.dtype = torch.float64) -> Tensor:
        return torch.as_tensor(value, dtype=dtype).expand(len(directions)).clone()

    return World(directions=directions, parent=per_feature(-1 if parent is None else parent, torch.long),
                 rate=per_feature(rate), rate_alone=per_feature(rate_alone),
                 group=per_feature(-1 if group is None else group, torch.long),
                 mean=per_feature(mean), std=per_feature(std))


def _at_cosine(rng: Generator, F: int, D: int, rho: float = 0.0) -> Tensor:
    """Directions (F, D), every two at cosine rho."""
    return directions_with_cosine(torch.from_numpy(rng.normal(size=(F, D))), rho)


def _at_random(rng: Generator, F: int, D: int) -> Tensor:
    """Directions (F, D), each drawn independently of the others, F above D or not."""
    return normalize_rows(torch.from_numpy(rng.normal(size=(F, D))))


def independent(rng: Generator, F: int = 4, D: int = 50, rate: _Numbers = (0.25, 0.05, 0.05, 0.05)) -> World:
    """Features that fire independently."""
    return world(_at_cosine(rng, F, D), rate)


def hierarchy(rng: Generator, D: int = 50, std: float = 0.0) -> World:
    """The world of "Toy Models of Feature Absorption in SAEs": f1 only with f0, in a fifth of its samples.

    std  standard deviation of f0's magnitude
    Clauses: TOY-7.
    """
    return world(_at_cosine(rng, 4, D), (0.25, 0.2, 0.05, 0.05), parent=(-1, 0, -1, -1), std=(std, 0, 0, 0))


def imperfect_cooccurrence(rng: Generator, D: int = 50, share: float = 0.95) -> World:
    """As `hierarchy`, but only a share of f1's samples contain f0 too."""
    with_f0, without = share * 0.05 / 0.25, (1 - share) * 0.05 / 0.75
    rate, rate_alone = (0.25, with_f0, 0.05, 0.05), (0, without, 0, 0)
    return world(_at_cosine(rng, 4, D), rate, (-1, 0, -1, -1), rate_alone)


def overlap(rng: Generator, rho: float, F: int = 2, D: int = 20, rate: _Numbers = 0.1) -> World:
    """Independent features, every two at cosine rho."""
    return world(_at_cosine(rng, F, D, rho), rate)


def exclusive_siblings(rng: Generator, rho: float, F: int = 3, D: int = 20, rate: _Numbers = 0.1) -> World:
    """Features that never fire together, every two at cosine rho."""
    return world(_at_cosine(rng, F, D, rho), rate, group=0)


def tree(rng: Generator, D: int = 20, std: float = 0.05) -> World:
    """Three parents in 15 % of samples, three exclusive children each (20 % of the parent's), eight singles in 5 %.

    std  standard deviation of every feature's magnitude
    """
    family = [-1] * 3 + [p for p in range(3) for _ in range(3)] + [-1] * 8
    rate = [0.15] * 3 + [0.2] * 9 + [0.05] * 8
    return world(_at_cosine(rng, len(family), D), rate, parent=family, group=family, std=std)


def superposition(rng: Generator, F: int = 40, D: int = 20, rate: float = 0.03, parents: int = 0) -> World:
    """More features than dimensions, directions at random; feature parents + i is the child of feature i < parents."""
    singles = F - 2 * parents
    rates = [4 * rate] * parents + [0.25] * parents + [rate] * singles
    return world(_at_random(rng, F, D), rates, parent=[-1] * parents + [*range(parents)] + [-1] * singles)


def zipf(rng: Generator, F: int = 4096, D: int = 256, highest: float = 0.2, exponent: float = 1.0) -> World:
    """Features whose frequencies fall as a power of their rank: rate = highest / rank^exponent."""
    rank = torch.arange(1, F + 1, dtype=torch.float64)
    return world(_at_random(rng, F, D), highest * rank**-exponent)
