"""The gradients of a sparse autoencoder where they are not zero: two products and a gather, each with its way back.

A fresh (M, D) tensor costs its page faults, and adding one to another a pass over both. So the gradient of a large
weight is collected in one buffer, which stays from step to step: the first contribution of a step overwrites it,
later ones add to it. A weight that has a buffer gets None from autograd; any other gets its gradient as usual.
"""

# torch declares backward(ctx, *grad_outputs); here it names the gradient that it takes.
# pyright: reportIncompatibleMethodOverride=false

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from ..kernels.precision import widen
from ..kernels.sparse_products import decode, gathered_dots, weight_gradient
from .entries import Places


class GradientBuffer:
    """The gradient (M, D) of one weight, collected over one step."""

    def __init__(self, weight: Tensor):
        self.gradient = torch.zeros_like(weight, requires_grad=False)
        self.begun = True                                   # False: what it holds is of the step before

    @torch.no_grad()
    def add_sparse(self, coefficients: Tensor, rows: Tensor, places: Places) -> None:
        """Add `weight_gradient` of coefficients (nnz,) at places and rows (B, D)."""
        weight_gradient(coefficients, rows, places.transposed, out=self.gradient, add=self.begun)
        self.begun = True

    @torch.no_grad()
    def add_rows(self, index: Tensor, rows: Tensor) -> None:
        """Add rows (n, D) at index (n,), no index twice."""
        self.finish().index_add_(0, index, rows.to(self.gradient.dtype))

    @torch.no_grad()
    def finish(self) -> Tensor:
        """The gradient (M, D); 0 when nothing was added."""
        if not self.begun:
            self.gradient.zero_()
            self.begun = True
        return self.gradient


Buffers = dict[str, GradientBuffer]
"""by parameter name"""


def begin(buffers: Buffers, params: Mapping[str, Tensor]) -> Buffers:
    """A new step: the buffers of the weights (M, D) among params {name: tensor}, emptied; new ones are added."""
    for name, param in params.items():
        if param.ndim == 2 and name not in buffers:
            buffers[name] = GradientBuffer(param)
    for buffer in buffers.values():
        buffer.begun = False
    return buffers


def collect(total: Tensor, params: Mapping[str, Tensor], buffers: Buffers) -> dict[str, Tensor]:
    """{name: gradient of total}, a tensor without dimensions, by each of params; zero where nothing depends on it.

    Gradients of parameters that have a buffer are the buffer's own tensor, which the next step overwrites.
    """
    grads = dict(zip(params, torch.autograd.grad(total, list(params.values()), allow_unused=True)))
    for name, grad in grads.items():
        if name in buffers:                                 # what autograd found too: costs on the weight itself
            grads[name] = buffers[name].finish() if grad is None else buffers[name].finish().add_(grad)
        elif grad is None:
            grads[name] = torch.zeros_like(params[name])
    return grads


def read(values: Tensor, places: Places, x: Tensor, b_dec: Tensor | None, W: Tensor, b: Tensor | None,
         buffer: GradientBuffer | None = None) -> Tensor:
    """Pre-activations at chosen places, as the encoder's product gave them, with their gradient.

        values[e] = (x[b] - b_dec) · W[i] + b[i]        entry e is latent i of sample b

    values  (nnz,)  what the product gave, without gradient
    places  the latent and sample of each
    x       (B, D)
    b_dec   (D,), or None where the encoder leaves it out
    W       (M, D)
    b       (M,) or None
    buffer  where the gradient of W goes; None: autograd returns it
    returns values (nnz,), differentiable by x, b_dec, W and b

    Clauses: SAE-1, SAE-8, SAE-10.
    """
    return _Read.apply(values, places, x, b_dec, W, b, buffer)


def combine(values: Tensor, places: Places, W: Tensor, buffer: GradientBuffer | None = None) -> Tensor:
    """The sparse (B, M) matrix of values (nnz,) at places, times W (M, D).

    buffer  where the gradient of W goes; None: autograd returns it
    returns (B, D), differentiable by values and W

    Clauses: SAE-5 (without b_dec).
    """
    return _Combine.apply(values, places, W, buffer)


def rows_of(W: Tensor, index: Tensor, buffer: GradientBuffer | None = None) -> Tensor:
    """W[index] (n, D); W (M, D), index (n,) without repetition, buffer as for `combine`."""
    return _RowsOf.apply(W, index, buffer)


def _gradient_of_weight(buffer: GradientBuffer | None, coefficients: Tensor, rows: Tensor, places: Places) -> Tensor | None:
    """`weight_gradient` (M, D) for autograd to return; None when the buffer has taken it."""
    if buffer is None:
        return weight_gradient(coefficients, rows, places.transposed)
    buffer.add_sparse(coefficients, rows, places)


class _Read(Function):

    @staticmethod
    def forward(ctx, values, places, x, b_dec, W, b, buffer):
        ctx.places, ctx.buffer = places, buffer
        ctx.save_for_backward(x, b_dec, W)
        return values.clone()

    @staticmethod
    @once_differentiable
    def backward(ctx, d_values):
        x, b_dec, W = ctx.saved_tensors
        places, (_, _, for_x, for_b_dec, for_W, for_b, _) = ctx.places, ctx.needs_input_grad
        wide, W = widen(x, W)
        d_x = d_b_dec = d_W = d_b = None
        if for_x:
            d_x = decode(d_values, places.indices, places.offsets, W)
        if for_b_dec or for_b:                              # a latent's share of every sample, summed
            d_b = weight_gradient(d_values, wide.new_ones(len(x), 1), places.transposed).squeeze(1)   # (M,)
            d_b_dec = -(d_b @ W) if for_b_dec else None
        if for_W:
            d_W = _gradient_of_weight(ctx.buffer, d_values, wide if b_dec is None else wide - b_dec, places)
        return None, None, d_x, d_b_dec, d_W, d_b if for_b else None, None


class _Combine(Function):

    @staticmethod
    def forward(ctx, values, places, W, buffer):
        ctx.places, ctx.buffer = places, buffer
        ctx.save_for_backward(values, W)
        return decode(values, places.indices, places.offsets, W)

    @staticmethod
    @once_differentiable
    def backward(ctx, d_out):
        values, W = ctx.saved_tensors
        places, d_values, d_W = ctx.places, None, None
        if ctx.needs_input_grad[0]:
            d_values = gathered_dots(d_out, places.indices, places.offsets, W)
        if ctx.needs_input_grad[2]:
            d_W = _gradient_of_weight(ctx.buffer, values, d_out, places)
        return d_values, None, d_W, None


class _RowsOf(Function):

    @staticmethod
    def forward(ctx, W, index, buffer):
        ctx.shape, ctx.index, ctx.buffer = W.shape, index, buffer
        return W[index]

    @staticmethod
    @once_differentiable
    def backward(ctx, d_rows):
        if ctx.buffer:
            ctx.buffer.add_rows(ctx.index, d_rows)
            return None, None, None
        return d_rows.new_zeros(ctx.shape).index_copy(0, ctx.index, d_rows), None, None
