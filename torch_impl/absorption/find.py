"""Which latents of an SAE are absorbed into which? Candidate pairs, one pass over activations, and a report.

    report = find_absorption(sae, rows)             # rows (N, D): activations, may be memory-mapped
    for pair in report.pairs:                       # the most probable first
        print(pair.parent, pair.child, pair.probability, pair.amount)
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
from .detector import ABSORBED, NOT_ABSORBED, QUESTIONS, amount, answers, candidate, probability
from .evidence import ENOUGH, Evidence
from .families import AbsorbedFamily, families
from .scan import Counts, block_count, candidates, firing_floor, scan

NEAR_MISSES = 100
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
    """A possible parent and a possible child, and what the weights and the stream show of them; NaN where that cannot be asked.

    The child's samples are those in which it speaks in full: it writes at least half of what is there of its direction. A
    latent's content is a sample's component along its decoder row.
    """

    parent: int
    child: int
    probability: float
    """that the parent is absorbed into the child"""
    amount: float
    """how much of the parent is missing in the child's samples, from 0 to 1: silent + low"""
    silent: float
    """share of the child's samples in which the parent does not fire"""
    low: float
    """what the parent lacks where it fires in the child's samples, as a share of all of them"""
    level: float
    """the parent's content in the child's samples: 1 as where the parent speaks without the child, 0 as where neither does"""
    returned: float
    """level of the child's content in the parent's samples"""
    disturbed: float
    """how far the parent's firing with the child is from independent of it, beyond chance"""
    unwritten: float
    """variance along the parent's row that no latent writes in the child's samples, by that of what the parent writes without it"""
    cosine: float
    """of the two decoder rows"""
    samples: int
    """the child's: how many they are"""
    against: str
    """the question whose answer speaks most against absorption: a name of `detector.QUESTIONS`"""

    def to_dict(self) -> dict[str, Any]:
        """As an entry of a JSON document: None in place of NaN."""
        return {name: None if value != value else value for name, value in self._asdict().items()}


class AbsorbedParent(NamedTuple):
    """A latent that loses firings to others."""

    parent: int
    children: tuple[int, ...]
    """the most probable first"""
    firings: int
    """in how many samples it fires"""
    firings_lost: int
    """in how many of its children's samples it does not; where two children speak at once both count: an upper bound"""
    share_lost: float
    """of what it should say: what its children's samples lack of it / (firings + firings lost)"""

    def to_dict(self) -> dict[str, Any]:
        """As an entry of a JSON document."""
        return {"parent": self.parent, "children": list(self.children), "firings": self.firings,
                "firings lost": self.firings_lost, "share lost": self.share_lost}


class Judged(NamedTuple):
    """How many candidate pairs, and how many latents, were judged, and how not."""

    absorbed: int
    not_absorbed: int
    """pairs of a probability below .1"""
    cannot_tell: int
    """pairs of a probability between that and the threshold"""
    too_few_samples: int
    """pairs of which one does not speak in 20 samples without the other, or is background: speaks in more than .6 of all"""
    latents: int
    """that speak in 20 samples or more, and are no background"""
    latents_too_rare: int
    latents_background: int

    def to_dict(self) -> dict[str, int]:
        """As an entry of a JSON document."""
        return {name.replace("_", " "): value for name, value in self._asdict().items()}


@dataclass(frozen=True, eq=False)
class AbsorptionReport:
    """What `find_absorption` found."""

    pairs: tuple[AbsorbedPair, ...]
    """absorbed; the most probable first"""
    near_misses: tuple[AbsorbedPair, ...]
    """neither above the threshold nor below .1, so that it cannot be told; the most probable first, at most NEAR_MISSES"""
    judged: Judged
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
    """pairs with a higher probability are absorbed"""
    coefficients: Tensor = field(repr=False)
    """(number of pairs,) float64: how much of its parent's activation one unit of each child's stands for"""
    floor: Tensor = field(repr=False)
    """(M,) float64: what a latent must write, activation times length of its decoder row, to count as firing"""
    full: Tensor = field(repr=False)
    """(M,) float64: in how many samples each latent speaks in full"""

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
    def families(self) -> tuple[AbsorbedFamily, ...]:
        """Latents that absorbed pairs connect; the family that loses most first."""
        return families(self.pairs)

    @cached_property
    def _latents(self) -> Tensor:
        """(2, number of pairs) int64: parents, children."""
        return torch.tensor([(pair.parent, pair.child) for pair in self.pairs], dtype=torch.int64).view(-1, 2).T

    def to_dict(self, run: str | None = None, data: str | None = None) -> dict[str, Any]:
        """The JSON document that `sae-spec absorption` writes; run and data say where SAE and rows come from."""
        return {"format": "sae-spec absorption", "version": 2, "run": run, "data": data,
                "D": self.D, "M": self.M, "activation": self.activation, "tied": self.tied,
                "samples": self.samples, "latents that fire": self.latents_that_fire,
                "candidates per latent": self.candidates_per_latent, "threshold": self.threshold,
                "judged": self.judged.to_dict(), "pairs": [pair.to_dict() for pair in self.pairs],
                "near misses": [pair.to_dict() for pair in self.near_misses],
                "parents": [parent.to_dict() for parent in self.parents],
                "families": [family.to_dict() for family in self.families]}


@torch.no_grad()
def find_absorption(sae: SAE, rows: Tensor, top: int = 32, threshold: float = ABSORBED, batch_size: int = 1024,
                    progress: Progress | None = None) -> AbsorptionReport:
    """Which latents are absorbed into which, without labels: from the weights and one pass over activations.

    sae         SparseAutoencoder in eval mode, or what has its config, training, W_dec, b_dec and encode: see SAE
    rows        (N, D)  activations as the SAE is trained on, on any device, may be memory-mapped; tens of thousands are
                enough for latents that fire in one sample of a hundred, since a pair needs 20 samples of each of the two
    top         for each latent, how many latents with the most similar decoder rows are considered as its parents
    threshold   from 0 to 1; a pair with a higher probability is absorbed
    batch_size  rows encoded at once
    progress    called with one of STAGES, how much of it is done (blocks, rows, latents), and how much there is
    raises      ValueError for rows of another shape or not finite, an SAE in train mode, top or threshold out of range

    Clauses: ABS-19 to ABS-27, ABS-30, ABS-32 to ABS-36, ABS-39, ABS-40, ABS-43, ABS-44.
    """
    _check(sae, rows, top, threshold)
    W_dec = sae.W_dec.detach()
    blocks, samples, judging = (counter(progress, stage, total) for stage, total in
                                 zip(STAGES, (block_count(len(W_dec)), len(rows), len(W_dec))))
    index = candidates(W_dec, top, advance=blocks)         # (M, top)
    floor = firing_floor(sae, rows, batch_size)
    counts = scan(sae, rows, index, floor, batch_size, advance=samples)
    evidence = candidate_pairs.evidence(counts, index, W_dec, advance=judging)
    likely = probability(evidence)
    absorbed = likely > threshold
    untold = ~absorbed & (likely >= NOT_ABSORBED)           # of too few samples the probability is 0
    children, slots = candidate_pairs.ranked(absorbed, likely)
    parents = index[children, slots]
    near, at = candidate_pairs.ranked(untold, likely)
    return AbsorptionReport(
        pairs=_pairs(children, slots, index, evidence, counts),
        near_misses=_pairs(near[:NEAR_MISSES], at[:NEAR_MISSES], index, evidence, counts),
        parents=_parents(parents, children, slots, counts, evidence), judged=_judged(absorbed, untold, evidence, counts),
        D=sae.config.D, M=sae.config.M, activation=sae.config.activation, tied=sae.config.tied,
        samples=int(counts.samples), latents_that_fire=int((counts.fires > 0).sum()),
        candidates_per_latent=index.shape[1], threshold=threshold,
        coefficients=candidate_pairs.coefficients(parents, children, W_dec).cpu(), floor=floor.cpu(), full=counts.full.cpu())


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


def _pairs(children: Tensor, slots: Tensor, index: Tensor, evidence: Evidence, counts: Counts) -> tuple[AbsorbedPair, ...]:
    of = Evidence(*(part[children, slots] for part in evidence))
    given = answers(of)
    costs = torch.stack([question.weight * (1 - given[name]) for name, question in QUESTIONS.items()])       # (questions, n)
    names = tuple(QUESTIONS)
    columns = (index[children, slots], children, probability(of), amount(of), of.silent, of.low, of.level, of.returned, of.disturbed,
               of.unwritten, of.cosine, counts.full[children].long())
    against = [names[which] for which in costs.argmax(0).tolist()]
    return tuple(AbsorbedPair(*values) for values in zip(*(column.tolist() for column in columns), against))


def _judged(absorbed: Tensor, untold: Tensor, evidence: Evidence, counts: Counts) -> Judged:
    pairs, rare, background = candidate(evidence), counts.full < ENOUGH, 5 * counts.full > 3 * counts.samples
    too_few = pairs & ~evidence.enough
    number = {"absorbed": absorbed, "not_absorbed": pairs & ~absorbed & ~untold & ~too_few, "cannot_tell": untold,
              "too_few_samples": too_few, "latents": ~rare & ~background, "latents_too_rare": rare, "latents_background": background}
    return Judged(**{name: int(which.sum()) for name, which in number.items()})


def _parents(parents: Tensor, children: Tensor, slots: Tensor, counts: Counts, evidence: Evidence) -> tuple[AbsorbedParent, ...]:
    silent = counts.full[children] - counts.beside[children, slots]
    lacked = silent + counts.full[children] * evidence.low[children, slots].nan_to_num(0)
    lost, lacking = (torch.zeros_like(counts.fires).index_add_(0, parents, part) for part in (silent, lacked))
    worst_first = torch.unique(parents)
    worst_first = worst_first[lacking[worst_first].argsort(descending=True, stable=True)]
    return tuple(AbsorbedParent(parent=p, children=tuple(children[parents == p].tolist()), firings=int(counts.fires[p]),
                                firings_lost=int(lost[p]),
                                share_lost=float(lacking[p] / (counts.fires[p] + lost[p]).clamp_min(1)))
                 for p in worst_first.tolist())
