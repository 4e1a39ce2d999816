"""ABS, the detector: which latent is absorbed into which, from weights and a stream of activations alone.

Absorption is a shortfall of the parent's at full level, not explained by independence, made up for by the child: see
evidence.py for the questions. Look-alikes fail one of them: independent overlap is not disturbed, exclusive siblings lack
the level, are coupled or as much there the other way round, hedging has no shortfall.
"""

import numpy as np

from .evidence import evidence

THRESHOLD = 0.1875   # a score above it says absorbed


def ramp(value, low, high):
    """0 below low, 1 above high, straight in between; 0 for NaN."""
    return np.nan_to_num(np.clip((value - low) / (high - low), 0.0, 1.0), nan=0.0)


def absorption_score(stream, W_enc, W_dec):
    """How much of p is absorbed into c.

        score[p, c] = max((silent + low) · there(level), low · there(level_low))
                      · ramp(disturbed, .1, .25) · ramp(carried, .3, .6) · ramp(steady, .4, .6) · free
        there(level) = ramp(level, .8, .9) · ramp(2 - level, 0, .5) · ramp(level - returned, .1, .2)
        free = max(ramp(1 - coupled, .3, .6), ramp(1 - followed, .3, .6) · ramp(steady, .7, .85)), 1 where c hardly varies

    where there is enough to judge by and .05 < cosine < .98; 0 elsewhere and on the diagonal

    stream        stream.Stream
    W_enc, W_dec  (M, D)
    returns score (M, M), from 0 to 1, indexed [parent, child]

    [ABS-30] The score is the shortfall where every question is answered for absorption: in the delta family it is delta.
             Where the child often comes without its parent, and the level is low for that reason, what the parent lacks in
             the samples in which it fires still counts.
    [ABS-31] For a tied SAE, one array in both places, it is identically 0: what reads with the row it writes with cannot hide
             one feature in another's row. Where a selection rule silences a tied parent, the recall hole shows it.
    [ABS-32] Rows with cosine above .98 are two latents of one feature, not a parent and its child.
    """
    M = len(W_dec)
    if W_enc is W_dec:
        return np.zeros((M, M))
    e = evidence(stream, W_dec)
    there = lambda level: ramp(level, 0.8, 0.9) * ramp(2 - level, 0.0, 0.5) * ramp(level - e.returned, 0.1, 0.2)
    free = np.maximum(ramp(1 - e.coupled, 0.3, 0.6), ramp(1 - e.followed, 0.3, 0.6) * ramp(e.steady, 0.7, 0.85))
    free = np.where(np.isnan(e.coupled), 1.0, free)         # (M, M)
    silent, low = np.nan_to_num(e.silent), np.nan_to_num(e.low)                   # (M, M)
    score = np.maximum((silent + low) * there(e.level), low * there(e.level_low))
    score = score * ramp(e.disturbed, 0.1, 0.25) * ramp(e.carried, 0.3, 0.6) * ramp(e.steady, 0.4, 0.6) * free
    score = np.where(e.enough & (e.cosine > 0.05) & (e.cosine < 0.98), score, 0.0)
    np.fill_diagonal(score, 0.0)
    return score                                            # (M, M)
