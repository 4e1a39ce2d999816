"""Mutants of ABS: what weights show."""

import numpy as np

from sae_spec.reference.sae.constraints import normalize_rows
from sae_spec.spec_tests.mutants import mutant


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


@mutant("within data: a millionth counts as nothing", clause="ABS-18", target="patterns.within_data")
def coarse(right, W_enc, x):
    basis, size, turned = np.linalg.svd(x, full_matrices=False)
    return right(W_enc, basis * np.where(size > 1e-5 * size.max(initial=0.0), size, 0.0) @ turned)


@mutant("within data: the span of centred samples", clause="ABS-18", target="patterns.within_data")
def centred(right, W_enc, x):
    return right(W_enc, x - x.mean(0) if len(x) else x)
