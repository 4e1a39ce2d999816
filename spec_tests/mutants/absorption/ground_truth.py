"""Mutants of ABS: what is measured where the features are known."""

import numpy as np

from sae_spec.reference.absorption import ground_truth
from sae_spec.reference.sae.constraints import normalize_rows
from sae_spec.spec_tests.mutants import mutant


@mutant("match: every feature takes its best latent", clause="ABS-10", target="ground_truth.match",
        seen_in=("SAELens 6.54.12",), convention=True)
def best_each(right, W_dec, directions):
    cosine = np.abs(normalize_rows(directions) @ normalize_rows(W_dec).T)
    return cosine.argmax(-1), cosine.max(-1)


@mutant("match: greedy", clause="ABS-10", target="ground_truth.match")
def greedy(right, W_dec, directions):
    cosine = np.abs(normalize_rows(directions) @ normalize_rows(W_dec).T)
    latent, matched = np.full(len(directions), -1), np.zeros(len(directions))
    for _ in range(min(cosine.shape)):
        f, i = np.unravel_index(cosine.argmax(), cosine.shape)
        latent[f], matched[f] = i, cosine[f, i]
        cosine[f], cosine[:, i] = -1, -1
    return latent, matched


@mutant("match: the sign counts", clause="ABS-10", target="ground_truth.match")
def signed(right, W_dec, directions):
    latent, _ = right(W_dec, directions)
    cosine = (normalize_rows(directions) * normalize_rows(W_dec)[latent]).sum(-1)
    return latent, np.where(latent >= 0, cosine, 0.0)


@mutant("mcc: the mean over features", clause="ABS-11", target="ground_truth.mcc")
def over_features(right, W_dec, directions):
    return ground_truth.match(W_dec, directions)[1].mean()


@mutant("mcc: the mean over latents", clause="ABS-11", target="ground_truth.mcc")
def over_latents(right, W_dec, directions):
    return ground_truth.match(W_dec, directions)[1].sum() / len(W_dec)


@mutant("scores: a quotient of nothing by nothing is 1", clause="ABS-12", target="ground_truth.scores")
def nothing_is_1(right, fires, truth):
    precision, recall, f1, dead = right(fires, truth)
    return np.where(dead, 1.0, precision), recall, f1, dead


@mutant("scores: dead means never right", clause="ABS-12", target="ground_truth.scores")
def never_right(right, fires, truth):
    precision, recall, f1, _ = right(fires, truth)
    return precision, recall, f1, precision == 0


@mutant("scores: f1 is the arithmetic mean", clause="ABS-12", target="ground_truth.scores")
def arithmetic(right, fires, truth):
    precision, recall, _, dead = right(fires, truth)
    return precision, recall, (precision + recall) / 2, dead


@mutant("recall hole: a difference", clause="ABS-13", target="ground_truth.recall_hole")
def difference(right, fires, parent, child):
    both, alone = parent & child, parent & ~child
    if not both.any() or not fires[alone].any():
        return 0.0
    return fires[alone].mean() - fires[both].mean()


@mutant("recall hole: against all of the parent's samples", clause="ABS-13", target="ground_truth.recall_hole")
def against_all(right, fires, parent, child):
    hole = right(fires, parent, child)
    both = parent & child
    return 1 - fires[both].mean() / fires[parent].mean() if hole != 0 else hole


@mutant("recall hole: samples of the child alone count", clause="ABS-13", target="ground_truth.recall_hole")
def child_alone(right, fires, parent, child):
    return right(fires, parent | child, child)


@mutant("recall hole: nothing to compare is a full hole", clause="ABS-13", target="ground_truth.recall_hole")
def nothing_is_full(right, fires, parent, child):
    return right(fires, parent, child) if fires[parent & ~child].any() else 1.0


@mutant("carried share: the mean of quotients", clause="ABS-14", target="ground_truth.carried_share")
def mean_of_quotients(right, acts, W_dec, direction, latent, samples):
    shares = [right(acts, W_dec, direction, latent, np.arange(len(acts)) == b) for b in np.flatnonzero(samples)]
    return float(np.mean(shares)) if shares else 0.0


@mutant("carried share: all samples count", clause="ABS-14", target="ground_truth.carried_share")
def all_samples(right, acts, W_dec, direction, latent, samples):
    return right(acts, W_dec, direction, latent, np.ones_like(samples))


@mutant("carried share: of nothing it is 1", clause="ABS-14", target="ground_truth.carried_share")
def nothing_carried(right, acts, W_dec, direction, latent, samples):
    written = (acts[samples] @ (W_dec @ direction)).sum()
    return right(acts, W_dec, direction, latent, samples) if written else 1.0


@mutant("hedging: absolute cosines", clause="ABS-15", target="ground_truth.hedging")
def absolute_hedging(right, *arguments):
    return tuple(map(np.abs, right(*arguments)))


@mutant("hedging: products, not cosines", clause="ABS-15", target="ground_truth.hedging")
def hedging_products(right, W_enc, W_dec, latent, other):
    return W_enc[latent] @ other, W_dec[latent] @ other


@mutant("hedging: encoder and decoder exchanged", clause="ABS-15", target="ground_truth.hedging")
def hedging_exchanged(right, *arguments):
    return right(*arguments)[::-1]
