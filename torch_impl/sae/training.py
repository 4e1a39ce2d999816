"""TRAIN: the stages of one step, each a function; `Trainer` in ../training puts them in order."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..kernels.precision import widen
from ..sparse.entries import Matrix
from . import THRESHOLDS
from .frequency import firing_counts


def learning_rate(step: int, config: Mapping[str, Any]) -> float:
    """The rate of a step counted from 0: linear up, flat, linear down.  Clauses: TRAIN-6, TRAIN-7."""
    factors = [1.0]
    if config["warmup_steps"]:
        factors.append((step + 1) / config["warmup_steps"])
    if config["decay_steps"]:
        factors.append((config["steps"] - step) / config["decay_steps"])
    return config["learning_rate"] * min(factors)


def parameter_rate(name: str, rate: float, config: Mapping[str, Any]) -> float:
    """The rate of the parameter of this name in a step of rate `rate`; thresholds have their own.

    raises  ValueError for a threshold_rate that is not above 0

    Clauses: TRAIN-22.
    """
    factor = config.get("threshold_rate", 1.0)
    if not factor > 0:
        raise ValueError(f"threshold_rate must be above 0, got {factor}")
    return factor * rate if name in THRESHOLDS else rate


def sparsity_warmth(step: int, config: Mapping[str, Any]) -> float:
    """The factor on l1, l0 and tanh at a step counted from 0.  Clauses: TRAIN-8."""
    steps = config["sparsity_warmup_steps"]
    return min(1.0, (step + 1) / steps) if steps else 1.0


@torch.no_grad()
def count_tokens(tokens_since_fired: Tensor, acts: Matrix) -> Tensor:
    """Samples since each latent fired; tokens_since_fired and result (M,), acts (B, M).  Clauses: TRAIN-9."""
    samples = acts.numel() // acts.shape[-1]
    return torch.where(firing_counts(acts) > 0, 0, tokens_since_fired + samples)


def is_dead(tokens_since_fired: Tensor, dead_after: int) -> Tensor:
    """(M,) true where the count (M,), in samples, has reached dead_after.  Clauses: TRAIN-10."""
    return tokens_since_fired >= dead_after


@torch.no_grad()
def clip_gradients(grads: dict[str, Tensor], max_grad_norm: float | None, in_place: bool = False) -> dict[str, Tensor]:
    """All gradients {name: tensor} scaled to a joint norm of at most max_grad_norm; None leaves them.

    in_place  True: the given tensors, of at least float32, are scaled and returned
    A factor of exactly 1 leaves small ones untouched without asking the device.  Clauses: TRAIN-11.
    """
    if max_grad_norm is None or not grads:
        return grads
    norms = [torch.linalg.vector_norm(widen(grad)) for grad in grads.values()]
    norm = torch.linalg.vector_norm(torch.stack(norms))
    factor = torch.where(norm <= max_grad_norm, 1, max_grad_norm / norm)
    return {name: torch.mul(widen(grad), factor, out=grad if in_place else None).to(grad.dtype)
            for name, grad in grads.items()}
