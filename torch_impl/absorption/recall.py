"""Recall and precision of features before and after the corrected read-out, where the truth is known."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..sae.constraints import row_norms
from .find import SAE, AbsorptionReport, Progress, counter
from .ground_truth import match, of_counts
from .stream import firing


class FeatureRecall(NamedTuple):
    """How well the firing of a feature's latent tells the feature; all None where no latent is left for it."""

    feature: int
    latent: int | None
    recall: float | None = None
    """share of the samples with the feature in which the latent fires"""
    recall_corrected: float | None = None
    precision: float | None = None
    """share of the samples in which the latent fires that have the feature"""
    precision_corrected: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """As an entry of a JSON document."""
        return {name.replace("_", " "): value for name, value in self._asdict().items()}


@torch.no_grad()
def feature_recall(sae: SAE, rows: Tensor, truth: Tensor, report: AbsorptionReport, directions: Tensor | None = None,
                   batch_size: int = 1024, progress: Progress | None = None) -> list[FeatureRecall]:
    """Recall and precision of every feature, before and after `report.corrected`.

    sae         SparseAutoencoder in eval mode
    rows        (N, D)  activations
    truth       (N, F)  bool: which features are in which row
    report      of `find_absorption`
    directions  (F, D)  the features', to find their latents by; None: a feature's latent is the one whose firing before
                the correction tells it best, by F1
    batch_size  rows encoded at once
    progress    called with "recall", the number of rows done, and how many there are
    returns one FeatureRecall for each of the F features
    """
    W_dec = sae.W_dec.detach()
    advance, norms = counter(progress, "recall", len(rows)), row_norms(W_dec.double())      # norms (M,)
    floor = report.floor.to(norms.device)                   # (M,)
    hits = torch.zeros(2, len(W_dec), truth.shape[1], dtype=torch.float64)        # before and after
    firings = torch.zeros(2, len(W_dec), dtype=torch.float64)
    for x, on in zip(rows.split(batch_size), truth.split(batch_size)):
        x = x.to(W_dec)
        acts = sae.encode(x)
        for which, read_out in enumerate((acts, report.corrected(acts))):
            fires = firing(read_out, norms, floor).double().cpu()
            hits[which] += fires.T @ on.double()
            firings[which] += fires.sum(0)
        if advance is not None:
            advance(len(x))
    occurrences = truth.double().sum(0)                     # (F,)
    if directions is None:
        latents = of_counts(hits[0], firings[0][:, None], occurrences)[2].argmax(0)
    else:
        latents = match(W_dec.cpu(), directions)[0]
    return [_of_feature(f, latent, hits, firings, occurrences) for f, latent in enumerate(latents.tolist())]


def _of_feature(f: int, latent: int, hits: Tensor, firings: Tensor, occurrences: Tensor) -> FeatureRecall:
    if latent < 0:                                          # more features than latents
        return FeatureRecall(f, None)
    precision, recall, _ = of_counts(hits[:, latent, f], firings[:, latent], occurrences[f])
    return FeatureRecall(f, latent, *recall.tolist(), *precision.tolist())
