"""The encoder's product a block of latents at a time, as upper bounds by which candidates can be told.

    Exact     the product itself, as `product` would give it
    Screened  a product in bfloat16, at half the cost, plus what it may be wrong by

Of one entry, x · w + b, with roundings x̂ and ŵ to bfloat16:

    |x · w - x̂ · ŵ| = |(x - x̂) · w + x̂ · (w - ŵ)| <= ‖x - x̂‖ ‖w‖ + ‖x̂‖ ‖w - ŵ‖            (Cauchy-Schwarz)

to which any float32 sum of D products adds at most D · 2^-24 · ‖x‖ ‖w‖, here and where the candidate's own value is
computed: `rounding` below is generous. The norms are those of the actual residuals, so that the bound is about a tenth of
the pre-activations' spread. It is itself a sum of products: three more columns make the product add bound and b.
"""

import torch
from torch import Tensor

from .sparse_products import gathered_dots

COLUMNS = 8                     # more than there are inputs: three are used, and the product likes even numbers
LARGEST_D = 2**13               # up to here the slack of `_up` covers the float32 sum of the added columns
SPECK = 2.0**-63                # added to norms, D times: squares that underflow, and numbers that the CPU takes for 0


def can_screen(x: Tensor) -> bool:
    """Is a product in bfloat16 fast for x (B, D), and is float32 what it stands in for?"""
    return (x.device.type == "cpu" and x.dtype == torch.float32 and x.shape[1] <= LARGEST_D
            and not torch.is_autocast_enabled("cpu") and has_bfloat16())


def has_bfloat16() -> bool:
    """Has this CPU instructions for products of bfloat16?"""
    has = (getattr(torch.cpu, f"_is_{name}_supported", None) for name in ("avx512_bf16", "amx_tile"))
    return torch.backends.mkldnn.is_available() and any(ask() for ask in has if ask)


class Exact:
    """x (B, D) times W (M, D), plus b (M,), of one wide dtype: each number is its own bound."""

    width = 2048
    """latents in a block that costs least"""

    def __init__(self, x: Tensor, W: Tensor, b: Tensor):
        self.problem = x, W, b
        kind = x.device.type
        self.half = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else None
        self.x, self.W, self.b = x if self.half is None else x.to(self.half), W, b
        self.dtype, self.size = x.dtype, _norms(x).max()

    def fill(self, block: slice, out: Tensor) -> bool:
        """Write the bounds of the latents of a block to out (B, n), of self.dtype.

        returns False, having written nothing, if numbers may not be finite
        """
        W, b = self.W[block], self.b[block]
        if not _fits(self.size * _norms(W).max(), b, self.x.dtype):
            return False
        if self.half is None:
            torch.mm(self.x, W.T, out=out)
        else:
            out.copy_(self.x @ W.to(self.half).T)
        out.add_(b)
        return True

    def lower(self, upper: Tensor, rows: Tensor, latents: Tensor) -> Tensor:
        """The least that entries can be whose bound is upper, at rows and latents; all (n,), or of shapes that
        broadcast to upper's."""
        return upper

    def values(self, upper: Tensor, indices: Tensor, offsets: Tensor) -> Tensor:
        """The entries' own values (nnz,); upper, indices (nnz,), offsets (B + 1,) as in CSR."""
        return upper


class Screened:
    """As Exact, by a product in bfloat16."""

    width, dtype = 1024, torch.bfloat16

    def __init__(self, x: Tensor, W: Tensor, b: Tensor):
        self.problem = x, W, b
        (B, D), M = x.shape, len(W)
        self.x, self.W, self.b = x, W, b
        self.left = x.new_zeros(B, D + COLUMNS, dtype=self.dtype)
        norm, lost = _round(x, self.left[:, :D])
        self.size = (norm + lost).max()
        self.left[:, D] = 1
        rounding = (D + 64) * 2.0**-23                      # of two float32 sums, relative to the product of the norms
        self.left[:, D + 1] = _up(lost + rounding * (norm + lost))
        self.left[:, D + 2] = _up(norm + lost)
        self.by_latent = x.new_zeros(2, M)                  # what columns D + 1 and D + 2 hold for each latent

    def fill(self, block: slice, out: Tensor) -> bool:
        """As Exact's."""
        W, b, D = self.W[block], self.b[block], self.W.shape[1]
        right = W.new_zeros(len(W), D + COLUMNS, dtype=self.dtype)
        norm, lost = _round(W, right[:, :D])
        if not _fits(self.size * norm.max(), b, self.dtype):
            return False
        right[:, D] = b + b.abs() * 2.0**-7
        right[:, D + 1], right[:, D + 2] = _up(norm), _up(lost)
        self.by_latent[:, block] = right[:, D + 1 : D + 3].T.float()
        torch.mm(self.left, right.T, out=out)
        return True

    def lower(self, upper: Tensor, rows: Tensor, latents: Tensor) -> Tensor:
        """upper without its bound on both sides, what b was raised by, and its own rounding to bfloat16."""
        D = self.W.shape[1]
        (by_norm, by_lost), (norm, lost) = self.left[:, D + 1 : D + 3].float().T, self.by_latent
        bound = by_norm[rows] * norm[latents] + by_lost[rows] * lost[latents]
        return upper * (1 - 2.0**-6) - 2.125 * bound - self.b.abs()[latents] * 2.0**-6

    def values(self, upper: Tensor, indices: Tensor, offsets: Tensor) -> Tensor:
        """As Exact's, computed anew."""
        return gathered_dots(self.x, indices, offsets, self.W) + self.b[indices]


Bounds = Exact | Screened


def _norms(rows: Tensor) -> Tensor:
    return torch.linalg.vector_norm(rows, dim=1)


def _round(rows: Tensor, out: Tensor) -> tuple[Tensor, Tensor]:
    """Write rows (n, D) to out in bfloat16; norms (n,) of rows, and of what that lost, neither too small."""
    out.copy_(rows)
    speck = rows.shape[1] * SPECK
    return _norms(rows) + speck, _norms(rows - out) + speck


def _up(norms: Tensor) -> Tensor:
    """At least that, also after rounding to bfloat16, by more than the sums here can be wrong."""
    return norms * (1 + 2.0**-7)


def _fits(size: Tensor, b: Tensor, dtype: torch.dtype) -> bool:
    """Does every sum of a product of this size stay finite? Not if anything is not."""
    return bool(size + b.abs().max() < torch.finfo(dtype).max / 16)
