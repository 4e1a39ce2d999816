"""What weights and a stream show of every pair [p, c], from dense arrays: for experiments, where sums need not be cut or merged.

As in the specification, but that a latent speaks in full only where it also writes a quarter of what it usually does: what fills
slots that a selection rule left over is not its speech. p's content is a sample's component along its row; the residual's is what
no latent writes of it. Means are over c's samples, in which it speaks in full.
"""

import numpy as np

from sae_spec.reference.absorption.stream import firing_floor
from sae_spec.reference.sae.constraints import normalize_rows, row_norms

LOUD = 0.25
VARIES = 0.05**2


def quotient(a, b):
    return np.divide(a, b, out=np.full(np.broadcast(a, b).shape, np.nan), where=b != 0)


def speech(x, acts, W_dec, b_dec):
    """fires, full (B, M) bool, and content (B, M) of each latent's row."""
    written = np.abs(acts) * row_norms(W_dec)
    usual = quotient((written**2).sum(0), written.sum(0))
    fires = (acts != 0) & (written >= firing_floor(x, acts, W_dec))
    content = (x - b_dec) @ normalize_rows(W_dec).T
    return fires, fires & (written >= np.nan_to_num(LOUD * usual)) & (written >= content / 2), content


def evidence(x, acts, W_dec, b_dec):
    """{name: (M, M)}"""
    fires, full, content = speech(x, acts, W_dec, b_dec)
    on, f, B = fires.astype(float), full.astype(float), len(x)
    n, rows = f.sum(0), normalize_rows(W_dec) @ W_dec.T
    alone, beside = n[:, None] - f.T @ f, on.T @ f
    without_c = lambda values: (f * values).sum(0)[:, None] - (f * values).T @ f          # sums where p speaks in full, c not
    usual_acts = quotient(without_c(acts), alone)
    spoken = (on * acts).T @ f
    lack = np.where(beside > 0, np.clip(1 - quotient(spoken, beside * usual_acts), 0, 1), 0.0)
    level, returned, background = levels(content, on, f, beside, alone, lack, without_c)
    rate, without = quotient(beside, n), quotient(on.sum(0)[:, None] - beside, B - n)
    error = np.sqrt(without * (1 - without) * (quotient(1, n) + quotient(1, B - n)))
    silent = quotient(n - beside, n)
    residual = content - acts @ rows.T
    return {
        "missing": np.nan_to_num(silent) + np.nan_to_num(quotient(lack * beside, n)), "level": level, "returned": returned,
        "disturbed": np.fmax(quotient(np.maximum(np.abs(rate - without) - 3 * error, 0), without), lack),
        "kept": quotient(rate * (1 - lack) - 2 * error, without),
        "carried": quotient(rows * (f * acts).sum(0), content.T @ f - spoken * row_norms(W_dec)[:, None]),
        "lift": quotient(beside * B, n * on.sum(0)[:, None]), "cosine": normalize_rows(W_dec) @ normalize_rows(W_dec).T,
        **varying(content, f, acts, background), **own(residual, acts * row_norms(W_dec), f, acts, rows, without_c, alone),
        "enough": judged(n, alone, full)}


def judged(n, alone, full):
    often = full.mean(0)
    return (n >= 20) & (alone >= 20) & (often <= 0.6) & (often <= 0.6)[:, None]


def levels(content, on, f, beside, alone, lack, without_c):
    """level, returned, background: of p in c's samples, weighted by what p lacks, of c in p's, and of p where neither is."""
    n, in_c, spoken = f.sum(0), content.T @ f, (on * content).T @ f
    neither = len(content) - n - (on.sum(0)[:, None] - beside)
    zero = quotient(content.sum(0)[:, None] - in_c - (on * content).sum(0)[:, None] + spoken, neither)
    there = quotient(in_c - spoken + lack * spoken, n - beside + lack * beside)
    level = quotient(there - zero, quotient(without_c(content), alone) - zero)
    silent = quotient((content * (1 - on)).sum(0), (1 - on).sum(0))
    returned = quotient(quotient(in_c.T, n[:, None]) - silent, quotient((f * content).sum(0), n) - silent)
    return level, returned, zero


def varying(content, f, acts, background):
    """How p's content varies in c's samples: with c's activation, and beyond the background."""
    n = f.sum(0)
    mean_a, mean = quotient((f * acts).sum(0), n), quotient(content.T @ f, n)
    var_a, var = quotient((f * acts**2).sum(0), n) - mean_a**2, quotient((content**2).T @ f, n) - mean**2
    joint = quotient(content.T @ (f * acts), n) - mean_a * mean
    moves, moved = var_a > VARIES * mean_a**2, var > VARIES * mean**2
    return {"coupled": np.where(moves, quotient(joint * mean_a, var_a * mean), np.nan),
            "followed": np.where(moves & moved, quotient(joint**2, var_a * var), np.nan),
            "steady": quotient((mean - background) ** 2, var + (mean - background) ** 2)}


def own(residual, speech, f, acts, rows, without_c, alone):
    """Whether something of p's own varies in c's samples, by its variance where p speaks in full without c.

    own       the variance of what is left of p, all that others than c write taken out, that c's activation does not explain
    residual  the variance of what nobody writes, along p's row: c writes a constant share of a parent that varies
    """
    n, a, left = f.sum(0), f * acts, residual + speech      # left: but for what c writes
    mean_a, mean = quotient(a.sum(0), n), quotient(left.T @ f + rows * a.sum(0), n)
    var_a, by_a = quotient((a**2).sum(0), n) - mean_a**2, left.T @ a
    var = quotient((left**2).T @ f + 2 * rows * by_a + rows**2 * (a**2).sum(0), n) - mean**2
    joint = quotient(by_a + rows * (a**2).sum(0), n) - mean_a * mean
    unexplained = np.maximum(var - np.nan_to_num(quotient(joint**2, var_a)), 0)
    unwritten = quotient((residual**2).T @ f, n) - quotient(residual.T @ f, n) ** 2
    usual = quotient(without_c(left), alone)
    alone_var = quotient(without_c(left**2), alone) - usual**2
    of = np.where(alone_var > VARIES * usual**2, alone_var, np.nan)
    return {"own": quotient(unexplained, of), "residual": quotient(unwritten, of)}
