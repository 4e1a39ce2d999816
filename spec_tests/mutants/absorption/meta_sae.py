"""Mutants of META."""

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


@mutant("variance explained: below 1 there is none to explain", clause="META-2", target="meta_sae.variance_explained")
def little_is_none(right, x, recon):
    if ((x - x.mean(0)) ** 2).sum() < 1:
        raise ValueError("x has no variance to explain")
    return right(x, recon)


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
