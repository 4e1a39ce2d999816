"""`Entries`: the few numbers of a (B, M) matrix that matter, and the functions that take either form of one.

What is charged or counted per latent is written once, with `apply` and `sum_by_latent`, for a dense tensor and
for Entries alike.
"""

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple, overload

import torch
from torch import Tensor

from ..kernels.sparse_products import Transposed, counted_offsets, transpose

if TYPE_CHECKING:
    from .autograd import Buffers


class Places:
    """Which places of a (B, M) matrix are listed, sample after sample."""

    def __init__(self, indices: Tensor, offsets: Tensor, M: int):
        """
        indices  (nnz,)    int64, the latent of each
        offsets  (B + 1,)  int64, sample b owns indices[offsets[b] : offsets[b + 1]]
        M        the number of latents
        """
        self.indices, self.offsets, self.M = indices, offsets, M

    @property
    def shape(self) -> torch.Size:
        return torch.Size((len(self.offsets) - 1, self.M))

    @cached_property
    def rows(self) -> Tensor:
        """(nnz,) the sample of each."""
        samples = torch.arange(len(self.offsets) - 1, device=self.indices.device)
        return samples.repeat_interleave(self.offsets.diff(), output_size=len(self.indices))

    @cached_property
    def transposed(self) -> Transposed:
        """The places by latent, for both weight gradients."""
        return transpose(self.indices, self.offsets, self.M)


class Entries(NamedTuple):
    """A sparse (B, M) matrix. Places that are not listed are 0; listed ones may be."""

    values: Tensor
    """(nnz,), autograd flows through them"""
    places: Places
    """where they stand"""
    buffers: "Buffers | None" = None
    """where weight gradients are to be collected; None: autograd returns them"""

    @property
    def shape(self) -> torch.Size:
        return self.places.shape

    @property
    def dtype(self) -> torch.dtype:
        return self.values.dtype

    def numel(self) -> int:
        """B·M, as of the dense tensor."""
        return self.shape.numel()

    def detach(self) -> "Entries":
        """Without gradient."""
        return self._replace(values=self.values.detach())

    def at(self, per_latent: Tensor) -> Tensor:
        """per_latent (M,) at each entry, (nnz,)."""
        return per_latent[self.places.indices]

    def dense(self) -> Tensor:
        """The matrix as a tensor (B, M); autograd flows through."""
        zeros = self.values.new_zeros(self.shape)
        return zeros.index_put((self.places.rows, self.places.indices), self.values, accumulate=True)

    def nonzero(self) -> "Entries":
        """Without the entries that are 0."""
        on = self.values != 0                               # (nnz,)
        if on.all():
            return self
        counts = torch.bincount(self.places.rows[on], minlength=self.shape[0])
        places = Places(self.places.indices[on], counted_offsets(counts), self.places.M)
        return self._replace(values=self.values[on], places=places)

    def padded(self) -> tuple[Tensor, Tensor]:
        """values, indices (B, K), K the longest row's; unused slots hold value 0 at latent 0."""
        counts = self.places.offsets.diff()
        K = int(counts.max()) if len(counts) else 0
        used = torch.arange(K, device=counts.device) < counts.unsqueeze(-1)       # (B, K)
        values, indices = (flat.new_zeros(used.shape).masked_scatter(used, flat)
                           for flat in (self.values, self.places.indices))
        return values, indices


Matrix = Tensor | Entries
"""a (B, M) matrix in either form"""


@overload
def apply(function: Callable[..., Tensor], rows: Entries, *per_latent: Tensor) -> Entries: ...
@overload
def apply(function: Callable[..., Tensor], rows: Tensor, *per_latent: Tensor) -> Tensor: ...
@overload
def apply(function: Callable[..., Tensor], rows: Matrix, *per_latent: Tensor) -> Matrix: ...


def apply(function: Callable[..., Tensor], rows: Matrix, *per_latent: Tensor) -> Matrix:
    """function(rows, *per_latent) element by element.

    function    of tensors that broadcast; it must take 0 to 0, since places that are not listed stay 0
    rows        (B, M)
    per_latent  (M,) each
    returns (B, M), in the form of rows
    """
    if not isinstance(rows, Entries):
        return function(rows, *per_latent)
    return rows._replace(values=function(rows.values, *map(rows.at, per_latent)))


def sum_by_latent(rows: Matrix) -> Tensor:
    """Sum over the batch; rows (B, M), result (M,), a count where rows are true or false."""
    if not isinstance(rows, Entries):
        return rows.reshape(-1, rows.shape[-1]).sum(0)
    values = rows.values.long() if rows.dtype == torch.bool else rows.values
    zeros = values.new_zeros(rows.places.M)                 # index_put adds in a fixed order on every device
    return zeros.index_put((rows.places.indices,), values, accumulate=True)
