"""Mutants of TOY."""

import numpy as np

from sae_spec.reference.worlds import toy_models
from sae_spec.spec_tests.mutants import mutant


@mutant("toy: a draw equal to the rate fires", clause="TOY-1", target="toy_models.firing")
def at_the_rate(right, world, uniforms):
    return right(world._replace(rate=np.nextafter(world.rate, 2), rate_alone=np.nextafter(world.rate_alone, 2)), uniforms)


@mutant("toy: the child keeps its rate and forces its parent on", clause="TOY-1", target="toy_models.firing",
        seen_in=("feature-hedging-paper",), where="the modifier absorption", convention=True)
def forces_parent(right, world, uniforms):
    on = right(world._replace(rate_alone=world.rate), uniforms)
    for f in range(len(world.parent) - 1, -1, -1):
        if world.parent[f] >= 0:
            on[:, world.parent[f]] |= on[:, f]
    return on


@mutant("toy: a child never fires alone", clause="TOY-1", target="toy_models.firing",
        seen_in=("SAELens 6.54.12",), convention=True)
def never_alone(right, world, uniforms):
    return right(world._replace(rate_alone=0 * world.rate_alone), uniforms)


@mutant("toy: exclusive siblings each read their own draw", clause="TOY-2", target="toy_models.firing")
def own_draw(right, world, uniforms):
    return right(world._replace(group=0 * world.group - 1), uniforms)


@mutant("toy: exclusive siblings overlap where their parent is silent", clause="TOY-2", target="toy_models.firing")
def overlap_alone(right, world, uniforms):
    on = right(world, uniforms)
    for f, parent in enumerate(world.parent):
        if parent >= 0 and world.group[f] >= 0:
            first = np.argmax(world.group == world.group[f])
            on[:, f] = np.where(on[:, parent], on[:, f], uniforms[:, first] < world.rate_alone[f])
    return on


@mutant("toy: magnitudes are folded, not cut", clause="TOY-3", target="toy_models.sample",
        seen_in=("feature-hedging-paper",), convention=True)
def folded(right, world, uniforms, normals):
    magnitudes = np.where(toy_models.firing(world, uniforms), np.abs(world.mean + world.std * normals), 0.0)
    return magnitudes @ world.directions, magnitudes


@mutant("toy: magnitudes may be negative", clause="TOY-3", target="toy_models.sample")
def uncut(right, world, uniforms, normals):
    magnitudes = np.where(toy_models.firing(world, uniforms), world.mean + world.std * normals, 0.0)
    return magnitudes @ world.directions, magnitudes


@mutant("toy: a sample ignores how loud its features are", clause="TOY-4", target="toy_models.sample")
def not_loud(right, world, uniforms, normals):
    x, magnitudes = right(world, uniforms, normals)
    return (magnitudes > 0) @ world.directions, magnitudes


@mutant("toy: child and parent expected to be independent", clause="TOY-5", target="toy_models.expected_cofiring")
def independent(right, world):
    joint = right(world)
    own = np.diag(joint)
    return np.where(np.eye(len(own), dtype=bool), joint, np.outer(own, own))


@mutant("toy: exclusive siblings expected together", clause="TOY-5", target="toy_models.expected_cofiring")
def not_exclusive(right, world):
    return right(world._replace(group=0 * world.group - 1))


@mutant("toy: expected without rate_alone", clause="TOY-5", target="toy_models.expected_cofiring")
def expected_strict(right, world):
    return right(world._replace(rate_alone=0 * world.rate_alone))


@mutant("toy: directions at the cosine of a random draw", clause="TOY-6", target="toy_models.directions_with_cosine")
def normalised_only(right, normals, rho):
    right(normals, rho)
    return normals / np.sqrt((normals**2).sum(-1, keepdims=True))


@mutant("toy: any rho is taken", clause="TOY-6", target="toy_models.directions_with_cosine")
def any_rho(right, normals, rho):
    return right(normals, min(max(rho, 0.0), 0.5))


@mutant("toy: directions have the signs of the library", clause="TOY-6", target="toy_models.directions_with_cosine")
def signs_of_the_library(right, normals, rho):
    return right(normals, rho) * -1


@mutant("toy: 5 % of the parent's samples, not of all", clause="TOY-7", target="toy_worlds.hierarchy")
def twentieth_of_parent(right, rng, **arguments):
    return right(rng, **arguments)._replace(rate=np.array([0.25, 0.05, 0.05, 0.05]))


@mutant("toy: every feature's magnitude varies", clause="TOY-7", target="toy_worlds.hierarchy")
def all_vary(right, rng, std=0.0):
    return right(rng, std=std)._replace(std=np.full(4, std))
