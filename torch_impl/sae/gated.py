"""SAE: the gated activation; one encoder says whether a latent speaks and how loudly."""

import torch
from torch import Tensor

from ..kernels.precision import widen


def gated(shared: Tensor, b_enc: Tensor, r_mag: Tensor, b_mag: Tensor) -> Tensor:
    """relu(exp(r_mag) · shared + b_mag) where shared + b_enc > 0, else 0.

    shared and result (B, M); b_enc, r_mag, b_mag (M,)

    Clauses: SAE-13, SAE-14 (a comparison has no gradient).
    """
    wide, b_enc, r_mag, b_mag = widen(shared, b_enc, r_mag, b_mag)
    magnitude = torch.relu(r_mag.exp() * wide + b_mag)      # (B, M)
    return torch.where(wide + b_enc > 0, magnitude, 0).to(shared.dtype)
