"""Which entries of each row are the largest: the choice behind every *_topk rule.

`select` chooses from a matrix. `top_products` and `batch_top_products` choose from a product x @ W.T + b that is never
whole in memory: blocks of latents go by (screen.py) and leave candidates (shortlist.py).
"""

import torch
from torch import Tensor

from . import triton_kernel
from .chunks import scratch
from .precision import widen
from .product import products
from .screen import Bounds, Exact, Screened, can_screen
from .shortlist import GUESS_FROM, BatchShortlist, Shortlist
from .sparse_products import counted_offsets, samples_of

BLOCK_PER_K = 2 * GUESS_FROM    # latents in a block for each of the k, at least
LATENTS_PER_K, FEWEST_ROWS = 192, 1024      # measured: with fewer of either, blocks gain nothing ...
FEWEST_BLOCKS = 4               # ... nor do fewer of them
BLOCK_ENTRIES = 2**21           # of a block: more leave a CPU's cache


@torch.no_grad()
def select(pre: Tensor, k: int, order_by: Tensor | None = None) -> tuple[Tensor, Tensor]:
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
def largest(value: Tensor, k: int, floor: float) -> Tensor:
    """Indices (.., k) of the k largest of each row of value (.., n), in no order; ties go to the lowest index.

    floor  rows whose k-th value is at or below it may resolve ties anyhow: the caller drops such entries

    torch.topk breaks ties as it likes. It matters only in rows whose k-th and next value are equal, and only
    above `floor`. Those rows, few or none, are chosen anew; finding them waits for the device.
    """
    best = value.topk(min(k + 1, value.shape[-1]))
    last = best.values[..., k - 1]                          # (..)
    tied = (best.values[..., k:] == last.unsqueeze(-1)).any(-1) & (last > floor)
    index = best.indices[..., :k]
    index[tied] = _first_largest(value[tied], last[tied].unsqueeze(-1), k)
    return index


def _first_largest(value: Tensor, last: Tensor, k: int) -> Tensor:
    """Indices (rows, k) of all above the k-th value, filled up with the first that equal it."""
    above, level = value > last, value == last              # (rows, n)
    room = k - above.sum(-1, keepdim=True)                  # (rows, 1)
    chosen = above | level & (level.cumsum(-1, dtype=torch.int32) <= room)
    return chosen.nonzero()[:, 1].view(-1, k)


@torch.no_grad()
def top_products(x: Tensor, W: Tensor, b: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """The k best entries of each row of x @ W.T + b.

    x (B, D), W (M, D), b (M,), 1 <= k <= M
    returns values (B, k), indices (B, k), as `select` of the product would; where two entries are equal but for the
    rounding of a float32 sum, either may be the larger

    Clauses: ACT-4, ACT-5.
    """
    x, W, b = widen(x, W, b)
    kind, width = _plan(x, W, k)
    if not width:
        return rowwise(x, W, b, k)
    parts = x.chunk(-(-len(x) // max(FEWEST_ROWS, BLOCK_ENTRIES // width)))
    values, indices = zip(*(_blockwise(kind(part, W, b), k, width) for part in parts))
    return torch.cat(values), torch.cat(indices)


@torch.no_grad()
def batch_top_products(x: Tensor, W: Tensor, b: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor] | None:
    """The `count` best entries of x @ W.T + b, those above 0; ties go to the lowest row-major index.

    x (B, D), W (M, D), b (M,), 1 <= count <= B·M
    returns values, indices (nnz,), offsets (B + 1,), sample after sample; or None: there is nothing to gain, or too
    many are alike

    Clauses: ACT-12.
    """
    x, W, b = widen(x, W, b)
    kind, width = _plan(x, W, -(-count // len(x)))
    if not width or len(x) * width > 2 * BLOCK_ENTRIES:
        return None
    bounds = kind(x, W, b)
    shortlist = BatchShortlist(bounds, count)
    if not _collect(bounds, shortlist, width):
        return None
    upper, latents, offsets = shortlist.entries()
    values = bounds.values(upper, latents, offsets)
    best = (values > 0).nonzero().squeeze(1)
    if len(best) > count:
        best = best[largest(values[best], count, 0)].sort().values                # row-major again
    rows = samples_of(offsets)[best]
    return values[best], latents[best], counted_offsets(torch.bincount(rows, minlength=len(x)))


def rowwise(x: Tensor, W: Tensor, b: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """`top_products` from chunks of whole rows."""
    selected = [select(pre, k) for _, pre in products(x, W, b)] or [select(x.new_zeros(0, len(W)), k)]
    values, indices = zip(*selected)
    return torch.cat(values), torch.cat(indices)


def _plan(x: Tensor, W: Tensor, k: int) -> tuple[type[Bounds], int]:
    """What gives the bounds, and how many latents in a block: 0 where chunks of whole rows cost less."""
    kind = Screened if can_screen(x) else Exact
    width = max(kind.width, BLOCK_PER_K * k)
    large = len(x) >= FEWEST_ROWS and len(W) >= max(FEWEST_BLOCKS * width, LATENTS_PER_K * k)
    return kind, width if large and x.device.type == "cpu" else 0


def _blockwise(bounds: Bounds, k: int, width: int) -> tuple[Tensor, Tensor]:
    """`top_products` from blocks of `width` latents: the candidates' own values decide."""
    x, W, b = bounds.problem
    shortlist = Shortlist(bounds, len(x), k)
    if not _collect(bounds, shortlist, width):
        return rowwise(x, W, b, k)
    upper, latents, offsets = shortlist.entries()
    count = offsets.diff()
    used = torch.arange(max(k, int(count.max()))) < count.unsqueeze(1)            # (B, K)
    values, candidates = (flat.new_zeros(used.shape).masked_scatter_(used, flat)
                          for flat in (bounds.values(upper, latents, offsets), latents))
    values, slots = select(values, k)
    indices = candidates.gather(1, slots)
    if shortlist.lost.any():
        values[shortlist.lost], indices[shortlist.lost] = rowwise(x[shortlist.lost], W, b, k)
    return values, indices


def _collect(bounds: Bounds, shortlist: Shortlist | BatchShortlist, width: int) -> bool:
    """Let all blocks go by a shortlist. False: what is not finite, or too much alike, was met."""
    x, W, _ = bounds.problem
    with scratch(len(x), width, shortlist.upper) as memory:
        for first in range(0, len(W), width):
            block = slice(first, min(first + width, len(W)))
            upper = memory.view(-1)[: len(x) * (block.stop - first)].view(len(x), -1)
            if not (bounds.fill(block, upper) and shortlist.take(first, upper)):
                return False
    shortlist.shorten()
    return True
