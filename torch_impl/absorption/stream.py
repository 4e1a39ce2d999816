"""ABS, what can be seen: weight patterns of latents and pairs, and who fires with whom.

The dense definitions, for as many latents as an (M, M) array has room for; pairs are [parent, child]. Sums
and cosines are float64: the detector asks small differences of them. Counts are exact.
"""

from typing import NamedTuple

import torch

from .patterns import lengths, unit_rows

SPEAKS = 0.01        # below this share of the sample's size an activation is rounding noise


class Stream(NamedTuple):
    """Sums over samples: see `observe`. "content" is a sample's component along a decoder row."""

    samples: torch.Tensor        # ()      how many
    total: torch.Tensor          # (D,)    x - b_dec
    fires: torch.Tensor          # (M,)    in how many samples i fires; over those
    acts: torch.Tensor           # (M,)    its activations
    squares: torch.Tensor        # (M,)    their squares
    content: torch.Tensor        # (M,)    its content
    full: torch.Tensor           # (M,)    in how many samples i speaks in full; over those
    full_acts: torch.Tensor      # (M,)    its activations
    full_squares: torch.Tensor   # (M,)    their squares
    full_content: torch.Tensor   # (M,)    its content
    x_when: torch.Tensor         # (M, D)  x - b_dec
    x_loud: torch.Tensor         # (M, D)  x - b_dec times its activation
    together: torch.Tensor       # (M, M)  in how many samples p and c fire
    content_squares: torch.Tensor    # (M, M)  squares of p's content, over all samples in which c speaks in full
    beside: torch.Tensor         # (M, M)  in how many p fires and c speaks in full; over those
    beside_acts: torch.Tensor        # (M, M)  p's activations
    beside_content: torch.Tensor     # (M, M)  p's content
    both_full: torch.Tensor          # (M, M)  in how many p and c speak in full; over those
    both_full_acts: torch.Tensor     # (M, M)  p's activations
    both_full_content: torch.Tensor  # (M, M)  p's content


def observe(x, acts, W_dec, b_dec):
    """A Stream from samples x (B, D) and their activations (B, M).  Clauses: ABS-19, ABS-20."""
    acts, centred = acts.double(), x.double() - b_dec.double()
    written = acts * lengths(W_dec).T                       # (B, M)
    content = centred @ unit_rows(W_dec).T                  # (B, M)
    fires = (acts != 0) & (written.abs() >= SPEAKS * lengths(centred))            # (B, M)
    full = fires & (2 * written >= content)                 # (B, M)
    on, in_full = fires.double(), full.double()             # (B, M)
    parts = torch.ones_like(acts), acts, acts.square(), content
    singles = [part.where(which, 0).sum(0) for which in (fires, full) for part in parts]
    pairs = [part.where(which, 0).T @ in_full for which in (fires, full) for part in (parts[0], acts, content)]
    return Stream(torch.tensor(float(len(x)), dtype=torch.float64, device=x.device), centred.sum(0), *singles,
                  in_full.T @ centred, (in_full * acts).T @ centred, on.T @ on, content.square().T @ in_full,
                  *pairs)


def merge(one, other):
    """The stream of both; the order does not matter.  Clauses: ABS-21."""
    return Stream(*map(torch.add, one, other))


def lift(stream):
    """P(p and c) / (P(p) · P(c)), (M, M); 1 with a latent that never fires.  Clauses: ABS-22."""
    chance = torch.outer(stream.fires, stream.fires)        # (M, M)
    return (stream.together * stream.samples / chance).where(chance > 0, 1)


def phi(stream):
    """Correlation (M, M) of two latents' firing; 0 with one that fires never or always.  Clauses: ABS-23."""
    n, fires = stream.samples, stream.fires
    variance = fires * (n - fires)                          # (M,)
    scale = torch.outer(variance.sqrt(), variance.sqrt())   # (M, M)
    return ((stream.together * n - torch.outer(fires, fires)) / scale).where(scale > 0, 0)
