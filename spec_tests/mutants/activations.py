"""Mutants of ACT."""

import numpy as np

from sae_spec.spec_tests.mutants import mutant


@mutant("jumprelu: on at equality", clause="ACT-7", target="activations.jumprelu", seen_in="overcomplete 0.3.0")
def on_at_equality(right, pre, theta):
    return np.where(pre >= theta, pre, 0.0)
