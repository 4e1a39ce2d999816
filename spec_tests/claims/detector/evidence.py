"""What weights and a stream show of every pair [p, c]: the specification's evidence, and what it once asked or might have asked.

The latter need each sample, not sums. Means are over c's samples, in which it speaks in full; content is p's.

    rarer      1 - lift: how much more rarely than by chance the two fire together
    carried    share of what p leaves out that c writes
    coupled    1: p's content is in proportion to c's activation; NaN where that hardly varies
    followed   1: all its variation follows c's activation; NaN where either hardly varies
    steady     1: p's content above the background does not vary at all
    own        variance of what is left of p without all that others than c write, that c's activation does not explain, by that
               of what p writes without c
"""

import numpy as np

from sae_spec.reference.absorption.evidence import VARIES, background, quotient
from sae_spec.reference.absorption.evidence import evidence as of_the_spec
from sae_spec.reference.absorption.stream import lift, observe, project
from sae_spec.reference.sae.constraints import normalize_rows, row_norms
from sae_spec.spec_tests.claims.zoo_labels import in_full


def evidence(x, acts, W_dec, b_dec):
    """The specification's Evidence, and {name: (M, M)} of the others."""
    stream = observe(x, acts, W_dec, b_dec)
    return of_the_spec(stream, W_dec), others(stream, x - b_dec, acts, W_dec, in_full(x, acts, W_dec, b_dec).astype(float))


def others(stream, centred, acts, W_dec, full):
    """{name: (M, M)}"""
    unit, projected = normalize_rows(W_dec), project(stream, W_dec)
    rows, n, loud, content = unit @ W_dec.T, full.sum(0), full * acts, centred @ unit.T              # rows: c's along p's
    over = lambda values, by=full: quotient(values.T @ by, n)                    # means over c's samples, (M, M)
    a, a2 = quotient(loud.sum(0), n), quotient((loud * acts).sum(0), n)          # (M,)
    mean, zero = over(content), background(stream, projected)
    var_a, var, joint = a2 - a**2, over(content**2) - mean**2, over(content, loud) - mean * a
    varies_a, varies = var_a > VARIES * a**2, var > VARIES * mean**2
    left = content - acts @ rows.T + acts * row_norms(W_dec)                     # (B, M)  of p, without what the others write
    of_p = over(left) + rows * a                                                 # ... than c
    joint_left = over(left, loud) + rows * a2 - of_p * a
    var_left = over(left**2) + 2 * rows * over(left, loud) + rows**2 * a2 - of_p**2
    alone, written = n[:, None] - full.T @ full, loud * row_norms(W_dec)
    where_alone = lambda values: quotient(values.sum(0)[:, None] - values.T @ full, alone)
    usual = where_alone(written)
    var_p = where_alone(written**2) - usual**2
    return {"rarer": 1 - lift(stream), "carried": quotient(rows * a * n, mean * n - stream.beside_acts * projected.norm),
            "coupled": np.where(varies_a, quotient(joint * a, mean * var_a), np.nan),
            "followed": np.where(varies_a & varies, quotient(joint**2, var_a * var), np.nan),
            "steady": quotient((mean - zero) ** 2, var + (mean - zero) ** 2),
            "own": np.where(var_p > VARIES * usual**2, quotient(var_left - np.nan_to_num(quotient(joint_left**2, var_a)), var_p), np.nan)}
