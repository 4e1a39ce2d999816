"""Mutants of ABS: what a stream of activations shows."""

import numpy as np

from sae_spec.reference.sae.constraints import normalize_rows
from sae_spec.spec_tests.mutants import mutant


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
    stream = right(x, acts, W_dec, b_dec)
    return stream._replace(full=stream.fires, beside=stream.together, both_full=stream.together)


@mutant("stream: in full from more than half on", clause="ABS-20", target="stream.observe")
def more_than_half(right, x, acts, W_dec, b_dec):
    full = right(x, acts * (1 - 1e-9), W_dec, b_dec)
    return right(x, acts, W_dec, b_dec)._replace(full=full.full, beside=full.beside, both_full=full.both_full)


@mutant("stream: beside whoever fires at all", clause="ABS-20", target="stream.observe")
def beside_whispers(right, x, acts, W_dec, b_dec):
    stream = right(x, acts, W_dec, b_dec)
    return stream._replace(beside=stream.together)


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
