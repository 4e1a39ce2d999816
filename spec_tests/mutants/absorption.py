"""Mutants of ABS: patterns, the stream, ground truth."""

import numpy as np

from sae_spec.reference.absorption import ground_truth
from sae_spec.reference.sae.constraints import normalize_rows
from sae_spec.spec_tests.mutants import mutant

# ---------------------------------------------------------------- what can be seen


@mutant("alignment: a product, not a cosine", clause="ABS-16", target="patterns.alignment")
def product(right, W_enc, W_dec):
    return (W_enc * W_dec).sum(-1)


@mutant("alignment: of the columns", clause="ABS-16", target="patterns.alignment",
        seen_in=("feature-hedging-paper",), where="its docstring says rows")
def of_columns(right, W_enc, W_dec):
    return (normalize_rows(W_enc.T).T * normalize_rows(W_dec.T).T).sum(-1)


@mutant("gap: encoder against decoder", clause="ABS-17", target="patterns.pattern_gap")
def crossed(right, W_enc, W_dec):
    gap = normalize_rows(W_dec) @ normalize_rows(W_dec).T - normalize_rows(W_enc) @ normalize_rows(W_dec).T
    np.fill_diagonal(gap, 0.0)
    return gap


@mutant("gap: absolute cosines", clause="ABS-17", target="patterns.pattern_gap")
def absolute(right, W_enc, W_dec):
    read, write = normalize_rows(W_enc), normalize_rows(W_dec)
    gap = np.abs(write @ write.T) - np.abs(read @ read.T)
    np.fill_diagonal(gap, 0.0)
    return gap


@mutant("gap: the diagonal is not 0 where a row is", clause="ABS-17", target="patterns.pattern_gap")
def own_gap(right, W_enc, W_dec):
    read, write = normalize_rows(W_enc), normalize_rows(W_dec)
    return write @ write.T - read @ read.T


@mutant("within data: encoders as they are", clause="ABS-18", target="patterns.within_data",
        seen_in=("SAELens 6.54.12",), convention=True)
def as_they_are(right, W_enc, x):
    return W_enc


@mutant("within data: the span of centred samples", clause="ABS-18", target="patterns.within_data")
def centred(right, W_enc, x):
    return right(W_enc, x - x.mean(0) if len(x) else x)


@mutant("stream: every activation but 0 is a firing", clause="ABS-19", target="stream.observe",
        seen_in=("SAELens 6.54.12",), convention=True)
def not_zero(right, x, acts, W_dec, b_dec):
    loud = np.where(acts != 0, np.maximum(np.abs(acts), 1e3 * np.abs(x - b_dec).max(initial=0.0)), 0.0)
    return right(x, loud, W_dec, b_dec)


@mutant("stream: 1 % of the sample, b_dec included", clause="ABS-19", target="stream.observe")
def not_centred(right, x, acts, W_dec, b_dec):
    return right(x, acts, W_dec, 0 * b_dec)


@mutant("stream: the decoder row's norm is left out", clause="ABS-19", target="stream.observe")
def no_norm(right, x, acts, W_dec, b_dec):
    return right(x, acts, normalize_rows(W_dec), b_dec)


@mutant("stream: only positive activations fire", clause="ABS-19", target="stream.observe")
def positive_only(right, x, acts, W_dec, b_dec):
    return right(x, np.maximum(acts, 0), W_dec, b_dec)


@mutant("stream: whoever fires speaks in full", clause="ABS-20", target="stream.observe")
def always_full(right, x, acts, W_dec, b_dec):
    found = right(x, acts, W_dec, b_dec)
    return found._replace(full=found.fires, beside=found.together, both_full=found.together)


@mutant("stream: in full from more than half on", clause="ABS-20", target="stream.observe")
def more_than_half(right, x, acts, W_dec, b_dec):
    full = right(x, acts * (1 - 1e-9), W_dec, b_dec)
    return right(x, acts, W_dec, b_dec)._replace(full=full.full, beside=full.beside, both_full=full.both_full)


@mutant("stream: beside whoever fires at all", clause="ABS-20", target="stream.observe")
def beside_whispers(right, x, acts, W_dec, b_dec):
    found = right(x, acts, W_dec, b_dec)
    return found._replace(beside=found.together)


@mutant("stream: firings together are not added", clause="ABS-21", target="stream.merge")
def not_together(right, one, other):
    return right(one, other)._replace(together=np.maximum(one.together, other.together))


@mutant("stream: the last piece's number of samples counts", clause="ABS-21", target="stream.merge")
def last_samples(right, one, other):
    return right(one, other)._replace(samples=other.samples)


@mutant("lift: 0 with the dead", clause="ABS-22", target="stream.lift")
def dead_0(right, stream):
    return right(stream) * (np.outer(stream.fires, stream.fires) > 0)


@mutant("lift: a conditional probability", clause="ABS-22", target="stream.lift")
def conditional(right, stream):
    return right(stream) * (stream.fires / max(stream.samples, 1))[:, np.newaxis]


@mutant("phi: always firing is NaN", clause="ABS-23", target="stream.phi", seen_in=("MetaSAE",))
def nan_phi(right, stream):
    constant = stream.fires * (stream.samples - stream.fires) == 0
    return np.where(constant[:, np.newaxis] | constant, np.nan, right(stream))


@mutant("phi: the covariance", clause="ABS-23", target="stream.phi")
def covariance(right, stream):
    p = stream.fires / max(stream.samples, 1)
    return stream.together / max(stream.samples, 1) - np.outer(p, p)


@mutant("phi: absolute", clause="ABS-23", target="stream.phi", seen_in=("MetaSAE",), convention=True)
def absolute_phi(right, stream):
    return np.abs(right(stream))


# ---------------------------------------------------------------- with the truth


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
    found = [right(acts, W_dec, direction, latent, np.arange(len(acts)) == b) for b in np.flatnonzero(samples)]
    return float(np.mean(found)) if found else 0.0


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
