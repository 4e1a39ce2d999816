"""ABS, SAEBench's metric: given a probe for a feature, how much of the feature do latents write that do not stand for it?

A probe is the direction of a linear classifier for the feature. In a sample x with the feature,

    want       = x · probe / ||probe||                       how much of the feature there is
    q[i]       = acts[i] · cos(probe, W_dec[i])              how much of it latent i writes
    main       = sum of q over the main latents              the latents that stand for the feature
    absorbed   = sum of the largest q of eligible others

Two answers come of it: a share between 0 and 1, and whether the sample counts as fully absorbed. The norm of a
decoder row does not enter q: where it is not 1, the activation must be multiplied by it first.
Source: SAEBench (version 0.6.0), arXiv 2503.09532; its code and its paper use different thresholds.
"""

from typing import NamedTuple

import numpy as np

from ..sae.constraints import normalize_rows


class Thresholds(NamedTuple):
    """What makes a latent eligible and a share worth counting."""

    partial_cos: float = 0.1       # an absorber's decoder row has at least this cosine with the probe
    partial_share: float = 0.4     # the absorbers write at least this share of what there is
    absorbers: float = 3           # at most so many of them count
    full_cos: float = 0.025        # the same two for full absorption,
    full_share: float = 0.4        # by one latent
    silent: float = 1e-8           # main latents below this count as off, in full absorption


CODE = Thresholds()
PAPER = Thresholds(partial_cos=-1.0, partial_share=0.0, absorbers=np.inf)      # its Table 8; see [ABS-42]


def contributions(acts, W_dec, probe):
    """What each latent writes of the probe's direction.

        q[b, i] = acts[b, i] · cos(probe, W_dec[i])

    acts    (B, M)
    W_dec   (M, D)
    probe   (D,)
    returns q (B, M), cos (M,)
    raises  ValueError for a probe that is zero

    [ABS-1] The cosine of a zero decoder row is 0; a zero probe is an error. The rows' norms do not enter.
    """
    length = np.sqrt((probe**2).sum())
    if length == 0:
        raise ValueError("probe must not be zero")
    cos = normalize_rows(W_dec) @ probe / length            # (M,)
    return acts * cos, cos                                  # (B, M), (M,)


def wanted(x, probe):
    """How much of the feature is in each sample.  x (B, D), probe (D,), not zero; returns want (B,)."""
    return x @ probe / np.sqrt((probe**2).sum())            # (B,)


def absorption_fraction(x, acts, W_dec, probe, main, thresholds=CODE):
    """The share of the feature that eligible other latents write in the main latents' place.

        absorbed  sum of the `absorbers` largest positive q among latents that are not main, with cos >= partial_cos
        share     0                               where main >= want, or absorbed / want < partial_share
                  1                               else, where main <= 0
                  a / (a + main)                  else, with a = min(absorbed, want - main)

    x       (B, D)  the activations themselves, b_dec not subtracted
    acts    (B, M)
    W_dec   (M, D)
    probe   (D,)
    main    (M,)    True for the feature's main latents
    returns share (B,), from 0 to 1

    [ABS-2] Where want <= 0, the feature not being there, the share is 0.
    [ABS-3] Without main latents main is 0, so the share is 1 where the absorbers suffice.
    [ABS-4] Without eligible absorbers, absorbed is 0 and so is the share, unless partial_share allows 0.
    [ABS-5] Absorbers count up to what is missing: writing more than want - main does not raise the share.
    """
    q, cos = contributions(acts, W_dec, probe)
    want = wanted(x, probe)                                 # (B,)
    eligible = ~main & (cos >= thresholds.partial_cos) & (q > 0)                  # (B, M)
    best = -np.sort(-np.where(eligible, q, 0.0), axis=-1)   # (B, M)  largest first
    absorbed = best[:, : int(min(thresholds.absorbers, q.shape[-1]))].sum(-1)     # (B,)
    by_main = q[:, main].sum(-1)                            # (B,)
    there = np.where(want > 0, want, 1.0)                   # (B,)  what is divided by
    counts = (want > 0) & (by_main < want) & (absorbed / there >= thresholds.partial_share)
    taken = np.minimum(absorbed, want - by_main)            # (B,)
    both = np.where(counts & (taken + by_main != 0), taken + by_main, 1.0)        # (B,)
    share = np.where(by_main <= 0, 1.0, taken / both)       # (B,)
    return np.where(counts, np.clip(share, 0.0, 1.0), 0.0)  # (B,)


def full_absorption(x, acts, W_dec, probe, main, thresholds=CODE):
    """Whether one latent has taken the feature over while all main latents are silent.

        i = the latent with the largest q
        full = all main acts < silent, cos[i] >= full_cos, want > 0 and q[i] / want >= full_share

    arguments as for `absorption_fraction`
    returns full (B,), True or False

    [ABS-6] Ties for the largest q go to the lowest index; where want <= 0 nothing is absorbed.
    [ABS-7] Without main latents all of none are silent: the condition holds.
    [ABS-42] Under the paper's thresholds full_share stays .4: its 0 is the minimum of the fraction. SAEBench's code has one
             number for both; with 0 a sample in which no latent fires at all counts as fully absorbed.
    Source: arXiv 2503.09532, appendix D, Table 8, sets thresholds of the fraction alone; full absorption is of arXiv 2409.14507,
    where an absorber must have an effect of its own.
    """
    q, cos = contributions(acts, W_dec, probe)
    want = wanted(x, probe)                                 # (B,)
    top = q.argmax(-1)                                      # (B,)  the first of equals
    largest = np.take_along_axis(q, top[:, np.newaxis], -1)[:, 0]                 # (B,)
    silent = (acts[:, main] < thresholds.silent).all(-1)    # (B,)
    share = largest / np.where(want > 0, want, 1.0)         # (B,)
    return silent & (cos[top] >= thresholds.full_cos) & (want > 0) & (share >= thresholds.full_share)


def main_latents(ranking, scores, gain=0.03):
    """The latents among which a feature is split: as many as keep improving a probe on few latents.

        ranking[:k], k the smallest number from 1 on for which scores[k] > scores[k - 1] + gain does not hold

    ranking  (K,)  latents, the most telling first
    scores   (K,)  F1 of a probe that sees ranking[:k], for k = 1 .. K
    gain     by how much a further latent must improve the score
    returns the main latents, ranking[:k]

    [ABS-8] The improvement is strict, and the first that fails ends the search.
    [ABS-9] Absorbers that carry much of a feature improve the probe too and so become main latents: with few of
            them the metric reports 0 for full absorption. Where the truth is known, give the main latents.
    """
    taken = 1
    while taken < len(scores) and scores[taken] > scores[taken - 1] + gain:
        taken += 1
    return ranking[:taken].copy()
