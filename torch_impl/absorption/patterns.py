"""ABS, what weights show: patterns of single latents and of pairs, [parent, child]; float64."""

import torch
from torch import Tensor

from ..sae.constraints import normalize_rows


def alignment(W_enc: Tensor, W_dec: Tensor) -> Tensor:
    """Cosine (M,) of each latent's encoder and decoder row, both (M, D).  Clauses: ABS-16."""
    return torch.linalg.vecdot(normalize_rows(W_enc.double()), normalize_rows(W_dec.double()))


def pattern_gap(W_enc: Tensor, W_dec: Tensor) -> Tensor:
    """Cosine of the decoder rows less that of the encoder rows, (M, M), diagonal 0; W_enc, W_dec (M, D).

    Clauses: ABS-17.
    """
    read, write = normalize_rows(W_enc.double()), normalize_rows(W_dec.double())  # (M, D)
    return (write @ write.T - read @ read.T).fill_diagonal_(0)


def within_data(W_enc: Tensor, x: Tensor) -> Tensor:
    """W_enc (M, D) projected on the span of the samples x (B, D), b_dec subtracted; in W_enc's dtype.  Clauses: ABS-18.

    In float64, or rounding noise would pass for a direction of the data.
    """
    _, size, axes = torch.linalg.svd(x.double(), full_matrices=False)
    if size.numel():
        axes = axes[size > 1e-9 * size[0]]                  # (rank, D); the first is the largest
    return (W_enc.double() @ axes.T @ axes).to(W_enc.dtype)
