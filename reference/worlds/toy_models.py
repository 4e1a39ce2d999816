"""TOY: worlds whose true features are known, to see what an SAE makes of them.

A feature is a direction. When it fires, its magnitude times its direction is part of the sample:

    x = sum_f magnitude[f] · directions[f]

A world says how often each feature fires, with its parent and without, and with what magnitude. Randomness comes
from outside, as uniform and normal draws, so that every implementation can make the same samples.
"""

from typing import NamedTuple

import numpy as np


class World(NamedTuple):
    """F features in D dimensions. Parents come before their children, members of an exclusive group side by side."""

    directions: np.ndarray       # (F, D)  unit vectors
    parent: np.ndarray           # (F,)    index of the parent, -1 for none
    rate: np.ndarray             # (F,)    chance to fire where the parent does; without a parent, the chance to fire
    rate_alone: np.ndarray       # (F,)    chance to fire where the parent does not; 0 in a strict hierarchy
    group: np.ndarray            # (F,)    siblings of one group exclude each other; -1 for none
    mean: np.ndarray             # (F,)    mean magnitude when firing
    std: np.ndarray              # (F,)    standard deviation of the magnitude


def firing(world, uniforms):
    """Which features fire, from uniform draws.

    uniforms  (B, F)  in [0, 1)
    returns on (B, F), True where a feature fires

    [TOY-1] A feature fires where its draw lies below its rate: `rate` where its parent fires, `rate_alone` where it
            does not; without a parent, `rate`.
    [TOY-2] Members of an exclusive group share the draw of the group's first member and divide [0, 1) among them
            in order, so at most one of them fires.
    """
    on = np.zeros(uniforms.shape, dtype=bool)               # (B, F)
    taken = np.zeros(uniforms.shape)                        # (B, F)  how much of [0, 1) a group's members have so far
    for f in range(len(world.parent)):
        p, group = world.parent[f], world.group[f]
        chance = world.rate[f] if p < 0 else np.where(on[:, p], world.rate[f], world.rate_alone[f])   # (B,)
        first = f if group < 0 else np.argmax(world.group == group)
        uniform, before = uniforms[:, first], taken[:, first].copy()              # (B,), (B,)
        taken[:, first] += chance
        on[:, f] = (before <= uniform) & (uniform < taken[:, first])
    return on


def sample(world, uniforms, normals):
    """Samples, and the magnitudes that they are made of.

        x[b] = sum_f magnitudes[b, f] · directions[f]

    uniforms, normals  (B, F)  draws from [0, 1) and from the standard normal distribution
    returns x (B, D), magnitudes (B, F); a feature is on where its magnitude is positive

    [TOY-3] A firing feature's magnitude is max(0, mean + std · draw); a silent one's is 0.
    [TOY-4] A sample is the sum of its features' directions, each times its magnitude.
    """
    magnitudes = np.maximum(0.0, world.mean + world.std * normals)                # (B, F)
    magnitudes = np.where(firing(world, uniforms), magnitudes, 0.0)               # (B, F)
    return magnitudes @ world.directions, magnitudes        # (B, D), (B, F)


def draw(world, rng, samples):
    """`sample` with draws from a generator: first all uniform ones, then all normal ones.

    rng      numpy.random.Generator
    samples  B, how many
    returns x (B, D), magnitudes (B, F)
    """
    shape = (samples, len(world.parent))
    return sample(world, rng.random(shape), rng.normal(size=shape))


def expected_cofiring(world):
    """How often each pair of features fires together; on the diagonal, how often each fires.

        P(i, j) = P(i, p) · rate[j] + (P(i) - P(i, p)) · rate_alone[j]     p = parent[j], i before j
        P(j)    = P(p) · rate[j] + (1 - P(p)) · rate_alone[j]              rate[j] without a parent

    returns cofiring (F, F); its trace is the expected number of features in a sample

    [TOY-5] Given its parent, a feature fires independently of all features before it, except that members of an
            exclusive group never fire together.
    """
    F = len(world.parent)
    joint = np.zeros((F, F))                                # (F, F)
    for j in range(F):
        p, rate, alone = world.parent[j], world.rate[j], world.rate_alone[j]
        joint[j, j] = rate if p < 0 else joint[p, p] * rate + (1 - joint[p, p]) * alone
        for i in range(j):
            if world.group[j] >= 0 and world.group[i] == world.group[j]:
                joint[i, j] = 0.0
            elif p < 0:
                joint[i, j] = joint[i, i] * rate
            else:
                joint[i, j] = joint[i, p] * rate + (joint[i, i] - joint[i, p]) * alone
            joint[j, i] = joint[i, j]
    return joint


def directions_with_cosine(normals, rho):
    """F unit vectors in D dimensions, every two of them at cosine rho; orthonormal for rho = 0.

    normals  (F, D)  standard-normal draws, F <= D
    rho      at least 0, below 1
    returns directions (F, D)
    raises  ValueError for another rho, or for F > D

    [TOY-6] Every two directions have cosine rho: the rows of a square root of the Gram matrix, turned at random.
    """
    F, D = normals.shape
    if not 0 <= rho < 1:
        raise ValueError(f"rho must be at least 0 and below 1, got {rho}")
    if F > D:
        raise ValueError(f"normals must have no more rows than columns, has {F} and {D}")
    gram = np.full((F, F), float(rho)) + (1 - rho) * np.eye(F)                    # (F, F)
    basis, triangle = np.linalg.qr(normals.T)               # (D, F) orthonormal columns
    basis = basis * np.sign(np.diag(triangle))              # signs that do not depend on the QR routine
    return np.linalg.cholesky(gram) @ basis.T               # (F, D)
