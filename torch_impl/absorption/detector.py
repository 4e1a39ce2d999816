"""ABS, the detector: is latent p absorbed into latent c? From weights and a Stream alone, without the truth.

Answers from 0 to 1 to six questions, weighted and added up, are log odds. `probability`, `verdict` and `answers` serve Evidence
of any shape (...).
"""

from typing import NamedTuple

import torch
from torch import Tensor

from .evidence import Evidence, evidence
from .stream import Stream


class Question(NamedTuple):
    """The values up to which the answer is no, and from which on it is yes, and what a full yes adds to the log odds."""

    no: float
    yes: float
    weight: float


QUESTIONS = {
    "missing": Question(0.1, 0.3, 2.3),     # of p's usual activation, in c's samples
    "there": Question(0.4, 1, 4.0),         # p's feature in c's samples
    "alike": Question(0.1, 0.6, 3.6),       # their decoder rows
    "one way": Question(0.1, 0.5, 2.2),     # p's feature is more in c's samples than c's in p's
    "disturbed": Question(0.1, 0.2, 2.1),   # p's firing, by c
    "unwritten": Question(0, 1, 2.3),       # is what varies of p in c's samples
}
INTERCEPT = -11.5
COSINES = 0.05, 0.98             # of the decoder rows: above the first, below the second
ABSORBED, NOT_ABSORBED = 0.8, 0.1            # a probability above the first, below the second
ALL_WRITTEN, AS_USUAL = 0.02, 0.05           # of what varies of p; by how much p's level may differ from 1


def answers(of: Evidence) -> dict[str, Tensor]:
    """The answer (...) to each question, 0 where it cannot be asked."""
    values = {"missing": amount(of), "there": of.level, "alike": of.cosine,
              "one way": of.level - of.returned, "disturbed": of.disturbed, "unwritten": of.unwritten}
    return {name: answer(values[name], question) for name, question in QUESTIONS.items()}


def amount(of: Evidence) -> Tensor:
    """The shortfall (...), from 0 to 1.  Clauses: ABS-25."""
    return of.silent.nan_to_num(0) + of.low.nan_to_num(0)


def answer(value: Tensor, question: Question) -> Tensor:
    """How far (...) a value is from no, 0, to yes, 1."""
    return ((value - question.no) / (question.yes - question.no)).clamp(0, 1).nan_to_num(0)


def candidate(of: Evidence) -> Tensor:
    """Whether (...) bool rows are alike, and not the same.  Clauses: ABS-32."""
    least, most = COSINES
    return (least < of.cosine) & (of.cosine < most)


def maybe_sibling(of: Evidence) -> Tensor:
    """Whether (...) bool c leaves nothing of p to tell it by, while p's level is not the usual one.  Clauses: ABS-45."""
    leaves_something = of.unwritten >= ALL_WRITTEN
    usual = (of.level - 1).abs() <= AS_USUAL
    return ~(leaves_something | usual)


def probability(of: Evidence) -> Tensor:
    """How likely absorption is (...), from 0 to 1; 0 where that cannot be judged.  Clauses: ABS-30, ABS-32, ABS-45."""
    given = answers(of)
    log_odds = sum((weight * given[name] for name, (_, _, weight) in QUESTIONS.items()), torch.full_like(of.cosine, INTERCEPT))
    log_odds = torch.where(maybe_sibling(of), log_odds.clamp_max(0), log_odds)
    return log_odds.sigmoid().where(candidate(of) & of.enough, 0)


def verdict(of: Evidence) -> Tensor:
    """1 absorbed, 0 not, -1 where it cannot be told; (...) int64.  Clauses: ABS-44."""
    p = probability(of)
    told = ~candidate(of) | of.enough & (p < NOT_ABSORBED)
    return (p > ABSORBED).long() - (~told & (p <= ABSORBED)).long()


def absorption_probability(stream: Stream, W_dec: Tensor) -> Tensor:
    """The probability (M, M) float64 for all pairs, [parent, child]; W_dec (M, D).  Clauses: ABS-30, ABS-32."""
    return probability(evidence(stream, W_dec))
