"""The encoder's dense product: the floor of every exact step, and the only place that computes it."""

import torch.nn.functional as F

from ..precision import widen


def product(x, W):
    """x @ W.T, accumulated in at least float32 and not rounded below it.

    x (B, D), W (M, D); returns (B, M), at least float32

    Under torch.autocast the multiplication runs in autocast's dtype; what follows is float32 again.
    """
    return widen(F.linear(*widen(x, W)))
