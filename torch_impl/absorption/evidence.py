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
VARIES = 0.05 ** 2               # relative variance of p's activation above which `unwritten` is asked


class LatentSums(NamedTuple):
    """What a Stream sums over the samples of single latents."""

    fires: Tensor
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
    residual_squares: Tensor
    beside: Tensor
    beside_acts: Tensor
    beside_content: Tensor
    both_full: Tensor
    both_full_acts: Tensor
    both_full_squares: Tensor
    both_full_content: Tensor


OF_A_PAIR = PairSums._fields[3:]                 # what a Stream sums over the samples of two latents


class Evidence(NamedTuple):
    """What the probability is made of, one number a pair; NaN where there is nothing to divide by."""

    silent: Tensor
    low: Tensor
    level: Tensor
    returned: Tensor
    disturbed: Tensor
    unwritten: Tensor
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


def level(stream: PairSums, projected: Projected, usual_content: Tensor, lack: Tensor) -> Tensor:
    """Where p's content in c's samples lies (...), from 0 at the background to 1 at its usual content.

    Each sample weighs what p lacks in it. Clauses: ABS-26.
    """
    zero, present = background(stream, projected), 1 - lack
    missed = quotient(projected.p_in_c - present * stream.beside_content, stream.child.full - present * stream.beside)
    return quotient(missed - zero, usual_content - zero)


def disturbed(stream: PairSums, lack: Tensor) -> Tensor:
    """How differently (...) p behaves with c and without it, less what chance explains.  Clauses: ABS-27."""
    full, others = stream.child.full, stream.samples - stream.child.full
    beside, without = quotient(stream.beside, full), quotient(stream.parent.fires - stream.beside, others)
    chance = 3 * quotient(without * (1 - without) * stream.samples, full * others).sqrt()
    return torch.fmax(quotient(((beside - without).abs() - chance).clamp_min(0), without), lack)


def unwritten(stream: PairSums, projected: Projected, usual_acts: Tensor) -> Tensor:
    """How the residual along p's row varies (...) in c's samples, by how p itself varies without c.  Clauses: ABS-43."""
    p, full = stream.parent, stream.child.full
    mean_square = quotient(p.full_squares - stream.both_full_squares, p.full - stream.both_full)
    own = mean_square - usual_acts.square()
    left = quotient(stream.residual_squares, full) - quotient(projected.residual_in_c, full).square()
    return quotient(left, own * projected.norm.square()).where(own > VARIES * usual_acts.square(), torch.nan)


def enough(stream: PairSums) -> Tensor:
    """Whether (...) bool there is enough to judge by.  Clauses: ABS-35, ABS-36."""
    p, c = stream.parent, stream.child
    samples = (c.full >= ENOUGH) & (p.full - stream.both_full >= ENOUGH)
    return samples & (5 * p.full <= 3 * stream.samples) & (5 * c.full <= 3 * stream.samples)


def returned(stream: PairSums, projected: Projected) -> Tensor:
    """Where c's content in p's samples lies, from 0 where c is silent to 1 where it is in full; (...).  Clauses: ABS-39."""
    c = stream.child
    silent = quotient(projected.c_in_all - c.content, stream.samples - c.fires)
    return quotient(quotient(projected.c_in_p, stream.parent.full) - silent, quotient(c.full_content, c.full) - silent)


def answers(stream: PairSums, projected: Projected) -> Evidence:
    """Evidence of (...) for pairs, from their sums.  Clauses: ABS-24 to ABS-27, ABS-35, ABS-36, ABS-39, ABS-43."""
    usual_acts, usual_content = usual(stream)
    lack, full = lacking(stream, usual_acts), stream.child.full
    return Evidence(
        silent=quotient(full - stream.beside, full), low=quotient(stream.beside * lack, full),
        level=level(stream, projected, usual_content, lack), returned=returned(stream, projected),
        disturbed=disturbed(stream, lack), unwritten=unwritten(stream, projected, usual_acts),
        cosine=projected.cosine, enough=enough(stream))


def evidence(stream: Stream, W_dec: Tensor) -> Evidence:
    """Evidence (M, M), indexed [parent, child], from a Stream and W_dec (M, D).  Clauses: as `answers`."""
    pairs = {name: getattr(stream, name) for name in OF_A_PAIR}
    parents, children = LatentSums.of(stream, (slice(None), None)), LatentSums.of(stream, slice(None))
    return answers(PairSums(stream.samples, parents, children, **pairs), project(stream, W_dec))
