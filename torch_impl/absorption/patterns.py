"""ABS, what weights show: patterns of single latents and of pairs, [parent, child]; float64."""

import torch


def lengths(W):
    """Row norms (M, 1) in float64."""
    return W.double().norm(dim=-1, keepdim=True)


def unit_rows(W):
    """Rows of W (M, D) at norm 1 in float64; a zero row stays zero."""
    norm = lengths(W)
    return W.double() / norm.where(norm > 0, 1)


def alignment(W_enc, W_dec):
    """Cosine (M,) of each latent's encoder and decoder row, both (M, D).  Clauses: ABS-16."""
    return torch.linalg.vecdot(unit_rows(W_enc), unit_rows(W_dec))


def pattern_gap(W_enc, W_dec):
    """Cosine of the decoder rows less that of the encoder rows, (M, M), diagonal 0.  Clauses: ABS-17."""
    cosines = [rows @ rows.T for rows in (unit_rows(W_dec), unit_rows(W_enc))]
    return (cosines[0] - cosines[1]).fill_diagonal_(0)


def within_data(W_enc, x):
    """W_enc (M, D) projected on the span of the samples x (B, D), b_dec subtracted.  Clauses: ABS-18.

    In float64, or rounding noise would pass for a direction of the data.
    """
    _, size, axes = torch.linalg.svd(x.double(), full_matrices=False)
    if size.numel():
        axes = axes[size > 1e-9 * size[0]]                  # (rank, D); the first is the largest
    return (W_enc.double() @ axes.T @ axes).to(W_enc.dtype)
