"""TRAIN: how far a gradient moves a parameter."""

import numpy as np


def adam_constants(config):
    """beta1, beta2 and epsilon of a training.

    config  may hold "adam_beta1", "adam_beta2", each at least 0 and below 1, and "adam_epsilon", above 0
    returns beta1, beta2, epsilon
    raises  ValueError for a number outside its range

    [TRAIN-16] They are .9, .999 and 1e-8 where the configuration does not say otherwise.
    """
    betas, epsilon = (config.get("adam_beta1", 0.9), config.get("adam_beta2", 0.999)), config.get("adam_epsilon", 1e-8)
    for name, beta in zip(("adam_beta1", "adam_beta2"), betas):
        if not 0 <= beta < 1:
            raise ValueError(f"{name} must be at least 0 and below 1, got {beta}")
    if not epsilon > 0:
        raise ValueError(f"adam_epsilon must be above 0, got {epsilon}")
    return *betas, epsilon


def adam(param, grad, first, second, step, rate, beta1, beta2, epsilon):
    """One update of one parameter.

        first  <- beta1 · first  + (1 - beta1) · grad
        second <- beta2 · second + (1 - beta2) · grad^2
        param  <- param - rate · (first / (1 - beta1^t)) / (sqrt(second / (1 - beta2^t)) + epsilon),  t = step + 1

    param, grad, first, second  of one shape;  step counts from 0;  rate is its learning rate
    returns param, first, second

    [TRAIN-12] Both moments are bias-corrected and epsilon is added after the root.
    Source: arXiv 1412.6980, algorithm 1.
    """
    first = beta1 * first + (1 - beta1) * grad
    second = beta2 * second + (1 - beta2) * grad**2
    first_hat, second_hat = first / (1 - beta1 ** (step + 1)), second / (1 - beta2 ** (step + 1))
    return param - rate * first_hat / (np.sqrt(second_hat) + epsilon), first, second
