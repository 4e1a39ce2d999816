"""Mutants that cannot tell near numbers apart: compared with a tolerance, or in a shorter dtype than their own."""

import numpy as np

from sae_spec.spec_tests.mutants import mutant
from sae_spec.spec_tests.mutants.sae.selection import best

TOLERANCE = 1e-6


def in_float32(array):
    return np.asarray(array).astype(np.float32).astype(np.float64)


def within_a_millionth(array):
    """Numbers to about 1e-6 of their size: equal where they are nearer than that."""
    mantissa, exponent = np.frexp(array)
    return np.ldexp(np.round(mantissa * 2.0**20), exponent - 20)


SHORTENED = {"in float32": in_float32, "to a millionth": within_a_millionth}

for name, short in SHORTENED.items():
    @mutant(f"topk: ranked {name}", clause="ACT-5", target="selection.topk")
    def topk_ranked(right, pre, k, short=short):
        right(pre, k)
        return np.where(best(short(np.maximum(pre, 0)), k), np.maximum(pre, 0.0), 0.0)

    @mutant(f"abs_topk: ranked {name}", clause="ACT-13", target="selection.abs_topk")
    def abs_topk_ranked(right, pre, k, short=short):
        return np.where(right(short(pre), k) != 0, pre, 0.0)

    @mutant(f"batch_topk: ranked {name}", clause="ACT-12", target="selection.batch_topk")
    def batch_topk_ranked(right, pre, k, short=short):
        return np.where(right(short(pre), k) != 0, pre, 0.0)

    @mutant(f"budget_topk: densities {name}", clause="ACT-14", target="selection.density")
    def densities(right, acts, price, dec_norm, short=short):
        return short(right(acts, price, dec_norm))

    @mutant(f"jumprelu: compared {name}", clause="ACT-7", target="activations.jumprelu")
    def jumprelu_compared(right, pre, theta, short=short):
        return np.where(right(short(pre), short(theta)) != 0, pre, 0.0)

    @mutant(f"step: compared {name}", clause="ACT-10", target="activations.step")
    def step_compared(right, pre, theta, short=short):
        return right(short(pre), short(theta))

    @mutant(f"jumprelu: the window's edges {name}", clause="ACT-8", target="activations.jumprelu_backward")
    def window(right, d_acts, pre, theta, bandwidth, short=short):
        return right(d_acts, pre, theta, bandwidth)[0], right(d_acts, short(pre), short(theta), bandwidth)[1]

    @mutant(f"step: the window's edges {name}", clause="ACT-11", target="activations.step_backward")
    def step_window(right, d_on, pre, theta, bandwidth, short=short):
        return right(d_on, short(pre), short(theta), bandwidth)

    @mutant(f"batch_topk at inference: compared {name}", clause="ACT-23", target="inference.batch_topk_inference")
    def inference_compared(right, pre, threshold, short=short):
        return np.where(right(short(pre), short(threshold)) != 0, pre, 0.0)


@mutant("relu: on above 1e-6", clause="ACT-1", target="activations.relu")
def relu_with_tolerance(right, pre):
    return np.where(pre > TOLERANCE, pre, 0.0)


@mutant("gated: open above 1e-6", clause="SAE-13", target="gated.gated")
def gate_with_tolerance(right, shared, b_enc, *more):
    return np.where(shared + b_enc > TOLERANCE, right(shared, b_enc, *more), 0.0)


@mutant("encode: float64 summed in float32", clause="SAE-15", target="linear.pre_activations")
def encoded_in_float32(right, x, params, config):
    return right(x.astype(np.float32), {name: array.astype(np.float32) for name, array in params.items()}, config)


@mutant("decode: float64 summed in float32", clause="SAE-15", target="linear.decode")
def decoded_in_float32(right, acts, params, prefixes=None):
    return in_float32(right(acts, params, prefixes))


@mutant("l0: counted above threshold + 1e-6", clause="COST-7", target="costs.l0")
def l0_with_tolerance(right, pre, theta, price):
    return right(pre - TOLERANCE, theta, price)


@mutant("threshold: computed in float32", clause="ACT-2", target="activations.threshold")
def threshold_in_float32(right, log_threshold):
    return in_float32(right(log_threshold))
