"""Claims of the literature: the toy experiments, reproduced."""

import numpy as np

from sae_spec.reference.worlds import toy_worlds
from sae_spec.reference.absorption.ground_truth import match, mcc, scores
from sae_spec.reference.worlds.theory import gram_schmidt
from sae_spec.reference.worlds.toy_models import directions_with_cosine, draw
from sae_spec.spec_tests.claims.bench import L1, LONG, TIED, activations, at, cosines, generators, holes, trained
from sae_spec.spec_tests.claims.registry import Outcome, bars, claim, lines
from sae_spec.spec_tests.claims.zoo_labels import firing

TOY = "Toy Models of Feature Absorption; arXiv 2409.14507, appendix A.2"


@claim("independent", "An L1 SAE of independent features finds each of them exactly.", TOY)
def independent(seeds, tick):
    worlds = [toy_worlds.independent(rng) for rng in generators(seeds)]
    saes, f1 = trained(worlds, L1, tick), []
    for sae, world in zip(saes, worlds):
        x, magnitudes = draw(world, np.random.default_rng(1), 20_000)
        latent = match(sae["W_dec"], world.directions)[0]
        f1.append(scores(firing(x, activations(sae, x), sae)[:, latent], magnitudes > 0)[2])
    worst_cosine, worst_f1 = min(mcc(s["W_dec"], w.directions) for s, w in zip(saes, worlds)), float(np.min(f1))
    return Outcome(worst_cosine > 0.999 and worst_f1 > 0.999, {"worst MCC": worst_cosine, "worst F1": worst_f1},
                   "worst MCC and worst F1 of a feature above .999",
                   bars([f"f{i}" for i in range(4)], {"F1, mean over seeds": np.mean(f1, 0)}, "F1", "independent"))


@claim("hierarchy", "With a strict hierarchy the parent's latent is silent wherever the child is.", TOY)
def hierarchy(seeds, tick):
    worlds = [toy_worlds.hierarchy(rng) for rng in generators(seeds)]
    saes = trained(worlds, L1, tick, steps=LONG, decay_steps=LONG // 2)
    readings = np.stack([at(s, w, [[1, 0], [1, 1]]) for s, w in zip(saes, worlds)])     # (S, 2, 2)
    beside, alone = np.maximum(readings[:, 1, 0], 0), readings[:, 0, 0]
    hole = holes(saes, worlds)
    numbers = {"parent's recall beside the child, largest": float(1 - hole.min()),
               "parent's activation alone, mean": float(alone.mean()), "beside the child, largest": float(beside.max()),
               "child's decoder cosine with the parent": float(np.mean([s["W_dec"][1] @ w.directions[0]
                                                                        for s, w in zip(saes, worlds)]))}
    return Outcome(bool(hole.min() >= 1 and alone.min() > 0.9), numbers, "recall beside the child 0 for every seed",
                   bars(["f0", "f0 + f1"], {"parent's latent": readings[:, :, 0].mean(0),
                                            "child's latent": readings[:, :, 1].mean(0)}, "activation", "hierarchy"))


@claim("partial", "When the parent's magnitude varies (std .1), absorption is partial: (parent, child) activations are "
       "(.22, 1.27) on (1, 1), (.12, 1.27) on (.9, 1), (0, 1.26) on (.75, 1).", TOY + ", table 2 (at lambda 3e-3)")
def partial(seeds, tick):
    expected = np.array([[0.22, 1.27], [0.12, 1.27], [0.0, 1.26]])
    worlds = [toy_worlds.hierarchy(rng, std=0.1) for rng in generators(seeds)]
    saes = trained(worlds, L1, tick)
    acts = np.stack([at(s, w, [[1, 1], [0.9, 1], [0.75, 1]]) for s, w in zip(saes, worlds)])
    mean, worst = acts.mean(0), float(np.abs(acts.mean(0) - expected).max())
    numbers = {"found": mean.round(3).tolist(), "expected": expected.tolist(), "worst difference": worst,
               "standard deviation over seeds": float(acts.std(0).max())}
    return Outcome(worst <= 0.02, numbers, "mean over seeds within .02 of all six numbers",
                   bars(["(1, 1)", "(.9, 1)", "(.75, 1)"], {"parent": mean[:, 0], "child": mean[:, 1]}, "activation",
                        "partial absorption", {"parent": expected[:, 0], "child": expected[:, 1]}))


@claim("tied", "A tied SAE with as many latents as orthonormal features shows no absorption.", TOY + "; the thread")
def tied(seeds, tick):
    makers = {"hierarchy": toy_worlds.hierarchy, "std .1": lambda rng: toy_worlds.hierarchy(rng, std=0.1),
              "95 / 5": toy_worlds.imperfect_cooccurrence}
    worlds = [make(rng) for make in makers.values() for rng in generators(seeds)]
    saes = trained(worlds, TIED, tick)
    hole = holes(saes, worlds).reshape(3, seeds)
    short = np.array([1 - np.divide(*at(s, w, [[1, 1], [1, 0]])[:, 0]) for s, w in zip(saes, worlds)]).reshape(3, seeds)
    numbers = {"largest recall hole": float(hole.max()), "largest shortfall": float(short.max()),
               "smallest decoder cosine": float(cosines(saes, worlds).min())}
    return Outcome(bool(hole.max() <= 0.005 and short.max() <= 0.02), numbers,
                   "recall hole at most .005, shortfall .02",
                   bars(list(makers), {"recall hole": hole.max(1), "shortfall": short.max(1)}, "largest", "tied"))


@claim("imperfect", "Where the child comes without its parent in 5 % of its samples, a small L1 coefficient lambda "
       "absorbs lambda · p11 / (2 · p01) of the parent.", TOY + "; derived in field notes 3.1")
def imperfect(seeds, tick):
    steps, ratio = (1e-3, 2e-3, 3e-3, 6e-3, 1.2e-2), 0.0475 / (2 * 0.0025)
    worlds = [toy_worlds.imperfect_cooccurrence(rng) for _ in steps for rng in generators(seeds)]
    saes = trained(worlds, L1, tick, l1=np.repeat(steps, seeds).tolist(), pool=131_072)
    short = np.array([1 - np.divide(*at(s, w, [[1, 1], [1, 0]])[:, 0]) for s, w in zip(saes, worlds)])
    measured, expected = short.reshape(-1, seeds).mean(1), ratio * np.array(steps)
    error = np.abs(measured / expected - 1)[:3]
    numbers = {"lambda": list(steps), "found": measured.tolist(), "formula": expected.tolist(),
               "largest relative error up to lambda 3e-3": float(error.max())}
    return Outcome(bool(error.max() <= 0.1), numbers, "within 10 % for lambda up to 3e-3",
                   lines({"found": (steps, measured), "formula": (steps, expected)}, "lambda", "share absorbed",
                         "imperfect co-occurrence", log=True, dashed=("formula",)))


@claim("tied-overlap", "Tied, an SAE of independent but overlapping features learns the Gram-Schmidt dictionary; "
       "untied, it finds the features.", "derived in field notes 3.3; the thread's open question")
def tied_overlap(seeds, tick):
    rhos = (0.3, 0.6)
    worlds = [toy_worlds.world(directions_with_cosine(rng.normal(size=(2, 50)), rho), (0.25, 0.05))
              for rho in rhos for rng in generators(seeds)]
    of_the_second = lambda saes: cosines(saes, worlds)[:, 1].reshape(len(rhos), seeds)
    bound, free = trained(worlds, TIED, tick), trained(worlds, L1, tick)
    off = [np.abs(np.abs(s["W_dec"] @ gram_schmidt(w.directions).T).max(0) - 1).max() for s, w in zip(bound, worlds)]
    fires = np.array([at(s, w, [[0, 1]], architecture=TIED)[0, 0] for s, w in zip(bound, worlds)])
    fires = fires.reshape(len(rhos), seeds)
    expected = np.sqrt(1 - np.square(rhos))
    tied_cos, free_cos = of_the_second(bound), of_the_second(free)
    numbers = {"tied: second feature's cosine": tied_cos.mean(1).tolist(), "sqrt(1 - rho^2)": expected.tolist(),
               "tied: parent's activation on the second alone": fires.mean(1).tolist(), "rho": list(rhos),
               "tied: largest 1 - cosine with Gram-Schmidt rows": float(max(off)),
               "untied: smallest cosine": float(free_cos.min())}
    near = np.abs(tied_cos - expected[:, None]).max() <= 0.02 and np.abs(fires - np.array(rhos)[:, None]).max() <= 0.02
    return Outcome(bool(near and max(off) <= 0.02 and free_cos.min() > 0.99), numbers,
                   "tied: cosine, activation and rows within .02 of Gram-Schmidt; untied: cosine above .99",
                   bars([f"rho = {r}" for r in rhos], {"tied": tied_cos.mean(1), "untied": free_cos.mean(1)},
                        "second feature's cosine", "overlap", {"tied": expected}))
