"""COST, the sum: everything a batch is charged, term by term, and the gradient of the total.

`config` may hold the factors "l1_coefficient", "l0_coefficient", "tanh_coefficient", "tie_coefficient" and
"aux_coefficient"; a term whose factor is absent or 0 is not charged. tanh also needs "tanh_scale", aux "k_aux",
and the gradient of l0 "bandwidth".
"""

from typing import NamedTuple

import numpy as np

from .activations import relu, relu_backward, thresholds, thresholds_backward
from .autoencoder import backward
from .auxiliary import aux, aux_backward, gate_reconstruction, gate_reconstruction_backward
from .costs import l0, l0_backward, l1, l1_backward, l1_charges, reconstruction, reconstruction_backward
from .costs import tanh, tanh_backward, tanh_charges, tie, tie_backward


class Given(NamedTuple):
    """What the charge of a batch depends on besides the batch; constants in every gradient."""

    price: np.ndarray              # (M,)  what a firing of each latent costs
    dead: np.ndarray               # (M,)  True where a latent is dead
    warmth: float = 1.0            # factor on the sparsity terms, 0 to 1, while they warm up


def coefficient(config, term, warmth=1.0):
    """The factor of a term.

    term    "l1", "l0", "tanh", "tie" or "aux"
    warmth  from 0 to 1; multiplies the sparsity terms l1, l0 and tanh while they warm up
    returns a number, 0 for a term that is not charged
    raises  ValueError for a coefficient that is negative or not finite

    [COST-17] A coefficient is finite and not negative; any other is an error.
    """
    factor = config.get(f"{term}_coefficient", 0.0)
    if not 0 <= factor < np.inf:
        raise ValueError(f"{term}_coefficient must be finite and not negative, got {factor}")
    return factor * warmth if term in ("l1", "l0", "tanh") else factor


def objective(batch, params, config, given):
    """What a batch is charged.

    batch   Batch, from `autoencoder.forward`
    given   Given
    returns terms: {name: number}, "total" last
    raises  ValueError for an empty batch, or a coefficient that is wrong or has no meaning here

    [COST-18] Every term is reported by name, already multiplied by its coefficient; "total" is their sum.
    [COST-19] A gated SAE's l1 and tanh fall on relu(pre), the gate, and it always pays its gate_reconstruction.
    [COST-20] l0 is charged to jumprelu only; asking for it elsewhere is an error.
    """
    (x, _, pre, acts, recons), (price, dead, warmth) = batch, given
    W_dec, is_gated = params["W_dec"], config["activation"] == "gated"
    charged = relu(pre) if is_gated else acts               # (B, M)
    terms = {"reconstruction": reconstruction(x, recons)}
    if c := coefficient(config, "l1", warmth):
        terms["l1"] = c * l1(charged, W_dec, price)
    if coefficient(config, "l0") and config["activation"] != "jumprelu":
        raise ValueError(f"l0_coefficient needs jumprelu, the activation is {config['activation']}")
    if c := coefficient(config, "l0", warmth):
        terms["l0"] = c * l0(pre, thresholds(params), price)
    if c := coefficient(config, "tanh", warmth):
        terms["tanh"] = c * tanh(charged, W_dec, price, config["tanh_scale"])
    if c := coefficient(config, "tie"):
        terms["tie"] = c * tie(params.get("W_enc"), W_dec)
    if c := coefficient(config, "aux"):
        terms["aux"] = c * aux(x - recons[-1], pre, dead, W_dec, config["k_aux"])
    if is_gated:
        terms["gate_reconstruction"] = gate_reconstruction(x, pre, W_dec, params["b_dec"])
    return terms | {"total": sum(terms.values())}


def activation_costs_backward(charged, params, config, given):
    """Gradient of l1 and tanh, the terms on activations.

    charged  (B, M)  what they are charged on: acts, or relu(pre) of a gated SAE
    returns d_charged (B, M), d_W_dec (M, D)
    """
    d_charged, d_W_dec = np.zeros_like(charged), np.zeros_like(params["W_dec"])
    if c := coefficient(config, "l1", given.warmth):
        d, dW = l1_backward(c, charged, params["W_dec"], given.price)
        d_charged, d_W_dec = d_charged + d, d_W_dec + dW
    if c := coefficient(config, "tanh", given.warmth):
        d, dW = tanh_backward(c, charged, params["W_dec"], given.price, config["tanh_scale"])
        d_charged, d_W_dec = d_charged + d, d_W_dec + dW
    return d_charged, d_W_dec


def threshold_heights(theta, params, config, given):
    """What a jumprelu latent begins to be charged, per sample, when its pre-activation passes its threshold.

        heights[i] = price[i] · (l0 + l1 · theta[i] · ||W_dec[i]|| + tanh · tanh(scale · theta[i] · ||W_dec[i]||))

    with the coefficients by the names of their terms

    theta   (M,)
    returns heights (M,)

    [COST-21] A sparsity cost reaches a jumprelu's threshold by its height there, what an activation of theta is charged,
              through the step's window: -(1 / bandwidth) · heights · 1[|pre - theta| < bandwidth / 2], averaged over B.
              Its slope reaches pre alone: where a threshold rises past a sample, the whole charge is saved.
    """
    acts, W_dec, price = theta[np.newaxis], params["W_dec"], given.price          # (1, M)
    heights = coefficient(config, "l0", given.warmth) * price                     # (M,)
    if c := coefficient(config, "l1", given.warmth):
        heights = heights + c * l1_charges(acts, W_dec, price)[0]
    if c := coefficient(config, "tanh", given.warmth):
        heights = heights + c * tanh_charges(acts, W_dec, price, config["tanh_scale"])[0]
    return heights                                          # (M,)


def parameter_costs_backward(pre, params, config, given):
    """Gradient of what reaches parameters by no other way: the tie, and the sparsity costs by jumprelu's thresholds.

    pre     (B, M)
    returns gradients by parameter name, zero where there is none
    """
    grads = {name: np.zeros_like(array) for name, array in params.items()}
    if config["activation"] == "jumprelu":
        theta = thresholds(params)                          # (M,)
        heights = threshold_heights(theta, params, config, given)                 # (M,)
        d_theta = l0_backward(1.0, pre, theta, heights, config["bandwidth"])      # (M,)
        grads |= thresholds_backward(d_theta, params)
    if (c := coefficient(config, "tie")) and "W_enc" in params:
        grads["W_enc"], grads["W_dec"] = tie_backward(c, params["W_enc"], params["W_dec"])
    return grads


def objective_backward(batch, params, config, given):
    """Gradient of the total: each term's share of d_pre, d_acts and the weights, then one way back.

    batch, given  as for `objective`
    returns gradients by parameter name
    """
    (x, _, pre, acts, recons), W_dec = batch, params["W_dec"]
    is_gated = config["activation"] == "gated"
    charged = relu(pre) if is_gated else acts               # (B, M)
    direct = parameter_costs_backward(pre, params, config, given)
    d_charged, d_W_dec = activation_costs_backward(charged, params, config, given)
    d_acts, d_pre = d_charged, np.zeros_like(pre)           # (B, M) each
    if config["activation"] == "jumprelu":                  # its thresholds have been charged by the heights
        d_acts, d_pre = np.zeros_like(acts), d_charged      # at acts == 0 the derivative is 0: only what is on
    if is_gated:                                            # what is charged is the gate, relu(pre)
        d_acts, d_pre = np.zeros_like(acts), relu_backward(d_charged, pre)
        d_pre = d_pre + gate_reconstruction_backward(1.0, x, pre, W_dec, params["b_dec"])
    if c := coefficient(config, "aux"):
        d, dW = aux_backward(c, x - recons[-1], pre, given.dead, W_dec, config["k_aux"])
        d_pre, d_W_dec = d_pre + d, d_W_dec + dW
    d_recons = reconstruction_backward(1.0, x, recons)      # (G, B, D)
    grads = backward(d_pre, d_acts, d_recons, batch, params, config)
    grads["W_dec"] = grads["W_dec"] + d_W_dec
    return {name: grads[name] + direct[name] for name in params}
