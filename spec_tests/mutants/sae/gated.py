"""Mutants of SAE: gated activations and their gradient."""

import numpy as np

from sae_spec.reference.sae.activations import relu
from sae_spec.spec_tests.mutants import mutant


def usual(shared, b_enc, r_mag, b_mag):
    return relu(np.exp(r_mag) * shared + b_mag)


def gated_mutant(gate=lambda pre: pre > 0, magnitude=usual):
    def wrong(right, shared, b_enc, r_mag, b_mag):
        mag = magnitude(shared, b_enc, r_mag, b_mag)
        return np.where(gate(shared + b_enc), mag, 0.0)
    return wrong


for name, wrong in {
    "gated: open at 0": gated_mutant(lambda pre: pre >= 0),
    "gated: always open": gated_mutant(lambda pre: pre == pre),
    "gated: the gate multiplies the magnitude": gated_mutant(magnitude=lambda s, b, r, m: (s + b) * usual(s, b, r, m)),
    "gated: the magnitude may be negative": gated_mutant(magnitude=lambda s, b, r, m: np.exp(r) * s + m),
    "gated: the magnitude's bias is scaled too": gated_mutant(magnitude=lambda s, b, r, m: relu(np.exp(r) * (s + m))),
    "gated: the magnitude starts from pre": gated_mutant(magnitude=lambda s, b, r, m: usual(s + b, b, r, m)),
    "gated: r_mag is the scale itself": gated_mutant(magnitude=lambda s, b, r, m: relu((1 + r) * s + m)),
}.items():
    mutant(name, clause="SAE-13", target="gated.gated")(wrong)


@mutant("gated: straight through the gate", clause="SAE-14", target="autoencoder.activate_backward")
def gate_learns(right, d_acts, shared, pre, acts, params, config):
    d_shared, d_pre, more = right(d_acts, shared, pre, acts, params, config)
    return d_shared, d_pre + d_acts if config["activation"] == "gated" else d_pre, more


@mutant("gated: gradient through a closed gate", clause="SAE-14", target="gated.gated_backward")
def closed_gate_leaks(right, d_acts, shared, b_enc, r_mag, b_mag):
    return right(d_acts, shared, np.full_like(b_enc, 1e6), r_mag, b_mag)


@mutant("gated: r_mag's gradient lacks its exp", clause="SAE-14", target="gated.gated_backward")
def linear_r_mag(right, d_acts, shared, b_enc, r_mag, b_mag):
    d_shared, d_r_mag, d_b_mag = right(d_acts, shared, b_enc, r_mag, b_mag)
    return d_shared, d_r_mag / np.exp(r_mag), d_b_mag


@mutant("gated: the magnitude's bias counts in r_mag's gradient", clause="SAE-14", target="gated.gated_backward")
def scaled_bias(right, d_acts, shared, b_enc, r_mag, b_mag):
    d_shared, d_r_mag, d_b_mag = right(d_acts, shared, b_enc, r_mag, b_mag)
    return d_shared, d_r_mag + d_b_mag * b_mag, d_b_mag
