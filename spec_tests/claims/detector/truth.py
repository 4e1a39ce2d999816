"""Which pairs of latents are absorbed, by what truly is in the samples.

p stands for the feature that its decoder row is most like. In c's samples, those in which c speaks in full, that feature may be
present, p may say less of it than without c, and c may write it. Absorbed is what is missing of it:

    amount[p, c] = P(the feature is there) · (1 - p's activation per magnitude of the feature / the same without c)

if c's row has a cosine of at least .1 with the feature. At least .3 is absorbed, below .1 not; what lies between, and every
pair whose p is no clear latent of one feature, is unclear. A latent for two features at once absorbs both: it need not be
any feature's child.
"""

import numpy as np

from sae_spec.reference.absorption.evidence import ENOUGH, quotient
from sae_spec.reference.sae.constraints import normalize_rows
from sae_spec.spec_tests.claims.detector.evidence import in_full

ABSORBED, NOT = 0.3, 0.1
CLEAR = {"cosine": 0.9, "precision": 0.8, "recall": 0.15}    # of p and its feature, in samples without c; p may have many children


def labels(member, x, magnitudes, acts):
    """amount (M, M) and label (M, M): 1 absorbed, 0 not, -1 unclear."""
    W_dec = member.params["W_dec"]
    cosine = normalize_rows(W_dec) @ member.wide.world.directions.T              # (M, F)
    of = np.abs(cosine).argmax(-1)                          # (M,)  each latent's feature
    full = in_full(x, acts, W_dec, member.params["b_dec"]).astype(float)
    there = (magnitudes[:, of] > 0).astype(float)           # (B, M)
    share = np.where(there > 0, acts / np.where(there > 0, magnitudes[:, of], 1.0), 0.0)
    n, both = full.sum(0), there.T @ full
    beside, alone = quotient(share.T @ full, both), quotient(share.sum(0)[:, None] - share.T @ full, there.sum(0)[:, None] - both)
    writes = cosine[:, of].T >= NOT                         # (M, M)  c's row, p's feature
    amount = np.nan_to_num(quotient(both, n) * np.clip(1 - quotient(beside, alone), 0, 1)) * writes
    told = clear(there, full) & (np.abs(cosine).max(-1) >= CLEAR["cosine"])[:, None] & (n >= ENOUGH)
    return amount, np.where(~told, -1, np.where(amount >= ABSORBED, 1, np.where(amount < NOT, 0, -1)))


def clear(there, full):
    """Whether p tells its feature where c does not speak; (M, M)."""
    hits, false = there * full, (1 - there) * full
    without_c = lambda which: which.sum(0)[:, None] - which.T @ full
    hit = without_c(hits)
    return ((quotient(hit, hit + without_c(false)) >= CLEAR["precision"])
            & (quotient(hit, without_c(there)) >= CLEAR["recall"]))
