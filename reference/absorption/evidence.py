"""ABS, the evidence: what the detector asks about a possible parent p and a possible child c.

By "c's samples" are meant those in which c speaks in full. Absorption is that p's feature is there in them and p does not
say so, because c's decoder row writes it. Each quantity tells this from something that looks like it:

    silent, low   In how many of c's samples is p silent, and how much of its usual activation is missing in the others?
                  Nothing is missing where p has mixed c's feature into itself (hedging).
    level         Is p's feature there, as strongly as where p speaks in full without c?
                  It is weaker where two features that exclude each other have similar directions.
    returned      Is c's feature there in p's samples? A child's is there less than its parent's is in the child's samples;
                  of two overlapping features each is there as much in the other's samples.
    disturbed     Does p fire more rarely, more often or more weakly with c than without it?
                  It does not where the two are independent, however much they overlap.
    unwritten     Is something of p left in what no latent writes? c writes a constant share of a parent that varies by itself,
                  so the rest of it is left over; of a feature of its own that is like p's, it writes all that varies.
    cosine        Does c's decoder row write p's direction?

A pair of a full absorption, by p's content over c's activation (* p speaks, o it does not):

    content of p   1 |     *  *       o o  o          level: the o are as high as the *
                     |    * * *       o  oo           unwritten: and as scattered, while c's activation is not
                     |                                silent: no * beside c
                   0 |....                            background
                     +-------------------------
                       c silent      c speaks in full

All of it follows from the sums of a Stream. Pairs are indexed [p, c]: what is p's alone is a column, what is c's a row.
"""

from typing import NamedTuple

import numpy as np

from .stream import project

ENOUGH = 20                      # see `enough`
VARIES = 0.05**2                 # see `unwritten`


class Evidence(NamedTuple):
    """The answers, (M, M) each; NaN where a quotient has no meaning."""

    silent: np.ndarray       # share of c's samples in which p does not fire
    low: np.ndarray          # what p lacks where it fires in c's samples, as a share of all of c's samples
    level: np.ndarray        # 1: as strong as where p speaks in full without c; 0: as where neither does
    returned: np.ndarray     # level of c's direction in p's samples
    disturbed: np.ndarray    # 0: as if independent
    unwritten: np.ndarray    # variance along p's row that nobody writes, by that of what p writes; NaN where that hardly varies
    cosine: np.ndarray       # of the decoder rows
    enough: np.ndarray       # True where there are samples to judge by


def quotient(a, b):
    """a / b; NaN, never infinite, where b is 0."""
    return np.divide(a, b, out=np.full(np.broadcast(a, b).shape, np.nan), where=b != 0)


def usual(stream):
    """How p speaks without c.

    returns acts (M, M), content (M, M)

    [ABS-24] p's usual activation and content are its means over the samples where it speaks in full and c does not.
    """
    alone = stream.full[:, np.newaxis] - stream.both_full   # (M, M)
    return (quotient(stream.full_acts[:, np.newaxis] - stream.both_full_acts, alone),
            quotient(stream.full_content[:, np.newaxis] - stream.both_full_content, alone))


def lacking(stream, usual_acts):
    """The share of p's usual activation that is missing where it fires in c's samples.

    returns lack (M, M)

    [ABS-25] Where p fires in n1 of c's n samples, lack = max(0, 1 - its mean activation there / its usual one);
             silent = (n - n1) / n and low = lack · n1 / n, and their sum is the shortfall.
    """
    n1 = stream.beside                                      # (M, M)
    return np.where(n1 > 0, np.clip(1 - quotient(stream.beside_acts, n1 * usual_acts), 0.0, 1.0), 0.0)


def background(stream, projected):
    """p's mean content over the samples in which p does not fire and c does not speak in full.  (M, M)"""
    p_without_c = stream.fires[:, np.newaxis] - stream.beside                     # (M, M)  in how many samples
    content_there = stream.content[:, np.newaxis] - stream.beside_content         # (M, M)
    return quotient(projected.p_in_all - projected.p_in_c - content_there, stream.samples - stream.full - p_without_c)


def level(stream, projected, usual_content, lack):
    """How strongly p's direction is there in c's samples.  (M, M)

    [ABS-26] A level is a mean content of p, on a scale where 0 is that of the samples in which p does not fire and c does not
             speak in full, and 1 is p's usual content. level is that of all of c's samples, weighted by what p lacks in them.
    """
    n, n1, content = stream.full, stream.beside, stream.beside_content            # (M,), (M, M), (M, M)
    zero = background(stream, projected)                    # (M, M)
    there = quotient(projected.p_in_c - content + lack * content, n - n1 + lack * n1)                 # (M, M)
    return quotient(there - zero, usual_content - zero)


def disturbed(stream, lack):
    """How far p behaves with c from what independence would have it do.  (M, M)

    [ABS-27] disturbed is the larger of lack and the relative difference between how often p fires with c and without it,
             less three standard errors of that difference.
    """
    samples, n = stream.samples, stream.full                # (), (M,)
    rate = quotient(stream.beside, n)                       # (M, M)
    without = quotient(stream.fires[:, np.newaxis] - stream.beside, samples - n)  # (M, M)
    error = np.sqrt(without * (1 - without) * (quotient(1, n) + quotient(1, samples - n)))            # (M, M)
    return np.fmax(quotient(np.maximum(np.abs(rate - without) - 3 * error, 0.0), without), lack)


def enough(stream):
    """Whether there is enough to judge by.  (M, M)

    [ABS-35] Fewer than 20 samples of c, or of p in full without c, say nothing.
    [ABS-36] A latent that speaks in full in more than .6 of all samples is part of the background, neither parent nor child.
             How often it fires does not matter: with slots to spare a latent whispers nearly everywhere.
    """
    alone = stream.full[:, np.newaxis] - stream.both_full   # (M, M)
    rare = 5 * stream.full <= 3 * stream.samples            # (M,)
    return (stream.full >= ENOUGH) & (alone >= ENOUGH) & rare & rare[:, np.newaxis]


def returned(stream, projected):
    """How strongly c's direction is there in p's samples.  (M, M)

    [ABS-39] returned is the mean content of c over the samples in which p speaks in full, on a scale where 0 is its mean where
             c does not fire and 1 its mean where c speaks in full.
    """
    zero = quotient(projected.c_in_all - stream.content, stream.samples - stream.fires)               # (M,)
    one = quotient(stream.full_content, stream.full)        # (M,)
    there = quotient(projected.c_in_p, stream.full[:, np.newaxis])                # (M, M)
    return quotient(there - zero, one - zero)


def unwritten(stream, projected, usual_acts):
    """How much of p varies in c's samples that no latent writes.  (M, M)

    [ABS-43] unwritten = variance over c's samples of the residual x - recon along p's row / variance of what p writes over the
             samples in which it speaks in full without c; asked only where p's activation varies by more than 5 % there.
    """
    n, alone = stream.full, stream.full[:, np.newaxis] - stream.both_full         # (M,), (M, M)
    left = quotient(stream.residual_squares, n) - quotient(projected.residual_in_c, n) ** 2           # (M, M)
    squares = quotient(stream.full_squares[:, np.newaxis] - stream.both_full_squares, alone)          # (M, M)
    variance = squares - usual_acts**2                      # (M, M)
    return np.where(variance > VARIES * usual_acts**2, quotient(left, variance * projected.norm**2), np.nan)


def evidence(stream, W_dec):
    """The answers for all pairs.  stream Stream, W_dec (M, D); returns Evidence."""
    projected = project(stream, W_dec)
    usual_acts, usual_content = usual(stream)
    lack = lacking(stream, usual_acts)
    return Evidence(
        silent=quotient(stream.full - stream.beside, stream.full), low=quotient(lack * stream.beside, stream.full),
        level=level(stream, projected, usual_content, lack), returned=returned(stream, projected),
        disturbed=disturbed(stream, lack), unwritten=unwritten(stream, projected, usual_acts),
        cosine=projected.cosine, enough=enough(stream))
