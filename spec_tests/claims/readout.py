"""The corrected read-out: does it give the parent back, and does it do no harm?"""

import numpy as np

from sae_spec.reference.absorption import detector
from sae_spec.reference.absorption.stream import observe
from sae_spec.reference.worlds import toy_worlds
from sae_spec.reference.absorption.ground_truth import match, scores
from sae_spec.reference.absorption.read_out import corrected, read_out_matrix
from sae_spec.reference.worlds.toy_models import draw
from sae_spec.spec_tests.claims.bench import L1, LONG, STEPS, TIED, activations, generators, trained
from sae_spec.spec_tests.claims.registry import Outcome, bars, claim
from sae_spec.spec_tests.claims.zoo_labels import firing

SAMPLES = 20_000


def before_and_after(sae, world, seed, architecture=L1):
    """Per feature, with and without correction: recall beside the first child, recall, precision; (2, 3, F).

    The detector sees other samples than those on which the read-out is judged.
    """
    W_dec, b_dec = sae["W_dec"], sae["b_dec"]
    x, _ = draw(world, np.random.default_rng([seed, 0]), SAMPLES)
    stream = observe(x, activations(sae, x, architecture), W_dec, b_dec)
    A = read_out_matrix(detector.absorption_probability(stream, W_dec), W_dec)
    x, magnitudes = draw(world, np.random.default_rng([seed, 1]), SAMPLES)
    acts, on = activations(sae, x, architecture), magnitudes > 0
    latent = match(W_dec, world.directions)[0]
    children = np.flatnonzero(world.parent >= 0)
    beside = on[:, children[0]] if len(children) else np.ones(len(x), bool)
    quality = []
    for read in (acts, corrected(acts, A)):
        fires = firing(x, read, sae)[:, latent] & (latent >= 0)
        precision, recall = scores(fires, on)[:2]
        quality.append([scores(fires[beside], on[beside])[1], recall, precision])
    return np.array(quality)


@claim("read-out", "Once absorption is detected, adding what the children carry gives the parent back, and nothing is "
       "added where nothing is absorbed.", "the thread: 'from concerning to merely inconvenient'; ABS-33, ABS-34")
def read_out(seeds, tick):
    makers = {"hierarchy": (toy_worlds.hierarchy, L1, 4), "std .1": (lambda r: toy_worlds.hierarchy(r, std=0.1), L1, 4),
              "independent": (toy_worlds.independent, L1, 4), "tied hierarchy": (toy_worlds.hierarchy, TIED, 4),
              "overlap .5": (lambda r: toy_worlds.overlap(r, 0.5, F=3, D=50), L1, 3),
              "overlap .8": (lambda r: toy_worlds.overlap(r, 0.8, F=3, D=50), L1, 3),
              "siblings .5": (lambda r: toy_worlds.exclusive_siblings(r, 0.5, D=50), L1, 3),
              "siblings .8": (lambda r: toy_worlds.exclusive_siblings(r, 0.8, D=50), L1, 3),
              "hedged": (toy_worlds.hierarchy, L1, 2)}
    results, harm = {}, {}
    for name, (make, architecture, M) in makers.items():
        worlds = [make(rng) for rng in generators(seeds)]
        steps = LONG if name == "hierarchy" else STEPS
        saes = trained(worlds, architecture, tick, M=M, steps=steps, decay_steps=steps // 2)
        quality = np.stack([before_and_after(s, w, 50 + i, architecture) for i, (s, w) in enumerate(zip(saes, worlds))])
        results[name] = quality[..., 0]                       # (S, 2, 3): the parent, or the first feature
        harm[name] = float(np.abs(quality[:, 1, 1:] - quality[:, 0, 1:]).max())
    absorbed = ("hierarchy", "std .1")
    strict = results["hierarchy"]
    good = all(results[name][:, 1, 0].min() >= 0.99 and results[name][:, 1, 2].min() >= 0.99 for name in absorbed)
    numbers = {"parent's recall beside the child, before": {n: results[n][:, 0, 0].mean() for n in absorbed},
               "after, smallest": {n: results[n][:, 1, 0].min() for n in absorbed},
               "precision after, smallest": {n: results[n][:, 1, 2].min() for n in absorbed},
               "largest change of recall or precision elsewhere": {n: h for n, h in harm.items() if n not in absorbed}}
    harmless = all(h <= 0.005 for n, h in harm.items() if n not in absorbed)
    return Outcome(bool(strict[:, 0, 0].max() == 0 and good and harmless), numbers,
                   "recall from 0 to at least .99 at precision at least .99; elsewhere nothing moves by more than .005",
                   bars(list(makers), {"before": [results[n][:, 0, 0].mean() for n in makers],
                                       "after": [results[n][:, 1, 0].mean() for n in makers]},
                        "recall (beside the child)", "corrected read-out"))
