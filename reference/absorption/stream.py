"""ABS, the stream: who fires with whom, and what is in the samples then, as sums over samples.

Four words, here and in all of absorption/:

    fires            a latent writes at least its floor, a small share of what it usually writes ([ABS-19], [ABS-40])
    speaks in full   it writes at least a quarter of what it usually writes, and half of its content ([ABS-20])
    content          of latent i in a sample: the sample's component along decoder row i, (x - b_dec) · W_dec[i] / ||W_dec[i]||
    p, c             of a pair of latents, the possible parent and the possible child; pairs are indexed [p, c]
"""

from typing import NamedTuple

import numpy as np

from ..sae.constraints import normalize_rows, row_norms

SPEAKS = 0.01        # share of what a latent usually writes, and
NOISE = 1e-6         # share of what a sample usually is, below which what a latent writes is no firing
LOUD = 25            # floors, a quarter of what it usually writes, below which a latent does not speak in full


class Stream(NamedTuple):
    """Sums over samples, so that parts of a stream can be added: see `observe`."""

    samples: float            # how many
    total: np.ndarray         # (D,)    sum of x - b_dec
    # over the samples in which latent i fires: how many they are, and the sum of its content
    fires: np.ndarray         # (M,)
    content: np.ndarray       # (M,)
    # over those in which it speaks in full: how many, and the sums of its activation, that squared, its content, x - b_dec,
    # and the residual x - recon
    full: np.ndarray          # (M,)
    full_acts: np.ndarray     # (M,)
    full_squares: np.ndarray  # (M,)
    full_content: np.ndarray  # (M,)
    x_when: np.ndarray        # (M, D)
    r_when: np.ndarray        # (M, D)
    # of pairs: in how many samples both fire; where c speaks in full, the sum of the squared residual along p's row
    together: np.ndarray           # (M, M)
    residual_squares: np.ndarray   # (M, M)
    # over the samples in which p fires and c speaks in full: how many, and the sums of p's activation and content
    beside: np.ndarray             # (M, M)
    beside_acts: np.ndarray        # (M, M)
    beside_content: np.ndarray     # (M, M)
    # over those in which both speak in full: the same, and the sum of p's squared activation
    both_full: np.ndarray          # (M, M)
    both_full_acts: np.ndarray     # (M, M)
    both_full_squares: np.ndarray  # (M, M)
    both_full_content: np.ndarray  # (M, M)


def firing_floor(x, acts, W_dec):
    """How much each latent must write for it to count as a firing.

        floor[i] = max(.01 · sum_b w[b, i]^2 / sum_b w[b, i],  1e-6 · mean_b ||x[b]||)    with w = |acts| · ||W_dec||

    x      (B, D)  samples that stand for the whole stream: all of it, or a part that is large enough
    acts   (B, M)
    W_dec  (M, D)
    returns floor (M,), in units of x

    [ABS-40] The floor is 1 % of what the latent usually writes, its mean weighted by itself, which whispers do not lower; and
             at least 1e-6 of the mean norm of x, b_dec not subtracted: a latent that writes nothing but what exact
             cancellation leaves over, 1e-16, never fires.
    """
    written = np.abs(acts) * row_norms(W_dec)               # (B, M)
    total = written.sum(0)                                  # (M,)
    usual = (written**2).sum(0) / np.where(total > 0, total, 1.0)                 # (M,)
    return np.maximum(SPEAKS * usual, NOISE * row_norms(x).sum() / max(len(x), 1))


def observe(x, acts, W_dec, b_dec, floor=None):
    """One pass over a stream of samples, or a part of it.

    x      (B, D)
    acts   (B, M)
    W_dec  (M, D)
    b_dec  (D,)
    floor  (M,)  of `firing_floor`, the same for all parts of a stream; None: of these samples
    returns Stream

    [ABS-19] Here a latent fires where its activation is not 0 and it writes at least its floor, |acts| · ||W_dec|| >= floor.
             The floor is the latent's, not the sample's: noise in a nearly empty sample is not a firing.
    [ABS-20] It speaks in full where it fires, writes at least 25 floors, a quarter of what it usually writes, and at least half
             of its content; a negative activation writes against the decoder row, and its content counts that way too. Where
             it fires without, it fills a slot that a selection rule has left over, or another latent carries what is missing.
    [ABS-21] The sums of two streams with one floor are the sums of their concatenation, however it is cut.
    """
    floor = firing_floor(x, acts, W_dec) if floor is None else floor              # (M,)
    centred = x - b_dec                                     # (B, D)
    written = np.abs(acts) * row_norms(W_dec)               # (B, M)
    unit = normalize_rows(W_dec)                            # (M, D)
    content, residual = centred @ unit.T, centred - acts @ W_dec                  # (B, M), (B, D)
    fires = (written >= floor) & (acts != 0)                # (B, M)
    on = fires.astype(x.dtype)                              # (B, M)
    least = np.maximum(LOUD * floor, np.sign(acts) * content / 2)                 # (B, M)  to speak in full
    full = (fires & (written >= least)).astype(x.dtype)     # (B, M)
    return Stream(
        samples=len(x), total=centred.sum(0), fires=on.sum(0), content=(on * content).sum(0),
        full=full.sum(0), full_acts=(full * acts).sum(0), full_squares=(full * acts**2).sum(0),
        full_content=(full * content).sum(0), x_when=full.T @ centred, r_when=full.T @ residual,
        together=on.T @ on, residual_squares=((residual @ unit.T) ** 2).T @ full,
        beside=on.T @ full, beside_acts=(on * acts).T @ full, beside_content=(on * content).T @ full,
        both_full=full.T @ full, both_full_acts=(full * acts).T @ full, both_full_squares=(full * acts**2).T @ full,
        both_full_content=(full * content).T @ full)


def merge(one, other):
    """The Stream of the samples of both."""
    return Stream._make(a + b for a, b in zip(one, other))


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


class Projected(NamedTuple):
    """Sums over samples along decoder rows: see `project`. What is the same for all c, or all p, is not repeated."""

    p_in_all: np.ndarray     # (M, 1)  p's content, over all samples
    c_in_all: np.ndarray     # (M,)    c's content, over all samples
    p_in_c: np.ndarray       # (M, M)  p's content, over c's samples
    c_in_p: np.ndarray       # (M, M)  c's content, over p's samples
    residual_in_c: np.ndarray      # (M, M)  the residual along p's row, over c's samples
    norm: np.ndarray         # (M, 1)  length of p's decoder row: what one unit of p's activation writes
    cosine: np.ndarray       # (M, M)  of the decoder rows


def project(stream, W_dec):
    """Sums of samples, and decoder rows, along decoder rows.

    stream  Stream
    W_dec   (M, D)
    returns Projected
    """
    unit = normalize_rows(W_dec)                            # (M, D)
    in_all, in_full = unit @ stream.total, unit @ stream.x_when.T                 # (M,), (M, M)
    return Projected(p_in_all=in_all[:, np.newaxis], c_in_all=in_all, p_in_c=in_full, c_in_p=in_full.T,
                     residual_in_c=unit @ stream.r_when.T, norm=row_norms(W_dec)[:, np.newaxis], cosine=unit @ unit.T)
