"""The page that `sae-spec absorption` writes: families drawn as trees, what decides each pair, tables that can be sorted."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from torch import Tensor

from ..absorption.families import AbsorbedFamily, excerpt
from ..absorption.find import AbsorbedPair, AbsorptionReport, Progress, counter
from ..absorption.labels import FamilyLabels
from . import absorption_figures as figures
from .absorption_tree import Tree, tree
from .page import picture, render

FAMILIES, ARROWS, NEAR_MISSES = 10, 6, 4           # that are drawn; pairs of one of them; near misses
MAPS, LISTED = 6, 500                               # heat maps, pairs in the table


class Shown(NamedTuple):
    """A family as the page shows it: its strongest pairs."""

    drawing: Tree
    pairs: tuple[AbsorbedPair, ...]
    more: int
    """pairs that are not shown"""
    lost: float
    labels: dict[str, dict] | None
    """{"parents": {latent: words}, "pairs": {(parent, child): PairLabels}}"""


def page(report: AbsorptionReport, document: Mapping[str, Any], sae: Any, rows: Tensor,
         labels: Sequence[FamilyLabels] | None = None, progress: Progress | None = None) -> str:
    """The document of a report as HTML; the SAE's rows and some of the data's are drawn. labels: one for each family."""
    strongest = report.families[:FAMILIES]
    families = [shown(family, labels[which] if labels else None) for which, family in enumerate(strongest)]
    near = report.near_misses[:NEAR_MISSES]
    drawn = [*(pair for family in families for pair in family.pairs), *near]
    pictures = of_pairs(sae, rows, drawn, progress) if drawn else {}
    maps = picture(figures.heat_maps(sae, document["parents"][:MAPS])) if report.parents else None
    features = sorted(document.get("features", ()), key=lambda each: (each["recall"] is None, each["recall"]))     # the worst first
    return render("absorption.html", document=document, families=families, near=near, pictures=pictures, maps=maps, features=features,
                  losses=picture(figures.losses(report)) if report.parents else None, listed=document["pairs"][:LISTED])


def of_pairs(sae: Any, rows: Tensor, pairs: Sequence[AbsorbedPair], progress: Progress | None) -> dict[tuple[int, int], str]:
    """{(parent, child): the picture that decides it}"""
    seen, advance = figures.look(sae, rows, pairs), counter(progress, "pictures", len(pairs))
    pictures = {}
    for pair in pairs:
        pictures[pair.parent, pair.child] = picture(figures.decides(seen, pair))
        if advance is not None:
            advance(1)
    return pictures


def shown(family: AbsorbedFamily, labels: FamilyLabels | None) -> Shown:
    """A family's strongest pairs, drawn."""
    part = excerpt(family, ARROWS)
    words: dict[int, Sequence[str]] = {}
    of_pairs = {(pair.parent, pair.child): pair for pair in labels.pairs} if labels else {}
    for pair in part.pairs if labels else ():
        of = of_pairs[pair.parent, pair.child]
        words.setdefault(pair.child, of.without_parent or of.with_parent)
    if labels:
        words |= {latent: said for latent, said in labels.parents.items() if said}
    told = {"parents": {pair.parent: labels.parents[pair.parent] for pair in part.pairs}, "pairs": of_pairs} if labels else None
    return Shown(tree(part, words), part.pairs, len(family.pairs) - len(part.pairs), family.lost, told)
