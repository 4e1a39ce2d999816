"""Which entries of each row are the largest: the choice behind every *_topk rule."""

import torch

from . import triton_kernel


@torch.no_grad()
def select(pre, k, order_by=None):
    """The k best entries of each row.

    pre       (R, n)
    k         1 <= k <= n
    order_by  (R, n)  what to rank by; pre itself unless given
    returns values (R, k) in pre's dtype, indices (R, k) int64, in any order within a row

    An entry takes part if it is not 0 and its order_by is at least 0; ties go to the lowest index. A row in
    which fewer than k take part fills its slots with value 0, at any valid index.
    Clauses: ACT-4, ACT-5.
    """
    if kernel := triton_kernel("select", pre):
        return kernel(pre, k, order_by)
    rank = pre if order_by is None else order_by
    indices = largest(rank, k, floor=0 if order_by is None else -1)
    values, ranks = pre.gather(-1, indices), rank.gather(-1, indices)
    return torch.where(ranks < 0, 0, values), indices       # a NaN stays one, to be seen


@torch.no_grad()
def largest(value, k, floor):
    """Indices (.., k) of the k largest of each row (.., n), in no order; ties go to the lowest index.

    torch.topk breaks ties as it likes. It matters only in rows whose k-th and next value are equal, and only
    above `floor` (at or below it the caller keeps nothing). Those rows, few or none, are chosen anew; finding
    them waits for the device.
    """
    best = value.topk(min(k + 1, value.shape[-1]))
    last = best.values[..., k - 1]                          # (..)
    tied = (best.values[..., k:] == last.unsqueeze(-1)).any(-1) & (last > floor)
    index = best.indices[..., :k]
    index[tied] = _first_largest(value[tied], last[tied].unsqueeze(-1), k)
    return index


def _first_largest(value, last, k):
    """Indices (rows, k) of all above the k-th value, filled up with the first that equal it."""
    above, level = value > last, value == last              # (rows, n)
    room = k - above.sum(-1, keepdim=True)                  # (rows, 1)
    chosen = above | level & (level.cumsum(-1, dtype=torch.int32) <= room)
    return chosen.nonzero()[:, 1].view(-1, k)
