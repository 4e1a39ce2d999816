"""The unit of the data while training: one factor, measured before the first step; what has the unit is folded when it is saved.

The functions are those of ../sae/constraints.py; here they meet data, an SAE with its running estimates, and batches.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..sae import BATCH_RULES
from ..sae.constraints import WITH_UNIT, fold, fold_threshold, scale_factor
from .data import Activations
from .module import SparseAutoencoder

if TYPE_CHECKING:
    from .trainer import BatchSource

SAMPLES = 65_536                                            # their mean square is known to about half a percent


def measured(data: "BatchSource", batch_size: int, seed: int) -> float:
    """The factor of some data: of at most SAMPLES rows from all over it, or of its first batches where it can draw none.

    raises  ValueError that names the data where its rows are 0 or too small
    """
    if isinstance(data, Activations):
        rows, name = data.sample(SAMPLES, seed), data.name
    else:
        rows, name = torch.cat(list(data.batches(0, max(1, 8192 // batch_size), batch_size, seed))), "the data"
    try:
        return scale_factor(rows)
    except ValueError as error:
        raise ValueError(f"{name}: {str(error).removeprefix('x ')}") from None


def times(x: Tensor, scale: float, like: Tensor) -> Tensor:
    """x · scale, on the device and in the type of `like`; multiplied in float64, where no factor over- or underflows."""
    return x.to(like) if scale == 1 else (x.to(like.device).double() * scale).to(like.dtype)


def folded(sae: SparseAutoencoder, scale: float) -> dict[str, Tensor]:
    """Those entries of `state_dict` that have the data's unit, by name: of an SAE of data · scale, as they are for data."""
    state, activation = sae.state_dict(), sae.config.activation
    with_unit = fold({name: state[name] for name in WITH_UNIT if name in state}, scale)
    if activation in BATCH_RULES:
        with_unit["threshold"] = fold_threshold(state["threshold"], scale, activation)
    return with_unit


@torch.no_grad()
def put(sae: SparseAutoencoder, tensors: Mapping[str, Tensor]) -> None:
    """Copy tensors into those parameters and estimates of an SAE that have their names."""
    state = sae.state_dict()
    for name, tensor in tensors.items():
        state[name].copy_(tensor)
