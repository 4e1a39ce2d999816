"""Mutants of ABS: what a stream of activations shows."""

import numpy as np

from sae_spec.reference.absorption.stream import LOUD
from sae_spec.reference.sae.constraints import normalize_rows, row_norms
from sae_spec.spec_tests.mutants import mutant


@mutant("stream: every activation but 0 is a firing", clause="ABS-19", target="stream.observe",
        seen_in=("SAELens 6.54.12",), convention=True)
def not_zero(right, x, acts, W_dec, b_dec, floor):
    return right(x, acts, W_dec, b_dec, 0 * floor)


@mutant("stream: 1 % of the sample is a firing", clause="ABS-19", target="stream.observe")
def of_the_sample(right, x, acts, W_dec, b_dec, floor):
    """What version 0.1 of the specification said."""
    enough = np.abs(acts) * row_norms(W_dec) >= 0.01 * row_norms(x - b_dec)[:, np.newaxis]
    return right(x, np.where(enough, acts, 0), W_dec, b_dec, 0 * floor)


@mutant("stream: a firing is above its floor, not at it", clause="ABS-19", target="stream.observe")
def above_the_floor(right, x, acts, W_dec, b_dec, floor):
    return right(x, acts, W_dec, b_dec, np.nextafter(floor, np.inf))


@mutant("stream: the decoder row's norm is left out", clause="ABS-19", target="stream.observe")
def no_norm(right, x, acts, W_dec, b_dec, floor):
    return right(x, acts, normalize_rows(W_dec), b_dec, floor)


@mutant("stream: only positive activations fire", clause="ABS-19", target="stream.observe")
def positive_only(right, x, acts, W_dec, b_dec, floor):
    return right(x, np.maximum(acts, 0), W_dec, b_dec, floor)


@mutant("floor: of a plain mean", clause="ABS-40", target="stream.firing_floor")
def plain_mean(right, x, acts, W_dec):
    mean = np.abs(acts).sum(0) / np.maximum((acts != 0).sum(0), 1)
    return right(x, np.where(acts != 0, mean, 0.0), W_dec)


@mutant("floor: of the largest", clause="ABS-40", target="stream.firing_floor")
def of_the_largest(right, x, acts, W_dec):
    return right(x, np.where(acts != 0, np.abs(acts).max(0, initial=0.0), 0.0), W_dec)


@mutant("floor: signs cancel", clause="ABS-40", target="stream.firing_floor")
def signs_cancel(right, x, acts, W_dec):
    return right(x, np.maximum(acts, 0), W_dec)


@mutant("floor: the decoder row's norm is left out", clause="ABS-40", target="stream.firing_floor")
def floor_without_norm(right, x, acts, W_dec):
    return right(x, acts, normalize_rows(W_dec))


@mutant("floor: a latent that writes noise alone has none", clause="ABS-40", target="stream.firing_floor")
def no_noise(right, x, acts, W_dec):
    return right(0 * x, acts, W_dec)


@mutant("floor: a sample alone is half a mean", clause="ABS-40", target="stream.firing_floor")
def alone_is_half(right, x, acts, W_dec):
    if len(x) == 1:
        x, acts = np.vstack([x, 0 * x]), np.vstack([acts, 0 * acts])
    return right(x, acts, W_dec)


@mutant("floor: noise is measured by the largest sample", clause="ABS-40", target="stream.firing_floor")
def by_the_largest_sample(right, x, acts, W_dec):
    largest = x[row_norms(x).argmax()] if len(x) else 0 * x
    return right(0 * x + largest, acts, W_dec)


@mutant("stream: content is measured from 0", clause="ABS-20", target="stream.observe")
def not_centred(right, x, acts, W_dec, b_dec, floor):
    return right(x, acts, W_dec, 0 * b_dec, floor)


@mutant("stream: what is written against the row is never in full", clause="ABS-20", target="stream.observe")
def negative_is_never_full(right, x, acts, W_dec, b_dec, floor):
    """What version 0.1 of the specification said of samples with negative content."""
    above = right(x, np.maximum(acts, 0), W_dec, b_dec, floor)
    return right(x, acts, W_dec, b_dec, floor)._replace(full=above.full, both_full=above.both_full)


@mutant("stream: whoever fires speaks in full", clause="ABS-20", target="stream.observe")
def always_full(right, x, acts, W_dec, b_dec, floor):
    stream = right(x, acts, W_dec, b_dec, floor)
    return stream._replace(full=stream.fires, beside=stream.together, both_full=stream.together)


@mutant("stream: in full from more than half on", clause="ABS-20", target="stream.observe")
def more_than_half(right, x, acts, W_dec, b_dec, floor):
    full = right(x, acts * (1 - 1e-9), W_dec, b_dec, floor)
    return right(x, acts, W_dec, b_dec, floor)._replace(full=full.full, beside=full.beside, both_full=full.both_full)


@mutant("stream: in full from a third on", clause="ABS-20", target="stream.observe")
def a_third(right, x, acts, W_dec, b_dec, floor):
    full = right(b_dec + (x - b_dec) * 2 / 3, acts, W_dec, b_dec, floor)
    return right(x, acts, W_dec, b_dec, floor)._replace(full=full.full, beside=full.beside, both_full=full.both_full)


def full_from(right, x, acts, W_dec, b_dec, floor, share):
    """The stream in which a share of the floors it takes is enough to speak in full; what fires stays."""
    fires = np.abs(acts) * row_norms(W_dec) >= floor
    return right(x, np.where(fires, acts, 0), W_dec, b_dec, share * floor)


@mutant("stream: a whisper that writes half its content is in full", clause="ABS-20", target="stream.observe")
def whispers_in_full(right, x, acts, W_dec, b_dec, floor):
    """What version 0.1 of the specification said."""
    return full_from(right, x, acts, W_dec, b_dec, floor, 1 / LOUD)


@mutant("stream: in full from a tenth of what is usual on", clause="ABS-20", target="stream.observe")
def loud_from_a_tenth(right, x, acts, W_dec, b_dec, floor):
    return full_from(right, x, acts, W_dec, b_dec, floor, 0.4)


@mutant("stream: beside whoever fires at all", clause="ABS-20", target="stream.observe")
def beside_whispers(right, x, acts, W_dec, b_dec, floor):
    stream = right(x, acts, W_dec, b_dec, floor)
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
