"""Claims about tying: is a mild penalty enough, and what does it cost where tying fails?"""

import numpy as np

from sae_spec.reference.worlds import toy_worlds
from sae_spec.reference.worlds.toy_models import directions_with_cosine
from sae_spec.spec_tests.claims.bench import L1, TIED, at, cosines, generators, trained
from sae_spec.spec_tests.claims.registry import Outcome, claim, lines

TAUS = (0.0, 0.0003, 0.001, 0.003, 0.01, 0.1)


@claim("mild-tie", "A mild penalty on encoder and decoder pointing apart removes absorption, and keeps the features "
       "that overlap, which tying does not.", "the thread; COST-9")
def mild_tie(seeds, tick):
    absorbing = [toy_worlds.hierarchy(rng, std=0.1) for _ in TAUS for rng in generators(seeds)]
    oblique = [toy_worlds.world(directions_with_cosine(rng.normal(size=(4, 50)), 0.3), (0.25, 0.05, 0.05, 0.05))
               for _ in TAUS for rng in generators(seeds)]
    both = absorbing + oblique
    taus = np.repeat(TAUS, seeds).tolist() * 2
    saes = trained(both, L1, tick, tie_coefficient=taus, pool=20_000)
    short = [1 - np.divide(*at(s, w, [[1, 1], [1, 0]])[:, 0]) for s, w in zip(saes, absorbing)]
    short = np.array(short).reshape(len(TAUS), seeds)
    cosine = cosines(saes[len(absorbing):], oblique).min(1).reshape(len(TAUS), seeds)
    tied = cosines(trained(oblique[:seeds], TIED, tick, pool=20_000), oblique[:seeds]).min(1)
    good = (short.max(1) <= 0.1) & (cosine.min(1) >= 0.98)
    numbers = {"tau": list(TAUS), "share absorbed, mean": short.mean(1).tolist(),
               "worst cosine of overlapping features, mean": cosine.mean(1).tolist(),
               "the same, tied": float(tied.mean()),
               "tau that do both": [tau for tau, both_hold in zip(TAUS, good) if both_hold]}
    return Outcome(bool(good.any()), numbers, "some tau leaves at most .1 absorbed and every cosine at least .98",
                   lines({"share absorbed (hierarchy, std .1)": (TAUS, short.mean(1)),
                          "worst cosine (overlap .3)": (TAUS, cosine.mean(1)),
                          "worst cosine, tied": (TAUS, [tied.mean()] * len(TAUS))}, "tau", "", "tie penalty",
                         dashed=("worst cosine, tied",)))
