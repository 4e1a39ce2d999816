"""ABS, the evidence about pairs of latents: what the detector judges by.

One set of questions for all pairs, (M, M) float64, indexed [p, c], and for few: `answers` takes whatever shapes
broadcast against each other.
"""

from types import SimpleNamespace
from typing import NamedTuple

import torch

from .patterns import lengths, unit_rows

ENOUGH = 20          # samples of c, and of p in full without c, below which nothing is said
WHISPER = 0.25       # p's usual activation over its mean one, weighted by itself, below which nothing is said
VARIES = 0.05 ** 2               # relative variance from which `coupled` and `followed` are asked
# what a Stream sums over a latent's samples, and over those of a pair
OF_A_LATENT = "fires", "acts", "squares", "content", "full", "full_acts", "full_squares", "full_content"
OF_A_PAIR = "content_squares", "beside", "beside_acts", "beside_content", "both_full", "both_full_acts", "both_full_content"


class Evidence(NamedTuple):
    """What the score is made of, one number a pair; NaN where there is nothing to divide by."""

    silent: torch.Tensor
    low: torch.Tensor
    level: torch.Tensor
    level_low: torch.Tensor
    returned: torch.Tensor
    disturbed: torch.Tensor
    carried: torch.Tensor
    coupled: torch.Tensor
    followed: torch.Tensor
    steady: torch.Tensor
    cosine: torch.Tensor
    enough: torch.Tensor         # bool


class Geometry(NamedTuple):
    """Products of p's unit decoder row, one number a pair, and two of c's."""

    anywhere: torch.Tensor       # with the sum of all samples
    anywhere_c: torch.Tensor     # c's with that
    back: torch.Tensor           # c's with the sum of p's samples
    during: torch.Tensor         # with that of c's samples
    loudly: torch.Tensor         # with that, each sample times c's activation
    cosine: torch.Tensor         # with c's unit decoder row
    norm_p: torch.Tensor         # and the lengths of both rows
    norm_c: torch.Tensor


def per(value, count):
    """value / count; NaN where count is 0."""
    return (value / count).where(count != 0, torch.nan)


def sums(stream, where):
    """The sums over single latents' samples, indexed to stand for a pair's parent or child."""
    return SimpleNamespace(**{name: getattr(stream, name)[where] for name in OF_A_LATENT})


def answers(stream, p, c, geometry):
    """Evidence for pairs.

    stream    what has samples and sums over pairs: a Stream or absorption_scan.Counts
    p, c      `sums` of the parents and of the children
    geometry  Geometry of the pairs
    Clauses: ABS-24 to ABS-29, ABS-35 to ABS-39.
    """
    alone = p.full - stream.both_full                       # p in full, c not
    usual_acts = per(p.full_acts - stream.both_full_acts, alone)
    usual_content = per(p.full_content - stream.both_full_content, alone)
    n1 = stream.beside
    lacking = (1 - per(stream.beside_acts, n1 * usual_acts)).clamp(0, 1).where(n1 > 0, 0)
    enough = (c.full >= ENOUGH) & (alone >= ENOUGH) & (usual_acts * p.acts >= WHISPER * p.squares)
    rare = (5 * p.fires <= 3 * stream.samples) & (5 * c.fires <= 3 * stream.samples)
    nothing = background(stream, p, c, geometry)
    left_out = geometry.during - stream.beside_acts * geometry.norm_p
    level, level_low = levels(stream, c, geometry, nothing, usual_content, lacking)
    by_activation, by_variance = coupled(stream, c, geometry)
    return Evidence(
        silent=per(c.full - n1, c.full), low=per(n1 * lacking, c.full), level=level, level_low=level_low,
        returned=returned(stream, p, c, geometry), disturbed=disturbed(stream, p, c, lacking),
        carried=per(geometry.cosine * geometry.norm_c * c.full_acts, left_out), coupled=by_activation, followed=by_variance,
        steady=steady(stream, c, geometry, nothing), cosine=geometry.cosine, enough=enough & rare)


def background(stream, p, c, geometry):
    """p's mean content where p is silent and c not in full."""
    p_without_c = p.content - stream.beside_content         # sum over p's samples
    return per(geometry.anywhere - geometry.during - p_without_c, stream.samples - c.full - p.fires + stream.beside)


def levels(stream, c, geometry, nothing, usual_content, lacking):
    """Where p's content lies between background and usual: where p lacks something, where it fires.  Clauses: ABS-26."""
    present = 1 - lacking
    missed = per(geometry.during - present * stream.beside_content, c.full - present * stream.beside)
    fired = per(stream.beside_content, stream.beside)
    return [per(content - nothing, usual_content - nothing) for content in (missed, fired)]


def returned(stream, p, c, geometry):
    """Where c's content in p's samples lies between c silent and c in full.  Clauses: ABS-39."""
    silent = per(geometry.anywhere_c - c.content, stream.samples - c.fires)
    return per(per(geometry.back, p.full) - silent, per(c.full_content, c.full) - silent)


def disturbed(stream, p, c, lacking):
    """How differently p behaves beside c, less what chance explains.  Clauses: ABS-27."""
    others = stream.samples - c.full
    beside, without = per(stream.beside, c.full), per(p.fires - stream.beside, others)
    chance = 3 * per(without * (1 - without) * stream.samples, c.full * others).sqrt()
    return torch.fmax(per(((beside - without).abs() - chance).clamp_min(0), without), lacking)


def coupled(stream, c, geometry):
    """How much of p's content rises and falls with c's activation, how much of its variance.  Clauses: ABS-29, ABS-37."""
    acts, contents = (per(squares * c.full, total.square()) - 1 for squares, total in (
        (c.full_squares, c.full_acts), (stream.content_squares, geometry.during)))
    jointly = per(geometry.loudly * c.full, c.full_acts * geometry.during) - 1
    asked = acts > VARIES
    return ((jointly / acts).where(asked, torch.nan),
            (jointly.square() / (acts * contents)).where(asked & (contents > VARIES), torch.nan))


def steady(stream, c, geometry, nothing):
    """How even p's content above the background is over c's samples.  Clauses: ABS-38."""
    mean = per(geometry.during, c.full) - nothing
    return per(mean.square(), per(stream.content_squares, c.full) - nothing.square() - 2 * nothing * mean)


def evidence(stream, W_dec):
    """Every question for every pair, from a Stream and W_dec (M, D).  Clauses: as `answers`."""
    unit, norm = unit_rows(W_dec), lengths(W_dec)
    anywhere, during = unit @ stream.total, unit @ stream.x_when.T
    products = Geometry(anywhere=anywhere[:, None], anywhere_c=anywhere, back=during.T, during=during,
                        loudly=unit @ stream.x_loud.T, cosine=unit @ unit.T, norm_p=norm, norm_c=norm[:, 0])
    return answers(stream, sums(stream, (slice(None), None)), sums(stream, slice(None)), products)
