"""When a sparse matrix is not sparse: the same sums as dense products, a chunk at a time.

A dense product does a number about 10 times as fast as a gathered sum does; a matrix with more than one entry
in DENSITY places is quicker filled with its zeros and multiplied. Small ones are not worth the question.
"""

import torch

from .chunks import rows_at_once

DENSITY = 16
FEWEST = 4096


def crowded(indices, offsets, width):
    """Is a matrix with these entries, (len(offsets) - 1, width), better multiplied as a dense one?"""
    return len(indices) > FEWEST and len(indices) * DENSITY > (len(offsets) - 1) * width


def pieces(indices, offsets, width):
    """(rows, entries, row, column) of each chunk: two slices, and the place (n,) of each entry in the chunk."""
    R = len(offsets) - 1
    step = rows_at_once(R, width, indices.device)
    for start in range(0, R, step):
        bounds = offsets[start : start + step + 1]
        entries = slice(*bounds[[0, -1]].tolist())
        row = torch.arange(len(bounds) - 1, device=indices.device).repeat_interleave(bounds.diff())
        yield slice(start, start + step), entries, row, indices[entries]


def filled(values, row, column, rows, width):
    """Zeros (rows, width) with `values` added at (row, column); a place may be named twice."""
    return values.new_zeros(rows, width).index_put((row, column), values, accumulate=True)
