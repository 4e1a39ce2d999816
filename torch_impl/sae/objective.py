"""COST: everything a batch is charged, term by term; autograd gives the gradient of the total."""

import math

from .activations import relu, threshold
from .autoencoder import encoder_weight
from .auxiliary import aux, gate_reconstruction, sparse_aux
from .costs import l0, l1, reconstruction, tanh, tie
from ..sparse.entries import Entries, apply

SPARSITY_TERMS = ("l1", "l0", "tanh")


def coefficient(config, term, warmth=1.0):
    """The factor of a term; warmth multiplies those of the sparsity terms.  Clauses: COST-17, TRAIN-8."""
    factor = config.get(f"{term}_coefficient", 0.0)
    if not 0 <= factor < math.inf:
        raise ValueError(f"{term}_coefficient must be finite and not negative, got {factor}")
    return factor * warmth if term in SPARSITY_TERMS else factor


def objective(x, params, config, pre, acts, recons, price, dead, warmth=1.0):
    """{term: number}, each times its coefficient, "total" last.

    x (B, D); pre, acts (B, M), both Entries or both dense; recons (G, B, D); price, dead (M,)

    Clauses: COST-17 to COST-20.
    """
    W_dec, activation = params["W_dec"], config["activation"]
    charged = apply(relu, pre) if activation == "gated" else acts                # (B, M)
    terms = {"reconstruction": reconstruction(x, recons)}
    if c := coefficient(config, "l1", warmth):
        terms["l1"] = c * l1(charged, W_dec, price)
    if coefficient(config, "l0") and activation != "jumprelu":
        raise ValueError(f"l0_coefficient needs jumprelu, the activation is {activation}")
    if c := coefficient(config, "l0", warmth):
        theta = threshold(params["log_threshold"])          # positive: an exponential needs no check
        terms["l0"] = c * l0(pre, theta, price, config.get("bandwidth"), check_inputs=False)
    if c := coefficient(config, "tanh", warmth):
        terms["tanh"] = c * tanh(charged, W_dec, price, config["tanh_scale"])
    if c := coefficient(config, "tie"):
        terms["tie"] = c * tie(encoder_weight(params), W_dec)
    if c := coefficient(config, "aux"):
        residual = x - recons[-1].view_as(x)
        if isinstance(pre, Entries):                        # those of dead latents are not among them
            terms["aux"] = c * sparse_aux(residual, x, params, config, dead, config["k_aux"], pre.kept)
        else:
            terms["aux"] = c * aux(residual, pre, dead, W_dec, config["k_aux"])
    if activation == "gated":
        terms["gate_reconstruction"] = gate_reconstruction(x, pre, W_dec, params["b_dec"])
    return terms | {"total": sum(terms.values())}
