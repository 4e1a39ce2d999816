"""THEORY: closed forms for a parent f1 and a child f2 that fires only with it: p11 both, p10 f1 alone."""

import math

import torch

from ..kernels.precision import widen


def delta_family(parent, child, delta, unit=True):
    """W_enc, W_dec (2, D): exact SAEs of orthonormal parent, child (D,) with absorption delta from 0 to 1.

    unit  the child's decoder row at norm 1, what it gives up added to its encoder row
    Clauses: THEORY-1, THEORY-2, THEORY-3.
    """
    parent, child = widen(parent, child)
    stretch = math.hypot(1, delta) if unit else 1.0
    return (torch.stack([torch.sub(parent, child, alpha=delta), child * stretch]),
            torch.stack([parent, torch.add(child, parent, alpha=delta) / stretch]))


def delta_l1(p10, p11, delta):
    """What norm-weighted L1 charges such an SAE, per sample.  Clauses: THEORY-4."""
    return p10 + p11 * (1 - delta + math.hypot(1, delta))


def absorption_gain(p10, p11, D):
    """What the plain price saves by full absorption, per sample.  Clauses: THEORY-5."""
    def charge(frequency):
        return frequency * max(1.0, -math.log(frequency) / math.log(D))

    return charge(p10 + p11) - charge(p10)


def hedging_angle(p10, p11):
    """Angle from the parent of one tied latent of norm 1.  Clauses: THEORY-6."""
    return math.atan2(2 * p11, p10) / 2


def gram_schmidt(directions):
    """Orthonormal rows (F, D): directions (F, D) without what those before them span.  Clauses: THEORY-7."""
    axes, upper = torch.linalg.qr(widen(directions).T)      # (D, F), (F, F)
    return (axes * upper.diagonal().sign()).T
