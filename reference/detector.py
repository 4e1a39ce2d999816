"""ABS, the detector: which latent is absorbed into which, from weights and a stream of activations alone.

For a pair (p, c) it asks, of the samples where c fires:

    shortfall   how much of its usual activation does p lack?
    level       is p's direction there as strongly as where p speaks by itself?
    disturbed   does p behave differently from how it does without c?
    carried     does c's decoder row write what p leaves out?
    coupled     or is p's direction there only as a fixed part of c's own?

Absorption is a shortfall at full level, not explained by independence, made up for by c. Look-alikes fail a question:
independent overlap is not disturbed, exclusive siblings lack the level or are coupled, hedging has no shortfall.
"""

from typing import NamedTuple

import numpy as np

from .constraints import normalize_rows, row_norms

THRESHOLD = 0.1875   # a score above it says absorbed
ENOUGH, WHISPER = 20, 0.25    # see `usual`


class Evidence(NamedTuple):
    """The answers, (M, M) each, indexed [p, c]; NaN where a quotient has no meaning."""

    shortfall: np.ndarray    # 0 to 1
    level: np.ndarray        # 1: as strong as where p speaks by itself; 0: as where neither does
    disturbed: np.ndarray    # 0: as if independent
    carried: np.ndarray      # share of what p leaves out that c writes
    coupled: np.ndarray      # 1: p's direction varies with c's activation alone; NaN where that hardly varies
    cosine: np.ndarray       # of the decoder rows
    enough: np.ndarray       # True where there are samples to judge by


def ramp(value, low, high):
    """0 below low, 1 above high, straight in between; 0 for NaN."""
    return np.nan_to_num(np.clip((value - low) / (high - low), 0.0, 1.0), nan=0.0)


def quotient(a, b):
    """a / b; NaN, never infinite, where b is 0."""
    return np.divide(a, b, out=np.full(np.broadcast(a, b).shape, np.nan), where=b != 0)


def usual(stream):
    """How p speaks without c.

    returns act (M, M), content (M, M), enough (M, M)

    [ABS-24] p's usual activation and content are its means over the samples where it speaks in full and c is silent.
    [ABS-35] Fewer than 20 samples of c, or of p in full without c, say nothing; nor does a p whose usual activation is below a
             quarter of its mean one, weighted by itself: it only fills slots that a selection rule has left over.
    """
    alone = stream.full[:, np.newaxis] - stream.full_with   # (M, M)
    act = quotient(stream.full_acts[:, np.newaxis] - stream.full_acts_with, alone)          # (M, M)
    content = quotient(stream.full_content[:, np.newaxis] - stream.full_content_with, alone)
    loud = act * stream.acts[:, np.newaxis] >= WHISPER * stream.squares[:, np.newaxis]      # (M, M)  of NaN: False
    return act, content, (stream.fires >= ENOUGH) & (alone >= ENOUGH) & loud


def lacking(stream, usual_act):
    """The share of p's usual activation that is missing where both fire, and in how many of c's samples p is missing.

    returns lack (M, M), missing (M, M)

    [ABS-25] shortfall = (n0 + n1 · s) / (n0 + n1), where p is silent in n0 of c's samples, fires in n1, and there lacks
             s = max(0, 1 - its mean activation / its usual one) of it.
    """
    both = stream.together                                  # (M, M)
    lack = np.where(both > 0, np.clip(1 - quotient(stream.acts_with, both * usual_act), 0.0, 1.0), 0.0)
    return lack, (stream.fires - both) + both * lack


def full_level(stream, unit, usual_content, lack, missing):
    """How strongly p's direction is there in c's samples.

    returns level (M, M)

    [ABS-26] level is the mean content of p in c's samples, weighted by what p lacks in them, on a scale where 0 is the mean
             content where neither fires and 1 is p's usual content.
    """
    content_when = unit @ stream.x_when.T                   # (M, M)  [p, c]: sum of p's content over c's samples
    apart = stream.fires[:, np.newaxis] - stream.together   # (M, M)  p without c
    neither = stream.samples - stream.fires - apart         # (M, M)
    over_p = np.diag(content_when)[:, np.newaxis] - stream.content_with           # (M, M)  over p without c
    background = quotient((unit @ stream.total)[:, np.newaxis] - content_when - over_p, neither)
    found = quotient(content_when - stream.content_with + lack * stream.content_with, missing)
    return quotient(found - background, usual_content - background)


def disturbance(stream, lack):
    """How far p behaves beside c from what independence would have it do.

    returns disturbed (M, M)

    [ABS-27] disturbed is the larger of s and the relative difference between how often p fires with c and without it,
             less three standard errors of that difference.
    """
    n, child = stream.samples, stream.fires                 # (M,)
    rate = quotient(stream.together, child)                 # (M, M)
    without = quotient(child[:, np.newaxis] - stream.together, n - child)         # (M, M)
    error = np.sqrt(without * (1 - without) * (quotient(1, child) + quotient(1, n - child)))          # (M, M)
    return np.fmax(quotient(np.maximum(np.abs(rate - without) - 3 * error, 0.0), without), lack)


def carrying(stream, unit, W_dec):
    """The share of what p leaves out that c writes.

    returns carried (M, M)

    [ABS-28] carried = what c's row writes along p's / what p leaves out of its content, in c's samples on average.
    """
    left_out = unit @ stream.x_when.T - stream.acts_with * row_norms(W_dec)[:, np.newaxis]    # (M, M)
    return quotient((unit @ W_dec.T) * stream.acts, left_out)                     # (M, M)


def coupling(stream, unit):
    """Whether p's content is but a fixed part of what c stands for.

    returns coupled (M, M)

    [ABS-29] coupled = cov(c's activation, p's content) over c's samples, in units that make it 1 where the content is
             proportional to the activation; asked only where c's activation varies by more than 5 %.
    """
    variation = quotient(stream.squares * stream.fires, stream.acts**2) - 1       # (M,)  squared coefficient of variation
    joint = quotient((unit @ stream.x_loud.T) * stream.fires, stream.acts * (unit @ stream.x_when.T)) - 1
    return np.where(variation > 0.05**2, quotient(joint, variation), np.nan)      # (M, M)


def evidence(stream, W_dec):
    """The questions of this file, for all pairs.  stream absorption.Stream, W_dec (M, D); returns Evidence."""
    unit = normalize_rows(W_dec)                            # (M, D)
    usual_act, usual_content, enough = usual(stream)
    lack, missing = lacking(stream, usual_act)
    return Evidence(
        shortfall=quotient(missing, stream.fires), level=full_level(stream, unit, usual_content, lack, missing),
        disturbed=disturbance(stream, lack), carried=carrying(stream, unit, W_dec), coupled=coupling(stream, unit),
        cosine=unit @ unit.T, enough=enough)


def absorption_score(stream, W_enc, W_dec):
    """How much of p is absorbed into c.

        score[p, c] = shortfall · ramp(level, .85, .95) · ramp(2 - level, 0, .5) · ramp(disturbed, .1, .25)
                      · ramp(carried, .3, .6) · ramp(1 - coupled, .3, .6)

    where there is enough to judge by and .05 < cosine < .98; 0 elsewhere and on the diagonal

    stream        absorption.Stream
    W_enc, W_dec  (M, D)
    returns score (M, M), from 0 to 1, indexed [parent, child]

    [ABS-30] The score is the shortfall where every question is answered for absorption: in the delta family it is delta.
    [ABS-31] For a tied SAE, one array in both places, it is identically 0: what reads with the row it writes with cannot hide
             one feature in another's row. Where a selection rule silences a tied parent, the recall hole shows it.
    [ABS-32] Rows with cosine above .98 are two latents of one feature, not a parent and its child.
    """
    M = len(W_dec)
    if W_enc is W_dec:
        return np.zeros((M, M))
    e = evidence(stream, W_dec)
    free = np.where(np.isnan(e.coupled), 1.0, ramp(1 - e.coupled, 0.3, 0.6))      # (M, M)
    score = np.nan_to_num(e.shortfall) * ramp(e.level, 0.85, 0.95) * ramp(2 - e.level, 0.0, 0.5)
    score = score * ramp(e.disturbed, 0.1, 0.25) * ramp(e.carried, 0.3, 0.6) * free
    score = np.where(e.enough & (e.cosine > 0.05) & (e.cosine < 0.98), score, 0.0)
    np.fill_diagonal(score, 0.0)
    return score                                            # (M, M)


def read_out_matrix(score, W_dec, threshold=THRESHOLD):
    """How much of a parent each child's activation stands for.

        A[p, c] = W_dec[c] · W_dec[p] / ||W_dec[p]||^2   where score[p, c] > threshold, else 0

    returns A (M, M)

    [ABS-33] The coefficient is the child's row along its parent's, in units of the parent's row: delta in the delta family.
    """
    squares = (W_dec**2).sum(-1)[:, np.newaxis]             # (M, 1)
    along = W_dec @ W_dec.T / np.where(squares > 0, squares, 1.0)                 # (M, M)
    return np.where(score > threshold, along, 0.0)


def corrected(acts, A):
    """The corrected read-out: a parent is on where its absorbing children are.

        read_out[b, p] = acts[b, p] + sum_c A[p, c] · acts[b, c]

    acts  (B, M)
    A     (M, M)
    returns read_out (B, M)

    [ABS-34] Nothing is added but what a detected child carries: with A = 0 the read-out is the activations.
    """
    return acts + acts @ A.T                                # (B, M)
