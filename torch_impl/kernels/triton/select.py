"""Selection on a GPU: the k largest of each row that are not negative, ties to the lowest index; no sorting.

Floats that are not negative are ordered as their bits are, read as integers; a negative float is a negative
integer. So every dtype is one case: a key is max(bits, -1), and a key of -1, a -0.0 as well, takes no part.

A tile is as much of a row as one program holds in registers. It finds its k-th largest key by bisection and
writes what it keeps in the order of the index. A longer row is cut into tiles, and the winners of all tiles
compete again: memory is read once. When k is so large that tiles would keep nearly everything (batch rules),
the k-th largest key of the row is found digit by digit from counts, and one last pass writes.
"""

# Inside a function under @triton.jit, sums and constants are Triton's own, which its annotations do not say.
# pyright: reportOperatorIssue=false, reportArgumentType=false

import torch
import triton
import triton.language as tl
from torch import Tensor

from .launch import Floor, launch

TILE = 16384
LARGE_K = TILE // 8                 # a tile has at least TILE / 2 entries; above this it would keep too many
BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}


@triton.jit
def load_keys(bits, at, inside):
    """Keys at bits[at]; from `inside` on -2, below every key."""
    keys = tl.load(bits + at, mask=at < inside, other=0)
    if keys.dtype == tl.int16:
        keys = keys.to(tl.int32)
    return tl.where(at < inside, tl.maximum(keys, -1), -2)


@triton.jit
def write_best(bits, origin, values, indices, first, inside, level, room, above_before, equal_before, most,
               HAS_ORIGIN: tl.constexpr, CHUNK: tl.constexpr):
    """Of bits[:inside] write all keys above `level` and those that equal it while there is room, by index.

    values, indices             where the row's winners go, `most` of them
    first                       the number of bits[0] within its row; HAS_ORIGIN: origin[:inside] has them all
    above_before, equal_before  how many of the row came before
    """
    for start in range(0, inside, CHUNK):
        at = start + tl.arange(0, CHUNK)
        keys = load_keys(bits, at, inside)
        above, equal = keys > level, keys == level
        marks = above.to(tl.int32) + (equal.to(tl.int32) << 16)         # two counts in one scan
        before = tl.cumsum(marks, 0) - marks
        equals = equal_before + (before >> 16)
        place = above_before + (before & 0xFFFF) + tl.minimum(equals, room)
        chosen = (above | (equal & (equals < room))) & (place < most)
        index = tl.load(origin + at, mask=chosen, other=0) if HAS_ORIGIN else (first + at).to(tl.int64)
        tl.store(values + place, keys.to(values.dtype.element_ty), mask=chosen)
        tl.store(indices + place, index, mask=chosen)
        counted = tl.sum(marks, 0)
        above_before += counted & 0xFFFF
        equal_before += counted >> 16


@triton.jit
def tile_kernel(bits, origin, values, indices, n, tile, k, winners,
                HAS_ORIGIN: tl.constexpr, BLOCK: tl.constexpr, CHUNK: tl.constexpr):
    """The k best of one tile of one row: bits (R, n) to the winners' keys and indices (R, winners)."""
    tiles = tl.cdiv(n, tile)
    row, number = (tl.program_id(0) // tiles).to(tl.int64), tl.program_id(0) % tiles
    first = number * tile
    start, inside = row * n + first, tl.minimum(tile, n - first)
    take = tl.minimum(k, inside)
    keys = load_keys(bits + start, tl.arange(0, BLOCK), inside)

    high = tl.max(keys, 0)
    low = tl.minimum(high, -1)                              # will be the largest that `take` keys reach
    while low < high:
        middle = (low | high) - ((low ^ high) >> 1)         # their mean, rounded up; the sum could overflow
        reach = tl.sum((keys >= middle).to(tl.int32), 0)
        low = tl.where(reach >= take, middle, low)
        high = tl.where(reach > take, high, tl.where(reach == take, middle, middle - 1))

    room, out, none = take - tl.sum((keys > low).to(tl.int32), 0), row * winners + number * k, take * 0
    write_best(bits + start, origin + start, values + out, indices + out, first, inside, low, room,
               none, none, take, HAS_ORIGIN, CHUNK)


@triton.jit
def count_kernel(bits, prefix, counts, n, tile, shift, BLOCK: tl.constexpr):
    """How often each 8-bit digit occurs in one tile, among keys that begin with the row's prefix."""
    tiles = tl.cdiv(n, tile)
    row, first = (tl.program_id(0) // tiles).to(tl.int64), tl.program_id(0) % tiles * tile
    keys = load_keys(bits + row * n + first, tl.arange(0, BLOCK), tl.minimum(tile, n - first))
    if keys.dtype == tl.int64:
        number_of = (keys + 1).to(tl.uint64, bitcast=True)  # from 0; the largest key becomes 2^63
        begins = (number_of >> shift >> 8) == tl.load(prefix + row).to(tl.uint64)
    else:
        number_of = (keys + 1).to(tl.uint32, bitcast=True)
        begins = (number_of >> shift >> 8) == tl.load(prefix + row).to(tl.uint32)
    begins = begins & (keys > -2)
    digit = tl.where(begins, (number_of >> shift) & 255, 0).to(tl.int32)
    strangers = BLOCK - tl.sum(begins.to(tl.int32), 0)      # counted as 0 until here
    bins = tl.arange(0, 256)
    occurs = tl.histogram(digit, 256) - tl.where(bins == 0, strangers, 0)
    tl.store(counts + tl.program_id(0).to(tl.int64) * 256 + bins, occurs)


@triton.jit
def write_kernel(bits, level, room, above_before, equal_before, values, indices, n, tile, k,
                 CHUNK: tl.constexpr):
    """What one tile adds to its row's k, all above the row's level and the first `room` at it."""
    tiles, program = tl.cdiv(n, tile), tl.program_id(0)
    row, first = (program // tiles).to(tl.int64), program % tiles * tile
    keys = bits + row * n + first
    write_best(keys, keys, values + row * k, indices + row * k, first, tl.minimum(tile, n - first),
               tl.load(level + row), tl.load(room + row), tl.load(above_before + program),
               tl.load(equal_before + program), k, False, CHUNK)


def select(pre: Tensor, k: int, order_by: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """The k best entries of each row, as `select.select`, by ascending index, no index twice.

    pre, order_by (R, n), 1 <= k <= n; returns values and indices (R, k)
    """
    rank = (pre if order_by is None else order_by).contiguous()         # the kernel counts addresses in rows
    bits, indices = rank.view(BITS[rank.element_size()]), None
    if bits.shape[1] > TILE and k > LARGE_K:
        bits, indices = _by_counting(bits, k)
    else:
        while bits.shape[1] > TILE:
            bits, indices = _tiles(bits, indices, _tile(bits.shape[1]), k)
        bits, indices = _tiles(bits, indices, bits.shape[1], k)
    if order_by is None:
        return bits.clamp_(min=0).view(pre.dtype), indices
    return torch.where(bits >= 0, pre.gather(-1, indices), 0), indices


def _tile(n: int) -> int:
    """Tiles of equal length, a multiple of 16 so that rows of even tiles stay aligned."""
    return triton.cdiv(triton.cdiv(n, triton.cdiv(n, TILE)), 16) * 16


def _sizes(tile: int) -> tuple[int, int, int]:
    """(BLOCK, CHUNK, warps): 32 keys a thread while they are compared, 4 while they are written."""
    block = triton.next_power_of_2(tile)
    return block, max(block // 8, min(block, 128)), min(max(block // 1024, 1), 16)


def _tiles(bits: Tensor, origin: Tensor | None, tile: int, k: int) -> tuple[Tensor, Tensor]:
    """One level: bits (R, n) to the winners' bits and indices (R, fewer)."""
    R, n = bits.shape
    tiles, (block, chunk, warps) = triton.cdiv(n, tile), _sizes(tile)
    winners = (tiles - 1) * k + min(k, n - (tiles - 1) * tile)
    best = torch.empty(R, winners, dtype=bits.dtype, device=bits.device)
    indices = torch.empty(R, winners, dtype=torch.int64, device=bits.device)
    launch(tile_kernel, (R * tiles,), bits, indices if origin is None else origin, best, indices,
           n, tile, k, winners, HAS_ORIGIN=origin is not None, BLOCK=block, CHUNK=chunk, warps=warps)
    return best, indices


def _by_counting(bits: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """`select` for a large k: the k-th largest key of each row digit by digit, the highest first."""
    (R, n), tile, device = bits.shape, _tile(bits.shape[1]), bits.device
    tiles, (block, chunk, warps) = triton.cdiv(n, tile), _sizes(tile)
    room = torch.full((R,), k, device=device)               # how many the prefix itself has still to give
    level = torch.zeros(R, dtype=torch.int64, device=device)
    above = equal = torch.zeros(R, tiles, dtype=torch.int64, device=device)
    bins = torch.arange(256, device=device)
    for shift in range(8 * bits.element_size() - 8, -1, -8):
        counts = torch.empty(R, tiles, 256, dtype=torch.int32, device=device)
        launch(count_kernel, (R * tiles,), bits, level, counts, n, tile, shift, BLOCK=block, warps=warps)
        reach = counts.sum(1).flip(-1).cumsum(-1).flip(-1)  # (R, 256)  keys with this digit or a higher one
        digit = (reach >= room[:, None]).sum(-1) - 1        # (R,)  the highest digit that enough keys reach
        higher = (counts * (bins > digit[:, None])[:, None]).sum(-1)                      # (R, tiles)
        above += higher
        room = room - higher.sum(1)
        equal = counts.gather(-1, digit[:, None, None].expand(-1, tiles, 1))[..., 0]      # (R, tiles)
        level = level << 8 | digit
    values = torch.empty(R, k, dtype=bits.dtype, device=device)
    indices = torch.empty(R, k, dtype=torch.int64, device=device)
    level = (level - 1).to(torch.int64 if bits.element_size() == 8 else torch.int32)      # a key again
    before = [(counted.cumsum(1) - counted).int() for counted in (above, equal)]
    launch(write_kernel, (R * tiles,), bits, level, room.int(), *before, values, indices, n, tile, k,
           CHUNK=chunk, warps=warps)
    return values, indices


def floor(B: int, K: int, M: int, size: int) -> Floor:
    """pre read once, what was chosen written. The arithmetic is integer: one comparison a number.

    size  bytes of a number of pre
    """
    return Floor(B * M * size + B * K * (size + 8), B * M)
