"""What is true of a member of the zoo, and what the scores say: one row of numbers for each pair of latents."""

from typing import NamedTuple

import numpy as np

from sae_spec.reference.absorption import detector, patterns
from sae_spec.reference.absorption.evidence import ENOUGH, evidence, quotient
from sae_spec.reference.absorption.stream import LOUD, firing_floor, observe
from sae_spec.reference.sae.autoencoder import encode
from sae_spec.reference.sae.constraints import normalize_rows, row_norms
from sae_spec.reference.absorption.ground_truth import match, scores
from sae_spec.reference.worlds.toy_models import draw

SAMPLES = 20_000
POSITIVE, NEGATIVE = 0.3, 0.1      # a true shortfall of so much is absorption; below so much it is none
CLEAR = 0.9                        # cosine and F1 of a parent's latent, recall of its child's
TOLD = {"cosine": 0.9, "precision": 0.8, "recall": 0.15}    # of p and its feature, in samples without c; p may have many children
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


def in_full(x, acts, W_dec, b_dec):
    """(B, M) bool: where a latent speaks in full, [ABS-20], of activations that are not negative."""
    written, content = acts * row_norms(W_dec), (x - b_dec) @ normalize_rows(W_dec).T
    return (acts > 0) & (written >= np.maximum(LOUD * firing_floor(x, acts, W_dec), content / 2))


class InSamples(NamedTuple):
    """Of every pair, (M, M)."""

    amount: np.ndarray
    label: np.ndarray        # 1 absorbed, 0 not, -1 unclear


def in_samples(W_dec, directions, b_dec, x, magnitudes, acts):
    """Which pairs are absorbed by what truly is in samples x (B, D): features of directions (F, D) and magnitudes (B, F).

    p stands for the feature that its decoder row is most like. In c's samples, those in which c speaks in full, that feature may be
    present, p may say less of it than without c, and c may write it. Absorbed is what is missing of it:

        amount[p, c] = P(the feature is there) · (1 - p's activation per magnitude of the feature / the same without c)

    if c's row has a cosine of at least .1 with the feature. At least .3 is absorbed, below .1 not; what lies between, and every
    pair whose p is no clear latent of one feature, is unclear. A latent for two features at once absorbs both: it need not be
    any feature's child.
    """
    cosine = normalize_rows(W_dec) @ directions.T           # (M, F)
    of = np.abs(cosine).argmax(-1)                          # (M,)  each latent's feature
    full = in_full(x, acts, W_dec, b_dec).astype(float)
    there = (magnitudes[:, of] > 0).astype(float)           # (B, M)
    share = np.where(there > 0, acts / np.where(there > 0, magnitudes[:, of], 1.0), 0.0)
    n, both = full.sum(0), there.T @ full
    beside, alone = quotient(share.T @ full, both), quotient(share.sum(0)[:, None] - share.T @ full, there.sum(0)[:, None] - both)
    writes = cosine[:, of].T >= NEGATIVE                         # (M, M)  c's row, p's feature
    amount = np.nan_to_num(quotient(both, n) * np.clip(1 - quotient(beside, alone), 0, 1)) * writes
    told = clear(there, full) & (np.abs(cosine).max(-1) >= TOLD["cosine"])[:, None] & (n >= ENOUGH)
    return InSamples(amount, np.where(~told, -1, np.where(amount >= POSITIVE, 1, np.where(amount < NEGATIVE, 0, -1))))


def clear(there, full):
    """Whether p tells its feature where c does not speak; (M, M)."""
    hits, false = there * full, (1 - there) * full
    without_c = lambda which: which.sum(0)[:, None] - which.T @ full
    hit = without_c(hits)
    return ((quotient(hit, hit + without_c(false)) >= TOLD["precision"])
            & (quotient(hit, without_c(there)) >= TOLD["recall"]))


def pairs(member, seed):
    """Every ordered pair of different latents: dict of equally long arrays.

    shortfall   the true one; 0 for pairs that are no parent and child, NaN where nobody can say
    label       1 absorbed, 0 not, -1 in between or unclear: p stands for no feature, or see true_shortfalls; of latents that are no
                parent and child by what is in the samples (`in_samples`), since who runs out of slots absorbs strangers
    strict      the same with the unclear among those that are not: what a user sees who knows of no truth
    score       the detector's probability
    amount      how much of p the detector misses beside c: silent + low
    gap         what the weights alone say: pattern_gap
    unaligned   the same from single latents: 1 - alignment, the smaller of the two
    candidate   decoder rows of some but not full likeness: where a score has to decide
    """
    x, magnitudes, acts = activations(member, np.random.default_rng(seed))
    params = member.params
    W_dec, W_enc = params["W_dec"], params.get("W_enc", params["W_dec"])
    stream = observe(x, acts, W_dec, params["b_dec"])
    M, seen = len(W_dec), patterns.within_data(W_enc, (x - params["b_dec"])[:500])
    shortfall, label, family = np.zeros((M, M)), np.zeros((M, M), dtype=int), np.zeros((M, M), dtype=bool)
    for pair, value in true_shortfalls(member, x, magnitudes, acts).items():
        family[pair] = True
        shortfall[pair], label[pair] = value, 1 if value >= POSITIVE else 0 if value < NEGATIVE else -1
    for pair in descendants_of_children(member):
        label[pair] = -1
    found = in_samples(W_dec, member.world.directions, params["b_dec"], x, magnitudes, acts)
    label = np.where(~family & (label == 0) & (found.amount >= NEGATIVE), np.where(found.label == 1, 1, -1), label)
    strict = np.where(np.isnan(shortfall), 0, label)
    unit = normalize_rows(W_dec)
    label[np.abs(unit @ member.world.directions.T).max(-1) < CLEAR] = -1          # p stands for no feature at all
    of = evidence(stream, W_dec)
    unaligned = 1 - patterns.alignment(seen, W_dec)
    tables = {"shortfall": shortfall, "label": label, "strict": strict,
              "score": detector.probability(of), "amount": detector.amount(of),
              "gap": patterns.pattern_gap(seen, W_dec), "unaligned": np.minimum.outer(unaligned, unaligned),
              "candidate": detector.candidate(of)}
    apart = ~np.eye(M, dtype=bool)
    return {name: table[apart] for name, table in tables.items()}
