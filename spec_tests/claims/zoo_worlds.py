"""The zoo's worlds: each kind a function of a generator, with all its parameters drawn at random."""

import numpy as np

from sae_spec.reference.worlds import toy_worlds as worlds
from sae_spec.reference.sae.constraints import normalize_rows
from sae_spec.reference.worlds.toy_models import directions_with_cosine

D = 20


def orthonormal(rng, F):
    return directions_with_cosine(rng.normal(size=(F, D)), 0.0)


def hierarchy(rng, share=1.0, std=None):
    """One parent and its child among two singles; `share` of the child's firings come with the parent."""
    parent, child, single = rng.uniform(0.15, 0.35), rng.uniform(0.15, 0.4), rng.uniform(0.03, 0.15)
    alone = parent * child * (1 - share) / share / (1 - parent)
    std = rng.choice([0.0, 0.05, 0.1, 0.2]) if std is None else std
    rate, rate_alone = (parent, child, single, single), (0, alone, 0, 0)
    return worlds.world(orthonormal(rng, 4), rate, (-1, 0, -1, -1), rate_alone, std=std)


def imperfect(rng):
    return hierarchy(rng, share=rng.uniform(0.9, 0.99))


def independent(rng):
    return worlds.world(orthonormal(rng, 4), rng.uniform(0.03, 0.3, 4), std=rng.choice([0.0, 0.1, 0.2]))


def overlap(rng):
    directions = directions_with_cosine(rng.normal(size=(3, D)), rng.uniform(0.1, 0.8))
    return worlds.world(directions, rng.uniform(0.05, 0.25, 3))


def exclusive(rng):
    return worlds.world(directions_with_cosine(rng.normal(size=(3, D)), rng.uniform(0.1, 0.8)), rng.uniform(0.05, 0.2),
                        group=np.zeros(3, int))


def tree(rng):
    return worlds.tree(rng, D, std=rng.choice([0.0, 0.05, 0.1]))


def crowd(rng):
    """Twelve features, several in most samples: where BatchTopK must save."""
    parent = np.array([-1, 0] + [-1] * 10)
    return worlds.world(orthonormal(rng, 12), np.array([0.4, 0.6] + [0.15] * 10) * rng.uniform(0.8, 1.2), parent,
                        std=rng.choice([0.0, 0.05]))


def superposition(rng):
    return worlds.superposition(rng, F=40, D=D, parents=5, rate=rng.uniform(0.015, 0.03))


def family(rng):
    """A parent with two children that come independently of each other."""
    parent, child = rng.uniform(0.2, 0.35), rng.uniform(0.1, 0.25, 2)
    return worlds.world(orthonormal(rng, 4), (parent, *child, 0.1), (-1, 0, 0, -1), std=rng.choice([0.0, 0.1]))


def chain(rng):
    """Three levels."""
    rate = (rng.uniform(0.3, 0.4), rng.uniform(0.3, 0.4), rng.uniform(0.3, 0.4), 0.1)
    return worlds.world(orthonormal(rng, 4), rate, (-1, 0, 1, -1), std=rng.choice([0.0, 0.05]))


def oblique(rng):
    """A parent and a child at an angle below 90 degrees, with a single that overlaps neither."""
    rho = rng.uniform(0.1, 0.4)
    f0, f1, f2 = orthonormal(rng, 3)
    directions = np.stack([f0, rho * f0 + np.sqrt(1 - rho**2) * f1, f2])
    return worlds.world(directions, (rng.uniform(0.15, 0.35), rng.uniform(0.15, 0.4), 0.1), (-1, 0, -1))


def correlated(rng):
    """A feature that comes more often with another than without, and often alone: nothing to absorb."""
    directions, rate = orthonormal(rng, 3), (0.25, rng.uniform(0.3, 0.5), 0.1)
    return worlds.world(directions, rate, (-1, 0, -1), (0, rng.uniform(0.1, 0.2), 0), std=0.1)


def zipf(rng):
    """Frequencies that fall with the rank, directions at random."""
    return worlds.world(normalize_rows(rng.normal(size=(16, D))), 0.3 / np.arange(1, 17) ** 0.8, std=0.1)


def loud(rng):
    """A hierarchy whose features differ in loudness, and vary in it by a third."""
    mean = rng.uniform(0.5, 2, 4)
    rate = (rng.uniform(0.15, 0.35), rng.uniform(0.15, 0.4), 0.1, 0.1)
    return worlds.world(orthonormal(rng, 4), rate, (-1, 0, -1, -1), mean=mean, std=mean / 3)


def anticorrelated(rng):
    """A feature that comes less often with another than without: nothing to absorb."""
    rate, rate_alone = (0.25, rng.uniform(0.02, 0.1), 0.1), (0, rng.uniform(0.2, 0.3), 0)
    return worlds.world(orthonormal(rng, 3), rate, (-1, 0, -1), rate_alone, std=0.1)


def frequent(rng):
    """A parent in about half of all samples, with a child in about half of its own."""
    return worlds.world(orthonormal(rng, 4), (rng.uniform(0.4, 0.55), rng.uniform(0.4, 0.6), 0.1, 0.1), (-1, 0, -1, -1),
                        std=rng.choice([0.0, 0.1]))


def squeezed(rng):
    """Two families in fewer dimensions than features; children of one exclude each other."""
    parent = np.array([-1, -1, 0, 0, 1, 1] + [-1] * 18)
    rate = np.array([0.2] * 2 + [0.25] * 4 + [0.02] * 18)
    return worlds.world(normalize_rows(rng.normal(size=(24, D))), rate, parent, group=parent, std=0.05)


def zipf_tree(rng):
    """Frequencies that fall with the rank; the four most frequent features are parents, the next four their children."""
    parent = np.array([-1] * 4 + [0, 1, 2, 3] + [-1] * 8)
    rate = np.where(parent < 0, 0.3 / np.arange(1, 17) ** 0.8, 0.3)
    return worlds.world(normalize_rows(rng.normal(size=(16, D))), rate, parent, std=0.1)


# Kinds that nothing was fixed on: they are in the evaluation only.

def rare(rng):
    """A parent in few samples."""
    return worlds.world(orthonormal(rng, 4), (rng.uniform(0.04, 0.1), rng.uniform(0.25, 0.5), 0.1, 0.1), (-1, 0, -1, -1),
                        std=rng.choice([0.0, 0.1]))


def brood(rng):
    """A parent most of whose samples have one of five children."""
    parent = np.array([-1] + [0] * 5 + [-1])
    rate = np.array([0.35] + [rng.uniform(0.12, 0.16)] * 5 + [0.1])
    return worlds.world(orthonormal(rng, 7), rate, parent, group=parent, std=rng.choice([0.0, 0.05]))


def quiet(rng):
    """A child half as loud as its parent, or twice."""
    loudness = rng.choice([0.5, 2.0])
    return worlds.world(orthonormal(rng, 4), (rng.uniform(0.15, 0.35), rng.uniform(0.2, 0.4), 0.1, 0.1), (-1, 0, -1, -1),
                        mean=np.array([1, loudness, 1, 1]), std=0.05)


def siblings(rng):
    """Exclusive features of different loudness at any cosine, among singles."""
    directions = directions_with_cosine(rng.normal(size=(4, D)), rng.uniform(0.1, 0.7))
    return worlds.world(directions, rng.uniform(0.08, 0.2), group=np.array([0, 0, 0, -1]), mean=rng.uniform(0.8, 1.25, 4), std=0.1)


# kind -> (world, latents)
COMMON = {"hierarchy": (hierarchy, 4), "imperfect": (imperfect, 4), "independent": (independent, 4),
          "overlap": (overlap, 3), "exclusive": (exclusive, 3), "tree": (tree, 20), "crowd": (crowd, 12),
          "hedged": (hierarchy, 2), "superposition": (superposition, 40), "family": (family, 4), "chain": (chain, 4),
          "oblique": (oblique, 3), "correlated": (correlated, 3), "zipf": (zipf, 16), "loud": (loud, 4),
          "anticorrelated": (anticorrelated, 3), "frequent": (frequent, 4), "squeezed": (squeezed, 24),
          "zipf tree": (zipf_tree, 16)}
NAMED = tuple(COMMON)[:9]      # the kinds that the detector's targets are stated for; the others are further trials
UNSEEN = {"rare": (rare, 4), "brood": (brood, 7), "quiet": (quiet, 4), "siblings": (siblings, 4)}
