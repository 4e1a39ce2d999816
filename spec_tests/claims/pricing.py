"""Claims about the frequency-aware cost."""

import math

import numpy as np

from sae_spec.reference.sae import frequency
from sae_spec.reference.worlds import theory, toy_worlds
from sae_spec.reference.sae.activations import relu
from sae_spec.reference.worlds.toy_models import draw
from sae_spec.spec_tests.claims.bench import L1, activations, generators, holes, trained
from sae_spec.spec_tests.claims.registry import Outcome, bars, claim, lines
from sae_spec.spec_tests.claims.zoo_labels import firing

SAMPLES = 400_000


def charged(acts, D):
    """What each sample pays on average: the price of every latent that is on."""
    counts = (acts != 0).sum(0)
    return float((counts * frequency.price(counts / len(acts), D, 1e-6)).sum() / len(acts))


@claim("price-gain", "The frequency-aware price still pays for absorption: g(p10 + p11) - g(p10) a sample, with "
       "g(p) = p · log_D max(D, 1 / p).", "derived in field notes 3.2; THEORY-5")
def gain(seeds, tick):
    measured, expected, groups = [], [], []
    for D, p10, p11 in ((50, 0.2, 0.05), (50, 0.02, 0.01), (768, 0.01, 0.001), (768, 0.002, 0.002), (20, 0.03, 0.03)):
        paid, formula = [], []
        for rng in generators(seeds):
            rate = p10 + p11
            world = toy_worlds.world(np.eye(2), (rate, p11 / rate), (-1, 0))
            x, magnitudes = draw(world, rng, SAMPLES)
            both, either = (magnitudes > 0).all(1).mean(), (magnitudes > 0).any(1).mean()
            formula.append(theory.absorption_gain(either - both, both, D))        # at the frequencies that were drawn
            ends = [theory.delta_family(*np.eye(2), delta) for delta in (0.0, 1.0)]
            open_, hidden = (charged(np.where((a := relu(x @ W_enc.T)) > 1e-9, a, 0), D) for W_enc, _ in ends)
            paid.append(open_ - hidden)
        measured.append(np.mean(paid))
        expected.append(np.mean(formula))
        groups.append(f"D={D}\n{p10}, {p11}")
        tick()
    error = float(np.abs(np.array(measured) / expected - 1).max())
    return Outcome(bool(error <= 1e-6 and min(expected) > 0 and min(measured) > 0),
                   {"measured": [float(m) for m in measured], "formula": [float(e) for e in expected],
                    "largest relative error": error},
                   "every gain positive and equal to the formula at the frequencies drawn, to 1e-6",
                   bars(groups, {"measured": [m / e for m, e in zip(measured, expected)]}, "measured / formula",
                        "what absorption saves"))


@claim("price-cures", "A frequency-aware cost removes absorption.", "the thread; THEORY-5 says it cannot")
def cures(seeds, tick):
    """Rates below 1 / D, where a price differs from 1."""
    D, rate = 50, (0.03, 0.2, 0.02, 0.02)
    make = lambda rng: toy_worlds.hierarchy(rng)._replace(rate=np.array(rate))
    worlds = [make(rng) for rng in generators(seeds)]
    hole = {}
    for label, more in (("unpriced", {}), ("priced", {"priced": True, "frequency_decay": 0.99})):
        saes = trained(worlds, L1, tick, l1=0.02, steps=5000, **more)
        hole[label] = holes(saes, worlds, samples=100_000)
    return Outcome(bool(hole["priced"].max() <= 0.1 and hole["unpriced"].min() >= 0.9),
                   {f"{label}: recall hole": values.tolist() for label, values in hole.items()} | {
                       "D": D, "rates": list(rate)},
                   "the recall hole falls from at least .9 to at most .1",
                   bars(list(hole), {"recall hole": [h.mean() for h in hole.values()]}, "recall hole",
                        "frequency-aware L1"))


def free(f, D, min_frequency):
    """The thread's warning: a price that falls to 0 for what is always on."""
    return -f.clamp_min(min_frequency).log() / math.log(D)


@claim("common-is-free", "A cost that makes common latents free collapses to latents that are always on, and the "
       "floor at log D prevents it.", "the thread; FREQ-6")
def common_is_free(seeds, tick):
    worlds = [toy_worlds.superposition(rng, F=40, D=20, rate=0.03) for rng in generators(seeds)]
    frequencies, curves = {}, {}
    for label, more in (("free", {"pricing": free}), ("floored", {})):
        saes = trained(worlds, L1, tick, l1=0.03, start="random", priced=True, frequency_decay=0.99, **more)
        often = []
        for number, (sae, world) in enumerate(zip(saes, worlds)):
            x, _ = draw(world, np.random.default_rng([3, number]), 10_000)
            often.append(np.sort(firing(x, activations(sae, x), sae).mean(0))[::-1])
        frequencies[label] = np.array(often)
        curves[label] = (np.arange(1, 41), frequencies[label].mean(0))
    always = {label: float((often > 0.5).sum(1).mean()) for label, often in frequencies.items()}
    collapsed = always["free"] >= 5 and always["floored"] <= 1
    return Outcome(bool(collapsed), {f"{label}: latents on in most samples": n for label, n in always.items()} | {
        f"{label}: latents on in a sample": float(frequencies[label].sum(1).mean()) for label in frequencies} | {"D": 20},
        "free: at least 5 latents on in most samples; floored: at most 1",
        lines(curves, "latent, commonest first", "frequency", "how often latents fire"))
