"""Claims about finding absorption: by pairs, by a meta-SAE."""

import numpy as np

from sae_spec.reference.absorption import detector, meta_sae
from sae_spec.reference.absorption.stream import observe
from sae_spec.reference.worlds import toy_worlds
from sae_spec.reference.sae.constraints import normalize_rows
from sae_spec.reference.worlds.toy_models import draw
from sae_spec.spec_tests.claims import fleet
from sae_spec.spec_tests.claims.bench import L1, activations, generators, trained
from sae_spec.spec_tests.claims.registry import Outcome, bars, claim
from sae_spec.spec_tests.claims.zoo import area
from sae_spec.spec_tests.claims.zoo_labels import true_shortfalls
from sae_spec.spec_tests.claims.zoo_members import Member

SAMPLES = 20_000
WORLDS = {"hierarchy": toy_worlds.hierarchy, "std .1": lambda r: toy_worlds.hierarchy(r, std=0.1),
          "overlap .5": lambda r: toy_worlds.overlap(r, 0.5, F=3, D=50), "siblings .5": lambda r:
          toy_worlds.exclusive_siblings(r, 0.5, D=50), "tree": lambda r: toy_worlds.tree(r, D=50)}


def judged(sae, world, seed, name):
    """(score, true shortfall, latent pairs alone) of one SAE, (M, M) each."""
    x, magnitudes = draw(world, np.random.default_rng(seed), SAMPLES)
    acts, W_dec = activations(sae, x), sae["W_dec"]
    stream = observe(x, acts, W_dec, sae["b_dec"])
    truth = np.zeros((len(W_dec), len(W_dec)))
    for pair, short in true_shortfalls(Member(name, "l1", world, sae, L1, None), x, magnitudes, acts).items():
        truth[pair] = short
    return detector.absorption_probability(stream, W_dec), truth


def zoo_of(seeds, tick):
    """{world: list of (SAE, score, true shortfall)}"""
    judged_saes = {}
    for name, make in WORLDS.items():
        worlds = [make(rng) for rng in generators(seeds)]
        saes = trained(worlds, L1, tick, l1=0.01)
        judged_saes[name] = [(sae, *judged(sae, world, 90 + i, name)) for i, (sae, world) in enumerate(zip(saes, worlds))]
    return judged_saes


def flat(members, what):
    """One value for each ordered pair of latents, over all SAEs."""
    values = []
    for sae, score, truth in members:
        values.append(what(sae, score, truth)[~np.eye(len(truth), dtype=bool)])
    return np.concatenate(values)


@claim("pairs", "Pairwise analysis of latents catches absorption consistently.",
       "the thread; ABS-30. The full trial is the zoo: python -m sae_spec.spec_tests.claims.zoo")
def pairwise(seeds, tick):
    numbers = {}
    for name, members in zoo_of(seeds, tick).items():
        score, truth = flat(members, lambda s, score, t: score), flat(members, lambda s, score, t: t)
        said, absorbed = score > detector.ABSORBED, truth >= 0.3
        numbers[name] = {"absorbed pairs": int(absorbed.sum()), "of them caught": int((absorbed & said).sum()),
                         "false alarms": int(((truth < 0.1) & said).sum())}
    caught = sum(n["of them caught"] for n in numbers.values())
    absorbed, wrong = (sum(n[key] for n in numbers.values()) for key in ("absorbed pairs", "false alarms"))
    return Outcome(absorbed > 0 and caught >= 0.95 * absorbed and wrong <= 0.05 * max(caught, 1), numbers,
                   "95 % of absorbed pairs caught, at most 5 % of alarms false",
                   bars(list(numbers), {key: [n[key] for n in numbers.values()] for key in numbers["hierarchy"]},
                        "pairs of latents", "pairwise detector"))


def shared(sae, seed, tick):
    """How strongly two latents share a meta-latent: a top-2 meta-SAE, half as wide, on the decoder rows."""
    rows = meta_sae.meta_samples(sae["W_dec"], np.ones(len(sae["W_dec"]), bool))
    K = max(2, len(rows) // 2)
    config = {"D": rows.shape[1], "activation": "topk", "k": 2}
    training = {"steps": 1000, "batch_size": max(32, len(rows)), "learning_rate": 3e-3, "decay_steps": 500}
    meta = fleet.train_on(rows[np.newaxis], K, {"activation": "topk", "k": 2}, training, seed=seed, tick=tick)[0]
    meta_acts = activations(meta, rows, config)
    recon = meta_acts @ meta["W_dec"] + meta["b_dec"]
    return meta_sae.shared_meta_latents(np.maximum(meta_acts, 0)), meta_sae.variance_explained(rows, recon)


@claim("meta-sae", "A meta-SAE over decoder rows helps to find absorption.", "the thread; arXiv 2502.04878; META-4")
def meta(seeds, tick):
    numbers, everything = {}, [[], [], [], []]
    for name, members in zoo_of(seeds, tick).items():
        at, explained = [], []
        for number, (sae, _, truth) in enumerate(members):
            together, share = shared(sae, number, tick)
            at.append(together[~np.eye(len(truth), dtype=bool)])
            explained.append(share)
        columns = (np.concatenate(at), flat(members, lambda s, score, t: score), flat(members, lambda s, score, t:
                   normalize_rows(s["W_dec"]) @ normalize_rows(s["W_dec"]).T), flat(members, lambda s, score, t: t))
        for column, values in zip(everything, columns):
            column.append(values)
        with_, without = columns[0][columns[3] >= 0.3], columns[0][columns[3] < 0.1]
        numbers[name] = {"variance explained": float(np.mean(explained)),
                         "strongest sharing without absorption": float(without.max(initial=0)),
                         "weakest sharing with absorption": float(with_.min()) if len(with_) else None}
    meta_score, score, cosine, truth = map(np.concatenate, everything)
    label = np.where(truth >= 0.3, 1, np.where(truth < 0.1, 0, -1))
    areas = {"meta-SAE": area(meta_score, label), "decoder cosine": area(cosine, label), "detector": area(score, label)}
    numbers["AUROC over all worlds"] = areas
    return Outcome(areas["meta-SAE"] >= max(0.9, areas["decoder cosine"]), numbers,
                   "AUROC of sharing a meta-latent at least .9 and at least that of the plain decoder cosine",
                   bars(list(areas), {"AUROC": list(areas.values())}, "AUROC", "finding absorbed pairs"))
