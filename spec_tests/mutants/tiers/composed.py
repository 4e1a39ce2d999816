"""Mutants that only a composition shows, and only away from where a factor is 1: theta, exp(r_mag), a decoder's norm."""

import numpy as np

from sae_spec.spec_tests.mutants import mutant


def without_theta(grads, params):
    """Gradients in which that of log_threshold lacks its factor theta."""
    if "log_threshold" not in params:
        return grads
    return grads | {"log_threshold": grads["log_threshold"] / np.exp(params["log_threshold"])}


def short_thresholds(params):
    """Parameters whose thresholds exist in float32 only."""
    if "log_threshold" not in params:
        return params
    return params | {"log_threshold": np.log(np.exp(params["log_threshold"]).astype(np.float32).astype(np.float64))}


@mutant("backward: the gradient of theta is taken for that of log_threshold", clause="SAE-8", target="autoencoder.backward")
def theta_for_its_logarithm(right, d_pre, d_acts, d_recons, batch, params, config):
    return without_theta(right(d_pre, d_acts, d_recons, batch, params, config), params)


@mutant("objective: the gradient of theta is taken for that of log_threshold", clause="COST-18",
        target="objective.objective_backward")
def charged_theta_for_its_logarithm(right, batch, params, config, given):
    return without_theta(right(batch, params, config, given), params)


@mutant("backward: a threshold in float32", clause="SAE-8", target="autoencoder.backward")
def backward_of_short_thresholds(right, d_pre, d_acts, d_recons, batch, params, config):
    return right(d_pre, d_acts, d_recons, batch, short_thresholds(params), config)


@mutant("objective: a threshold in float32", clause="COST-18", target="objective.objective_backward")
def objective_of_short_thresholds(right, batch, params, config, given):
    return right(batch, short_thresholds(params), config, given)


@mutant("encode: a jumprelu's threshold is its logarithm plus 1", clause="ACT-2", target="autoencoder.activate")
def tangent(right, shared, pre, params, config, *more):
    if "log_threshold" in params:
        params = params | {"log_threshold": np.log(np.maximum(1 + params["log_threshold"], 1e-9))}
    return right(shared, pre, params, config, *more)


@mutant("step: the gradient of theta is taken for that of log_threshold", clause="TRAIN-13", target="training.move")
def stepped_theta_for_its_logarithm(right, state, grads, config):
    return right(state, without_theta(grads, state.params), config)


@mutant("encode: a gate's magnitude is scaled by 1 + r_mag", clause="SAE-13", target="gated.gated")
def magnitude_tangent(right, shared, b_enc, r_mag, b_mag):
    return right(shared, b_enc, np.log(np.maximum(1 + r_mag, 1e-9)), b_mag)


@mutant("backward: the gradient of a magnitude's scale is taken for that of r_mag", clause="SAE-8", target="autoencoder.backward")
def scale_for_its_logarithm(right, d_pre, d_acts, d_recons, batch, params, config):
    grads = right(d_pre, d_acts, d_recons, batch, params, config)
    return grads | {"r_mag": grads["r_mag"] / np.exp(params["r_mag"])} if "r_mag" in params else grads
