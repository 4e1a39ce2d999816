"""Buffers for the gradients of large weights, kept from step to step.

A fresh (M, D) tensor costs its page faults, and adding one to another a pass over both. So a weight's gradient
is collected in one place: the first contribution of a step overwrites it, later ones add to it.
"""

import torch

from ..kernels.weight_gradient import weight_gradient


class KeptGradient:
    """The gradient (M, D) of one weight."""

    def __init__(self, weight):
        self.buffer = torch.zeros_like(weight, requires_grad=False)
        self.begun = True

    def begin(self):
        """A new step: what the buffer holds counts no more."""
        self.begun = False

    @torch.no_grad()
    def add_sparse(self, coefficients, rows, transposed):
        """Add what weight_gradient finds: see there."""
        weight_gradient(coefficients, rows, transposed, out=self.buffer, add=self.begun)
        self.begun = True

    @torch.no_grad()
    def add_rows(self, index, rows):
        """Add rows (n, D) at index (n,), no index twice."""
        self.finish().index_add_(0, index, rows.to(self.buffer.dtype))

    @torch.no_grad()
    def finish(self):
        """The gradient; 0 when nothing was added."""
        if not self.begun:
            self.buffer.zero_()
            self.begun = True
        return self.buffer


def begin(kept, params):
    """A new step: kept {name: KeptGradient} of the weights among params, which it grows to hold."""
    for name, param in params.items():
        if param.ndim == 2 and name not in kept:
            kept[name] = KeptGradient(param)
    for each in kept.values():
        each.begin()
    return kept


def collect(total, params, kept):
    """{name: gradient of total}, zero where nothing depends on it; those in kept are its buffers."""
    grads = dict(zip(params, torch.autograd.grad(total, list(params.values()), allow_unused=True)))
    for name, grad in grads.items():
        if name in kept:                                    # what autograd found too: costs on the weight itself
            grads[name] = kept[name].finish() if grad is None else kept[name].finish().add_(grad)
        elif grad is None:
            grads[name] = torch.zeros_like(params[name])
    return grads
