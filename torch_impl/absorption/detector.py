"""ABS, the detector: how far is latent p absorbed into latent c? From weights and a Stream alone, without the truth."""

import torch
from torch import Tensor

from .evidence import Evidence, evidence
from .stream import Stream

THRESHOLD = 0.1875   # a score above it says absorbed
COSINES = 0.05, 0.98             # of the decoder rows: above the first, below the second


def ramp(value: Tensor, low: float, high: float) -> Tensor:
    """0 up to low, 1 from high on, straight in between; 0 for NaN."""
    return ((value - low) / (high - low)).clamp(0, 1).nan_to_num(0)


def absorption_score(stream: Stream, W_enc: Tensor, W_dec: Tensor) -> Tensor:
    """Score (M, M) float64 from 0 to 1, indexed [parent, child]; W_dec (M, D), W_enc of that shape is not read.

    Clauses: ABS-30, ABS-32, ABS-41.
    """
    return score_of(evidence(stream, W_dec)).fill_diagonal_(0)


def score_of(answers: Evidence) -> Tensor:
    """The score of pairs, in the shape of their Evidence.  Clauses: ABS-30, ABS-32."""
    silent, low = answers.silent.nan_to_num(0), answers.low.nan_to_num(0)
    shortfall = torch.maximum((silent + low) * there(answers.level, answers.returned),
                              low * there(answers.level_low, answers.returned))
    by_itself = ramp(1 - answers.followed, 0.3, 0.6) * ramp(answers.steady, 0.7, 0.85)
    free = torch.maximum(ramp(1 - answers.coupled, 0.3, 0.6), by_itself).where(~answers.coupled.isnan(), 1)
    explained = ramp(answers.disturbed, 0.1, 0.25) * ramp(answers.carried, 0.3, 0.6) * ramp(answers.steady, 0.4, 0.6) * free
    least, most = COSINES
    asked = answers.enough & (least < answers.cosine) & (answers.cosine < most)
    return (shortfall * explained).where(asked, 0)


def there(level: Tensor, returned: Tensor) -> Tensor:
    """1 at full level, 0 well below or above, and where the child's direction is as strong in the parent's samples."""
    return ramp(level, 0.8, 0.9) * ramp(2 - level, 0, 0.5) * ramp(level - returned, 0.1, 0.2)
