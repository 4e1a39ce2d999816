"""Worlds of many kinds: a `World` and what it cannot say. Each kind is a function of a generator, with its parameters drawn."""

from typing import NamedTuple

import numpy as np

from sae_spec.reference.sae.constraints import normalize_rows
from sae_spec.reference.worlds.toy_models import World, directions_with_cosine
from sae_spec.reference.worlds.toy_worlds import world

D = 20
STD = 0.0, 0.05, 0.1, 0.2


class Wide(NamedTuple):
    """A world and what else there may be in its samples."""

    world: World
    gain: float = 0.0            # standard deviation of the log of a sample's loudness, common to all that is in it
    lognormal: bool = False      # magnitudes, with `std` of their log
    noise: float = 0.0           # its norm
    offset: float = 0.0          # size of a constant part of all samples
    second: tuple = ()           # ((child, other parent), ...)
    both: bool = False           # a child of two parents needs both, not either


def draw(wide, rng, samples):
    """x (B, D), magnitudes (B, F)."""
    on = firing(wide, rng.random((samples, len(wide.world.parent))))
    normal, (mean, std) = rng.normal(size=on.shape), wide.world[-2:]
    loud = mean * np.exp(std * normal - std**2 / 2) if wide.lognormal else np.maximum(0.0, mean + std * normal)
    magnitudes = np.where(on, loud, 0.0) * np.exp(wide.gain * rng.normal(size=(samples, 1)))
    x = magnitudes @ wide.world.directions + wide.offset
    return x + wide.noise / np.sqrt(x.shape[1]) * rng.normal(size=x.shape), magnitudes


def firing(wide, uniforms):
    """Which features are in which samples (B, F): as `toy_models.firing`, and children of two parents."""
    one, other = wide.world, dict(wide.second)
    on, taken = np.zeros(uniforms.shape, bool), np.zeros(uniforms.shape)
    for f, (p, group) in enumerate(zip(one.parent, one.group)):
        there = on[:, p]
        if f in other:
            there = there & on[:, other[f]] if wide.both else there | on[:, other[f]]
        chance = one.rate[f] if p < 0 else np.where(there, one.rate[f], one.rate_alone[f])
        first = f if group < 0 else np.argmax(one.group == group)
        before = taken[:, first].copy()
        taken[:, first] += chance
        on[:, f] = (before <= uniforms[:, first]) & (uniforms[:, first] < taken[:, first])
    return on


def orthonormal(rng, F):
    return directions_with_cosine(rng.normal(size=(F, D)), 0.0)


def alike(rng, low, high, F=4):
    """F directions, every two at one cosine."""
    return directions_with_cosine(rng.normal(size=(F, D)), rng.uniform(low, high))


def crowded(rng, F, D=D):
    return normalize_rows(rng.normal(size=(F, D)))


def hierarchy(rng, rho=0.0, share=1.0, **more):
    """A parent, its child at cosine rho, two singles; `share` of the child's firings come with the parent."""
    f, (parent, child) = orthonormal(rng, 4), (rng.uniform(0.15, 0.35), rng.uniform(0.15, 0.4))
    f[1] = rho * f[0] + np.sqrt(1 - rho**2) * f[1]
    alone = parent * child * (1 - share) / share / (1 - parent)
    options = {"std": rng.choice(STD)} | more
    return Wide(world(f, (parent, child, *rng.uniform(0.03, 0.15, 2)), (-1, 0, -1, -1), (0, alone, 0, 0), **options))


def apart(rng, cosines, **more):
    """Exclusive features, at one cosine."""
    return Wide(world(alike(rng, *cosines), rng.uniform(0.08, 0.2), group=np.array([0, 0, 0, -1]), **more))


def tree(rng, **more):
    parent = np.array([-1] * 3 + [0] * 3 + [1] * 3 + [2] * 3 + [-1] * 4)
    rate = np.array([0.15] * 3 + [0.25] * 9 + [0.05] * 4)
    return Wide(world(orthonormal(rng, 16), rate, parent, group=parent, std=rng.choice(STD[:3])), **more)


def brood(rng):
    """Ten children of one parent."""
    parent = np.array([-1] + [0] * 10 + [-1])
    rate = np.array([0.35] + [rng.uniform(0.05, 0.08)] * 10 + [0.1])
    return Wide(world(orthonormal(rng, 12), rate, parent, group=parent, std=rng.choice(STD[:3])))


def two_parents(rng, both):
    first, second = rng.uniform(0.3, 0.45, 2) if both else rng.uniform(0.15, 0.25, 2)
    rate = first, second, rng.uniform(0.4, 0.7) if both else rng.uniform(0.2, 0.4), 0.1, 0.1
    return Wide(world(orthonormal(rng, 5), rate, (-1, -1, 0, -1, -1), std=rng.choice(STD)), second=((2, 1),), both=both)


def forest(rng, F=256, D=64):
    """A forest in superposition with Zipf rates: an eighth are parents of three exclusive children each."""
    roots, parent = F // 8, np.full(F, -1)
    parent[roots : 4 * roots] = np.arange(3 * roots) % roots
    rank = np.arange(1, F + 1)
    rate = np.where(parent >= 0, 0.2, np.where(rank > 4 * roots, 0.01, 0.5 / (rank + 4) ** 0.9))
    return Wide(world(crowded(rng, F, D), rate, parent, group=parent, std=rng.choice(STD[1:])))


def squeezed(rng, parents, children, singles, rate, **more):
    """Families among singles in fewer dimensions than features."""
    F = parents + children + singles
    parent = np.array([-1] * parents + [c % parents for c in range(children)] + [-1] * singles)
    rates = np.where(np.arange(F) < parents, 0.15, np.where(parent >= 0, 0.28, rate))
    return Wide(world(crowded(rng, F), rates, parent, std=rng.choice(STD[1:]), **more))


def zipf(rng, children):
    """Frequencies that fall with the rank; of the first, `children` are parents of the next."""
    parent = np.array([-1] * children + list(range(children)) + [-1] * (20 - 2 * children))
    return Wide(world(crowded(rng, 20), np.where(parent >= 0, 0.3, 0.3 / np.arange(1, 21) ** 0.8), parent, std=0.1))


def together(rng, rate, alone):
    """A feature that another makes likelier, or less likely: nothing to absorb."""
    rates, alones = (0.25, rng.uniform(*rate), 0.1, 0.1), (0, rng.uniform(*alone), 0, 0)
    return Wide(world(orthonormal(rng, 4), rates, (-1, 0, -1, -1), alones, std=0.1))


def chain(rng):
    return Wide(world(orthonormal(rng, 4), (*rng.uniform(0.3, 0.4, 3), 0.1), (-1, 0, 1, -1), std=rng.choice(STD[:3])))


def family(rng):
    """Two children that come independently of each other."""
    rate = rng.uniform(0.2, 0.35), *rng.uniform(0.1, 0.25, 2), 0.1
    return Wide(world(orthonormal(rng, 4), rate, (-1, 0, 0, -1), std=rng.choice(STD[:3])))


def independent(rng, directions, **more):
    return Wide(world(directions, rng.uniform(0.04, 0.28, len(directions)), std=rng.choice(STD)), **more)


def loudness(rng, **of):
    return np.array([rng.uniform(*of.get(name, (1, 1))) for name in ("parent", "child", "one", "other")])


KINDS = {
    "hierarchy": hierarchy,
    "imperfect": lambda rng: hierarchy(rng, share=rng.uniform(0.7, 0.99)),
    "negative": lambda rng: hierarchy(rng, rho=-rng.uniform(0.1, 0.5)),
    "oblique": lambda rng: hierarchy(rng, rho=rng.uniform(0.1, 0.5)),
    "louder parent": lambda rng: hierarchy(rng, mean=loudness(rng, parent=(1.5, 4))),
    "louder child": lambda rng: hierarchy(rng, mean=loudness(rng, child=(1.5, 3))),
    "gain": lambda rng: hierarchy(rng)._replace(gain=rng.uniform(0.1, 0.4)),
    "lognormal": lambda rng: hierarchy(rng, std=rng.uniform(0.2, 0.5))._replace(lognormal=True),
    "noisy": lambda rng: hierarchy(rng)._replace(noise=rng.uniform(0.1, 0.4)),
    "offset": lambda rng: hierarchy(rng)._replace(offset=rng.uniform(-1, 1)),
    "either parent": lambda rng: two_parents(rng, both=False),
    "both parents": lambda rng: two_parents(rng, both=True),
    "family": family, "chain": chain, "tree": tree, "brood": brood,
    "gain tree": lambda rng: tree(rng, gain=rng.uniform(0.1, 0.4)),
    "superposition": lambda rng: squeezed(rng, 5, 7, 28, rng.uniform(0.015, 0.03)),
    "squeezed": lambda rng: squeezed(rng, 2, 4, 18, 0.02),
    "zipf": lambda rng: zipf(rng, 0), "zipf tree": lambda rng: zipf(rng, 4),
    "crowd": lambda rng: Wide(world(orthonormal(rng, 12), np.array([0.4, 0.6] + [0.15] * 10), np.array([-1, 0] + [-1] * 10))),
    "independent": lambda rng: independent(rng, orthonormal(rng, 4)),
    "overlap": lambda rng: independent(rng, alike(rng, 0.1, 0.95)),
    "gain overlap": lambda rng: independent(rng, alike(rng, 0.1, 0.95), gain=rng.uniform(0.1, 0.4)),
    "exclusive": lambda rng: apart(rng, (0.1, 0.95), std=rng.choice(STD)),
    "gain exclusive": lambda rng: apart(rng, (0.1, 0.95), std=rng.choice(STD))._replace(gain=rng.uniform(0.1, 0.4)),
    "siblings": lambda rng: apart(rng, (0.1, 0.9), mean=rng.uniform(0.6, 1.6, 4), std=rng.choice((0.1, 0.2, 0.3))),
    "still siblings": lambda rng: apart(rng, (0.3, 0.9), mean=rng.uniform(0.6, 1.6, 4), std=rng.choice((0.0, 0.02))),
    "correlated": lambda rng: together(rng, (0.3, 0.5), (0.1, 0.2)),
    "anticorrelated": lambda rng: together(rng, (0.02, 0.1), (0.2, 0.3)),
    "forest": forest,
}
