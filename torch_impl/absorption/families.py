"""Families: latents that absorbed pairs connect. A parent, its children, their children; a latent may be child of several."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

if TYPE_CHECKING:
    from .find import AbsorbedPair


class AbsorbedFamily(NamedTuple):
    """Latents that absorbed pairs connect."""

    latents: tuple[int, ...]
    """in the order in which the pairs name them"""
    pairs: "tuple[AbsorbedPair, ...]"
    """the one that costs its parent most first"""
    lost: float
    """samples' worth of firings that its parents lack: over its pairs the sum of `lost`"""

    def to_dict(self) -> dict[str, Any]:
        """As an entry of a JSON document."""
        return {"latents": list(self.latents), "pairs": [[pair.parent, pair.child] for pair in self.pairs], "lost": self.lost}


def lost(pair: "AbsorbedPair") -> float:
    """How many samples' worth of firings the parent lacks in the child's samples."""
    return pair.amount * pair.samples


def families(pairs: "Iterable[AbsorbedPair]") -> "tuple[AbsorbedFamily, ...]":
    """The families of absorbed pairs, the one that loses most first."""
    strongest, latents = sorted(pairs, key=lost, reverse=True), {}
    for pair in strongest:
        for latent in (pair.parent, pair.child):
            latents.setdefault(latent, len(latents))
    ends = np.array([(latents[pair.parent], latents[pair.child]) for pair in strongest], dtype=np.int64).reshape(-1, 2).T
    number, group = connected_components(coo_array((np.ones(len(strongest)), ends), (len(latents),) * 2), directed=False)
    groups: list[list[AbsorbedPair]] = [[] for _ in range(number)]
    for pair in strongest:
        groups[group[latents[pair.parent]]].append(pair)
    found = [AbsorbedFamily(tuple(_latents(each)), tuple(each), sum(map(lost, each))) for each in groups]
    return tuple(sorted(found, key=lambda family: family.lost, reverse=True))


def excerpt(family: AbsorbedFamily, at_most: int) -> AbsorbedFamily:
    """A part of a family that is connected: its strongest pair, and again and again the strongest one that touches what is there."""
    left, kept = list(family.pairs), []
    while left and len(kept) < at_most:
        there = _latents(kept)
        pair = next(pair for pair in left if not kept or {pair.parent, pair.child} & there.keys())
        left.remove(pair)
        kept.append(pair)
    return AbsorbedFamily(tuple(_latents(kept)), tuple(kept), sum(map(lost, kept)))


def _latents(pairs: "Sequence[AbsorbedPair]") -> dict[int, None]:
    """The latents of pairs, in order and once."""
    return dict.fromkeys(latent for pair in pairs for latent in (pair.parent, pair.child))
