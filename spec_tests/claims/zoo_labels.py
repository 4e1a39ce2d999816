"""What is true of a member of the zoo, and what the scores say: one row of numbers for each pair of latents."""

import numpy as np

from sae_spec.reference.absorption import detector, patterns
from sae_spec.reference.absorption.stream import firing_floor, observe
from sae_spec.reference.sae.autoencoder import encode
from sae_spec.reference.sae.constraints import normalize_rows, row_norms
from sae_spec.reference.absorption.ground_truth import match, scores
from sae_spec.reference.worlds.toy_models import draw

SAMPLES = 20_000
POSITIVE, NEGATIVE = 0.3, 0.1      # a true shortfall of so much is absorption; below so much it is none
CLEAR = 0.9                        # cosine and F1 of a parent's latent, recall of its child's
WRITES = 0.05                      # a row with less of a direction does not write it


def activations(member, rng, samples=SAMPLES):
    """x (N, D), magnitudes (N, F), acts (N, M); batch_topk one sample at a time, by its threshold."""
    x, magnitudes = draw(member.world, rng, samples)
    return x, magnitudes, encode(x, member.params, member.config, None, member.threshold)[2]


def firing(x, acts, params):
    """(N, M), True where a latent fires, in the sense of [ABS-19]."""
    W_dec = params["W_dec"]
    return (np.abs(acts) * row_norms(W_dec) >= firing_floor(x, acts, W_dec)) & (acts != 0)


def true_shortfalls(member, x, magnitudes, acts):
    """{(parent's latent, child's latent): how much of its activation the parent's lacks beside the child, or NaN}

    Beside the child: no other child of the parent's is there. Alone: none is. NaN where the parent has no latent of its
    own, or none fires for the child: nobody can say who hides whom. A latent that does not write its parent's direction
    absorbs nothing: 0.
    """
    world, on, W_dec = member.world, magnitudes > 0, member.params["W_dec"]
    latent, cosine = match(W_dec, world.directions)
    fires = firing(x, acts, member.params)
    told = lambda f, where: scores(fires[where][:, [latent[f]]], on[where][:, [f]])   # precision, recall, F1, dead
    shortfall = {}
    for p in np.unique(world.parent[world.parent >= 0]):
        children = np.flatnonzero(world.parent == p)
        without = ~on[:, children].any(-1)
        alone = without & on[:, p]
        clear = latent[p] >= 0 and cosine[p] >= CLEAR and alone.any() and told(p, without)[2][0] >= CLEAR
        for c in children[latent[children] >= 0] if latent[p] >= 0 else ():
            beside = on[:, p] & on[:, c] & (on[:, children].sum(-1) == 1)
            share = lambda samples: (acts[samples, latent[p]] / magnitudes[samples, p]).mean()
            whole = clear and beside.any() and told(c, slice(None))[1][0] >= CLEAR
            short = 1 - share(beside) / share(alone) if whole else np.nan
            writes = W_dec[latent[c]] @ world.directions[p] > WRITES
            shortfall[latent[p], latent[c]] = short if writes or np.isnan(short) else 0.0
    return shortfall


def descendants_of_children(member):
    """Pairs of latents (ancestor, descendant of a child): absorbed through the child, so neither yes nor no."""
    latent, parent = match(member.params["W_dec"], member.world.directions)[0], member.world.parent
    grand = [(parent[parent[c]], c) for c in range(len(parent)) if parent[c] >= 0 and parent[parent[c]] >= 0]
    return [(latent[p], latent[c]) for p, c in grand if latent[p] >= 0 and latent[c] >= 0]


def pairs(member, seed):
    """Every ordered pair of different latents: dict of equally long arrays.

    shortfall   the true one; 0 for pairs that are no parent and child, NaN where nobody can say
    label       1 absorbed, 0 not, -1 in between or unclear: p stands for no feature, or see true_shortfalls
    strict      the same with the unclear among those that are not: what a user sees who knows of no truth
    score       the detector's
    gap         what the weights alone say: pattern_gap
    unaligned   the same from single latents: 1 - alignment, the smaller of the two
    candidate   decoder rows of some but not full likeness: where a score has to decide
    """
    x, magnitudes, acts = activations(member, np.random.default_rng(seed))
    params = member.params
    W_dec, W_enc = params["W_dec"], params.get("W_enc", params["W_dec"])
    stream = observe(x, acts, W_dec, params["b_dec"])
    M, seen = len(W_dec), patterns.within_data(W_enc, (x - params["b_dec"])[:500])
    shortfall, label = np.zeros((M, M)), np.zeros((M, M), dtype=int)
    for pair, value in true_shortfalls(member, x, magnitudes, acts).items():
        shortfall[pair], label[pair] = value, 1 if value >= POSITIVE else 0 if value < NEGATIVE else -1
    for pair in descendants_of_children(member):
        label[pair] = -1
    strict = np.where(np.isnan(shortfall), 0, label)
    unit = normalize_rows(W_dec)
    label[np.abs(unit @ member.world.directions.T).max(-1) < CLEAR] = -1          # p stands for no feature at all
    cosine = detector.evidence(stream, W_dec).cosine
    unaligned = 1 - patterns.alignment(seen, W_dec)
    tables = {"shortfall": shortfall, "label": label, "strict": strict,
              "score": detector.absorption_score(stream, W_enc, W_dec),
              "gap": patterns.pattern_gap(seen, W_dec), "unaligned": np.minimum.outer(unaligned, unaligned),
              "candidate": (cosine > 0.05) & (cosine < 0.98)}
    apart = ~np.eye(M, dtype=bool)
    return {name: table[apart] for name, table in tables.items()}
