"""THEORY: closed forms for two features, a parent f1 and a child f2 that occurs only with it.

p11 is the share of samples with both, p10 that with the parent alone; magnitudes are 1.
"""

import math

import torch
from torch import Tensor

from ..kernels.precision import widen


def delta_family(parent: Tensor, child: Tensor, delta: float, unit: bool = True) -> tuple[Tensor, Tensor]:
    """W_enc, W_dec (2, D) of an SAE that reconstructs the two features exactly, with absorption delta.

    parent, child  (D,)  orthonormal
    delta          from 0, no absorption, to 1
    unit           scale the child's decoder row to norm 1, and its encoder row the other way
    Clauses: THEORY-1, THEORY-2, THEORY-3.
    """
    parent, child = widen(parent, child)
    stretch = math.hypot(1, delta) if unit else 1.0
    return (torch.stack([torch.sub(parent, child, alpha=delta), child * stretch]),
            torch.stack([parent, torch.add(child, parent, alpha=delta) / stretch]))


def delta_l1(p10: float, p11: float, delta: float) -> float:
    """What L1, weighted by decoder norms, charges an SAE of the `delta_family` per sample.  Clauses: THEORY-4."""
    return p10 + p11 * (1 - delta + math.hypot(1, delta))


def absorption_gain(p10: float, p11: float, D: int) -> float:
    """By how much full absorption lowers the plain frequency-aware cost, per sample.  Clauses: THEORY-5."""
    def charge(frequency: float) -> float:
        return frequency * max(1.0, -math.log(frequency) / math.log(D))

    return charge(p10 + p11) - charge(p10)


def hedging_angle(p10: float, p11: float, biases: bool = False) -> float:
    """Angle, in radians, between the parent and the one latent of a tied SAE with rows of norm 1.

    biases  whether b_enc and b_dec are free to move too
    Clauses: THEORY-6, THEORY-8.
    """
    if not biases:
        return math.atan2(2 * p11, p10) / 2
    parent, child = p10 + p11, p11                          # how often each is there
    covariance = child * (1 - parent)
    return math.atan2(2 * covariance, parent * (1 - parent) - child * (1 - child)) / 2


def gram_schmidt(directions: Tensor) -> Tensor:
    """Orthonormal rows (F, D): each of the directions (F, D) without its part in the span of those before it.

    Clauses: THEORY-7.
    """
    axes, upper = torch.linalg.qr(widen(directions).T)      # (D, F), (F, F)
    return (axes * upper.diagonal().sign()).T


def adam_reach(step: int, beta1: float = 0.9, beta2: float = 0.999) -> float:
    """How many times its learning rate one step of Adam, counted from 0, can move a parameter.  Clauses: THEORY-9."""
    ages = range(step + 1)                                  # of the gradients, in steps
    if step > 1000:                                         # older ones add nothing that a float holds
        ages = range(1001)
    squares = math.fsum((beta1**2 / beta2) ** age for age in ages) * (1 - beta1) ** 2 / (1 - beta2)
    return math.sqrt(squares * -math.expm1((step + 1) * math.log(beta2))) / (1 - beta1 ** (step + 1))
