"""TOY, the worlds: functions of a numpy.random.Generator that turns their directions; float64 on the CPU.

Unless said otherwise magnitudes are 1 and directions orthonormal.
"""

import torch

from ..sae.constraints import normalize_rows
from .toy_models import World, directions_with_cosine


def world(directions, rate, parent=None, rate_alone=0.0, group=None, mean=1.0, std=0.0):
    """A World from directions (F, D); numbers stand for all features alike."""
    F = len(directions)

    def each(value, dtype=torch.float64):
        return torch.as_tensor(value, dtype=dtype).expand(F).clone()

    parent, group = (each(-1 if which is None else which, torch.long) for which in (parent, group))
    return World(directions, parent, each(rate), each(rate_alone), group, each(mean), each(std))


def turned(rng, F, D, rho=0.0):
    """Directions (F, D), every two at cosine rho."""
    return directions_with_cosine(torch.from_numpy(rng.normal(size=(F, D))), rho)


def scattered(rng, F, D):
    """Directions (F, D) that have nothing to do with each other, F above D or not."""
    return normalize_rows(torch.from_numpy(rng.normal(size=(F, D))))


def independent(rng, F=4, D=50, rate=(0.25, 0.05, 0.05, 0.05)):
    """Features that fire independently."""
    return world(turned(rng, F, D), rate)


def hierarchy(rng, D=50, std=0.0):
    """The thread's world: f1 only with f0, in a fifth of its samples; std is f0's.  Clauses: TOY-7."""
    return world(turned(rng, 4, D), (0.25, 0.2, 0.05, 0.05), parent=(-1, 0, -1, -1), std=(std, 0, 0, 0))


def imperfect_cooccurrence(rng, D=50, share=0.95):
    """As `hierarchy`, but only `share` of f1's samples have f0."""
    with_f0, without = share * 0.05 / 0.25, (1 - share) * 0.05 / 0.75
    rate, rate_alone = (0.25, with_f0, 0.05, 0.05), (0, without, 0, 0)
    return world(turned(rng, 4, D), rate, (-1, 0, -1, -1), rate_alone)


def overlap(rng, rho, F=2, D=20, rate=0.1):
    """Independent features, every two at cosine rho."""
    return world(turned(rng, F, D, rho), rate)


def exclusive_siblings(rng, rho, F=3, D=20, rate=0.1):
    """Features that never fire together, every two at cosine rho."""
    return world(turned(rng, F, D, rho), rate, group=0)


def tree(rng, D=20, std=0.05):
    """Three parents at .15, three exclusive children each at .2 of them, eight singles at .05."""
    family = [-1] * 3 + [p for p in range(3) for _ in range(3)] + [-1] * 8
    rate = [0.15] * 3 + [0.2] * 9 + [0.05] * 8
    return world(turned(rng, len(family), D), rate, parent=family, group=family, std=std)


def superposition(rng, F=40, D=20, rate=0.03, parents=0):
    """More features than dimensions; feature parents + i is the child of feature i < parents."""
    singles = F - 2 * parents
    rates = [4 * rate] * parents + [0.25] * parents + [rate] * singles
    return world(scattered(rng, F, D), rates, parent=[-1] * parents + [*range(parents)] + [-1] * singles)


def zipf(rng, F=4096, D=256, highest=0.2, exponent=1.0):
    """Frequencies that fall as a power of the rank."""
    rank = torch.arange(1, F + 1, dtype=torch.float64)
    return world(scattered(rng, F, D), highest * rank**-exponent)
