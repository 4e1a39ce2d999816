"""COST: everything a batch is charged, term by term; autograd gives the gradient of the total."""

import math
from collections.abc import Mapping
from functools import reduce
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..sparse.entries import Entries, apply
from .activations import jumprelu, relu, thresholds
from .autoencoder import Batch
from .auxiliary import aux, gate_reconstruction, sparse_aux
from .costs import l0, l1, l1_charges, reconstruction, tanh, tanh_charges, tie

_SPARSITY_TERMS = ("l1", "l0", "tanh")


class Given(NamedTuple):
    """What a batch is charged by and cannot change: no gradient flows into any of it."""

    price: Tensor
    """(M,) what a firing of each latent costs"""
    dead: Tensor
    """(M,) true where a latent is dead"""
    warmth: float = 1.0
    """factor on the sparsity terms, 0 to 1, while they warm up"""


def coefficient(config: Mapping[str, Any], term: str, warmth: float = 1.0) -> float:
    """The factor of a term; warmth multiplies those of the sparsity terms.

    raises  ValueError for one that is negative or not finite

    Clauses: COST-17, TRAIN-8.
    """
    factor = config.get(f"{term}_coefficient", 0.0)
    if not 0 <= factor < math.inf:
        raise ValueError(f"{term}_coefficient must be finite and not negative, got {factor}")
    return factor * warmth if term in _SPARSITY_TERMS else factor


def objective(batch: Batch, params: Mapping[str, Tensor], config: Mapping[str, Any], given: Given) -> dict[str, Tensor]:
    """{term: tensor without dimensions}, each times its coefficient, "total" last.

    batch   what the SAE makes of the samples, dense or sparse
    config  "activation", coefficients (0 unless given), "tanh_scale", "k_aux", "bandwidth"
    raises  ValueError for a coefficient that cannot be, an l0 that is not of jumprelu, or an empty batch

    Clauses: COST-17 to COST-21.
    """
    (x, _, pre, acts, recons), (price, dead, warmth) = batch, given
    W_dec, activation = params["W_dec"], config["activation"]
    charged = apply(relu, pre) if activation == "gated" else acts                # (B, M)
    theta = thresholds(params, check_inputs=False) if activation == "jumprelu" else None      # (M,)
    if theta is not None:                                   # what falls on acts leaves theta to its heights
        charged = apply(lambda p, at: jumprelu(p, at, check_inputs=False), pre, theta.detach())
    terms = {"reconstruction": reconstruction(x, recons)}
    if c := coefficient(config, "l1", warmth):
        terms["l1"] = c * l1(charged, W_dec, price)
    if coefficient(config, "l0") and activation != "jumprelu":
        raise ValueError(f"l0_coefficient needs jumprelu, the activation is {activation}")
    if theta is not None and (c := coefficient(config, "l0", warmth)):
        terms["l0"] = c * l0(pre, theta.detach(), price, check_inputs=False)      # encode has checked it
    if c := coefficient(config, "tanh", warmth):
        terms["tanh"] = c * tanh(charged, W_dec, price, config["tanh_scale"])
    if c := coefficient(config, "tie"):
        terms["tie"] = c * tie(params.get("W_enc"), W_dec)
    if c := coefficient(config, "aux"):
        residual = x - recons[-1].view_as(x)
        if isinstance(pre, Entries):                        # those of dead latents are not among them
            terms["aux"] = c * sparse_aux(residual, x, params, config, dead, config["k_aux"], pre.buffers)
        else:
            terms["aux"] = c * aux(residual, pre, dead, W_dec, config["k_aux"])
    if activation == "gated":
        terms["gate_reconstruction"] = gate_reconstruction(x, pre, W_dec, params["b_dec"])
    total = reduce(torch.add, terms.values())
    if theta is not None and any(coefficient(config, term, warmth) for term in _SPARSITY_TERMS):
        heights = threshold_heights(theta, params, config, given)
        jumps = l0(pre, theta, heights, config.get("bandwidth"), check_inputs=False)
        total = total + (jumps - jumps.detach())            # a gradient, and nothing else
    return terms | {"total": total}


@torch.no_grad()
def threshold_heights(theta: Tensor, params: Mapping[str, Tensor], config: Mapping[str, Any], given: Given) -> Tensor:
    """What a jumprelu latent is charged, per sample, as soon as it passes its threshold theta (M,); result (M,).

    Clauses: COST-21.
    """
    W_dec, (price, _, warmth) = params["W_dec"], given
    heights = coefficient(config, "l0", warmth) * price     # (M,)
    if c := coefficient(config, "l1", warmth):
        heights = heights + c * l1_charges(theta, W_dec, price)
    if c := coefficient(config, "tanh", warmth):
        heights = heights + c * tanh_charges(theta, W_dec, price, config["tanh_scale"])
    return heights
