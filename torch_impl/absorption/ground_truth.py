"""ABS, where the truth is known: which features does an SAE find, and which does it hide?"""

import torch
from torch import Tensor
from scipy.optimize import linear_sum_assignment

from ..sae.constraints import normalize_rows
from ..kernels.precision import widen


def match(W_dec: Tensor, directions: Tensor) -> tuple[Tensor, Tensor]:
    """One latent for each feature, so that the sum of their |cosines| is largest.

    W_dec       (M, D)
    directions  (F, D)
    returns latent (F,) int64, -1 for none, and |cosine| (F,), 0 for none, at least float32
    Clauses: ABS-10.
    """
    cosine = (normalize_rows(widen(directions)) @ normalize_rows(widen(W_dec)).T).abs()                   # (F, M)
    features, latents = map(torch.as_tensor, linear_sum_assignment(cosine.cpu().numpy(), maximize=True))
    latent = torch.full((len(directions),), -1, device=cosine.device)
    latent[features] = latents.to(latent)
    matched = cosine.gather(1, latent.clamp_min(0)[:, None])[:, 0]                # (F,)
    return latent, matched.where(latent >= 0, 0)


def mcc(W_dec: Tensor, directions: Tensor) -> Tensor:
    """Mean |cosine| () of the pairs that `match` matches; W_dec (M, D), directions (F, D).  Clauses: ABS-11."""
    latent, cosine = match(W_dec, directions)
    return cosine.sum() / (latent >= 0).sum()


def scores(fires: Tensor, truth: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """precision, recall, f1, float64, and dead, bool, (n,) each: latent j against feature j, both (B, n) bool.

    Clauses: ABS-12.
    """
    firings, occurrences, hits = (which.sum(0).double() for which in (fires, truth, fires & truth))
    return *of_counts(hits, firings, occurrences), firings == 0


def of_counts(hits: Tensor, firings: Tensor, occurrences: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """precision, recall, f1, from how often both are there, the latent fires, and the feature is there; (...).  Clauses: ABS-12."""
    precision, recall = (hits / base.clamp_min(1) for base in (firings, occurrences))
    return precision, recall, 2 * hits / (firings + occurrences).clamp_min(1)     # the harmonic mean of both


def recall_hole(fires: Tensor, parent: Tensor, child: Tensor) -> float:
    """How much more rarely the parent's latent fires where the child is there too.

    fires          (B,)  bool, whether the parent's latent fires
    parent, child  (B,)  bool, whether the feature is in the sample
    Clauses: ABS-13.
    """
    beside, without = fires[parent & child], fires[parent & ~child]
    if not len(beside) or not without.any():
        return 0.0
    return 1 - (beside.double().mean() / without.double().mean()).item()


def carried_share(acts: Tensor, W_dec: Tensor, direction: Tensor, latent: int, samples: Tensor) -> Tensor:
    """Share () of what is written of a feature that latents other than its own write, at least float32.

    acts       (B, M)
    W_dec      (M, D)
    direction  (D,)  the feature's
    latent     the feature's
    samples    (B,)  bool, the samples that count
    Clauses: ABS-14.
    """
    acts, W_dec, direction = widen(acts[samples], W_dec, direction)
    written = acts.sum(0) * (W_dec @ direction)             # (M,)
    whole = written.sum()
    return torch.where(whole == 0, 0, 1 - written[latent] / whole)


def hedging(W_enc: Tensor, W_dec: Tensor, latent: int, other: Tensor) -> tuple[Tensor, Tensor]:
    """Cosines () of a latent's encoder and decoder row with another feature's direction (D,).  Clauses: ABS-15."""
    rows = normalize_rows(widen(torch.stack([W_enc[latent], W_dec[latent]])))     # (2, D)
    encoder, decoder = rows @ normalize_rows(widen(other)[None])[0]
    return encoder, decoder
