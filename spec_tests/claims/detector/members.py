"""SAEs of those worlds, trained and written down, untied and tied, as many latents as features or twice as many."""

from typing import NamedTuple

import numpy as np

from sae_spec.reference.sae.autoencoder import encode
from sae_spec.spec_tests.claims import fleet
from sae_spec.spec_tests.claims.detector.worlds import KINDS, Wide, draw

SPREAD = {"l1": (0.003, 0.05), "jumprelu": (0.02, 0.12)}     # of the coefficients
ARCHITECTURES = {                # name: SAEConfig's fields, of the mean number of features in a sample
    "l1": lambda active: {"activation": "relu"},
    "topk": lambda active: {"activation": "topk", "k": int(np.ceil(active))},
    "topk, a spare slot": lambda active: {"activation": "topk", "k": int(np.ceil(active)) + 1},
    "batch_topk": lambda active: {"activation": "batch_topk", "k": max(1, round(active))},
    "jumprelu": lambda active: {"activation": "jumprelu", "bandwidth": 1.0, "initial_threshold": 0.1},
    "tied topk": lambda active: {"activation": "topk", "k": max(1, round(active)), "tied": True},
}
TRAINING = dict(batch_size=256, learning_rate=3e-3, warmup_steps=10, threshold_decay=0.99)


class Member(NamedTuple):
    kind: str
    how: str             # an architecture, or "written down"
    wide: Wide
    params: dict         # float64 arrays by name
    config: dict
    threshold: object    # batch_topk: a number, else None


def trained(kind, how, count, seed, twice=False, steps=1200, pool=16_384):
    """`count` SAEs of one architecture in worlds of one kind; every other one begins near the truth, the rest at random."""
    rng = np.random.default_rng(seed)
    worlds = [KINDS[kind](rng) for _ in range(count)]
    drawn = [draw(wide, rng, pool) for wide in worlds]
    data, active = np.stack([x for x, _ in drawn]), np.mean([(m > 0).sum(-1).mean() for _, m in drawn])
    F, D = worlds[0].world.directions.shape
    start = rng.normal(size=(count, F * (2 if twice else 1), D))
    for s in range(0, count, 2):
        start[s] *= 0.1
        start[s, :F] += worlds[s].world.directions
    config, training = ARCHITECTURES[how](active), TRAINING | {"steps": steps, "decay_steps": steps // 3}
    if how in SPREAD:
        low, high = np.log(SPREAD[how])
        training[f"l{0 if how == 'jumprelu' else 1}_coefficient"] = np.exp(rng.uniform(low, high, count)).tolist()
    for wide, sae in zip(worlds, fleet.train_on(data, start.shape[1], config, training, start, seed)):
        threshold = sae.pop("threshold", None)
        yield Member(kind, how + (", 2F" if twice else ""), wide, sae, config, threshold)


def parents_of(wide):
    """(parent, child) of every child."""
    return [(p, c) for c, p in enumerate(wide.world.parent) if p >= 0] + [(p, c) for c, p in wide.second]


def written_down(kind, rng):
    """An SAE that reads each feature alone, but for what its children take; encoders of crowded features read with a bias."""
    wide = KINDS[kind](rng)
    one, f = wide.world, wide.world.directions
    crowded = np.abs(f @ f.T - np.eye(len(f))).max() > 0 and len(f) >= 20
    W_enc, W_dec, bias = (f.copy(), f.copy(), -0.35) if crowded else (np.linalg.pinv(f).T, f.copy(), 0.0)
    for p, c in parents_of(wide):
        if one.rate_alone[c] < one.rate[c] / 2 and (wide.both or not wide.second):
            delta = rng.choice([0.0, 1.0, rng.uniform()], p=[0.15, 0.35, 0.5]) * one.mean[p] / one.mean[c]
            W_enc[p] -= delta * W_enc[c]
            W_dec[c] += delta * W_dec[p]
    norm = np.sqrt((W_dec**2).sum(-1, keepdims=True))
    params = {"W_enc": W_enc * norm, "W_dec": W_dec / norm, "b_enc": np.full(len(f), bias), "b_dec": np.full(f.shape[1], wide.offset)}
    return Member(kind, "written down", wide, params, {"activation": "relu"}, None)


def samples(member, rng, count):
    """x (B, D), magnitudes (B, F), acts (B, M); batch_topk one sample at a time, by its threshold."""
    x, magnitudes = draw(member.wide, rng, count)
    return x, magnitudes, encode(x, member.params, member.config, None, member.threshold)[2]
