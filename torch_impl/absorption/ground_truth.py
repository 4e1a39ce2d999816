"""ABS, with the truth at hand: truth (B, F) and fires (B, M) are bool."""

import torch
from scipy.optimize import linear_sum_assignment

from ..sae.constraints import directions as unit_rows
from ..kernels.precision import widen


def match(W_dec, directions):
    """For each of the directions (F, D) a latent (F,) and |cosine| (F,); -1 and 0 for none. W_dec (M, D).

    Clauses: ABS-10.
    """
    cosine = (unit_rows(directions) @ unit_rows(W_dec).T).abs()                   # (F, M)
    features, latents = map(torch.as_tensor, linear_sum_assignment(cosine.cpu().numpy(), maximize=True))
    latent = torch.full((len(directions),), -1, device=cosine.device)
    latent[features] = latents.to(latent)
    found = cosine.gather(1, latent.clamp_min(0)[:, None])[:, 0]                  # (F,)
    return latent, found.where(latent >= 0, 0)


def mcc(W_dec, directions):
    """Mean |cosine| of the matched pairs.  Clauses: ABS-11."""
    latent, cosine = match(W_dec, directions)
    return cosine.sum() / (latent >= 0).sum()


def scores(fires, truth):
    """precision, recall, f1 and dead (n,): latent j against feature j, both (B, n) bool.  Clauses: ABS-12."""
    firings, occurrences, hits = (which.sum(0).double() for which in (fires, truth, fires & truth))
    precision, recall = (hits / base.clamp_min(1) for base in (firings, occurrences))
    f1 = 2 * hits / (firings + occurrences).clamp_min(1)    # the harmonic mean of both
    return precision, recall, f1, firings == 0


def recall_hole(fires, parent, child):
    """How much rarer the parent's latent fires beside the child; all (B,) bool.  Clauses: ABS-13."""
    beside, without = fires[parent & child], fires[parent & ~child]
    if not len(beside) or not without.any():
        return 0.0
    return 1 - (beside.double().mean() / without.double().mean()).item()


def carried_share(acts, W_dec, direction, latent, samples):
    """Share of what samples (B,) bool write of a direction (D,) that others write.  Clauses: ABS-14."""
    acts, W_dec, direction = widen(acts[samples], W_dec, direction)
    written = acts.sum(0) * (W_dec @ direction)             # (M,)
    whole = written.sum()
    return torch.where(whole == 0, 0, 1 - written[latent] / whole)


def hedging(W_enc, W_dec, latent, other):
    """Cosines of a latent's encoder and decoder row with another direction (D,).  Clauses: ABS-15."""
    pair = unit_rows(torch.stack([W_enc[latent], W_dec[latent]])) @ unit_rows(other[None])[0]
    return pair[0], pair[1]
