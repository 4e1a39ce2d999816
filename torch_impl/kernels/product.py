"""The encoder's dense product: the floor of every exact step, and the only place that computes it."""

from collections.abc import Iterator
from contextlib import nullcontext

import torch
import torch.nn.functional as F
from torch import Tensor

from .chunks import rows_at_once, scratch
from .precision import widen


def product(x: Tensor, W: Tensor) -> Tensor:
    """x @ W.T, accumulated in at least float32 and not rounded below it.

    x (B, D), W (M, D); returns (B, M), at least float32

    Under torch.autocast the multiplication runs in autocast's dtype; what follows is float32 again.
    """
    return widen(F.linear(*widen(x, W)))


@torch.no_grad()
def products(x: Tensor, W: Tensor, b: Tensor | None = None) -> Iterator[tuple[int, Tensor]]:
    """x @ W.T + b a chunk of rows at a time, as `product` would give it.

    x (B, D), W (M, D), b (M,) or None
    yields the number of the chunk's first row and the chunk (rows, M), at least float32

    A chunk is overwritten by the next: fresh memory for each would cost as much as reading it.
    """
    wide, W, *bias = widen(x, W, *([] if b is None else [b]))
    step, x = rows_at_once(len(x), len(W), x.device), wide
    if autocast := torch.is_autocast_enabled(x.device.type):
        x, W = (tensor.to(torch.get_autocast_dtype(x.device.type)) for tensor in (x, W))
    with scratch(step, len(W), wide) as pre, scratch(step, len(W), x) if autocast else nullcontext(pre) as multiplied:
        for first in range(0, len(x), step):
            chunk = pre[: len(x) - first]
            part = multiplied[: len(chunk)]                 # the chunk itself unless under autocast
            torch.mm(x[first : first + step], W.T, out=part)
            if bias:
                torch.add(part, bias[0], out=chunk)
            elif autocast:
                chunk.copy_(part)
            yield first, chunk
