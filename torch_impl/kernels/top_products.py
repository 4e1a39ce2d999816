"""The k largest of each row of a product, without the product: blocks of latents go by and leave candidates."""

import torch

from ..precision import widen
from .product import products
from .scratch import scratch
from .screen import Exact, Screened, can_screen
from .select import select
from .shortlist import SPLIT, Shortlist

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
    bound = Screened if can_screen(x) else Exact
    width = max(bound.width, PER_K * k)
    if x.device.type != "cpu" or len(x) < ROWS or len(W) < max(BLOCKS * width, FEW * k):
        return rowwise(x, W, b, k)
    parts = x.chunk(-(-len(x) // max(ROWS, ENTRIES // width)))
    return tuple(map(torch.cat, zip(*(blockwise(bound(part, W, b), k, width) for part in parts))))


def rowwise(x, W, b, k):
    """`top_products` from chunks of rows."""
    found = [select(pre, k) for _, pre in products(x, W, b)] or [select(x.new_zeros(0, len(W)), k)]
    return tuple(map(torch.cat, zip(*found)))


def blockwise(source, k, width):
    """`top_products` from blocks of `width` latents, by what is told of them."""
    x, W, b = source.problem
    short = Shortlist(source, len(x), k)
    with scratch(len(x), width, short.upper) as room:
        for first in range(0, len(W), width):
            block = slice(first, min(first + width, len(W)))
            upper = room.view(-1)[: len(x) * len(b[block])].view(len(x), -1)
            if not (source.fill(block, upper) and short.take(first, upper)):
                return rowwise(x, W, b, k)
    short.shorten()
    values, indices = chosen(source, short, k)
    if short.lost.any():
        values[short.lost], indices[short.lost] = rowwise(x[short.lost], W, b, k)
    return values, indices


def chosen(source, short, k):
    """values, indices (B, k) from what a shortlist holds in the end, by the entries' own values."""
    upper, latents, offsets = short.entries()
    count = offsets.diff()
    used = torch.arange(max(k, int(count.max()))) < count.unsqueeze(1)            # (B, K)
    values, found = (flat.new_zeros(used.shape).masked_scatter_(used, flat)
                     for flat in (source.values(upper, latents, offsets), latents))
    values, slots = select(values, k)
    return values, found.gather(1, slots)
