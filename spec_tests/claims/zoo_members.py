"""The zoo's SAEs: trained ones, kept on disk, and closed forms."""

from typing import NamedTuple

import numpy as np

from sae_spec.reference.sae.constraints import normalize_rows
from sae_spec.reference.worlds.theory import gram_schmidt, hedging_angle
from sae_spec.reference.worlds.toy_models import World, expected_cofiring
from sae_spec.spec_tests.claims import zoo_worlds
from sae_spec.spec_tests.claims.zoo_worlds import COMMON, UNSEEN

ARCHITECTURES = ("l1", "topk", "batch_topk", "jumprelu", "tied")
STEPS = 1500


class Member(NamedTuple):
    """One SAE and the world it lives in."""

    kind: str
    how: str             # an architecture, or "closed form"
    world: World
    params: dict         # float64 arrays by name
    config: dict         # activation and k
    threshold: object    # batch_topk: a number, else None


def settings(how, kind, world, rng):
    """(architecture, training, own coefficients) of one fleet; the coefficients are drawn for each SAE."""
    spread = lambda low, high: lambda n: np.exp(rng.uniform(np.log(low), np.log(high), n)).tolist()
    active = np.trace(expected_cofiring(world))
    near_truth = max(1, round(active))                      # at or below the number of features in a sample
    return {
        "l1": ({"activation": "relu"}, {"l1_coefficient": spread(0.003, 0.04)}),
        "topk": ({"activation": "topk", "k": max(1, int(np.ceil(active)) if kind != "crowd" else near_truth)}, {}),
        "batch_topk": ({"activation": "batch_topk", "k": near_truth}, {}),
        "jumprelu": ({"activation": "jumprelu", "bandwidth": 1.0, "initial_threshold": 0.1, "threshold_parameter": "log_threshold"},
                     {"l0_coefficient": spread(0.03, 0.12)}),
        "tied": ({"activation": "relu", "tied": True}, {"l1_coefficient": spread(0.003, 0.04)}),
    }[how]


def trained(split, kind, how, count, seed, folder, tick=lambda: None):
    """`count` SAEs of one architecture in worlds of one kind, from `folder` if they are there.

    Half of them begin near the truth, where there are latents for it, half at random directions.
    """
    from sae_spec.spec_tests.claims import fleet

    make, M = (COMMON | UNSEEN)[kind]
    rng = np.random.default_rng(seed)
    worlds = [make(rng) for _ in range(count)]
    architecture, coefficients = settings(how, kind, worlds[0], rng)
    coefficients = {name: draw(count) for name, draw in coefficients.items()}
    start = rng.normal(size=(count, M, zoo_worlds.D))
    for s in range(0, count, 2):
        truth = worlds[s].directions[:M]
        start[s] = 0.1 * start[s]
        start[s, : len(truth)] += truth
    path = folder / f"{split}-{kind}-{how}-{count}-{seed}.npz"
    if not path.exists():
        training = dict(steps=STEPS, batch_size=256, learning_rate=3e-3, warmup_steps=10, decay_steps=STEPS // 3,
                        threshold_decay=0.99, threshold_rate=1.0)
        saes = fleet.train(worlds, M, architecture, training | coefficients, start, seed, pool=32_768, tick=tick)
        np.savez(path, **{name: np.stack([sae[name] for sae in saes]) for name in saes[0]})
    with np.load(path) as file:
        arrays = {name: file[name] for name in file}
    thresholds = arrays.pop("threshold", [None] * count)
    for s, world in enumerate(worlds):
        yield Member(kind, how, world, {n: array[s] for n, array in arrays.items()}, architecture, thresholds[s])


def closed_form(kind, rng):
    """One SAE written down, of a random world of the kind; encoders get noise where no sample can see it."""
    world = (COMMON | UNSEEN)["overlap" if kind == "tied" else kind][0](rng)
    f, bias, how = world.directions, 0.0, {"activation": "relu"}
    if kind == "hedged":
        p11 = expected_cofiring(world)[0, 1]
        angle = hedging_angle(world.rate[0] - p11, p11)
        W_dec = np.stack([np.cos(angle) * f[0] + np.sin(angle) * f[1], f[2]])
        W_enc = W_dec.copy()
    elif kind in ("superposition", "squeezed", "zipf"):
        W_enc, W_dec, bias = f.copy(), f.copy(), -0.4
    elif kind == "tied":
        W_enc = W_dec = gram_schmidt(f)
    else:
        W_enc, W_dec = np.linalg.pinv(f).T, f.copy()        # the dual basis reads each feature alone
        for c in np.flatnonzero(world.parent >= 0) if not kind.endswith("correlated") else ():
            p, delta = world.parent[c], rng.choice([0.0, 1.0, rng.uniform(0, 1)], p=[0.15, 0.25, 0.6])
            W_enc[p] -= delta * W_enc[c]
            W_dec[c] += delta * W_dec[p]
    if kind != "tied" and len(f) < f.shape[1]:
        _, _, basis = np.linalg.svd(f)
        unseen = basis[len(f) :]                            # directions orthogonal to every sample
        W_enc = W_enc + rng.choice([0.0, 0.1]) * rng.normal(size=(len(W_enc), len(unseen))) @ unseen
    scale = 1.0 if kind == "tied" else np.sqrt((W_dec**2).sum(-1, keepdims=True))
    params = {"W_enc": W_enc * scale, "W_dec": normalize_rows(W_dec), "b_enc": np.full(len(W_dec), bias),
              "b_dec": np.zeros(f.shape[1])}
    return Member(kind, "closed form", world, params, how, None)
