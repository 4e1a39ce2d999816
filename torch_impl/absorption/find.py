"""Which latents of an SAE are absorbed into which? Candidate pairs, one pass over activations, and a report.

    report = find_absorption(sae, rows)             # rows (N, D): activations, may be memory-mapped
    for pair in report.pairs:                       # the strongest first
        print(pair.parent, pair.child, pair.score)
    acts = report.corrected(sae.encode(x))          # parents are on again where they were absorbed

The parent is the latent that is silent, or speaks too low, where it should speak; the child is the latent that speaks
there and writes the parent's direction too. What counts as absorption is specified in reference/absorption/detector.py.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from . import pairs as candidate_pairs
from .detector import THRESHOLD, score_of
from .evidence import Evidence
from .scan import Counts, block_count, candidates, firing_floor, scan

STAGES = "candidate pairs", "activations", "evidence"
Progress = Callable[[str, int, int], None]       # stage, how much of it is done, how much there is


class _Config(Protocol):
    @property
    def D(self) -> int: ...
    @property
    def M(self) -> int: ...
    @property
    def activation(self) -> str: ...
    @property
    def tied(self) -> bool: ...


class SAE(Protocol):
    """What is asked of an SAE; `SparseAutoencoder` has it."""

    training: bool

    @property
    def config(self) -> _Config: ...
    @property
    def W_dec(self) -> Tensor: ...               # (M, D)
    @property
    def b_dec(self) -> Tensor: ...               # (D,)
    def encode(self, x: Tensor, /) -> Tensor: ...             # (B, D) to (B, M)


class AbsorbedPair(NamedTuple):
    """A parent that is absorbed into a child, and the evidence for it; NaN where a question could not be asked.

    The child's samples are those in which it writes at least half of what is there of its direction; a latent's content
    is a sample's component along its decoder row.
    """

    parent: int
    child: int
    score: float
    """how much of the parent is absorbed in the child's samples, from 0 to 1"""
    silent: float
    """share of the child's samples in which the parent does not fire"""
    low: float
    """what the parent lacks where it fires in the child's samples, as a share of all of them"""
    level: float
    """the parent's content in the child's samples: 1 as where the parent speaks without the child, 0 as where neither does"""
    level_low: float
    """the same, in those samples in which the parent fires"""
    returned: float
    """level of the child's content in the parent's samples"""
    disturbed: float
    """how far the parent's firing with the child is from independent of it, beyond chance"""
    carried: float
    """share of what the parent leaves out that the child's decoder row writes"""
    coupled: float
    """1 where the parent's content is in proportion to the child's activation; NaN where that hardly varies"""
    followed: float
    """share of the content's variance that the child's activation explains; NaN where either hardly varies"""
    steady: float
    """1 where the parent's content is the same in all of the child's samples"""
    cosine: float
    """of the two decoder rows"""

    def to_dict(self) -> dict[str, Any]:
        """As numbers of a JSON document: None in place of NaN."""
        return {name: None if value != value else value for name, value in self._asdict().items()}


class AbsorbedParent(NamedTuple):
    """A latent that loses firings to others."""

    parent: int
    children: tuple[int, ...]
    """the one with the strongest score first"""
    firings: int
    """in how many samples it fires"""
    firings_lost: int
    """in how many of its children's samples it does not; where two children speak at once both count: an upper bound"""
    share_lost: float
    """firings lost / (firings + firings lost)"""

    def to_dict(self) -> dict[str, Any]:
        """As an entry of a JSON document."""
        return {"parent": self.parent, "children": list(self.children), "firings": self.firings,
                "firings lost": self.firings_lost, "share lost": self.share_lost}


@dataclass(frozen=True, eq=False)
class AbsorptionReport:
    """What `find_absorption` found."""

    pairs: tuple[AbsorbedPair, ...]
    """the strongest score first"""
    parents: tuple[AbsorbedParent, ...]
    """every parent of a pair; the one that loses most firings first"""
    D: int
    M: int
    activation: str
    tied: bool
    samples: int
    """rows read"""
    latents_that_fire: int
    candidates_per_latent: int
    """for how many possible parents each latent was compared"""
    threshold: float
    """pairs with a higher score are absorbed"""
    coefficients: Tensor = field(repr=False)
    """(number of pairs,) float64: how much of its parent's activation one unit of each child's stands for"""
    floor: Tensor = field(repr=False)
    """(M,) float64: what a latent must write, activation times length of its decoder row, to count as firing"""

    def corrected(self, acts: Tensor) -> Tensor:
        """The corrected read-out: to each parent's activation is added what its children carry of it.

            acts[b, p] + sum over pairs (p, c) of coefficient · acts[b, c]

        acts  (B, M)
        returns (B, M) in acts' dtype
        raises  ValueError for another number of latents
        Clauses: ABS-33, ABS-34.
        """
        if acts.ndim != 2 or acts.shape[1] != self.M:
            raise ValueError(f"acts has shape {tuple(acts.shape)}, expected (B, M = {self.M})")
        parents, children = self._latents.to(acts.device)
        return candidate_pairs.corrected(acts, parents, children, self.coefficients.to(acts.device))

    @cached_property
    def _latents(self) -> Tensor:
        """(2, number of pairs) int64: parents, children."""
        return torch.tensor([(pair.parent, pair.child) for pair in self.pairs], dtype=torch.int64).view(-1, 2).T

    def to_dict(self, run: str | None = None, data: str | None = None) -> dict[str, Any]:
        """The JSON document that `sae-spec absorption` writes; run and data say where SAE and rows come from."""
        return {"format": "sae-spec absorption", "version": 1, "run": run, "data": data,
                "D": self.D, "M": self.M, "activation": self.activation, "tied": self.tied,
                "samples": self.samples, "latents that fire": self.latents_that_fire,
                "candidates per latent": self.candidates_per_latent, "threshold": self.threshold,
                "pairs": [pair.to_dict() for pair in self.pairs],
                "parents": [parent.to_dict() for parent in self.parents]}


@torch.no_grad()
def find_absorption(sae: SAE, rows: Tensor, top: int = 32, threshold: float = THRESHOLD, batch_size: int = 1024,
                    progress: Progress | None = None) -> AbsorptionReport:
    """Which latents are absorbed into which, without labels: from the weights and one pass over activations.

    sae         SparseAutoencoder in eval mode, or what has its config, training, W_dec, b_dec and encode: see SAE
    rows        (N, D)  activations as the SAE is trained on, on any device, may be memory-mapped; tens of thousands are
                enough for latents that fire in one sample of a hundred, since a pair needs 20 samples of each of the two
    top         for each latent, how many latents with the most similar decoder rows are considered as its parents
    threshold   from 0 to 1; a pair with a higher score is absorbed
    batch_size  rows encoded at once
    progress    called with one of STAGES, how much of it is done (blocks, rows, latents), and how much there is
    raises      ValueError for rows of another shape or not finite, an SAE in train mode, top or threshold out of range

    Clauses: ABS-19 to ABS-30, ABS-32 to ABS-41.
    """
    _check(sae, rows, top, threshold)
    W_dec = sae.W_dec.detach()
    blocks, samples, children = (counter(progress, stage, total) for stage, total in
                                 zip(STAGES, (block_count(len(W_dec)), len(rows), len(W_dec))))
    index = candidates(W_dec, top, advance=blocks)
    floor = firing_floor(sae, rows, batch_size)
    counts = scan(sae, rows, index, floor, batch_size, advance=samples)
    answers = candidate_pairs.evidence(counts, index, W_dec, advance=children)
    scores = score_of(answers)
    places = candidate_pairs.detected(scores, index, threshold)
    return AbsorptionReport(
        pairs=_pairs(places, scores, answers), parents=_parents(places, counts),
        D=sae.config.D, M=sae.config.M, activation=sae.config.activation, tied=sae.config.tied,
        samples=int(counts.samples), latents_that_fire=int((counts.fires > 0).sum()),
        candidates_per_latent=index.shape[1], threshold=threshold,
        coefficients=candidate_pairs.coefficients(*places[:2], W_dec).cpu(), floor=floor.cpu())


def _check(sae: SAE, rows: Tensor, top: int, threshold: float) -> None:
    if sae.training:
        raise ValueError("sae is in train mode; call sae.eval() first, so that each sample is encoded on its own")
    if not torch.is_tensor(rows):
        raise ValueError(f"rows must be a torch tensor (N, D), got {type(rows).__name__}; of Activations pass .rows")
    if rows.ndim != 2 or rows.shape[1] != sae.config.D:
        raise ValueError(f"rows has shape {tuple(rows.shape)}, expected (N, D = {sae.config.D})")
    if top < 1:
        raise ValueError(f"top must be at least 1, got {top}")
    if not 0 <= threshold <= 1:
        raise ValueError(f"threshold must be from 0 to 1, got {threshold}")


def counter(progress: Progress | None, stage: str, total: int) -> Callable[[int], None] | None:
    """A function that is told how much was done since its last call, and tells progress what is done in all."""
    if progress is None:
        return None
    done = 0

    def advance(more: int) -> None:
        nonlocal done
        done += more
        progress(stage, done, total)

    return advance


def _pairs(places: tuple[Tensor, Tensor, Tensor], scores: Tensor, answers: Evidence) -> tuple[AbsorbedPair, ...]:
    parents, children, slots = places
    evidence = (getattr(answers, name)[children, slots] for name in AbsorbedPair._fields[3:])
    columns = [parents, children, scores[children, slots], *evidence]
    return tuple(AbsorbedPair(*values) for values in zip(*(column.tolist() for column in columns)))


def _parents(places: tuple[Tensor, Tensor, Tensor], counts: Counts) -> tuple[AbsorbedParent, ...]:
    parents, children, slots = places
    silent = counts.full[children] - counts.beside[children, slots]
    lost = torch.zeros_like(counts.fires).index_add_(0, parents, silent)
    worst_first = torch.unique(parents)
    worst_first = worst_first[lost[worst_first].argsort(descending=True, stable=True)]
    return tuple(AbsorbedParent(parent=p, children=tuple(children[parents == p].tolist()), firings=int(counts.fires[p]),
                                firings_lost=int(lost[p]),
                                share_lost=float(lost[p] / (counts.fires[p] + lost[p]).clamp_min(1)))
                 for p in worst_first.tolist())
