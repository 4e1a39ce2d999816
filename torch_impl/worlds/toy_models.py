"""TOY: worlds whose true features are known.

A sample x (B, D) is the sum of its firing features' directions, each times its magnitude. Draws come from
outside; given the same draws, samples are those of the specification.
"""

from typing import NamedTuple

import torch

from ..kernels.precision import widen


class World(NamedTuple):
    """F features in D dimensions: parents before children, members of an exclusive group side by side."""

    directions: torch.Tensor     # (F, D)  unit vectors
    parent: torch.Tensor         # (F,)    whole numbers: index of the parent, -1 for none
    rate: torch.Tensor           # (F,)    chance to fire beside its parent; without a parent, at all
    rate_alone: torch.Tensor     # (F,)    chance to fire where its parent is silent
    group: torch.Tensor          # (F,)    whole numbers: members of a group exclude each other; -1 for none
    mean: torch.Tensor           # (F,)    magnitude when firing
    std: torch.Tensor            # (F,)    its standard deviation


def firing(world, uniforms):
    """Which features fire, (B, F) bool, from draws (B, F) in [0, 1).

    Features on their own are settled at once, the others one by one: each needs its parent's answer and what
    its group has left. Clauses: TOY-1, TOY-2.
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


def loudness(world, uniforms, normals):
    """Magnitudes (B, F), at least float32: 0 where a feature is silent.  Clauses: TOY-3."""
    mean, std, normals = widen(world.mean, world.std, normals)
    return torch.where(firing(world, uniforms), (mean + std * normals).clamp_min(0), 0)


def sample(world, uniforms, normals):
    """x (B, D) and magnitudes (B, F) from draws (B, F), uniform in [0, 1) and standard normal.

    Clauses: TOY-3, TOY-4.
    """
    magnitudes, directions = widen(loudness(world, uniforms, normals), world.directions)
    return magnitudes @ directions, magnitudes


def draw(world, rng, samples):
    """`sample` from a numpy.random.Generator: first all uniform draws, then all normal ones.

    The last product is NumPy's, so that a float64 world on the CPU gives the specified samples to the bit.
    """
    shape = (samples, len(world.parent))
    uniforms, normals = (torch.from_numpy(drawn) for drawn in (rng.random(shape), rng.normal(size=shape)))
    at_home = World(*(part.cpu() for part in world))
    magnitudes = loudness(at_home, uniforms, normals)
    x = torch.from_numpy(magnitudes.numpy() @ widen(at_home.directions).numpy())
    return x.to(world.directions), magnitudes.to(world.directions)


def expected_cofiring(world):
    """Chance (F, F) that two features fire together; on the diagonal, that one fires.

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


def directions_with_cosine(normals, rho):
    """Unit vectors (F, D), every two at cosine rho, from standard-normal draws (F, D), F <= D.

    Clauses: TOY-6.
    """
    F, D = normals.shape
    if not 0 <= rho < 1:
        raise ValueError(f"rho must be at least 0 and below 1, got {rho}")
    if F > D:
        raise ValueError(f"normals must have no more rows than columns, has {F} and {D}")
    axes, upper = torch.linalg.qr(widen(normals).T)         # (D, F), (F, F)
    axes = axes * upper.diagonal().sign()                   # as if every pivot were positive
    return mixing(F, rho, axes) @ axes.T


def mixing(F, rho, like):
    """Lower triangle (F, F): rows of norm 1, every two with product rho.

    All rows agree in the columns before their pivots, so one pass finds those entries.
    """
    before, shared, rows = [], 0.0, []                      # the common entries and the sum of their squares
    for i in range(F):
        pivot = (1 - shared) ** 0.5
        rows.append([*before, pivot, *[0.0] * (F - i - 1)])
        before.append((rho - shared) / pivot)
        shared += before[-1] ** 2
    return like.new_tensor(rows)
