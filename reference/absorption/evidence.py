"""ABS, the evidence: what the detector asks about a parent p and its child c.

For a pair (p, c) it asks, of c's samples, those in which c speaks in full:

    silent, low   in how many is p silent, and how much of its usual activation does it lack in the others?
    level         is p's direction there as strongly as where p speaks by itself: in all of them, or in the others at least?
    returned      and c's in p's samples less strongly?
    steady        is it there every time, or only on average?
    disturbed     does p behave differently from how it does without c?
    carried       does c's decoder row write what p leaves out?
    coupled       or is p's direction there only as a fixed part of c's own, following its activation?
"""

from typing import NamedTuple

import numpy as np

from ..sae.constraints import normalize_rows, row_norms

ENOUGH, WHISPER = 20, 0.25    # see `usual`


class Evidence(NamedTuple):
    """The answers, (M, M) each, indexed [p, c]; NaN where a quotient has no meaning."""

    silent: np.ndarray       # share of c's samples in which p does not fire
    low: np.ndarray          # share of c's samples that p's lack of activation in the others amounts to
    level: np.ndarray        # 1: as strong as where p speaks by itself; 0: as where neither does
    level_low: np.ndarray    # the same, in the samples in which p fires
    returned: np.ndarray     # level of c's direction in p's samples
    disturbed: np.ndarray    # 0: as if independent
    carried: np.ndarray      # share of what p leaves out that c writes
    coupled: np.ndarray      # 1: p's content is in proportion to c's activation; NaN where that hardly varies
    followed: np.ndarray     # 1: all of what it varies by follows c's activation; NaN where either hardly varies
    steady: np.ndarray       # 1: it does not vary at all
    cosine: np.ndarray       # of the decoder rows
    enough: np.ndarray       # True where there are samples to judge by


def quotient(a, b):
    """a / b; NaN, never infinite, where b is 0."""
    return np.divide(a, b, out=np.full(np.broadcast(a, b).shape, np.nan), where=b != 0)


def usual(stream):
    """How p speaks without c.

    returns act (M, M), content (M, M), enough (M, M)

    [ABS-24] p's usual activation and content are its means over the samples where it speaks in full and c does not.
    [ABS-35] Fewer than 20 samples of c, or of p in full without c, say nothing; nor does a p whose usual activation is below a
             quarter of its mean one, weighted by itself: it only fills slots that a selection rule has left over.
    [ABS-36] A latent that fires in more than .6 of all samples is part of the background, neither parent nor child.
    """
    alone = stream.full[:, np.newaxis] - stream.both_full   # (M, M)
    act = quotient(stream.full_acts[:, np.newaxis] - stream.both_full_acts, alone)                    # (M, M)
    content = quotient(stream.full_content[:, np.newaxis] - stream.both_full_content, alone)          # (M, M)
    loud = act * stream.acts[:, np.newaxis] >= WHISPER * stream.squares[:, np.newaxis]      # (M, M)  of NaN: False
    rare = 5 * stream.fires <= 3 * stream.samples           # (M,)
    return act, content, (stream.full >= ENOUGH) & (alone >= ENOUGH) & loud & rare & rare[:, np.newaxis]


def lacking(stream, usual_act):
    """The share of p's usual activation that is missing where it fires in c's samples.

    returns lack (M, M)

    [ABS-25] Where p fires in n1 of c's n samples, lack = max(0, 1 - its mean activation there / its usual one);
             silent = (n - n1) / n and low = lack · n1 / n, and their sum is the shortfall.
    """
    n1 = stream.beside                                      # (M, M)
    return np.where(n1 > 0, np.clip(1 - quotient(stream.beside_acts, n1 * usual_act), 0.0, 1.0), 0.0)


def contents(stream, unit):
    """p's content, summed over c's samples, and its mean where neither is.

    returns in_all (M, M), nothing (M, M)  the mean over the samples in which p does not fire and c does not speak in full
    """
    n, apart = stream.full, stream.fires[:, np.newaxis] - stream.beside           # (M,), (M, M)  p without c
    in_all = unit @ stream.x_when.T                         # (M, M)
    over_apart = stream.content[:, np.newaxis] - stream.beside_content            # (M, M)
    elsewhere = (unit @ stream.total)[:, np.newaxis] - in_all - over_apart        # (M, M)
    return in_all, quotient(elsewhere, stream.samples - n - apart)


def levels(stream, in_all, nothing, usual_content, lack):
    """How strongly p's direction is there in c's samples.

    returns level (M, M), level_low (M, M)

    [ABS-26] A level is a mean content of p, on a scale where 0 is that of the samples in which p does not fire and c does not
             speak in full, and 1 is p's usual content. level is that of all of c's samples, weighted by what p lacks in them;
             level_low that of those in which p fires.
    """
    n, n1, low = stream.full, stream.beside, stream.beside_content                # (M,), (M, M), (M, M)
    on_scale = lambda content: quotient(content - nothing, usual_content - nothing)
    return on_scale(quotient(in_all - low + lack * low, n - n1 + lack * n1)), on_scale(quotient(low, n1))


def returning(stream, unit, in_all):
    """How strongly c's direction is there in p's samples: as strongly as p's in c's where two features only overlap.

    returns returned (M, M)

    [ABS-39] returned is the mean content of c over the samples in which p speaks in full, on a scale where 0 is its mean where
             c does not fire and 1 its mean where c speaks in full.
    """
    silent = quotient(unit @ stream.total - stream.content, stream.samples - stream.fires)            # (M,)
    loud = quotient(stream.full_content, stream.full)       # (M,)
    found = quotient(in_all.T, stream.full[:, np.newaxis])  # (M, M)  [p, c]
    return quotient(found - silent, loud - silent)


def disturbance(stream, lack):
    """How far p behaves beside c from what independence would have it do.

    returns disturbed (M, M)

    [ABS-27] disturbed is the larger of lack and the relative difference between how often p fires with c and without it,
             less three standard errors of that difference.
    """
    samples, n = stream.samples, stream.full                # (), (M,)
    rate = quotient(stream.beside, n)                       # (M, M)
    without = quotient(stream.fires[:, np.newaxis] - stream.beside, samples - n)  # (M, M)
    error = np.sqrt(without * (1 - without) * (quotient(1, n) + quotient(1, samples - n)))            # (M, M)
    return np.fmax(quotient(np.maximum(np.abs(rate - without) - 3 * error, 0.0), without), lack)


def carrying(stream, unit, in_all, W_dec):
    """The share of what p leaves out that c writes.

    returns carried (M, M)

    [ABS-28] carried = what c's row writes along p's / what p leaves out of its content, in c's samples on average.
    """
    left_out = in_all - stream.beside_acts * row_norms(W_dec)[:, np.newaxis]      # (M, M)
    return quotient((unit @ W_dec.T) * stream.full_acts, left_out)                # (M, M)


def coupling(stream, unit, in_all):
    """Whether p's content is but a fixed part of what c stands for.

    returns coupled (M, M), followed (M, M)

    [ABS-29] coupled = cov(c's activation, p's content) over c's samples, in units that make it 1 where the content is
             proportional to the activation; asked only where c's activation varies by more than 5 %.
    [ABS-37] followed = the squared correlation of the two; asked only where both vary by more than 5 %. A part of what c
             stands for follows it in full; a parent that varies by itself does not, though c may write and read it.
    """
    n, acts = stream.full, stream.full_acts                 # (M,), (M,)
    varies = quotient(stream.full_squares * n, acts**2) - 1                       # (M,)  squared coefficient of variation
    content_varies = quotient(stream.content_squares * n, in_all**2) - 1          # (M, M)
    joint = quotient((unit @ stream.x_loud.T) * n, acts * in_all) - 1             # (M, M)
    both = (varies > 0.05**2) & (content_varies > 0.05**2)                        # (M, M)
    return (np.where(varies > 0.05**2, quotient(joint, varies), np.nan),
            np.where(both, quotient(joint**2, varies * content_varies), np.nan))


def steadiness(stream, in_all, nothing):
    """Whether p's content is there every time or only on average.

    returns steady (M, M)

    [ABS-38] steady = mean^2 / mean square of p's content above the background, over c's samples.
    """
    n = stream.full                                         # (M,)
    squares = stream.content_squares - 2 * nothing * in_all + n * nothing**2      # (M, M)
    return quotient((in_all - n * nothing) ** 2, n * squares)


def evidence(stream, W_dec):
    """The questions of this file, for all pairs.  stream stream.Stream, W_dec (M, D); returns Evidence."""
    unit = normalize_rows(W_dec)                            # (M, D)
    usual_act, usual_content, enough = usual(stream)
    lack, (in_all, nothing) = lacking(stream, usual_act), contents(stream, unit)
    level, level_low = levels(stream, in_all, nothing, usual_content, lack)
    coupled, followed = coupling(stream, unit, in_all)
    return Evidence(
        silent=quotient(stream.full - stream.beside, stream.full), low=quotient(lack * stream.beside, stream.full),
        level=level, level_low=level_low, returned=returning(stream, unit, in_all),
        disturbed=disturbance(stream, lack), carried=carrying(stream, unit, in_all, W_dec), coupled=coupled, followed=followed,
        steady=steadiness(stream, in_all, nothing), cosine=unit @ unit.T, enough=enough)
