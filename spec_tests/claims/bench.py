"""The experiments' common bench: SAEs trained near the truth, and what is read off them."""

import numpy as np

from sae_spec.reference.sae.autoencoder import encode
from sae_spec.reference.absorption.ground_truth import match, recall_hole
from sae_spec.reference.worlds.toy_models import draw
from sae_spec.spec_tests.claims import fleet
from sae_spec.spec_tests.claims.zoo_labels import firing

L1 = {"activation": "relu"}
TIED = {"activation": "relu", "tied": True}
STEPS, LONG = 3000, 6000           # full absorption comes late: the last fifth of the parent goes slowly


def near_truth(worlds, M, rng, noise=0.1):
    """(S, M, D)  the worlds' directions with noise, as in the published toy."""
    return np.stack([w.directions[:M] + noise * rng.normal(size=(M, w.directions.shape[1])) for w in worlds])


def trained(worlds, architecture, tick, l1=3e-3, start="near", M=None, **more):
    """SAEs on worlds of one shape, from truth plus noise or (start="random") from anywhere.

    l1    a number or one for each world
    more  further fields of TrainingConfig, or of fleet.train: seed, pool, pricing
    """
    M, seed = M or len(worlds[0].directions), more.pop("seed", 0)
    begin = near_truth(worlds, M, np.random.default_rng(seed + 1)) if start == "near" else None
    apart = {name: more.pop(name) for name in ("pool", "pricing") if name in more}
    training = {"steps": STEPS, "batch_size": 256, "learning_rate": 3e-3, "warmup_steps": 10, "decay_steps": STEPS // 2,
                "sparsity_warmup_steps": 0} | ({"l1_coefficient": l1} if l1 is not None else {}) | more
    return fleet.train(worlds, M, architecture, training, begin, seed, tick=tick, **apart)


def activations(sae, x, architecture=L1):
    """acts (B, M); batch_topk sample by sample."""
    params = {name: array for name, array in sae.items() if name != "threshold"}
    return encode(x, params, architecture, None, sae.get("threshold"))[2]


def at(sae, world, magnitudes, latents=(0, 1), architecture=L1):
    """Activations of the latents of the first features on given magnitudes: (n, features); returns (n, latents)."""
    full = np.zeros((len(magnitudes), len(world.directions)))
    full[:, : np.shape(magnitudes)[1]] = magnitudes
    latent = match(sae["W_dec"], world.directions)[0][list(latents)]
    return activations(sae, full @ world.directions, architecture)[:, latent]


def holes(saes, worlds, architecture=L1, samples=20_000):
    """For each SAE: how much rarer the parent's latent (feature 0) fires beside the child (feature 1)."""
    by_sae = []
    for number, (sae, world) in enumerate(zip(saes, worlds)):
        x, magnitudes = draw(world, np.random.default_rng([7, number]), samples)
        fires = firing(x, activations(sae, x, architecture), sae)
        latent = match(sae["W_dec"], world.directions)[0][0]
        by_sae.append(recall_hole(fires[:, latent], magnitudes[:, 0] > 0, magnitudes[:, 1] > 0))
    return np.array(by_sae)


def cosines(saes, worlds):
    """(S, F)  of each feature with its latent's decoder row."""
    return np.stack([match(sae["W_dec"], world.directions)[1] for sae, world in zip(saes, worlds)])


def generators(seeds, stream=0):
    return [np.random.default_rng([stream, seed]) for seed in range(seeds)]
