"""ABS, the evidence about pairs of latents: what the detector judges by.

The same functions serve all pairs, (M, M), and the candidate pairs of `pairs.py`, (M, top). They read a PairSums in place
of a Stream: the sums over the parents' samples, over the children's and over those of both, in shapes that broadcast
against each other and so give the shape of the pairs, written (...) below. Everything is float64. A child's samples are
those in which it speaks in full.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from .stream import Projected, Stream, project

ENOUGH = 20          # samples of c, and of p in full without c, below which nothing is said
VARIES = 0.05 ** 2               # relative variance above which `coupled` and `followed` are asked


class LatentSums(NamedTuple):
    """What a Stream sums over the samples of single latents."""

    fires: Tensor
    acts: Tensor
    squares: Tensor
    content: Tensor
    full: Tensor
    full_acts: Tensor
    full_squares: Tensor
    full_content: Tensor

    @classmethod
    def of(cls, sums: Any, where: Any) -> "LatentSums":
        """Those of a Stream or of Counts, indexed by `where` to the places of pairs."""
        return cls(*(getattr(sums, name)[where] for name in cls._fields))


class PairSums(NamedTuple):
    """What the questions are answered from: a Stream's sums, each at the places of pairs."""

    samples: Tensor              # ()
    parent: LatentSums
    child: LatentSums
    content_squares: Tensor
    beside: Tensor
    beside_acts: Tensor
    beside_content: Tensor
    both_full: Tensor
    both_full_acts: Tensor
    both_full_content: Tensor


OF_A_PAIR = PairSums._fields[3:]                 # what a Stream sums over the samples of two latents


class Evidence(NamedTuple):
    """What the score is made of, one number a pair; NaN where there is nothing to divide by."""

    silent: Tensor
    low: Tensor
    level: Tensor
    level_low: Tensor
    returned: Tensor
    disturbed: Tensor
    carried: Tensor
    coupled: Tensor
    followed: Tensor
    steady: Tensor
    cosine: Tensor
    enough: Tensor               # bool


def quotient(a: Tensor, b: Tensor) -> Tensor:
    """a / b; NaN where b is 0."""
    return (a / b).where(b != 0, torch.nan)


def usual(stream: PairSums) -> tuple[Tensor, Tensor]:
    """p's mean activation and mean content (...) where it speaks in full and c does not.  Clauses: ABS-24."""
    alone = stream.parent.full - stream.both_full
    return (quotient(stream.parent.full_acts - stream.both_full_acts, alone),
            quotient(stream.parent.full_content - stream.both_full_content, alone))


def lacking(stream: PairSums, usual_acts: Tensor) -> Tensor:
    """The share (...) of its usual activation that p lacks where it fires in c's samples.  Clauses: ABS-25."""
    share = quotient(stream.beside_acts, stream.beside * usual_acts)
    return (1 - share).clamp(0, 1).where(stream.beside > 0, 0)


def background(stream: PairSums, projected: Projected) -> Tensor:
    """p's mean content (...) where p does not fire and c does not speak in full."""
    p_without_c = stream.parent.content - stream.beside_content
    count = stream.samples - stream.child.full - stream.parent.fires + stream.beside
    return quotient(projected.p_in_all - projected.p_in_c - p_without_c, count)


def levels(stream: PairSums, projected: Projected, usual_content: Tensor, lack: Tensor) -> tuple[Tensor, Tensor]:
    """Where p's content in c's samples lies, from 0 at the background to 1 at its usual content; two of (...).

    The first weighs c's samples by what p lacks in them, the second is over those in which p fires. Clauses: ABS-26.
    """
    zero, present = background(stream, projected), 1 - lack
    missed = quotient(projected.p_in_c - present * stream.beside_content, stream.child.full - present * stream.beside)
    fired = quotient(stream.beside_content, stream.beside)
    return quotient(missed - zero, usual_content - zero), quotient(fired - zero, usual_content - zero)


def disturbed(stream: PairSums, lack: Tensor) -> Tensor:
    """How differently (...) p behaves with c and without it, less what chance explains.  Clauses: ABS-27."""
    full, others = stream.child.full, stream.samples - stream.child.full
    beside, without = quotient(stream.beside, full), quotient(stream.parent.fires - stream.beside, others)
    chance = 3 * quotient(without * (1 - without) * stream.samples, full * others).sqrt()
    return torch.fmax(quotient(((beside - without).abs() - chance).clamp_min(0), without), lack)


def carried(stream: PairSums, projected: Projected) -> Tensor:
    """The share (...) of what p leaves out in c's samples that c's row writes.  Clauses: ABS-28."""
    return quotient(projected.row * stream.child.full_acts, projected.p_in_c - stream.beside_acts * projected.norm)


def variation(stream: PairSums, projected: Projected) -> tuple[Tensor, Tensor, Tensor]:
    """Over c's samples, in units of the means: variance of c's activation, of p's content, their covariance; (...) each."""
    child, content = stream.child, projected.p_in_c
    return (quotient(child.full_squares * child.full, child.full_acts.square()) - 1,
            quotient(stream.content_squares * child.full, content.square()) - 1,
            quotient(projected.p_by_acts * child.full, child.full_acts * content) - 1)


def coupled(stream: PairSums, projected: Projected) -> Tensor:
    """Slope (...) of p's content over c's activation, in units of the means.  Clauses: ABS-29."""
    acts, _, joint = variation(stream, projected)
    return (joint / acts).where(acts > VARIES, torch.nan)


def enough(stream: PairSums) -> Tensor:
    """Whether (...) bool there is enough to judge by.  Clauses: ABS-35, ABS-36."""
    p, c = stream.parent, stream.child
    samples = (c.full >= ENOUGH) & (p.full - stream.both_full >= ENOUGH)
    return samples & (5 * p.full <= 3 * stream.samples) & (5 * c.full <= 3 * stream.samples)


def followed(stream: PairSums, projected: Projected) -> Tensor:
    """Share (...) of the variance of p's content that c's activation explains.  Clauses: ABS-37."""
    acts, content, joint = variation(stream, projected)
    return (joint.square() / (acts * content)).where((acts > VARIES) & (content > VARIES), torch.nan)


def steady(stream: PairSums, projected: Projected) -> Tensor:
    """How even (...) p's content above the background is over c's samples.  Clauses: ABS-38."""
    zero = background(stream, projected)
    mean = quotient(projected.p_in_c, stream.child.full) - zero
    squares = quotient(stream.content_squares, stream.child.full) - zero.square() - 2 * zero * mean
    return quotient(mean.square(), squares)


def returned(stream: PairSums, projected: Projected) -> Tensor:
    """Where c's content in p's samples lies, from 0 where c is silent to 1 where it is in full; (...).  Clauses: ABS-39."""
    c = stream.child
    silent = quotient(projected.c_in_all - c.content, stream.samples - c.fires)
    return quotient(quotient(projected.c_in_p, stream.parent.full) - silent, quotient(c.full_content, c.full) - silent)


def answers(stream: PairSums, projected: Projected) -> Evidence:
    """Evidence of (...) for pairs, from their sums.  Clauses: ABS-24 to ABS-29, ABS-35 to ABS-39."""
    usual_acts, usual_content = usual(stream)
    lack, full = lacking(stream, usual_acts), stream.child.full
    level, level_low = levels(stream, projected, usual_content, lack)
    return Evidence(
        silent=quotient(full - stream.beside, full), low=quotient(stream.beside * lack, full),
        level=level, level_low=level_low, returned=returned(stream, projected), disturbed=disturbed(stream, lack),
        carried=carried(stream, projected), coupled=coupled(stream, projected), followed=followed(stream, projected),
        steady=steady(stream, projected), cosine=projected.cosine, enough=enough(stream))


def evidence(stream: Stream, W_dec: Tensor) -> Evidence:
    """Evidence (M, M), indexed [parent, child], from a Stream and W_dec (M, D).  Clauses: as `answers`."""
    pairs = {name: getattr(stream, name) for name in OF_A_PAIR}
    parents, children = LatentSums.of(stream, (slice(None), None)), LatentSums.of(stream, slice(None))
    return answers(PairSums(stream.samples, parents, children, **pairs), project(stream, W_dec))
