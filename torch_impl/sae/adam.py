"""TRAIN: Adam's constants, and one update written out. `Trainer` leaves the updates to torch."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..kernels.precision import widen

_USUAL = {"adam_beta1": 0.9, "adam_beta2": 0.999, "adam_epsilon": 1e-8}


def adam_constants(config: Mapping[str, Any]) -> tuple[float, float, float]:
    """beta1, beta2 and epsilon, as `config` has them or as usual; ValueError that names one out of its range.

    Clauses: TRAIN-16.
    """
    beta1, beta2, epsilon = (float(config.get(name, usual)) for name, usual in _USUAL.items())
    for name, value, fine in zip(_USUAL, (beta1, beta2, epsilon), (0 <= beta1 < 1, 0 <= beta2 < 1, epsilon > 0)):
        if not fine:
            raise ValueError(f"{name} must be {'above 0' if name == 'adam_epsilon' else 'at least 0 and below 1'}, got {value}")
    return beta1, beta2, epsilon


@torch.no_grad()
def adam(param: Tensor, grad: Tensor, first: Tensor, second: Tensor, step: int, rate: float, beta1: float,
         beta2: float, epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
    """One update of one parameter, at a step counted from 0.

    param, grad, first, second  of one shape
    returns param in its own dtype, first, second; the moments at least float32

    Clauses: TRAIN-12.
    """
    wide, grad, first, second = widen(param, grad, first, second)
    first = beta1 * first + (1 - beta1) * grad
    second = beta2 * second + (1 - beta2) * grad.square()
    mean = first / (1 - beta1 ** (step + 1))
    deviation = (second / (1 - beta2 ** (step + 1))).sqrt()
    return (wide - rate * mean / (deviation + epsilon)).to(param.dtype), first, second
