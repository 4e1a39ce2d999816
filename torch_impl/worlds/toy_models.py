"""TOY: worlds whose true features are known.

A sample x (D,) is the sum of its firing features' directions, each times its magnitude. Random draws are arguments: given
the same draws, samples are those of the specification.
"""

from typing import NamedTuple

import torch
from numpy.random import Generator
from torch import Tensor

from ..kernels.precision import widen


class World(NamedTuple):
    """F features in D dimensions: parents before children, members of an exclusive group side by side."""

    directions: Tensor     # (F, D)  unit vectors
    parent: Tensor         # (F,)    whole numbers: index of the parent, -1 for none
    rate: Tensor           # (F,)    chance to fire beside its parent; without a parent, at all
    rate_alone: Tensor     # (F,)    chance to fire where its parent is silent
    group: Tensor          # (F,)    whole numbers: members of a group exclude each other; -1 for none
    mean: Tensor           # (F,)    magnitude when firing
    std: Tensor            # (F,)    its standard deviation


def firing(world: World, uniforms: Tensor) -> Tensor:
    """Which features fire, (B, F) bool, from draws (B, F) in [0, 1).

    Features without parent and group are decided at once. The others are decided one by one: each needs to know whether
    its parent fires and what its group has left. Clauses: TOY-1, TOY-2.
    """
    uniforms, rate, rate_alone = widen(uniforms, world.rate, world.rate_alone)
    parents, groups = world.parent.tolist(), world.group.tolist()
    on = uniforms < rate                                    # (B, F)
    given_away = {}                                         # group -> its column, how much of [0, 1) is gone
    for f, (parent, group) in enumerate(zip(parents, groups)):
        if parent < 0 and group < 0:
            continue
        beside = on[:, parent] if parent >= 0 else torch.ones_like(on[:, f])
        chance = torch.where(beside, rate[f], rate_alone[f])                      # (B,)
        if group < 0:
            on[:, f] = uniforms[:, f] < chance
            continue
        column, gone = given_away.get(group, (f, torch.zeros_like(chance)))
        on[:, f] = (gone <= uniforms[:, column]) & (uniforms[:, column] < gone + chance)
        given_away[group] = column, gone + chance
    return on


def _magnitudes(world: World, uniforms: Tensor, normals: Tensor) -> Tensor:
    """Magnitudes (B, F), at least float32, from draws (B, F): 0 where a feature does not fire.  Clauses: TOY-3."""
    mean, std, normals = widen(world.mean, world.std, normals)
    return torch.where(firing(world, uniforms), (mean + std * normals).clamp_min(0), 0)


def sample(world: World, uniforms: Tensor, normals: Tensor) -> tuple[Tensor, Tensor]:
    """x (B, D) and magnitudes (B, F) from draws (B, F), uniform in [0, 1) and standard normal.

    Clauses: TOY-3, TOY-4.
    """
    magnitudes, directions = widen(_magnitudes(world, uniforms, normals), world.directions)
    return magnitudes @ directions, magnitudes


def draw(world: World, rng: Generator, samples: int) -> tuple[Tensor, Tensor]:
    """`sample` with draws from a generator: first all uniform ones, then all normal ones.

    samples  how many (B)
    returns x (B, D), magnitudes (B, F), in the world's dtype, on its device
    The last product is NumPy's, so that a float64 world on the CPU gives the specified samples to the bit.
    """
    shape = (samples, len(world.parent))
    uniforms, normals = (torch.from_numpy(drawn) for drawn in (rng.random(shape), rng.normal(size=shape)))
    on_cpu = World(*(part.cpu() for part in world))
    magnitudes = _magnitudes(on_cpu, uniforms, normals)
    x = torch.from_numpy(magnitudes.numpy() @ widen(on_cpu.directions).numpy())
    return x.to(world.directions), magnitudes.to(world.directions)


def expected_cofiring(world: World) -> Tensor:
    """Chance (F, F) that two features fire together, at least float32; on the diagonal, that one fires.

    A feature's row follows from its parent's, for all features before it at once. Clauses: TOY-5.
    """
    rate, alone = widen(world.rate, world.rate_alone)
    parents, groups = world.parent.tolist(), world.group
    joint = torch.zeros(len(parents), len(parents), dtype=rate.dtype, device=rate.device)
    for f, parent in enumerate(parents):
        before = joint.diagonal()[:f]                       # (f,)
        beside = joint[parent, :f] if parent >= 0 else before                     # (f,)  with the parent
        row = beside * rate[f] + (before - beside) * alone[f]
        apart = (groups[:f] == groups[f]) & (groups[f] >= 0)
        chance = joint[parent, parent] if parent >= 0 else 1.0
        joint[f, f] = chance * rate[f] + (1 - chance) * alone[f]
        joint[f, :f] = joint[:f, f] = torch.where(apart, 0, row)
    return joint


def directions_with_cosine(normals: Tensor, rho: float) -> Tensor:
    """Unit vectors (F, D), every two at cosine rho, at least float32.

    normals  (F, D)  standard-normal draws, F <= D
    rho      at least 0, below 1
    raises   ValueError for another rho, or for F > D
    Clauses: TOY-6.
    """
    F, D = normals.shape
    if not 0 <= rho < 1:
        raise ValueError(f"rho must be at least 0 and below 1, got {rho}")
    if F > D:
        raise ValueError(f"normals must have no more rows than columns, has {F} and {D}")
    axes, upper = torch.linalg.qr(widen(normals).T)         # (D, F), (F, F)
    axes = axes * upper.diagonal().sign()                   # as if every pivot were positive
    return axes.new_tensor(_square_root_of_gram(F, rho)) @ axes.T


def _square_root_of_gram(F: int, rho: float) -> list[list[float]]:
    """Lower triangle (F, F): rows of norm 1, every two with product rho.

    Below the diagonal all entries of a column are equal, so one pass finds them.
    """
    before, shared, rows = [], 0.0, []                      # the common entries and the sum of their squares
    for i in range(F):
        pivot = (1 - shared) ** 0.5
        rows.append([*before, pivot, *[0.0] * (F - i - 1)])
        before.append((rho - shared) / pivot)
        shared += before[-1] ** 2
    return rows
