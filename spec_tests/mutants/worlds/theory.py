"""Mutants of THEORY."""

import numpy as np

from sae_spec.spec_tests.mutants import mutant


@mutant("delta family: only the child's decoder row is scaled", clause="THEORY-1", target="theory.delta_family")
def decoder_only(right, parent, child, delta, unit):
    return right(parent, child, delta, False)[0], right(parent, child, delta, unit)[1]


@mutant("delta family: the parent's encoder is the parent", clause="THEORY-2", target="theory.delta_family")
def no_hole(right, parent, child, delta, unit):
    W_enc, W_dec = right(parent, child, delta, unit)
    return np.stack([parent, W_enc[1]]), W_dec


@mutant("delta family: the square of delta", clause="THEORY-3", target="theory.delta_family")
def squared(right, parent, child, delta, unit):
    return right(parent, child, delta**2, unit)


@mutant("delta family: unit rows when they were not asked for", clause="THEORY-3", target="theory.delta_family")
def always_unit(right, parent, child, delta, unit):
    return right(parent, child, delta, True)


@mutant("delta L1: the child's row is charged as 1", clause="THEORY-4", target="theory.delta_l1")
def norm_ignored(right, p10, p11, delta):
    """As the paper that named absorption computes it (arXiv 2409.14507)."""
    return p11 * (2 - delta) + p10


@mutant("absorption gain: the price is not floored at 1", clause="THEORY-5", target="theory.absorption_gain")
def no_floor(right, p10, p11, D):
    g = lambda p: p * np.log(1 / p) / np.log(D)
    return g(p10 + p11) - g(p10)


@mutant("absorption gain: the price of what is saved", clause="THEORY-5", target="theory.absorption_gain")
def price_of_p11(right, p10, p11, D):
    return p11 * max(1.0, np.log(1 / p11) / np.log(D))


@mutant("hedging angle: in full, not half", clause="THEORY-6", target="theory.hedging_angle")
def full_angle(right, p10, p11, biases):
    return 2 * right(p10, p11, biases)


@mutant("hedging angle: the mean of the samples", clause="THEORY-6", target="theory.hedging_angle")
def mean_direction(right, p10, p11, biases):
    return np.arctan2(p11, p10 + p11)


@mutant("hedging angle: biases turn nothing", clause="THEORY-8", target="theory.hedging_angle")
def no_biases(right, p10, p11, biases):
    return right(p10, p11, False)


@mutant("hedging angle: biases in an arctangent of one argument", clause="THEORY-8", target="theory.hedging_angle")
def one_argument(right, p10, p11, biases):
    """Up to an eighth turn the same."""
    angle = right(p10, p11, biases)
    return angle - np.pi / 2 if biases and angle > np.pi / 4 else angle


@mutant("hedging angle: the parent's variance alone", clause="THEORY-8", target="theory.hedging_angle")
def parent_alone(right, p10, p11, biases):
    p = p10 + p11
    return 0.5 * np.arctan2(2 * p11 * (1 - p), p * (1 - p)) if biases else right(p10, p11, biases)


@mutant("hedging angle: with biases, from the child", clause="THEORY-8", target="theory.hedging_angle")
def from_the_child(right, p10, p11, biases):
    return np.pi / 2 - right(p10, p11, biases) if biases else right(p10, p11, biases)


@mutant("gram-schmidt: the last comes first", clause="THEORY-7", target="theory.gram_schmidt")
def last_first(right, directions):
    return right(directions[::-1])[::-1]


@mutant("gram-schmidt: symmetric orthogonalisation", clause="THEORY-7", target="theory.gram_schmidt")
def symmetric(right, directions):
    U, _, V = np.linalg.svd(directions, full_matrices=False)
    return U @ V


@mutant("gram-schmidt: rows are not scaled", clause="THEORY-7", target="theory.gram_schmidt")
def not_scaled(right, directions):
    rows = right(directions)
    return (directions * rows).sum(-1, keepdims=True) * rows


@mutant("adam's reach: the rate", clause="THEORY-9", target="theory.adam_reach")
def one_rate(right, step, beta1=0.9, beta2=0.999):
    return 1.0


@mutant("adam's reach: without bias correction", clause="THEORY-9", target="theory.adam_reach")
def uncorrected_reach(right, step, beta1=0.9, beta2=0.999):
    return right(10**6, beta1, beta2)


@mutant("adam's reach: of the first gradient alone", clause="THEORY-9", target="theory.adam_reach")
def spike_reach(right, step, beta1=0.9, beta2=0.999):
    t = step + 1
    return np.sqrt((1 - beta2**t) / (1 - beta2)) * (1 - beta1) / (1 - beta1**t)
