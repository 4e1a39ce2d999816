"""Recall and precision of features before and after the corrected read-out, where the truth is known."""

import torch

from ..absorption.stream import SPEAKS
from ..absorption.patterns import lengths
from ..absorption.pairs import coefficients, corrected
from ..absorption.ground_truth import match


@torch.no_grad()
def recalls(sae, rows, truth, directions, detected, batch_size=1024, advance=None):
    """A list of one dict for each feature.

    truth       (N, F) bool, of the rows (N, D)
    directions  (F, D), or None: a feature's latent is then the one whose firing tells it best, by F1
    detected    (parents, children, slots), see absorption_pairs.detected
    advance     called with the number of samples done
    """
    W_dec, (parents, children, _) = sae.W_dec.detach(), detected
    along = coefficients(parents, children, W_dec)
    hits = torch.zeros(2, sae.config.M, truth.shape[1], dtype=torch.float64)      # before and after
    firings = torch.zeros(2, sae.config.M, dtype=torch.float64)
    norms = lengths(W_dec)[:, 0]
    for x, on in zip(rows.split(batch_size), truth.split(batch_size)):
        x = x.to(W_dec)
        size = lengths(x - sae.b_dec)
        acts = sae.encode(x)
        for which, read in enumerate((acts, corrected(acts, parents, children, along))):
            fires = ((read.double().abs() * norms >= SPEAKS * size) & (read != 0)).double().cpu()
            hits[which] += fires.T @ on.double()
            firings[which] += fires.sum(0)
        if advance is not None:
            advance(len(x))
    occurrences = truth.double().sum(0)                     # (F,)
    if directions is None:
        latent = (2 * hits[0] / (firings[0][:, None] + occurrences).clamp_min(1)).argmax(0)
    else:
        latent = match(W_dec.cpu(), directions)[0]
    return [reading(f, int(latent[f]), hits, firings, occurrences) for f in range(len(occurrences))]


def reading(f, latent, hits, firings, occurrences):
    if latent < 0:                                          # more features than latents
        return {"feature": f, "latent": None, **dict.fromkeys(
            ("recall", "recall corrected", "precision", "precision corrected"))}
    recall = hits[:, latent, f] / occurrences[f].clamp_min(1)
    precision = hits[:, latent, f] / firings[:, latent].clamp_min(1)
    return {"feature": f, "latent": latent, "recall": float(recall[0]), "recall corrected": float(recall[1]),
            "precision": float(precision[0]), "precision corrected": float(precision[1])}
