"""Buffers for the gradients of large weights, kept from step to step.

A fresh (M, D) tensor costs its page faults, and adding one to another a pass over both. So a weight's gradient is
collected in one place: the first contribution of a step overwrites it, later ones add to it.
"""

import torch

from .kernels.weight_gradient import weight_gradient


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
