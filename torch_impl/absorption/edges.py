"""What becomes of parents beside their children, where features, their directions and their tree are known.

For each edge of the tree the recall of the parent's latent with and without the child, the hole between the two under both
of its names, what is true, and what the detector says of the same samples without having seen the truth.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..kernels.precision import widen
from ..sae.constraints import normalize_rows, row_norms
from ..worlds.forest import Samples
from .evidence import ENOUGH
from .find import SAE, AbsorptionReport, Progress, counter
from .ground_truth import match, of_counts
from .stream import firing

ABSORBED, NOT_ABSORBED = 0.3, 0.1        # a shortfall of so much is absorption; below so much it is none
CLEAR = {"cosine": 0.9, "precision": 0.8, "recall": 0.15}        # a parent's latent with less, alone, tells of nothing
FIRES, WRITES = 0.5, 0.1                 # beside the child, and of the parent's direction: who does less has absorbed nothing
COUNTS = ("beside", "without", "alone", "only", "hits_beside", "hits_without", "hits_alone", "child_hits", "returned",
          "share_only", "share_alone", "fires_alone")


class Edge(NamedTuple):
    """A parent and a child, features and their latents; None where no latent is left or there is nothing to divide by.

    Beside are the samples with both features, without those with the parent and not this child, alone those with the parent
    and none of its children.
    """

    parent: int
    child: int
    parent_latent: int | None
    child_latent: int | None
    parent_cosine: float
    """of the parent's direction and its latent's decoder row, without its sign"""
    child_cosine: float
    samples_beside: int
    samples_without: int
    recall_beside: float | None = None
    """share of the samples beside in which the parent's latent fires"""
    recall_without: float | None = None
    recall_alone: float | None = None
    recall_beside_corrected: float | None = None
    """after `AbsorptionReport.corrected`"""
    recall_hole: float | None = None
    """recall without - recall beside, not normalised: the absorption gap of SAELens issue 729"""
    normalised_recall_hole: float | None = None
    """1 - recall beside / recall without, [ABS-13]; None where that clause has nothing to compare"""
    precision_alone: float | None = None
    """of the parent's latent, in samples with none of its children"""
    shortfall: float | None = None
    """1 - (activation of the parent's latent per magnitude where of its children this one is there) / (the same alone)"""
    truth: str = "unclear"
    """absorbed, not absorbed, between, or unclear: no clear latent of the parent, none of the child, or too few samples"""
    detector: str | None = None
    """absorbed, cannot tell, or None: the detector does not name the two latents"""
    probability: float | None = None
    """the detector's, where it names them"""

    def to_dict(self) -> dict[str, Any]:
        """As an entry of a JSON document."""
        return {name.replace("_", " "): value for name, value in self._asdict().items()}


class Feature(NamedTuple):
    """A feature and the latent that is matched with it, over all samples; None where no latent is left."""

    feature: int
    latent: int | None
    cosine: float
    samples: int
    precision: float | None = None
    recall: float | None = None
    f1: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """As an entry of a JSON document."""
        return self._asdict()


class EdgeReport(NamedTuple):
    """What `edge_recall` found."""

    edges: tuple[Edge, ...]
    """the largest recall hole first"""
    features: tuple[Feature, ...]
    mcc: float
    """mean |cosine| of features and their latents, [ABS-11]"""
    uniqueness: float
    """share of the latents that are left if of those most like the same feature one is kept"""

    def to_dict(self) -> dict[str, Any]:
        """As a part of a JSON document."""
        return {"MCC": self.mcc, "uniqueness": self.uniqueness, "edges": [edge.to_dict() for edge in self.edges],
                "features": [feature.to_dict() for feature in self.features]}


@torch.no_grad()
def edge_recall(sae: SAE, samples: Samples, directions: Tensor, edges: Tensor, report: AbsorptionReport,
                every_activation: bool = False, progress: Progress | None = None) -> EdgeReport:
    """What becomes of each parent's latent beside each child.

    sae               SparseAutoencoder in eval mode
    samples           with magnitudes of the F features
    directions        (F, D)  the features'
    edges             (2, E)  int64: features, parents and their children
    report            of `find_absorption` for the same SAE and samples.rows
    every_activation  True: whatever is not 0 is a firing, as SAELens counts; else what reaches report.floor
    progress          called with "edges", the number of rows done, and how many there are
    Clauses: ABS-10 to ABS-13, ABS-19.
    """
    W_dec = sae.W_dec.detach()
    cosines = normalize_rows(widen(W_dec.cpu())) @ normalize_rows(widen(directions)).T            # (M, F)
    latent, cosine = match(W_dec.cpu(), directions)         # (F,), (F,)
    floor = torch.zeros_like(report.floor) if every_activation else report.floor           # (M,)
    counts, of_features = _count(sae, samples, edges, latent, report, floor, progress)
    named = {(pair.parent, pair.child): ("absorbed", pair.probability) for pair in report.pairs}
    named |= {(pair.parent, pair.child): ("cannot tell", pair.probability) for pair in report.near_misses}
    rows = [{name: value for name, value in zip(COUNTS, column)} for column in zip(*(counts[name].tolist() for name in COUNTS))]
    found = [_edge(p, c, row, latent, cosine, cosines, named) for (p, c), row in zip(edges.T.tolist(), rows)]
    found.sort(key=lambda edge: -2 if edge.recall_hole is None else edge.recall_hole, reverse=True)
    matched = latent >= 0
    return EdgeReport(tuple(found), _features(latent, cosine, of_features), float(cosine.sum() / matched.sum()),
                      len(cosines.abs().argmax(1).unique()) / len(W_dec))


def _count(sae: SAE, samples: Samples, edges: Tensor, latent: Tensor, report: AbsorptionReport, floor: Tensor,
           progress: Progress | None) -> tuple[dict[str, Tensor], Tensor]:
    """Sums over samples: COUNTS, (E,) each, and (3, F) of features: hits, firings of their latents, occurrences."""
    advance, norms = counter(progress, "edges", len(samples.rows)), row_norms(sae.W_dec.detach().double())
    floor, (p, c), of = floor.to(norms.device), edges, latent.clamp_min(0)
    sums = {name: torch.zeros(edges.shape[1], dtype=torch.float64) for name in COUNTS}
    of_features = torch.zeros(3, len(latent), dtype=torch.float64)
    for x, magnitudes in samples.batches():
        acts = sae.encode(x.to(sae.W_dec))
        fires, corrected = (firing(read_out, norms, floor).cpu() for read_out in (acts, report.corrected(acts)))            # (B, M)
        acts, on, fired = acts.double().cpu(), magnitudes > 0, fires.sum(0)
        sample, child = on[:, c].nonzero(as_tuple=True)     # few features are there: only their places are looked at
        children = torch.zeros(on.shape, dtype=torch.int32)           # of each feature, that are there
        children.index_put_((sample, p[child]), torch.ones(len(child), dtype=torch.int32), accumulate=True)
        b, e = on[:, p].nonzero(as_tuple=True)              # where an edge's parent is there
        at, both, number = of[p[e]], on[b, c[e]], children[b, p[e]]
        hit, alone, only = fires[b, at], number == 0, both & (number == 1)
        share = acts[b, at].where(hit, 0) / magnitudes[b, p[e]].double()
        batch = {"beside": both, "without": ~both, "alone": alone, "only": only, "hits_beside": hit & both, "hits_without": hit & ~both,
                 "hits_alone": hit & alone, "child_hits": both & fires[b, of[c[e]]], "returned": both & corrected[b, at],
                 "share_only": share.where(only, 0), "share_alone": share.where(alone, 0)}
        for name, which in batch.items():
            sums[name].index_add_(0, e, which.double())
        b, f = (children > 0).nonzero(as_tuple=True)
        sums["fires_alone"] += (fired[of] - torch.zeros_like(fired[of]).index_add_(0, f, fires[b, of[f]].long()))[p]
        b, f = on.nonzero(as_tuple=True)
        of_features[0].index_add_(0, f, fires[b, of[f]].double())
        of_features[1:] += torch.stack([fired[of], f.bincount(minlength=len(latent))])
        if advance is not None:
            advance(len(x))
    return sums, of_features


def _quotient(part: float, whole: float) -> float | None:
    return part / whole if whole else None


def _edge(p: int, c: int, n: dict[str, float], latent: Tensor, cosine: Tensor, cosines: Tensor,
          named: dict[tuple[int, int], tuple[str, float]]) -> Edge:
    of_p, of_c = int(latent[p]), int(latent[c])
    edge = Edge(p, c, None if of_p < 0 else of_p, None if of_c < 0 else of_c, float(cosine[p]), float(cosine[c]),
                int(n["beside"]), int(n["without"]))
    if of_p < 0:
        return edge
    beside, without = _quotient(n["hits_beside"], n["beside"]), _quotient(n["hits_without"], n["without"])
    only, alone = _quotient(n["share_only"], n["only"]), _quotient(n["share_alone"], n["alone"])
    if beside is not None and without is not None:
        edge = edge._replace(recall_hole=without - beside, normalised_recall_hole=1 - beside / without if without else None)
    edge = edge._replace(
        recall_beside=beside, recall_without=without, recall_alone=_quotient(n["hits_alone"], n["alone"]),
        recall_beside_corrected=_quotient(n["returned"], n["beside"]),
        precision_alone=_quotient(n["hits_alone"], n["fires_alone"]),
        shortfall=1 - only / alone if only is not None and alone else None)
    if of_c < 0:
        return edge
    detector, probability = named.get((of_p, of_c), (None, None))
    return edge._replace(detector=detector, probability=probability, truth=_truth(edge, n, float(cosines[of_c, p])))


def _truth(edge: Edge, n: dict[str, float], writes: float) -> str:
    """What is true of an edge whose two features have latents; `writes`: the cosine of the child's row and the parent's direction."""
    clear = (edge.shortfall is not None and edge.parent_cosine >= CLEAR["cosine"] and min(n["only"], n["alone"]) >= ENOUGH
             and (edge.precision_alone or 0) >= CLEAR["precision"] and (edge.recall_alone or 0) >= CLEAR["recall"])
    if not clear or edge.shortfall is None or n["child_hits"] < FIRES * n["beside"]:
        return "unclear"
    if writes < WRITES or edge.shortfall < NOT_ABSORBED:
        return "not absorbed"
    return "absorbed" if edge.shortfall >= ABSORBED else "between"


def _features(latent: Tensor, cosine: Tensor, counts: Tensor) -> tuple[Feature, ...]:
    """latent, cosine (F,); counts (3, F): hits, firings of the latents, occurrences."""
    quality = torch.stack(of_counts(*counts), 1).tolist()             # (F, 3)
    known = zip(latent.tolist(), cosine.tolist(), counts[2].int().tolist(), quality)
    return tuple(Feature(f, None, near, there) if at < 0 else Feature(f, at, near, there, *told)
                 for f, (at, near, there, told) in enumerate(known))
