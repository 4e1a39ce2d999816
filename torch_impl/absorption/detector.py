"""ABS, the detector: how far is latent p absorbed into latent c? Weights and a Stream say, not the truth."""

import torch

from .evidence import evidence

THRESHOLD = 0.1875   # a score above it says absorbed
COSINES = 0.05, 0.98             # of the decoder rows: above the first, below the second


def ramp(value, low, high):
    """0 up to low, 1 from high on, straight in between; 0 for NaN."""
    return ((value - low) / (high - low)).clamp(0, 1).nan_to_num(0)


def absorption_score(stream, W_enc, W_dec):
    """Score (M, M) from 0 to 1, indexed [parent, child].  Clauses: ABS-30, ABS-31, ABS-32."""
    if W_enc is W_dec:
        return torch.zeros(len(W_dec), len(W_dec), dtype=torch.float64, device=W_dec.device)
    return weighed(evidence(stream, W_dec)).fill_diagonal_(0)


def weighed(found):
    """The score that Evidence amounts to, in its shape.  Clauses: ABS-30, ABS-32."""
    silent, low = found.silent.nan_to_num(0), found.low.nan_to_num(0)
    missing = torch.maximum((silent + low) * there(found.level, found), low * there(found.level_low, found))
    by_itself = ramp(1 - found.followed, 0.3, 0.6) * ramp(found.steady, 0.7, 0.85)
    free = torch.maximum(ramp(1 - found.coupled, 0.3, 0.6), by_itself).where(~found.coupled.isnan(), 1)
    answered = ramp(found.disturbed, 0.1, 0.25) * ramp(found.carried, 0.3, 0.6) * ramp(found.steady, 0.4, 0.6) * free
    low, high = COSINES
    asked = found.enough & (low < found.cosine) & (found.cosine < high)
    return (missing * answered).where(asked, 0)


def there(level, found):
    """1 at full level, 0 well below or above, and where it is the same the other way round."""
    return ramp(level, 0.8, 0.9) * ramp(2 - level, 0, 0.5) * ramp(level - found.returned, 0.1, 0.2)
