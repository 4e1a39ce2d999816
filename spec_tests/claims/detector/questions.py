"""The candidates: bounded questions about a pair, each a ramp over one quantity of the evidence, from 0 (no) to 1 (yes).

What cannot be asked (NaN) is answered 0: it speaks neither for absorption nor against it.
"""

from typing import NamedTuple

import numpy as np


class Question(NamedTuple):
    of: str              # a quantity of the evidence, or "one - other"
    low: float           # no at and below it
    high: float          # yes at and above it
    apart: str           # what it tells apart from absorption

    def answer(self, evidence):
        """(...) of evidence {name: (...)}."""
        one, _, other = self.of.partition(" - ")
        value = evidence[one] - evidence[other] if other else evidence[one]
        return np.nan_to_num(np.clip((value - self.low) / (self.high - self.low), 0.0, 1.0), nan=0.0)


CANDIDATES = {
    "missing": Question("missing", 0.0, 0.3, "a pair in which p says all that it usually says"),
    "there": Question("level", 0.2, 1.0, "p's feature is not there; or only a part of it, as of a feature that overlaps"),
    "too much": Question("level", 1.2, 2.0, "a louder sibling, or several features at once"),
    "alike": Question("cosine", 0.0, 0.5, "latents that have nothing of each other"),
    "one way": Question("level - returned", 0.0, 0.5, "siblings: each is there as much in the other's samples"),
    "disturbed": Question("disturbed", 0.1, 0.5, "independent features, which fire as often with each other as without"),
    "kept": Question("kept", 0.2, 0.8, "the same, where there are samples enough to be sure of it"),
    "carried": Question("carried", 0.0, 1.0, "a p that is silent while nobody writes its direction"),
    "coupled": Question("coupled", 0.3, 1.0, "a part of c's own feature, in proportion to it; or one gain for the whole sample"),
    "followed": Question("followed", 0.3, 1.0, "a part of c's own feature, all of whose variation is c's"),
    "steady": Question("steady", 0.2, 0.9, "p's feature in some of c's samples only"),
    "own": Question("own", 0.0, 0.8, "a sibling: nothing that varies by itself is there"),
    "nothing own": Question("own", 0.8, 0.0, "the same, said against absorption"),
    "unwritten": Question("residual", 0.0, 0.5, "a sibling: c writes all that varies; of a parent it writes a constant share"),
}
# What was left by taking away, again and again, the question that was missed least (`__main__.py`, --eliminate).
CHOSEN = ("missing", "there", "alike", "one way", "disturbed", "coupled", "followed", "nothing own", "unwritten")


def answers(evidence, names=CHOSEN):
    """(n, K) of evidence {name: (n,)}."""
    return np.stack([CANDIDATES[name].answer(evidence) for name in names], -1)
