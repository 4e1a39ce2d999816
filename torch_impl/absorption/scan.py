"""ABS at scale: candidate pairs from the weights, then one pass over activations that counts for them alone.

    candidates   (M, top)  for each child the latents with decoder rows most like its own: possible parents
    Counts       the sums of `stream.Stream` at those places; shards are added up
    scan         the pass over a file of activations

absorption_pairs.py makes evidence and score of them.
No (M, M) array is ever made: M = 65,536 needs memory for M · top numbers. A candidate's place is [c, slot]:
pair (p, c) with p = candidates[c, slot], -1 where there are fewer.
"""

from typing import NamedTuple

import torch

from .stream import SPEAKS
from .patterns import lengths
from ..sae.constraints import directions
from .detector import COSINES
from .evidence import OF_A_LATENT, OF_A_PAIR

BLOCK = 4096         # rows of one block of the product: BLOCK^2 numbers, 64 MiB in float32, are there at once
FEW, ROOM = 2**12, 2**24         # firings whose samples are gathered at once, numbers of a batch's activations


@torch.no_grad()
def candidates(W_dec, top=32, block=BLOCK, products=None):
    """The `top` latents (M, top) of largest decoder cosine within the detector's bounds, -1 where fewer.

    W_dec     (M, D)
    products  called with each block's number; for progress

    Rows at a cosine that no score accepts are no candidates: identical latents do not crowd out parents.
    Each block (block, block) of cosines is reduced to a short list before the next is made; blocks below the
    diagonal are those above it, seen from the other side.
    """
    unit, M = directions(W_dec.detach()).float(), len(W_dec)                      # (M, D)
    top = min(top, M)
    best = torch.full((M, top), -torch.inf, device=unit.device)
    index = torch.full((M, top), -1, dtype=torch.int64, device=unit.device)
    room = torch.empty(min(block, M) ** 2, device=unit.device)  # reused: fresh memory costs a pass
    firsts = range(0, M, block)
    for i, j in [(i, i) for i in firsts] + [(i, j) for i in firsts for j in firsts if i < j]:
        rows, columns = unit[i : i + block], unit[j : j + block]
        cosine = room[: len(rows) * len(columns)].view(len(rows), len(columns))
        torch.mm(rows, columns.T, out=cosine)
        keep_best(best[i : i + block], index[i : i + block], cosine, j)
        if j > i:
            keep_best(best[j : j + block], index[j : j + block], cosine.T, i)
        if products is not None:
            products(1)
    return index


def keep_best(best, index, cosine, first):
    """Merge cosines (n, m) with latents first .. first + m - 1 into the rows' lists (n, top), in place.

    Only entries above a row's worst so far can enter. After the first block they are few: they are found by
    one comparison and merged; where they are not few, the row's best are.
    """
    (low, high), (n, top) = COSINES, best.shape
    row, column = places(cosine > best[:, -1:].clamp_min(low))
    fits = cosine[row, column] < high
    row, column = row[fits], column[fits]
    counts = torch.bincount(row, minlength=n)
    width = int(counts.max()) if n else 0
    if width == 0:
        return
    if width > 4 * top:
        values, columns = cosine.where(cosine < high, -torch.inf).topk(min(top, cosine.shape[1]), dim=1)
        values = values.where(values > low, -torch.inf)
    else:
        order = row.argsort(stable=True)
        row, column = row[order], column[order]
        slot = torch.arange(len(row), device=row.device) - (counts.cumsum(0) - counts)[row]
        values = best.new_full((n, width), -torch.inf)
        columns = index.new_zeros(n, width)
        values[row, slot], columns[row, slot] = cosine[row, column], column
    columns = (columns + first).where(values > -torch.inf, -1)
    merged = torch.cat([best, values], 1).topk(top, dim=1)
    best.copy_(merged.values)
    index.copy_(torch.cat([index, columns], 1).gather(1, merged.indices))


def places(mask):
    """Row and column of what is true in mask (n, m), in any order; eight are asked at a time."""
    if not mask.is_contiguous() and mask.T.is_contiguous():
        return places(mask.T)[::-1]
    if mask.shape[1] % 8:
        return mask.nonzero(as_tuple=True)
    word = mask.flatten().view(torch.int64).nonzero().squeeze(1)
    entry, bit = mask.view(-1, 8)[word].nonzero(as_tuple=True)
    place = word[entry] * 8 + bit
    return place // mask.shape[1], place % mask.shape[1]


class Counts(NamedTuple):
    """`stream.Stream` without `together`, the last seven (M, top), at the candidates' places [c, slot]."""

    samples: torch.Tensor        # ()
    total: torch.Tensor          # (D,)
    fires: torch.Tensor          # (M,)
    acts: torch.Tensor           # (M,)
    squares: torch.Tensor        # (M,)
    content: torch.Tensor        # (M,)
    full: torch.Tensor           # (M,)
    full_acts: torch.Tensor      # (M,)
    full_squares: torch.Tensor   # (M,)
    full_content: torch.Tensor   # (M,)
    x_when: torch.Tensor         # (M, D)
    x_loud: torch.Tensor         # (M, D)
    content_squares: torch.Tensor    # (M, top)
    beside: torch.Tensor         # (M, top)
    beside_acts: torch.Tensor    # (M, top)
    beside_content: torch.Tensor     # (M, top)
    both_full: torch.Tensor          # (M, top)
    both_full_acts: torch.Tensor     # (M, top)
    both_full_content: torch.Tensor  # (M, top)


def no_counts(W_dec, top):
    """Counts of no samples."""
    (M, D), double = W_dec.shape, {"dtype": torch.float64, "device": W_dec.device}
    wide = torch.float64 if M * D < 2**24 else torch.float32                      # the largest part by far
    rows = {name: torch.zeros(M, D, device=W_dec.device, dtype=wide) for name in ("x_when", "x_loud")}
    latents = {name: torch.zeros(M, **double) for name in OF_A_LATENT}
    pairs = {name: torch.zeros(M, top, **double) for name in OF_A_PAIR}
    return Counts(samples=torch.zeros((), **double), total=torch.zeros(D, **double), **latents, **rows, **pairs)


def merge(one, other):
    """The counts of both shards.  Clauses: ABS-21."""
    return Counts(*map(torch.add, one, other))


@torch.no_grad()
def count(counts, index, x, acts, W_dec, b_dec, norms=None):
    """Add a batch to the counts, in place.

    index  (M, top) candidates
    x      (B, D)
    acts   (B, M), of which only the entries that are not 0 are used
    norms  (M, 1) of W_dec's rows, if they are known
    Clauses: ABS-19, ABS-20.
    """
    norms = lengths(W_dec) if norms is None else norms
    centred = x.double() - b_dec.double()                   # (B, D)
    contents = centred.to(W_dec.dtype) @ W_dec.T            # (B, M), times the rows' norms
    row, latent = acts.nonzero(as_tuple=True)               # (n,) sample after sample
    value, norm = acts[row, latent].double(), norms[latent, 0]
    fires = (value * norm).abs() >= SPEAKS * lengths(centred)[row, 0]
    row, latent, value, norm = (part[fires] for part in (row, latent, value, norm))
    content = contents[row, latent].double() / norm.where(norm > 0, 1)
    full = 2 * value * norm >= content
    one = torch.ones_like(value)
    counts.samples.add_(len(x))
    counts.total.add_(centred.sum(0))
    parts = [one, value, value.square(), content]
    for name, what in zip(OF_A_LATENT, parts + [part.where(full, 0) for part in parts]):
        getattr(counts, name).index_put_((latent,), what, accumulate=True)
    pairs = [one, value, content, *(part.where(full, 0) for part in (one, value, content))]
    keys = row * len(W_dec) + latent
    for b, c, loud in zip(*(part[full].split(FEW) for part in (row, latent, value))):         # children in full
        rows, parent = centred[b], index[c]                 # (n, D), (n, top)
        counts.x_when.index_add_(0, c, rows.to(counts.x_when))
        counts.x_loud.index_add_(0, c, rows.mul_(loud[:, None]).to(counts.x_loud))
        squares = (contents[b[:, None], parent].double() / norms[parent, 0]).square()         # candidates' rows are not 0
        counts.content_squares.index_add_(0, c, squares.where(parent >= 0, 0))
        place = find(keys, b[:, None] * len(W_dec) + parent).where(parent >= 0, -1)
        entry, slot = (place >= 0).nonzero(as_tuple=True)
        for name, what in zip(OF_A_PAIR[1:], pairs):        # the first is summed above
            getattr(counts, name).index_put_((c[entry], slot), what[place[entry, slot]], accumulate=True)


def find(keys, wanted):
    """Where each wanted number stands among the increasing keys (n,), -1 where it does not."""
    if not len(keys):
        return torch.full_like(wanted, -1)
    place = torch.searchsorted(keys, wanted).clamp_max(len(keys) - 1)
    return place.where(keys[place] == wanted, -1)


@torch.no_grad()
def scan(sae, rows, index, batch_size=1024, advance=None):
    """Counts of an SAE's activations on rows (N, D), which may be memory-mapped.

    sae      SparseAutoencoder in eval mode
    index    (M, top) candidates
    advance  called with the number of samples done
    raises   ValueError for rows that are not finite, or do not fit
    """
    params = sae.parameters_by_name()
    W_dec, b_dec, device = params["W_dec"], params["b_dec"], params["W_dec"].device
    counts, norms = no_counts(W_dec, index.shape[1]), lengths(W_dec)
    batch_size = min(batch_size, max(1, ROOM // len(W_dec)))
    for begin in range(0, len(rows), batch_size):
        x = rows[begin : begin + batch_size].to(device, W_dec.dtype)
        count(counts, index, x, sae.encode(x), W_dec, b_dec, norms)
        if advance is not None:
            advance(len(x))
    return counts
