"""The gradients of a sparse autoencoder where they are not zero: two products, each with its way back.

A weight named in `kept` gets its gradient added there and None from autograd; any other weight gets it from
autograd as usual.
"""

import torch
from torch.autograd import Function
from torch.autograd.function import once_differentiable

from ..kernels.decode import decode
from ..kernels.dots import gathered_dots
from ..kernels.weight_gradient import weight_gradient
from ..kernels.precision import widen


def read(values, places, x, b_dec, W, b, kept=None):
    """Pre-activations at chosen places, as the encoder's product gave them, with their gradient.

        values[e] = (x[b] - b_dec) · W[i] + b[i]        entry e is latent i of sample b

    values  (nnz,)  what the product gave, without gradient
    places  entries.Places
    x       (B, D)
    b_dec   (D,), or None where the encoder leaves it out
    W       (M, D)
    b       (M,) or None
    kept    KeptGradient of W, or None

    Clauses: SAE-1, SAE-8, SAE-10.
    """
    return _Read.apply(values, places, x, b_dec, W, b, kept)


def combine(values, places, W, kept=None):
    """The sparse (B, M) matrix of values (nnz,) at places, times W (M, D); result (B, D).

    kept  KeptGradient of W, or None

    Clauses: SAE-5 (without b_dec).
    """
    return _Combine.apply(values, places, W, kept)


def rows_of(W, index, kept=None):
    """W[index]; W (M, D), index (n,) without repetition, kept KeptGradient of W or None."""
    return _RowsOf.apply(W, index, kept)


class _Read(Function):

    @staticmethod
    def forward(ctx, values, places, x, b_dec, W, b, kept):
        ctx.places, ctx.kept = places, kept
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
        if for_b_dec:
            d_b_dec = -(d_b @ W)
        if for_W:
            centred = wide if b_dec is None else wide - b_dec
            if ctx.kept:
                ctx.kept.add_sparse(d_values, centred, places.transposed)
            else:
                d_W = weight_gradient(d_values, centred, places.transposed)
        return None, None, d_x, d_b_dec, d_W, d_b if for_b else None, None


class _Combine(Function):

    @staticmethod
    def forward(ctx, values, places, W, kept):
        ctx.places, ctx.kept = places, kept
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
            if ctx.kept:
                ctx.kept.add_sparse(values, d_out, places.transposed)
            else:
                d_W = weight_gradient(values, d_out, places.transposed)
        return d_values, None, d_W, None


class _RowsOf(Function):

    @staticmethod
    def forward(ctx, W, index, kept):
        ctx.shape, ctx.index, ctx.kept = W.shape, index, kept
        return W[index]

    @staticmethod
    @once_differentiable
    def backward(ctx, d_rows):
        if ctx.kept:
            ctx.kept.add_rows(ctx.index, d_rows)
            return None, None, None
        return d_rows.new_zeros(ctx.shape).index_copy(0, ctx.index, d_rows), None, None
