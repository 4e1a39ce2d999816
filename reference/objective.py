"""COST, the sum: everything a batch is charged, term by term, and the gradient of the total.

`config` may hold the factors "l1_coefficient", "l0_coefficient", "tanh_coefficient", "tie_coefficient" and
"aux_coefficient"; a term whose factor is absent or 0 is not charged. "tanh_scale" and "k_aux" are the
parameters of theirs.
"""

import numpy as np

from .activations import relu, relu_backward, threshold, threshold_backward
from .autoencoder import backward, encoder_weight
from .auxiliary import aux, aux_backward, gate_reconstruction, gate_reconstruction_backward
from .costs import l0, l0_backward, l1, l1_backward, reconstruction, reconstruction_backward
from .costs import tanh, tanh_backward, tie, tie_backward


def coefficient(config, term, warmth=1.0):
    """The factor of a term.

    warmth  from 0 to 1; multiplies the sparsity terms l1, l0 and tanh while they warm up

    [COST-17] A coefficient is not negative; a negative one is an error.
    """
    factor = config.get(f"{term}_coefficient", 0.0)
    if not factor >= 0:
        raise ValueError(f"{term}_coefficient must not be negative, got {factor}")
    return factor * warmth if term in ("l1", "l0", "tanh") else factor


def objective(x, params, config, pre, acts, recons, price, dead, warmth=1.0):
    """What a batch is charged.

    x           (B, D)
    pre, acts   (B, M)
    recons      (G, B, D)
    price       (M,)
    dead        (M,)  True where a latent is dead
    warmth      factor on the sparsity terms
    returns terms: {name: number}, "total" last

    [COST-18] Every term is reported by name, already multiplied by its coefficient; "total" is their sum.
    [COST-19] A gated SAE's l1 and tanh fall on relu(pre), the gate, and it always pays its gate_reconstruction.
    [COST-20] l0 is charged to jumprelu only; asking for it elsewhere is an error.
    """
    W_dec, is_gated = params["W_dec"], config["activation"] == "gated"
    charged = relu(pre) if is_gated else acts               # (B, M)
    terms = {"reconstruction": reconstruction(x, recons)}
    if c := coefficient(config, "l1", warmth):
        terms["l1"] = c * l1(charged, W_dec, price)
    if c := coefficient(config, "l0", warmth):
        if config["activation"] != "jumprelu":
            raise ValueError(f"l0_coefficient needs jumprelu, the activation is {config['activation']}")
        terms["l0"] = c * l0(pre, threshold(params["log_threshold"]), price)
    if c := coefficient(config, "tanh", warmth):
        terms["tanh"] = c * tanh(charged, W_dec, price, config["tanh_scale"])
    if c := coefficient(config, "tie"):
        terms["tie"] = c * tie(encoder_weight(params), W_dec)
    if c := coefficient(config, "aux"):
        terms["aux"] = c * aux(x - recons[-1], pre, dead, W_dec, config["k_aux"])
    if is_gated:
        terms["gate_reconstruction"] = gate_reconstruction(x, pre, W_dec, params["b_dec"])
    return terms | {"total": sum(terms.values())}


def objective_backward(x, params, config, shared, pre, acts, recons, price, dead, warmth=1.0):
    """Gradient of the total: each term's share of d_pre, d_acts and the weights, then one way back.

    returns gradients by parameter name
    """
    W_dec, is_gated = params["W_dec"], config["activation"] == "gated"
    charged = relu(pre) if is_gated else acts               # (B, M)
    d_charged, d_pre = np.zeros_like(acts), np.zeros_like(pre)      # (B, M)
    more = {name: np.zeros_like(array) for name, array in params.items()}
    if c := coefficient(config, "l1", warmth):
        d, d_W_dec = l1_backward(c, charged, W_dec, price)
        d_charged, more["W_dec"] = d_charged + d, more["W_dec"] + d_W_dec
    if c := coefficient(config, "l0", warmth):
        log_threshold = params["log_threshold"]
        d_theta = l0_backward(c, pre, threshold(log_threshold), price, config["bandwidth"])
        more["log_threshold"] = threshold_backward(d_theta, log_threshold)
    if c := coefficient(config, "tanh", warmth):
        d, d_W_dec = tanh_backward(c, charged, W_dec, price, config["tanh_scale"])
        d_charged, more["W_dec"] = d_charged + d, more["W_dec"] + d_W_dec
    if (c := coefficient(config, "tie")) and "W_enc" in params:
        more["W_enc"], d_W_dec = tie_backward(c, params["W_enc"], W_dec)
        more["W_dec"] = more["W_dec"] + d_W_dec
    if c := coefficient(config, "aux"):
        d, d_W_dec = aux_backward(c, x - recons[-1], pre, dead, W_dec, config["k_aux"])
        d_pre, more["W_dec"] = d_pre + d, more["W_dec"] + d_W_dec
    if is_gated:
        d_pre = d_pre + relu_backward(d_charged, pre)
        d_pre = d_pre + gate_reconstruction_backward(1.0, x, pre, W_dec, params["b_dec"])
        d_charged = np.zeros_like(acts)

    d_recons = reconstruction_backward(1.0, x, recons)      # (G, B, D)
    grads = backward(x, params, config, shared, pre, acts, d_pre, d_charged, d_recons)
    return {name: grads[name] + more[name] for name in params}
