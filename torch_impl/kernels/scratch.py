"""Scratch memory that is not given back: fresh pages for a chunk cost a CPU as much as writing it."""

from contextlib import contextmanager

_idle = {}                                                  # (device, dtype) -> a flat tensor nobody uses now


@contextmanager
def scratch(rows, width, like):
    """A (rows, width) tensor of like's device and type, with anything in it, for the length of the block.

    A second borrower at the same time gets memory of its own.
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
