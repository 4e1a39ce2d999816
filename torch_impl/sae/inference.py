"""ACT: what stands in for a batch rule when there is no batch."""

import math

import torch

from .activations import jumprelu, refuse
from ..kernels.precision import widen


@torch.no_grad()
def running_threshold(threshold, seen, kept, decay):
    """Follow the smallest positive value a batch kept, without waiting for the device.

    threshold, seen  numbers or tensors without dimensions
    kept             (B, M)
    returns threshold (at least float32) and seen, tensors on kept's device; for an empty batch what was given

    Clauses: ACT-21, ACT-22.
    """
    if not 0 <= decay < 1:
        raise ValueError(f"decay must be at least 0 and below 1, got {decay}")
    if kept.numel() == 0:
        return threshold, seen
    positive = torch.where(kept > 0, widen(kept), math.inf)
    smallest = positive.min()
    some = smallest < math.inf
    first = torch.as_tensor(seen, device=kept.device) == 0
    moved = torch.where(first, smallest, decay * threshold + (1 - decay) * smallest)
    return torch.where(some, moved, threshold), seen + some.long()


def batch_topk_inference(pre, threshold, check_inputs=True):
    """batch_topk for one sample at a time; pre and result (B, M), threshold >= 0, a number or 0-d tensor.

    Clauses: ACT-23.
    """
    if check_inputs:
        refuse(threshold < 0, f"threshold must not be negative, got {threshold}")
    theta = torch.as_tensor(threshold, dtype=widen(pre).dtype, device=pre.device)
    return jumprelu(pre, theta.expand(pre.shape[-1]), check_inputs=False)


def budget_thresholds(tau, price, dec_norm, check_inputs=True):
    """Thresholds (M,), at least float32, of the jumprelu that does what batch_budget_topk does.

    tau              the smallest density kept, >= 0, a number or 0-d tensor
    price, dec_norm  (M,)

    Clauses: ACT-24, ACT-25.
    """
    if check_inputs:
        refuse(tau < 0, f"tau must not be negative, got {tau}")
    price, dec_norm = widen(price, dec_norm)
    silent = dec_norm == 0                                  # tau may be 0 too: 0 / 0 is not infinite
    return torch.where(silent, math.inf, (tau * price).sqrt() / dec_norm)
