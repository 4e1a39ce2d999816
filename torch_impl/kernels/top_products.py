"""The k largest of each row of a product, without the product: blocks of latents go by and leave candidates."""

import torch
import torch.nn.functional as F

from .precision import widen
from .product import products
from .scratch import scratch
from .screen import Exact, Screened, can_screen
from .select import largest, select
from .shortlist import SPLIT, BatchShortlist, Shortlist

PER_K = 2 * SPLIT               # latents in a block for each of the k, at least
FEW, ROWS = 192, 1024           # measured: with fewer latents for each of the k, or fewer rows, nothing is gained ...
BLOCKS = 4                      # ... nor with fewer blocks
ENTRIES = 2**21                 # of a block: more leave a CPU's cache


@torch.no_grad()
def top_products(x, W, b, k):
    """The k best entries of each row of x @ W.T + b.

    x (B, D), W (M, D), b (M,), 1 <= k <= M
    returns values (B, k), indices (B, k), as `select` of the product would; where two entries are equal but for the
    rounding of a float32 sum, either may be the larger

    Clauses: ACT-4, ACT-5.
    """
    x, W, b = widen(x, W, b)
    bound, width = plan(x, W, k)
    if not width:
        return rowwise(x, W, b, k)
    parts = x.chunk(-(-len(x) // max(ROWS, ENTRIES // width)))
    return tuple(map(torch.cat, zip(*(blockwise(bound(part, W, b), k, width) for part in parts))))


@torch.no_grad()
def batch_top_products(x, W, b, k):
    """The k·B best entries of x @ W.T + b, those above 0; ties go to the lowest row-major index.

    returns values, indices (nnz,), offsets (B + 1,), sample after sample; or None: there is nothing to gain, or too
    many are alike

    Clauses: ACT-12.
    """
    x, W, b = widen(x, W, b)
    bound, width = plan(x, W, k)
    if not width or len(x) * width > 2 * ENTRIES:
        return None
    source = bound(x, W, b)
    short = BatchShortlist(source, k * len(x))
    if not collect(source, short, width):
        return None
    short.shorten()
    upper, latents, offsets = short.entries()
    values = source.values(upper, latents, offsets)
    best = (values > 0).nonzero().squeeze(1)
    if len(best) > k * len(x):
        best = best[largest(values[best], k * len(x), 0)].sort().values           # row-major again
    rows = torch.arange(len(x)).repeat_interleave(offsets.diff())[best]
    return values[best], latents[best], F.pad(torch.bincount(rows, minlength=len(x)).cumsum(0), (1, 0))


def plan(x, W, k):
    """What gives the bounds, and how many latents in a block: 0 where chunks of whole rows cost less."""
    bound = Screened if can_screen(x) else Exact
    width = max(bound.width, PER_K * k)
    worthwhile = x.device.type == "cpu" and len(x) >= ROWS and len(W) >= max(BLOCKS * width, FEW * k)
    return bound, width if worthwhile else 0


def rowwise(x, W, b, k):
    """`top_products` from chunks of rows."""
    found = [select(pre, k) for _, pre in products(x, W, b)] or [select(x.new_zeros(0, len(W)), k)]
    return tuple(map(torch.cat, zip(*found)))


def blockwise(source, k, width):
    """`top_products` from blocks of `width` latents, by what is told of them."""
    x, W, b = source.problem
    short = Shortlist(source, len(x), k)
    if not collect(source, short, width):
        return rowwise(x, W, b, k)
    short.shorten()
    values, indices = chosen(source, short, k)
    if short.lost.any():
        values[short.lost], indices[short.lost] = rowwise(x[short.lost], W, b, k)
    return values, indices


def collect(source, short, width):
    """Let all blocks go by a shortlist. False: what is not finite, or too much alike, was met."""
    x, W, _ = source.problem
    with scratch(len(x), width, short.upper) as room:
        for first in range(0, len(W), width):
            block = slice(first, min(first + width, len(W)))
            upper = room.view(-1)[: len(x) * (block.stop - first)].view(len(x), -1)
            if not (source.fill(block, upper) and short.take(first, upper)):
                return False
    return True


def chosen(source, short, k):
    """values, indices (B, k) from what a shortlist holds in the end, by the entries' own values."""
    upper, latents, offsets = short.entries()
    count = offsets.diff()
    used = torch.arange(max(k, int(count.max()))) < count.unsqueeze(1)            # (B, K)
    values, found = (flat.new_zeros(used.shape).masked_scatter_(used, flat)
                     for flat in (source.values(upper, latents, offsets), latents))
    values, slots = select(values, k)
    return values, found.gather(1, slots)
