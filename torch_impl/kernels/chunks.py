"""How much of a large matrix is in memory at once: chosen from its width and the machine, not by the user."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

CHUNK_BYTES = {"cpu": 64 * 2**20, "cuda": 512 * 2**20}      # of float32 numbers
CHUNK_ROWS = 512                                            # the product loses speed below so many rows ...
LARGEST = 4                                                 # ... for which a chunk may be so many times as large
BLOCK = {"cpu": 2**20, "cuda": 2**26}       # numbers: in a CPU's cache, but few, or threads wait for each other

_idle = {}                                                  # (device, dtype) -> a flat tensor that nobody uses now


def rows_at_once(B: int, M: int, device: torch.device) -> int:
    """Rows of a (B, M) matrix to compute at once: equal parts of about CHUNK_BYTES each, at least 1."""
    numbers = CHUNK_BYTES.get(device.type, CHUNK_BYTES["cuda"]) // 4
    most = max(1, numbers // M, min(CHUNK_ROWS, LARGEST * numbers // M))
    parts = max(1, -(-B // most))
    return max(1, -(-B // parts))


def blocks(rows: int, width: int, device: torch.device) -> list[slice]:
    """Slices that cover range(rows), for passes over a (rows, width) matrix that need no memory of its size."""
    size = max(1, BLOCK.get(device.type, BLOCK["cuda"]) // width)
    return [slice(start, start + size) for start in range(0, rows, size)]


@contextmanager
def scratch(rows: int, width: int, like: torch.Tensor) -> Iterator[torch.Tensor]:
    """A (rows, width) tensor of like's device and dtype, its numbers arbitrary, for the length of the `with` block.

    On a CPU the memory is used again by the next borrower: writing to fresh pages costs as much as the product's
    own writing. A second borrower at the same time gets memory of its own.
    """
    key = like.device, like.dtype
    flat = _idle.pop(key, None)
    if flat is None or flat.numel() < rows * width:
        flat = like.new_empty(rows * width, requires_grad=False)
    try:
        yield flat[: rows * width].view(rows, width)
    finally:
        if like.device.type == "cpu":                       # elsewhere torch keeps freed memory itself
            _idle[key] = flat


def forget() -> None:
    """Give back the memory that `scratch` keeps for its next borrower."""
    _idle.clear()
