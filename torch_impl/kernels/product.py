"""The encoder's dense product: the floor of every exact step, and the only place that computes it."""

from contextlib import nullcontext

import torch
import torch.nn.functional as F

from .precision import widen
from .chunks import rows_at_once
from .scratch import scratch


def product(x, W):
    """x @ W.T, accumulated in at least float32 and not rounded below it.

    x (B, D), W (M, D); returns (B, M), at least float32

    Under torch.autocast the multiplication runs in autocast's dtype; what follows is float32 again.
    """
    return widen(F.linear(*widen(x, W)))


@torch.no_grad()
def products(x, W, b=None):
    """x @ W.T + b a chunk of rows at a time: (first row, chunk (rows, M)), as `product` would give it.

    x (B, D), W (M, D), b (M,) or None

    A chunk is overwritten by the next: fresh memory for each would cost as much as reading it.
    """
    wide, W, *b = widen(x, W, *([] if b is None else [b]))
    step, x = rows_at_once(len(x), len(W), x.device), wide
    if half := torch.is_autocast_enabled(x.device.type):
        x, W = (tensor.to(torch.get_autocast_dtype(x.device.type)) for tensor in (x, W))
    with scratch(step, len(W), wide) as pre, scratch(step, len(W), x) if half else nullcontext(pre) as rough:
        for first in range(0, len(x), step):
            chunk = pre[: len(x) - first]
            part = rough[: len(chunk)]                      # the chunk itself unless half
            torch.mm(x[first : first + step], W.T, out=part)
            if b:
                torch.add(part, b[0], out=chunk)
            elif half:
                chunk.copy_(part)
            yield first, chunk
