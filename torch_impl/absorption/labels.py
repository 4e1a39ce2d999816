"""The words of a family: labels of the rows in which its latents speak loudest, the parent without its children and they without it."""

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..sae.constraints import row_norms
from .families import AbsorbedFamily
from .find import SAE, AbsorptionReport, Progress, counter
from .stream import firing

AT_MOST = 8          # different labels
KEPT = 64            # rows that are kept to find them in: a label may come again and again
NUMBERS = 2**24      # activations that are compared at once, at most


class PairLabels(NamedTuple):
    """Of the rows in which a child speaks, the loudest first."""

    parent: int
    child: int
    without_parent: tuple[str, ...]
    """where the parent is silent"""
    with_parent: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """As an entry of a JSON document."""
        return {name.replace("_", " "): list(value) if isinstance(value, tuple) else value for name, value in self._asdict().items()}


class FamilyLabels(NamedTuple):
    """The labels of one family."""

    parents: dict[int, tuple[str, ...]]
    """of the rows in which each parent speaks and none of its children does"""
    pairs: tuple[PairLabels, ...]
    """one for each of the family's pairs, in their order"""

    def to_dict(self) -> dict[str, Any]:
        """As an entry of a JSON document."""
        return {"parents": {str(latent): list(words) for latent, words in self.parents.items()},
                "pairs": [pair.to_dict() for pair in self.pairs]}


@torch.no_grad()
def label_families(sae: SAE, rows: Tensor, labels: Sequence[str], report: AbsorptionReport, at_most: int = AT_MOST,
                   batch_size: int = 1024, progress: Progress | None = None) -> tuple[FamilyLabels, ...]:
    """The labels of every family of a report, in the order of `report.families`.

    sae         SparseAutoencoder in eval mode
    rows        (N, D)  activations
    labels      N of them, one for each row
    report      of `find_absorption`
    at_most     labels of each kind; different ones, of the KEPT loudest rows
    batch_size  rows encoded at once; fewer where there are many pairs
    progress    called with "labels", the number of rows done, and how many there are
    raises      ValueError for another number of labels than rows
    """
    if len(labels) != len(rows):
        raise ValueError(f"{len(labels)} labels for {len(rows)} rows")
    pairs = [(pair.parent, pair.child) for family in report.families for pair in family.pairs]
    if not pairs:
        return ()
    advance, norms = counter(progress, "labels", len(rows)), row_norms(sae.W_dec.detach().double())
    parents, places = torch.tensor(pairs, dtype=torch.int64, device=norms.device).view(-1, 2)[:, 0].unique(return_inverse=True)
    ends = torch.tensor(pairs, dtype=torch.int64, device=norms.device).view(-1, 2).T        # (2, n)
    width = len(parents) + 2 * len(pairs)
    best, at = torch.full((KEPT, width), -torch.inf, device=norms.device), ends.new_zeros(KEPT, width)
    first, batch_size = 0, max(1, min(batch_size, NUMBERS // max(1, width)))
    for x in rows.split(batch_size):
        acts = sae.encode(x.to(sae.W_dec))
        loudness = _loudness(acts, firing(acts, norms, report.floor.to(norms.device)), ends, parents, places)
        index = torch.arange(first, first + len(x), device=norms.device)[:, None].expand(-1, width)
        best, kept = torch.cat([best, loudness.to(best)]).topk(KEPT, dim=0)
        at = torch.cat([at, index]).gather(0, kept)
        first += len(x)
        if advance is not None:
            advance(len(x))
    words = [distinct([labels[int(row)] for value, row in zip(values, places) if value > 0], at_most)
             for values, places in zip(best.T.tolist(), at.T.tolist())]
    return _of_families(report.families, dict(zip(parents.tolist(), words)), words[len(parents) :])


def _loudness(acts: Tensor, fires: Tensor, ends: Tensor, parents: Tensor, places: Tensor) -> Tensor:
    """What ranks the rows (B, parents and twice pairs): activations of parents that speak without their children, of children
    that speak without their parents, and with them; -inf elsewhere."""
    p, c = ends
    of_children = torch.zeros(len(acts), len(parents), device=acts.device).index_add_(1, places, fires[:, c].float())
    where = [fires[:, parents] & (of_children == 0), fires[:, c] & ~fires[:, p], fires[:, c] & fires[:, p]]
    return torch.cat([acts[:, latents].abs().where(which, -torch.inf) for latents, which in zip((parents, c, c), where)], 1)


def distinct(labels: Iterable[str], at_most: int) -> tuple[str, ...]:
    """The first different ones."""
    return tuple(dict.fromkeys(labels))[:at_most]


def _of_families(families: Sequence[AbsorbedFamily], alone: dict[int, tuple[str, ...]],
                 words: Sequence[tuple[str, ...]]) -> tuple[FamilyLabels, ...]:
    """Sorts words of pairs, first all without parent, then all with it, into their families."""
    half, place, found = len(words) // 2, 0, []
    for family in families:
        of = [PairLabels(pair.parent, pair.child, words[place + i], words[half + place + i]) for i, pair in enumerate(family.pairs)]
        found.append(FamilyLabels({pair.parent: alone[pair.parent] for pair in family.pairs}, tuple(of)))
        place += len(family.pairs)
    return tuple(found)
