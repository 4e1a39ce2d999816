"""ABS at scale: candidate pairs from the weights, then one pass over activations that counts for them alone.

    candidates   (M, top)  for each child the latents with decoder rows most like its own: possible parents
    Counts       the sums of `stream.Stream` at those places; shards are added up
    scan         the pass over a stream of activations

`pairs.py` makes evidence of them.
No (M, M) array is ever made: M = 65,536 needs memory for M · top numbers. A candidate's place is [c, slot]:
pair (p, c) with p = candidates[c, slot], -1 where there are fewer.
"""

from bisect import bisect_right
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..kernels.chunks import scratch
from ..kernels.precision import widen
from ..kernels.sparse_products import counted_offsets, decode, gathered_dots, weight_gradient
from ..sae.constraints import normalize_rows
from ..sparse.entries import Entries, Matrix, Places
from .detector import COSINES
from .evidence import OF_A_PAIR, LatentSums
from .stream import Usual, exact_norms, firing, floor_of, in_full, usual

BLOCK = 4096         # rows of one block of the product: BLOCK^2 numbers, 64 MiB in float32, are there at once
PLACES = 2**20       # pairs of a child that speaks and a candidate that are looked at at once
BATCH_NUMBERS = 2**24            # of a batch's activations, at most
FLOOR_ROWS = 2**16   # rows that say what a latent usually writes: all of them, or about so many, spread evenly


@torch.no_grad()
def candidates(W_dec: Tensor, top: int = 32, block: int = BLOCK, advance: Callable[[int], None] | None = None) -> Tensor:
    """The `top` latents (M, top) int64 of largest decoder cosine within the detector's bounds, -1 where fewer.

    W_dec    (M, D)
    block    rows of one block of cosines
    advance  called with 1 after each of the `block_count` blocks

    Rows at a cosine at which nothing is absorbed are no candidates: identical latents do not crowd out parents.
    Each block (block, block) of cosines is reduced to a short list before the next is made; blocks below the
    diagonal are those above it, seen from the other side.
    """
    unit, M = normalize_rows(widen(W_dec.detach())).float(), len(W_dec)           # (M, D)
    top = min(top, M)
    best = torch.full((M, top), -torch.inf, device=unit.device)
    index = torch.full((M, top), -1, dtype=torch.int64, device=unit.device)
    room = torch.empty(min(block, M) ** 2, device=unit.device)  # reused: fresh memory costs a pass
    firsts = range(0, M, block)
    for i, j in [(i, i) for i in firsts] + [(i, j) for i in firsts for j in firsts if i < j]:
        rows, columns = unit[i : i + block], unit[j : j + block]
        cosine = room[: len(rows) * len(columns)].view(len(rows), len(columns))
        torch.mm(rows, columns.T, out=cosine)
        _keep_best(best[i : i + block], index[i : i + block], cosine, j)
        if j > i:
            _keep_best(best[j : j + block], index[j : j + block], cosine.T, i)
        if advance is not None:
            advance(1)
    return index


def block_count(M: int, block: int = BLOCK) -> int:
    """How many blocks of cosines `candidates` computes for M latents."""
    side = -(-M // block)
    return side * (side + 1) // 2


def _keep_best(best: Tensor, index: Tensor, cosine: Tensor, first: int) -> None:
    """Merge cosines (n, m) with latents first .. first + m - 1 into the rows' lists (n, top), in place.

    Only entries above a row's worst so far can enter. After the first block they are few: they are found by
    one comparison and merged; where they are not few, the row's best are.
    """
    (low, high), (n, top) = COSINES, best.shape
    row, column = _true_places(cosine > best[:, -1:].clamp_min(low))
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


def _true_places(mask: Tensor) -> tuple[Tensor, Tensor]:
    """Row and column of what is true in mask (n, m) bool, in any order; eight entries are read at a time."""
    if not mask.is_contiguous() and mask.T.is_contiguous():
        column, row = _true_places(mask.T)
        return row, column
    if mask.shape[1] % 8:
        row, column = mask.nonzero(as_tuple=True)
        return row, column
    word = mask.flatten().view(torch.int64).nonzero().squeeze(1)
    entry, bit = mask.view(-1, 8)[word].nonzero(as_tuple=True)
    place = word[entry] * 8 + bit
    return place // mask.shape[1], place % mask.shape[1]


class Counts(NamedTuple):
    """The sums of `stream.Stream` without `together`; those of pairs are at the candidates' places [c, slot]."""

    samples: Tensor        # ()
    total: Tensor          # (D,)
    fires: Tensor          # (M,)
    content: Tensor        # (M,)
    full: Tensor           # (M,)
    full_acts: Tensor      # (M,)
    full_squares: Tensor   # (M,)
    full_content: Tensor   # (M,)
    x_when: Tensor         # (M, D)
    r_when: Tensor         # (M, D)
    residual_squares: Tensor   # (M, top)
    beside: Tensor         # (M, top)
    beside_acts: Tensor    # (M, top)
    beside_content: Tensor     # (M, top)
    both_full: Tensor          # (M, top)
    both_full_acts: Tensor     # (M, top)
    both_full_squares: Tensor  # (M, top)
    both_full_content: Tensor  # (M, top)


def no_counts(W_dec: Tensor, top: int) -> Counts:
    """Counts of no samples, for W_dec (M, D) and (M, top) candidates."""
    (M, D), double = W_dec.shape, {"dtype": torch.float64, "device": W_dec.device}
    wide = torch.float64 if M * D < 2**24 else torch.float32                      # the largest part by far
    rows = {name: torch.zeros(M, D, device=W_dec.device, dtype=wide) for name in ("x_when", "r_when")}
    latents = {name: torch.zeros(M, **double) for name in LatentSums._fields}
    pairs = {name: torch.zeros(M, top, **double) for name in OF_A_PAIR}
    return Counts(samples=torch.zeros((), **double), total=torch.zeros(D, **double), **latents, **rows, **pairs)


def merge(one: Counts, other: Counts) -> Counts:
    """The Counts of the samples of both.  Clauses: ABS-21."""
    return Counts(*map(torch.add, one, other))


@torch.no_grad()
def count(counts: Counts, index: Tensor, x: Tensor, acts: Matrix, W_dec: Tensor, b_dec: Tensor, floor: Tensor,
          norms: Tensor | None = None) -> None:
    """Add a batch to the counts, in place.

    index  (M, top)  candidates
    x      (B, D)
    acts   (B, M), in either form; only the entries that are not 0 are used
    W_dec  (M, D)
    b_dec  (D,)
    floor  (M,) float64, of `stream.firing_floor`: what a latent must write to fire
    norms  (M,) float64, of W_dec's rows, if they are known
    Clauses: ABS-19, ABS-20.
    """
    acts = acts if isinstance(acts, Entries) else listed(acts)
    norms = exact_norms(W_dec) if norms is None else norms
    centred = x.double() - b_dec.double()                   # (B, D)
    residual = centred.to(W_dec.dtype) - decode(acts.values, acts.places.indices, acts.places.offsets, W_dec)
    on = _firings(acts, centred.to(W_dec.dtype), W_dec, floor, norms)
    counts.samples.add_(len(x))
    counts.total.add_(centred.sum(0))
    for name, part in zip(LatentSums._fields, [on.one, on.content, *on.in_full]):
        getattr(counts, name).index_put_((on.places.indices,), part, accumulate=True)
    children = _some(on.places, on.full)
    for sums, rows in ((counts.x_when, centred), (counts.r_when, residual)):
        ones, rows = sums.new_ones(len(children.indices)), rows.to(sums.dtype)
        weight_gradient(ones, rows, children.transposed, out=sums, add=True)
    _count_pairs(counts, index, on, children, residual, W_dec, norms)


def listed(acts: Tensor) -> Entries:
    """What is not 0 in acts (B, M)."""
    sample, latent = acts.nonzero(as_tuple=True)
    offsets = counted_offsets(torch.bincount(sample, minlength=len(acts)))
    return Entries(acts[sample, latent], Places(latent, offsets, acts.shape[1]))


def _some(places: Places, which: Tensor) -> Places:
    """Those for which which (nnz,) is true."""
    counts = torch.bincount(places.rows[which], minlength=places.shape[0])
    return Places(places.indices[which], counted_offsets(counts), places.M)


class _Firings(NamedTuple):
    """Where latents fire in a batch: n places, sample after sample; numbers are float64."""

    places: Places
    full: Tensor             # (n,)  bool: in full
    one: Tensor              # (n,)  1
    value: Tensor            # (n,)  activations
    content: Tensor          # (n,)

    @property
    def in_full(self) -> list[Tensor]:
        """One, activation, its square and content, each (n,), 0 where not in full."""
        return [part.where(self.full, 0) for part in (self.one, self.value, self.value.square(), self.content)]


def _firings(acts: Entries, centred: Tensor, W_dec: Tensor, floor: Tensor, norms: Tensor) -> _Firings:
    """Those of acts (B, M); centred (B, D), W_dec (M, D), floor and norms (M,).  Clauses: ABS-19, ABS-20."""
    fires = firing(acts.values, acts.at(norms), acts.at(floor))
    places, value = _some(acts.places, fires), acts.values[fires].double()
    least, norm = floor[places.indices], norms[places.indices]
    content = gathered_dots(centred, places.indices, places.offsets, W_dec).double() / norm.where(norm > 0, 1)
    full = in_full(value.abs() * norm, content * value.sign(), least)
    return _Firings(places, full, torch.ones_like(value), value, content)


def _count_pairs(counts: Counts, index: Tensor, on: _Firings, children: Places, residual: Tensor, W_dec: Tensor,
                 norms: Tensor) -> None:
    """Add the sums of pairs.

    index     (M, top)
    children  where latents speak in full
    residual  (B, D)
    """
    (B, M), top = children.shape, index.shape[1]
    parts = [on.one, on.value, on.content, *on.in_full]     # in OF_A_PAIR's order
    with scratch(B, M, index[:0].int()) as table:           # where a place stands among the firings
        table.fill_(-1)[on.places.rows, on.places.indices] = torch.arange(len(on.one), dtype=table.dtype, device=table.device)
        for samples, entries in _pieces(children.offsets, PLACES // top):
            child, parent = children.indices[entries], index[children.indices[entries]]         # (n,), (n, top)
            offsets = (children.offsets[samples.start : samples.stop + 1] - entries.start) * top
            along = gathered_dots(residual[samples], parent.clamp_min(0).flatten(), offsets, W_dec).view_as(parent)
            squares = (along.double() / norms[parent]).square()        # candidates' rows are not 0
            counts.residual_squares.index_add_(0, child, squares.where(parent >= 0, 0))
            _count_beside(counts, child, _beside(table, children.rows[entries], parent), parts)


def _pieces(offsets: Tensor, most: int) -> Iterator[tuple[slice, slice]]:
    """Samples and their entries, so that in each piece there are at most so many entries, or one sample's."""
    bounds, begin = offsets.tolist(), 0
    while begin < len(bounds) - 1:
        end = max(bisect_right(bounds, bounds[begin] + most) - 1, begin + 1)
        yield slice(begin, end), slice(bounds[begin], bounds[end])
        begin = end


def _beside(table: Tensor, sample: Tensor, parent: Tensor) -> Tensor:
    """Where parents (n, top) stand among the firings in samples (n,): table (B, M) there; -1 where they do not.

    A search among the firings would take ten times as long.
    """
    place = parent.clamp_min(0).add_(sample[:, None] * table.shape[1])
    return table.flatten().index_select(0, place.flatten()).view_as(place).where(parent >= 0, -1)


def _count_beside(counts: Counts, child: Tensor, beside: Tensor, parts: list[Tensor]) -> None:
    """Add parts of the firings where a candidate fires beside a child (n,) in full; beside (n, top) says which firing that is."""
    n, slot = (beside >= 0).nonzero(as_tuple=True)
    places, entries = (child[n], slot), beside[n, slot].long()
    for name, part in zip(OF_A_PAIR[1:], parts):            # the first is of the residual
        getattr(counts, name).index_put_(places, part[entries], accumulate=True)


@torch.no_grad()
def firing_floor(sae: Any, rows: Tensor, batch_size: int = 1024, at_most: int = FLOOR_ROWS) -> Tensor:
    """What each latent must write to fire, (M,) float64, from a first look at rows (N, D).

    sae         SparseAutoencoder in eval mode
    batch_size  rows encoded at once; fewer where M is large
    at_most     how many rows are encoded, up to a batch more; of more than these every n-th batch
    raises      ValueError for rows that are not finite, or do not fit

    Clauses: ABS-40.
    """
    W_dec = sae.W_dec.detach()
    batch_size = _batch_size(batch_size, W_dec)
    step = batch_size * -(-len(rows) // max(at_most, batch_size))
    sums = usual(W_dec[:0], W_dec.new_zeros(0, len(W_dec)))
    for begin in range(0, len(rows), max(step, 1)):
        x = rows[begin : begin + batch_size].to(W_dec.device, W_dec.dtype)
        sums = Usual(*map(torch.add, sums, usual(x, _encoded(sae, x))))
    return floor_of(sums, W_dec)


def _encoded(sae: Any, x: Tensor) -> Entries:
    """Activations of x (B, D): an SAE that can list them need not write down the zeros."""
    return sae.entries(x) if hasattr(sae, "entries") else listed(sae.encode(x))


def _batch_size(wanted: int, W_dec: Tensor) -> int:
    return min(wanted, max(1, BATCH_NUMBERS // len(W_dec)))


@torch.no_grad()
def scan(sae: Any, rows: Tensor, index: Tensor, floor: Tensor, batch_size: int = 1024,
         advance: Callable[[int], None] | None = None) -> Counts:
    """Counts of an SAE's activations on rows (N, D), which may be memory-mapped.

    sae         SparseAutoencoder in eval mode
    index       (M, top)  candidates
    floor       (M,)  of `firing_floor`
    batch_size  rows encoded at once; fewer where M is large
    advance     called with the number of samples done, after each batch
    raises      ValueError for rows that are not finite, or do not fit
    """
    W_dec, b_dec = sae.W_dec.detach(), sae.b_dec.detach()
    counts, norms = no_counts(W_dec, index.shape[1]), exact_norms(W_dec)
    batch_size = _batch_size(batch_size, W_dec)
    for begin in range(0, len(rows), batch_size):
        x = rows[begin : begin + batch_size].to(W_dec.device, W_dec.dtype)
        count(counts, index, x, _encoded(sae, x), W_dec, b_dec, floor, norms)
        if advance is not None:
            advance(len(x))
    return counts
