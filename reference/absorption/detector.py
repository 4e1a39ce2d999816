"""ABS, the detector: which latent is absorbed into which, from weights and a stream of activations alone.

A child has absorbed its parent where the parent falls short in the child's samples, the parent's feature is there all the
same, and the child writes it. No single question of `evidence.py` decides that: what looks like absorption answers most of
them as absorption does. Their answers are added up to log odds. The weights were fitted on SAEs of 32 kinds of world whose truth
is known, and judged on kinds that they had not seen:

    python -m sae_spec.spec_tests.claims.detector        fits them again
"""

from typing import NamedTuple

import numpy as np

from .evidence import evidence


class Question(NamedTuple):
    """A question with a bounded answer: 0 (no) for values up to `no`, 1 (yes) from `yes` on, straight in between."""

    no: float
    yes: float
    weight: float        # what a full yes adds to the log odds


QUESTIONS = {                    # ..., and what answers otherwise than absorption does
    "missing": Question(0.1, 0.3, 2.3),     # hedging: a parent that has mixed its child in says all that it usually says
    "there": Question(0.4, 1.0, 4.0),       # features that are alike: only a part of p's is there where c's is
    "alike": Question(0.1, 0.6, 3.6),       # c has nothing of p's direction
    "one way": Question(0.1, 0.5, 2.2),     # siblings: each is as much there in the other's samples
    "disturbed": Question(0.1, 0.2, 2.1),   # independent features: each fires as often with the other as without
    "unwritten": Question(0.0, 1.0, 2.3),   # siblings: c writes all that varies
}
INTERCEPT = -11.5
COSINES = 0.05, 0.98             # decoder rows of a parent and its child have a cosine between these
ABSORBED, NOT_ABSORBED = 0.8, 0.1          # a probability above the one, below the other; nine of ten absorbed are told so, and are
ALL_WRITTEN, AS_USUAL = 0.02, 0.05         # see `maybe_sibling`


def answers(of):
    """What is said to each question, from 0 (no) to 1 (yes); what cannot be asked is answered 0.

    of       Evidence
    returns  {question: (M, M)}
    """
    asked = {"missing": amount(of), "there": of.level, "alike": of.cosine,
             "one way": of.level - of.returned, "disturbed": of.disturbed, "unwritten": of.unwritten}
    return {name: answer(value, QUESTIONS[name]) for name, value in asked.items()}


def amount(of):
    """How much of p is missing beside c: its shortfall, [ABS-25]; 0 where c never speaks in full.  (M, M)"""
    return np.nan_to_num(of.silent) + np.nan_to_num(of.low)


def answer(value, question):
    """From 0 to 1 in value's shape; 0 for NaN."""
    return np.nan_to_num(np.clip((value - question.no) / (question.yes - question.no), 0.0, 1.0), nan=0.0)


def candidate(of):
    """Which pairs may be parent and child by their rows' cosine.  (M, M) bool

    [ABS-32] Rows with cosine above .98 are two latents of one feature, not a parent and its child; with one below .05 the
             child writes nothing of the parent.
    """
    least, most = COSINES
    return (of.cosine > least) & (of.cosine < most)


def maybe_sibling(of):
    """Which pairs may be two siblings, of which c is louder.  (M, M) bool

    [ABS-45] Where c writes all that varies of p, with unwritten below .02 or not to be asked, a sibling that is loud enough answers
             like a child. But of an absorbed p as much is there as usual, of a sibling only by coincidence: where level is not
             from .95 to 1.05, the log odds are at most 0.
    """
    return ~(of.unwritten >= ALL_WRITTEN) & ~(np.abs(of.level - 1) <= AS_USUAL)


def probability(of):
    """How likely it is that p is absorbed into c.

        probability[p, c] = 1 / (1 + exp(-log odds)),    log odds = -11.5 + sum over questions of weight · answer

    of       Evidence
    returns  probability (M, M), from 0 to 1, indexed [parent, child]

    [ABS-30] 0 for a pair that there is not enough to judge by, or that is no candidate; else from the answers to all questions.
             How much is absorbed is another number, the amount: silent + low. The encoder is not read, so a tied SAE is judged like any
             other: where a selection rule silences a tied parent beside a child that writes its direction, that is absorption.
    """
    log_odds = INTERCEPT + sum(QUESTIONS[name].weight * answer for name, answer in answers(of).items())       # (M, M)
    log_odds = np.where(maybe_sibling(of), np.minimum(log_odds, 0.0), log_odds)
    return np.where(of.enough & candidate(of), 1 / (1 + np.exp(-log_odds)), 0.0)


def verdict(of):
    """1: p is absorbed into c; 0: it is not; -1: that cannot be told.

    of       Evidence
    returns  verdict (M, M)

    [ABS-44] A candidate is absorbed if its probability is above .8, and not if it is below .1. In between, and where there is
             not enough to judge by, it cannot be told. What is no candidate is not absorbed, nor is a latent into itself.
    """
    p = probability(of)
    untold = candidate(of) & (~of.enough | (p >= NOT_ABSORBED))
    return np.where(p > ABSORBED, 1, np.where(untold, -1, 0))


def absorption_probability(stream, W_dec):
    """The probability for all pairs.  stream Stream, W_dec (M, D); returns (M, M)."""
    return probability(evidence(stream, W_dec))
