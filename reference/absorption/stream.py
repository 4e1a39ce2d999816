"""ABS, what can be seen: patterns in the weights of single latents and of pairs, and who fires with whom.

Absorption: a latent for a common feature (the parent) stays silent, or speaks low, where a latent for a rarer one
(the child) fires, because the child's decoder row writes the parent's direction too. Weights alone cannot show it:
an ideal SAE of independent features that overlap has exactly the weights of an absorbing one, so the stream of
activations must be read as well. Pairs are indexed [parent, child].
"""

from typing import NamedTuple

import numpy as np

from ..sae.constraints import normalize_rows, row_norms

SPEAKS = 0.01        # share of the sample's size below which a latent's contribution counts as rounding noise


class Stream(NamedTuple):
    """Sums over samples, so that parts of a stream can be added: see `observe`. `content` of latent i in a sample is
    the sample's component along decoder row i, (x - b_dec) · W_dec[i] / ||W_dec[i]||."""

    samples: float            # how many
    total: np.ndarray         # (D,)    sum of x - b_dec
    fires: np.ndarray         # (M,)    in how many samples i fires, and over those
    acts: np.ndarray          # (M,)    sum of its activations
    squares: np.ndarray       # (M,)    of their squares
    content: np.ndarray       # (M,)    of its content
    full: np.ndarray          # (M,)    in how many samples i speaks in full, and over those
    full_acts: np.ndarray     # (M,)    sum of its activations
    full_squares: np.ndarray  # (M,)    of their squares
    full_content: np.ndarray  # (M,)    of its content
    x_when: np.ndarray        # (M, D)  of x - b_dec
    x_loud: np.ndarray        # (M, D)  of x - b_dec, weighted by i's activation
    together: np.ndarray      # (M, M)  in how many samples both fire
    content_squares: np.ndarray    # (M, M)  [p, c]: sum of p's squared content over the samples in which c speaks in full
    beside: np.ndarray        # (M, M)  [p, c]: in how many p fires and c speaks in full, and over those
    beside_acts: np.ndarray        # (M, M)  sum of p's activations
    beside_content: np.ndarray     # (M, M)  of p's content
    both_full: np.ndarray          # (M, M)  in how many both speak in full, and over those
    both_full_acts: np.ndarray     # (M, M)  sum of p's activations
    both_full_content: np.ndarray  # (M, M)  of p's content


def observe(x, acts, W_dec, b_dec):
    """One pass over a stream of samples.

    x      (B, D)
    acts   (B, M)
    W_dec  (M, D)
    b_dec  (D,)
    returns Stream

    [ABS-19] Here a latent fires where it writes at least 1 % of the sample: |acts| · ||W_dec|| >= .01 · ||x - b_dec||.
             What exact cancellation leaves over, 1e-17, is not a firing.
    [ABS-20] It speaks in full where it writes at least half of its content. Where it fires without, it fills a slot that a
             selection rule has left over, or another latent carries what is missing.
    [ABS-21] The sums of two streams are the sums of their concatenation, however it is cut.
    """
    centred = x - b_dec                                     # (B, D)
    written = acts * row_norms(W_dec)                       # (B, M)
    content = centred @ normalize_rows(W_dec).T             # (B, M)
    fires = (np.abs(written) >= SPEAKS * row_norms(centred)[:, np.newaxis]) & (acts != 0)     # (B, M)
    on = fires.astype(x.dtype)                              # (B, M)
    full = (fires & (written >= content / 2)).astype(x.dtype)                     # (B, M)
    return Stream(
        len(x), centred.sum(0),
        on.sum(0), (on * acts).sum(0), (on * acts**2).sum(0), (on * content).sum(0),
        full.sum(0), (full * acts).sum(0), (full * acts**2).sum(0), (full * content).sum(0),
        full.T @ centred, (full * acts).T @ centred,
        on.T @ on, (content**2).T @ full,
        on.T @ full, (on * acts).T @ full, (on * content).T @ full,
        full.T @ full, (full * acts).T @ full, (full * content).T @ full)


def merge(one, other):
    """The stream of both."""
    return Stream(*(a + b for a, b in zip(one, other)))


def lift(stream):
    """How much more often two latents fire together than independent ones would.

        lift[p, c] = P(p and c) / (P(p) · P(c))

    returns lift (M, M); 1 if independent, 0 if exclusive

    [ABS-22] The lift with a latent that never fires is 1: nothing is known.
    """
    chance = np.outer(stream.fires, stream.fires)           # (M, M)
    return np.where(chance > 0, stream.together * stream.samples / np.where(chance > 0, chance, 1.0), 1.0)


def phi(stream):
    """Correlation of two latents' firing.

        phi = (n11 · n - n1 · n2) / sqrt(n1 (n - n1) n2 (n - n2))

    returns phi (M, M), from -1 to 1

    [ABS-23] phi with a latent that fires never or always is 0.
    """
    n, fires = stream.samples, stream.fires
    spread = np.sqrt(fires * (n - fires))                   # (M,)
    scale = np.outer(spread, spread)                        # (M, M)
    return np.where(scale > 0, (stream.together * n - np.outer(fires, fires)) / np.where(scale > 0, scale, 1.0), 0.0)
