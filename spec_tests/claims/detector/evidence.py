"""What weights and a stream show of every pair [p, c]: the specification's evidence, and candidates beside it.

The candidates need each sample, not sums: what a latent says of its content, and what nobody writes of it. Means are over c's samples,
in which it speaks in full.
"""

import numpy as np

from sae_spec.reference.absorption.evidence import VARIES, quotient
from sae_spec.reference.absorption.evidence import evidence as of_the_spec
from sae_spec.reference.absorption.stream import LOUD, firing_floor, observe
from sae_spec.reference.sae.constraints import normalize_rows, row_norms


def in_full(x, acts, W_dec, b_dec):
    """(B, M) bool: where a latent speaks in full, [ABS-20], of activations that are not negative."""
    written, content = acts * row_norms(W_dec), (x - b_dec) @ normalize_rows(W_dec).T
    return (acts > 0) & (written >= np.maximum(LOUD * firing_floor(x, acts, W_dec), content / 2))


def evidence(x, acts, W_dec, b_dec):
    """{name: (M, M)}"""
    stream = observe(x, acts, W_dec, b_dec)
    answers = of_the_spec(stream, W_dec)._asdict()
    missing = np.nan_to_num(answers["silent"]) + np.nan_to_num(answers["low"])
    return answers | {"missing": missing, "kept": kept(stream, missing)} | own(x - b_dec, acts, W_dec, in_full(x, acts, W_dec, b_dec))


def kept(stream, missing):
    """The share of its firing that p keeps beside c for sure: less two standard errors of how often it fires without."""
    n, samples = stream.full, stream.samples
    without = quotient(stream.fires[:, None] - stream.beside, samples - n)
    error = np.sqrt(without * (1 - without) * (quotient(1, n) + quotient(1, samples - n)))
    return quotient(1 - missing - 2 * error, without)


def own(centred, acts, W_dec, full):
    """Whether something of p's own varies in c's samples, by its variance where p speaks in full without c.

    own       the variance of what is left of p, all that others than c write taken out, that c's activation does not explain
    residual  the variance of what nobody writes, along p's row: c writes a constant share of a parent that varies
    """
    rows, f = normalize_rows(W_dec) @ W_dec.T, full.astype(float)                # (M, M): of c's row along p's
    residual = centred @ normalize_rows(W_dec).T - acts @ rows.T                 # (B, M)
    n, a, left = f.sum(0), f * acts, residual + acts * row_norms(W_dec)          # left: but for what c writes
    mean_a, mean = quotient(a.sum(0), n), quotient(left.T @ f + rows * a.sum(0), n)
    var_a, by_a = quotient((a**2).sum(0), n) - mean_a**2, left.T @ a
    var = quotient((left**2).T @ f + 2 * rows * by_a + rows**2 * (a**2).sum(0), n) - mean**2
    joint = quotient(by_a + rows * (a**2).sum(0), n) - mean_a * mean
    unexplained = np.maximum(var - np.nan_to_num(quotient(joint**2, var_a)), 0)
    unwritten = quotient((residual**2).T @ f, n) - quotient(residual.T @ f, n) ** 2
    where_alone = lambda values: quotient((f * values).sum(0)[:, None] - (f * values).T @ f, n[:, None] - f.T @ f)
    variance, usual = where_alone(left**2) - where_alone(left) ** 2, where_alone(left)
    of = np.where(variance > VARIES * usual**2, variance, np.nan)
    return {"own": quotient(unexplained, of), "residual": quotient(unwritten, of)}
