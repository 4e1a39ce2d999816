"""TOY, the worlds: functions of a numpy.random.Generator, which turns the directions at random.

Every function returns a `toy_models.World`. Unless said otherwise magnitudes are 1, directions are orthonormal, and
features fire independently. D is the dimension of a sample, F the number of features, rate how often one fires.

"The thread" is the public discussion of "Toy Models of Feature Absorption in SAEs", where the hierarchy comes from.
"""

import numpy as np

from ..sae.constraints import normalize_rows
from .toy_models import World, directions_with_cosine


def world(directions, rate, parent=None, rate_alone=0.0, group=None, mean=1.0, std=0.0):
    """A World in which what is not said is as simple as it can be: no parents, no groups, magnitude 1.

    directions                   (F, D)  unit vectors
    rate, rate_alone, mean, std  (F,), or a number for all features; see `World`
    parent, group                (F,), or None: no feature has one
    returns World
    """
    F = len(directions)
    per_feature = lambda value: np.broadcast_to(np.asarray(value, dtype=float), F).copy()
    none = np.full(F, -1)
    return World(directions, none if parent is None else np.asarray(parent), per_feature(rate), per_feature(rate_alone),
                 none if group is None else np.asarray(group), per_feature(mean), per_feature(std))


def independent(rng, F=4, D=50, rate=(0.25, 0.05, 0.05, 0.05)):
    """Features that fire independently of each other."""
    return world(directions_with_cosine(rng.normal(size=(F, D)), 0.0), rate)


def hierarchy(rng, D=50, std=0.0):
    """The thread's hierarchy: f0 in 25 % of samples, f1 in 5 % and only with f0, f2 and f3 in 5 %.

    std  standard deviation of f0's magnitude; 0.1 in the thread's variant

    [TOY-7] The thread's hierarchy has 50 dimensions, four orthonormal features, P(f0) = .25, P(f1 | f0) = .2, f1 never
            without f0, P(f2) = P(f3) = .05.
    Source: "Toy Models of Feature Absorption in SAEs"; arXiv 2409.14507, appendix A.2.
    """
    return world(directions_with_cosine(rng.normal(size=(4, D)), 0.0), (0.25, 0.2, 0.05, 0.05), (-1, 0, -1, -1),
                 std=(std, 0.0, 0.0, 0.0))


def imperfect_cooccurrence(rng, D=50, share=0.95):
    """As `hierarchy`, but f1, still in 5 % of samples, comes without f0 in 1 - share of them."""
    return world(directions_with_cosine(rng.normal(size=(4, D)), 0.0), (0.25, share * 0.05 / 0.25, 0.05, 0.05),
                 (-1, 0, -1, -1), rate_alone=(0.0, (1 - share) * 0.05 / 0.75, 0.0, 0.0))


def overlap(rng, rho, F=2, D=20, rate=0.1):
    """Independent features, every two at cosine rho: an ideal SAE of them has the weights of an absorbing one."""
    return world(directions_with_cosine(rng.normal(size=(F, D)), rho), rate)


def exclusive_siblings(rng, rho, F=3, D=20, rate=0.1):
    """Features that never fire together, every two at cosine rho."""
    return world(directions_with_cosine(rng.normal(size=(F, D)), rho), rate, group=np.zeros(F, dtype=int))


def tree(rng, D=20, std=0.05):
    """Three parents in 15 % of samples, three exclusive children each (20 % of the parent's), eight singles in 5 %.

    Source: "Learning Multi-Level Features with Matryoshka SAEs", appendix C.1.
    """
    parent = np.array([-1] * 3 + [0] * 3 + [1] * 3 + [2] * 3 + [-1] * 8)          # (20,)
    rate = np.array([0.15] * 3 + [0.2] * 9 + [0.05] * 8)
    return world(directions_with_cosine(rng.normal(size=(20, D)), 0.0), rate, parent, group=parent, std=std)


def superposition(rng, F=40, D=20, rate=0.03, parents=0):
    """More features than dimensions, directions at random. The first `parents` features have a child each.

    parents  how many; feature parents + i is the child of feature i. A parent fires four times as often as `rate` says,
             its child in a quarter of the parent's samples and only there
    """
    parent = np.full(F, -1)
    parent[parents : 2 * parents] = np.arange(parents)
    rates = np.full(F, rate)
    rates[:parents], rates[parents : 2 * parents] = 4 * rate, 0.25
    return world(normalize_rows(rng.normal(size=(F, D))), rates, parent)


def zipf(rng, F=4096, D=256, highest=0.2, exponent=1.0):
    """Thousands of features in random directions, the rarer the higher their rank: rate = highest / rank^exponent."""
    rate = highest / np.arange(1, F + 1) ** exponent
    return world(normalize_rows(rng.normal(size=(F, D))), rate)
