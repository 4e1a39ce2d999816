"""ABS, the detector: which latent is absorbed into which, from weights and a stream of activations alone.

A child has absorbed its parent as far as the parent falls short in the child's samples, if the answers of `evidence.py` say
that the parent's feature is there in them, that chance does not explain the shortfall, and that the child writes what is
missing. What looks like absorption fails one of these questions. Independent features that overlap are not disturbed. Of
features that exclude each other and overlap, the one is not at full level in the other's samples, or each is in the other's
samples alike, or its content only follows the other's activation. A latent that has mixed its child's feature in (hedging)
does not fall short.
"""

import numpy as np

from .evidence import evidence

THRESHOLD = 0.1875   # a score above it says absorbed
COSINES = 0.05, 0.98             # decoder rows of a parent and its child have a cosine between these


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
    W_enc, W_dec  (M, D); equal for a tied SAE. The encoder is not read: what it does shows in what fires.
    returns score (M, M), from 0 to 1, indexed [parent, child]

    [ABS-30] The score is the shortfall where every question is answered for absorption: in the delta family it is delta.
             Where the child often comes without its parent, and the level is low for that reason, what the parent lacks in
             the samples in which it fires still counts.
    [ABS-32] Rows with cosine above .98 are two latents of one feature, not a parent and its child.
    [ABS-41] A tied SAE's score is computed like any other's: where a selection rule silences a tied parent beside a child
             that writes the parent's direction, that is absorption.
    """
    score = score_of(evidence(stream, W_dec))
    np.fill_diagonal(score, 0.0)
    return score                                            # (M, M)


def score_of(answers):
    """The formula of `absorption_score`, for Evidence of any shape."""
    silent, low = np.nan_to_num(answers.silent), np.nan_to_num(answers.low)
    shortfall = np.maximum((silent + low) * there(answers.level, answers.returned),
                           low * there(answers.level_low, answers.returned))
    free = np.maximum(ramp(1 - answers.coupled, 0.3, 0.6), ramp(1 - answers.followed, 0.3, 0.6) * ramp(answers.steady, 0.7, 0.85))
    free = np.where(np.isnan(answers.coupled), 1.0, free)
    score = (shortfall * ramp(answers.disturbed, 0.1, 0.25) * ramp(answers.carried, 0.3, 0.6)
             * ramp(answers.steady, 0.4, 0.6) * free)
    least, most = COSINES
    return np.where(answers.enough & (answers.cosine > least) & (answers.cosine < most), score, 0.0)


def there(level, returned):
    """1 at full level; 0 far from it, and where the child's direction is in the parent's samples as strongly."""
    return ramp(level, 0.8, 0.9) * ramp(2 - level, 0.0, 0.5) * ramp(level - returned, 0.1, 0.2)
