"""ABS, the stream: who fires with whom, and what is in the samples then.

For all pairs, [parent, child], of as many latents as an (M, M) array has room for; `scan.py` counts for candidate pairs
alone. Sums and cosines are float64, because the detector reads small differences of them. Counts are exact.
A latent's content is a sample's component along its decoder row, (x - b_dec) · W_dec[i] / ||W_dec[i]||.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from ..kernels.chunks import blocks
from ..sae.constraints import normalize_rows, row_norms
from ..sparse.entries import Matrix, apply, sum_by_latent

SPEAKS = 0.01        # of what a latent usually writes,
NOISE = 1e-6         # of what a sample usually measures: what it writes below either is no firing
LOUD = 25            # floors, so a quarter of what it usually writes: below it a latent is not in full


class Stream(NamedTuple):
    """Sums over samples, float64: see `observe`."""

    samples: Tensor        # ()      how many
    total: Tensor          # (D,)    x - b_dec
    fires: Tensor          # (M,)    in how many samples i fires; over those
    content: Tensor        # (M,)    its content
    full: Tensor           # (M,)    in how many samples i speaks in full; over those
    full_acts: Tensor      # (M,)    its activations
    full_squares: Tensor   # (M,)    their squares
    full_content: Tensor   # (M,)    its content
    x_when: Tensor         # (M, D)  x - b_dec
    r_when: Tensor         # (M, D)  x - recon
    together: Tensor       # (M, M)  in how many samples p and c fire
    residual_squares: Tensor   # (M, M)  squares of x - recon along p's row, over all samples in which c speaks in full
    beside: Tensor         # (M, M)  in how many p fires and c speaks in full; over those
    beside_acts: Tensor        # (M, M)  p's activations
    beside_content: Tensor     # (M, M)  p's content
    both_full: Tensor          # (M, M)  in how many p and c speak in full; over those
    both_full_acts: Tensor     # (M, M)  p's activations
    both_full_squares: Tensor  # (M, M)  their squares
    both_full_content: Tensor  # (M, M)  p's content


class Projected(NamedTuple):
    """Sums over samples of p's content and of c's, and their decoder rows; in shapes that broadcast to pairs.

    p's samples and c's are those in which it speaks in full. Shapes are those of `project`.
    """

    p_in_all: Tensor             # (M, 1)  p's content, over all samples
    c_in_all: Tensor             # (M,)    c's content, over all samples
    p_in_c: Tensor               # (M, M)  p's content, over c's samples
    c_in_p: Tensor               # (M, M)  c's content, over p's samples
    residual_in_c: Tensor        # (M, M)  x - recon along p's row, over c's samples
    norm: Tensor                 # (M, 1)  of p's decoder row
    cosine: Tensor               # (M, M)  of the decoder rows


class Usual(NamedTuple):
    """Sums over samples, float64, from which `floor_of` follows; those of parts of a stream are added up."""

    samples: Tensor        # ()    how many
    sizes: Tensor          # ()    norms of x, b_dec not subtracted
    acts: Tensor           # (M,)  activations, without their sign
    squares: Tensor        # (M,)  their squares


def exact_norms(W_dec: Tensor) -> Tensor:
    """Lengths (M,) float64 of the rows of W_dec (M, D)."""
    return torch.cat([row_norms(rows) for rows in _in_double(W_dec)])


def exact_products(W_dec: Tensor, vector: Tensor) -> Tensor:
    """W_dec @ vector, (M,) float64; W_dec (M, D), vector (D,) float64."""
    return torch.cat([rows @ vector for rows in _in_double(W_dec)])


def _in_double(W_dec: Tensor) -> Iterator[Tensor]:
    """A block of W_dec's rows at a time: all of it in float64 would be twice the weights."""
    for rows in blocks(len(W_dec), W_dec.shape[1], W_dec.device):
        yield W_dec[rows].double()


def usual(x: Tensor, acts: Matrix) -> Usual:
    """The sums over samples x (B, D) and their activations (B, M), in either form."""
    size = apply(lambda numbers: numbers.double().abs(), acts)
    return Usual(samples=torch.tensor(float(len(x)), dtype=torch.float64, device=x.device), sizes=row_norms(x.double()).sum(),
                 acts=sum_by_latent(size), squares=sum_by_latent(apply(torch.square, size)))


def floor_of(sums: Usual, W_dec: Tensor) -> Tensor:
    """What each latent must write to fire, (M,) float64; W_dec (M, D).  Clauses: ABS-40."""
    loud = (sums.squares / sums.acts).where(sums.acts > 0, 0) * exact_norms(W_dec)          # (M,)
    return (SPEAKS * loud).maximum(NOISE * sums.sizes / sums.samples.clamp_min(1))


def firing_floor(x: Tensor, acts: Tensor, W_dec: Tensor) -> Tensor:
    """The floor (M,) from samples x (B, D) and their activations (B, M).  Clauses: ABS-40."""
    return floor_of(usual(x, acts), W_dec)


def firing(acts: Tensor, norms: Tensor, floor: Tensor) -> Tensor:
    """Where latents (...) of these row norms fire, bool.  Clauses: ABS-19."""
    return (acts != 0) & (acts.double().abs() * norms >= floor)


def in_full(written: Tensor, along: Tensor, floor: Tensor) -> Tensor:
    """Where latents that fire speak in full (...) bool, from what they write and their content along it.  Clauses: ABS-20."""
    return (2 * written >= along) & (written >= LOUD * floor)


def observe(x: Tensor, acts: Tensor, W_dec: Tensor, b_dec: Tensor, floor: Tensor | None = None) -> Stream:
    """A Stream from samples x (B, D) and their activations (B, M); W_dec (M, D), b_dec (D,).

    floor  (M,) of `firing_floor`: one for all parts of a stream; None: that of these samples

    Clauses: ABS-19, ABS-20.
    """
    floor = firing_floor(x, acts, W_dec) if floor is None else floor.double()
    acts, centred = acts.double(), x.double() - b_dec.double()
    norms = exact_norms(W_dec)                              # (M,)
    unit = normalize_rows(W_dec.double())                   # (M, D)
    residual = centred - acts @ W_dec.double()              # (B, D)
    content = centred @ unit.T                              # (B, M)
    fires = firing(acts, norms, floor)                      # (B, M)
    full = fires & in_full(acts.abs() * norms, content * acts.sign(), floor)                # (B, M)
    on, loud = fires.double(), full.double()                # (B, M)

    def over(which: Tensor, part: Tensor) -> Tensor:
        return part.where(which, 0).sum(0)                  # (M,)

    def with_full(which: Tensor, part: Tensor) -> Tensor:
        return part.where(which, 0).T @ loud                # (M, M)

    one, squares = torch.ones_like(acts), acts.square()
    return Stream(
        samples=torch.tensor(float(len(x)), dtype=torch.float64, device=x.device), total=centred.sum(0),
        fires=over(fires, one), content=over(fires, content),
        full=over(full, one), full_acts=over(full, acts), full_squares=over(full, squares), full_content=over(full, content),
        x_when=loud.T @ centred, r_when=loud.T @ residual,
        together=on.T @ on, residual_squares=(residual @ unit.T).square().T @ loud,
        beside=with_full(fires, one), beside_acts=with_full(fires, acts), beside_content=with_full(fires, content),
        both_full=with_full(full, one), both_full_acts=with_full(full, acts), both_full_squares=with_full(full, squares),
        both_full_content=with_full(full, content))


def merge(one: Stream, other: Stream) -> Stream:
    """The Stream of the samples of both, observed with one floor; the order does not matter.  Clauses: ABS-21."""
    return Stream(*map(torch.add, one, other))


def project(stream: Stream, W_dec: Tensor) -> Projected:
    """A Stream's sums along the decoder rows of W_dec (M, D)."""
    wide = W_dec.double()
    unit, norm = normalize_rows(wide), row_norms(wide)      # (M, D), (M,)
    in_all, in_full = unit @ stream.total, unit @ stream.x_when.T                 # (M,), (M, M)
    return Projected(p_in_all=in_all[:, None], c_in_all=in_all, p_in_c=in_full, c_in_p=in_full.T,
                     residual_in_c=unit @ stream.r_when.T, norm=norm[:, None], cosine=unit @ unit.T)


def lift(stream: Stream) -> Tensor:
    """P(p and c) / (P(p) · P(c)), (M, M); 1 with a latent that never fires.  Clauses: ABS-22."""
    chance = torch.outer(stream.fires, stream.fires)        # (M, M)
    return (stream.together * stream.samples / chance).where(chance > 0, 1)


def phi(stream: Stream) -> Tensor:
    """Correlation (M, M) of two latents' firing; 0 with one that fires never or always.  Clauses: ABS-23."""
    n, fires = stream.samples, stream.fires
    variance = fires * (n - fires)                          # (M,)
    scale = torch.outer(variance.sqrt(), variance.sqrt())   # (M, M)
    return ((stream.together * n - torch.outer(fires, fires)) / scale).where(scale > 0, 0)
