"""Mutants of META and THEORY."""

import numpy as np

from sae_spec.reference.sae.constraints import normalize_rows
from sae_spec.spec_tests.mutants import mutant


@mutant("meta: dead latents' rows are samples", clause="META-1", target="meta_sae.meta_samples")
def dead_too(right, W_dec, alive):
    return right(W_dec, np.ones_like(alive))


@mutant("meta: zero rows are samples", clause="META-1", target="meta_sae.meta_samples")
def zero_rows(right, W_dec, alive):
    return normalize_rows(W_dec[alive])


@mutant("meta: rows as they are", clause="META-1", target="meta_sae.meta_samples")
def not_unit(right, W_dec, alive):
    rows = W_dec[alive]
    return rows[(rows != 0).any(-1)]


@mutant("variance explained: the error is centred", clause="META-2", target="meta_sae.variance_explained")
def centred_error(right, x, recon):
    return right(x, recon - (recon - x).mean(0))


@mutant("variance explained: the mean over dimensions", clause="META-2", target="meta_sae.variance_explained",
        seen_in=("SAELens 6.54.12",), convention=True)
def by_dimension(right, x, recon):
    right(x, recon)
    varies = ((x - x.mean(0)) ** 2).sum(0) > 0
    return np.mean([right(x[:, [d]], recon[:, [d]]) for d in np.flatnonzero(varies)])


@mutant("variance explained: against the second moment", clause="META-2", target="meta_sae.variance_explained")
def second_moment(right, x, recon):
    right(x, recon)
    return 1 - ((x - recon) ** 2).sum() / (x**2).sum()


@mutant("variance explained: of no variance it is 0", clause="META-2", target="meta_sae.variance_explained")
def no_variance(right, x, recon):
    return 0.0 if not ((x - x.mean(0)) ** 2).sum() > 0 else right(x, recon)


@mutant("shared: the product", clause="META-3", target="meta_sae.shared_meta_latents")
def product(right, meta_acts):
    shared = (meta_acts[:, np.newaxis] * meta_acts[np.newaxis]).max(-1)
    np.fill_diagonal(shared, 0.0)
    return shared


@mutant("shared: the sum over meta-latents", clause="META-3", target="meta_sae.shared_meta_latents")
def summed(right, meta_acts):
    shared = np.minimum(meta_acts[:, np.newaxis], meta_acts[np.newaxis]).sum(-1)
    np.fill_diagonal(shared, 0.0)
    return shared


@mutant("shared: as strongly as the second uses it", clause="META-4", target="meta_sae.shared_meta_latents")
def directed(right, meta_acts):
    shared = np.where(meta_acts[:, np.newaxis] > 0, meta_acts[np.newaxis], 0.0).max(-1)
    np.fill_diagonal(shared, 0.0)
    return shared


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
def full_angle(right, p10, p11):
    return 2 * right(p10, p11)


@mutant("hedging angle: the mean of the samples", clause="THEORY-6", target="theory.hedging_angle")
def mean_direction(right, p10, p11):
    return np.arctan2(p11, p10 + p11)


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
