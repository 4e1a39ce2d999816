"""ACT: relu, jumprelu and the step, one pre-activation at a time."""

# torch declares backward(ctx, *grad_outputs); here it names the gradient that it takes.
# pyright: reportIncompatibleMethodOverride=false

from collections.abc import Mapping

import torch
from torch import Tensor

from ..kernels.precision import widen


def refuse(wrong: Tensor | bool, message: str) -> None:
    """Raise ValueError(message) if any element of `wrong`, a tensor or a bool, is true.

    Reading a tensor waits for its device; a graph that is being compiled has no values to read.
    """
    if not torch.compiler.is_compiling() and torch.as_tensor(wrong).any():
        raise ValueError(message)


def relu(pre: Tensor) -> Tensor:
    """max(pre, 0); pre and result (B, M).  Clauses: ACT-1 (torch's derivative at 0 is 0)."""
    return torch.relu(pre)


def threshold(log_threshold: Tensor) -> Tensor:
    """theta = exp(log_threshold), both (M,); theta at least float32.  Clauses: ACT-2, ACT-3."""
    return widen(log_threshold).exp()


def thresholds(params: Mapping[str, Tensor], check_inputs: bool = True) -> Tensor:
    """theta (M,) of a jumprelu, at least float32: params["theta"], or the exponential of params["log_threshold"].

    check_inputs  False skips the check of theta's values, which waits for the device
    raises  ValueError for a negative theta

    Clauses: ACT-26.
    """
    if "log_threshold" in params:
        return threshold(params["log_threshold"])
    if check_inputs:
        refuse(params["theta"] < 0, "theta must not be negative")
    return widen(params["theta"])


def jumprelu(pre: Tensor, theta: Tensor, bandwidth: float | None = None, check_inputs: bool = True) -> Tensor:
    """pre where it exceeds its threshold, else 0.

    pre           (B, M)
    theta         (M,), >= 0
    bandwidth     width of the threshold's gradient window, > 0, in units of pre; None: theta cannot be trained
    check_inputs  False skips the check of theta's values, which waits for the device
    returns acts (B, M)
    raises  ValueError for a negative theta or a bandwidth that is not positive

    Clauses: ACT-7, ACT-8, ACT-9.
    """
    _check(theta, bandwidth, check_inputs)
    return _JumpReLU.apply(pre, theta, bandwidth)


def step(pre: Tensor, theta: Tensor, bandwidth: float | None = None, check_inputs: bool = True) -> Tensor:
    """1 where pre exceeds its threshold, else 0, (B, M); arguments and errors as for `jumprelu`.

    Clauses: ACT-10, ACT-11.
    """
    _check(theta, bandwidth, check_inputs)
    return _Step.apply(pre, theta, bandwidth)


def _check(theta: Tensor, bandwidth: float | None, check_inputs: bool) -> None:
    if bandwidth is not None and not bandwidth > 0:
        raise ValueError(f"bandwidth must be positive, got {bandwidth}")
    if check_inputs:
        refuse(theta < 0, "theta must not be negative")


def _through_window(d_out: Tensor, height: Tensor | float, pre: Tensor, theta: Tensor, bandwidth: float | None) -> Tensor:
    """d_theta: -height / bandwidth · d_out, summed where pre lies strictly within bandwidth / 2 of theta."""
    if bandwidth is None:
        raise ValueError("bandwidth is needed for the gradient of theta, got None")
    near = (widen(pre) - theta).abs() < bandwidth / 2       # (B, M)
    shares = torch.where(near, -height / bandwidth * widen(d_out), 0)             # (B, M)
    return shares.sum_to_size(theta.shape).to(theta.dtype)


class _Thresholded(torch.autograd.Function):
    """What both directions of a threshold need, (pre, theta, bandwidth), kept for backward."""

    @staticmethod
    def setup_context(ctx, inputs, output):
        pre, theta, ctx.bandwidth = inputs
        ctx.save_for_backward(pre, theta)


class _JumpReLU(_Thresholded):
    """The derivative to pre, a straight-through estimate to theta."""

    @staticmethod
    def forward(pre, theta, bandwidth):
        return torch.where(pre > theta, pre, 0)

    @staticmethod
    def backward(ctx, d_acts):
        pre, theta = ctx.saved_tensors
        d_pre = d_theta = None
        if ctx.needs_input_grad[0]:
            d_pre = torch.where(pre > theta, d_acts, 0)
        if ctx.needs_input_grad[1]:
            d_theta = _through_window(d_acts, widen(theta), pre, theta, ctx.bandwidth)
        return d_pre, d_theta, None


class _Step(_Thresholded):
    """A rectangle of area 1 about the threshold, to theta alone."""

    @staticmethod
    def forward(pre, theta, bandwidth):
        return (pre > theta).to(pre.dtype)

    @staticmethod
    def backward(ctx, d_on):
        pre, theta = ctx.saved_tensors
        d_theta = None
        if ctx.needs_input_grad[1]:
            d_theta = _through_window(d_on, 1, pre, theta, ctx.bandwidth)
        return None, d_theta, None
