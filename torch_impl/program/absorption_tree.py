"""Where a family's latents and the arrows between them stand in a drawing: parents on the left, their children to the right."""

from collections.abc import Mapping, Sequence
from textwrap import shorten
from typing import Any, NamedTuple

from ..absorption.families import AbsorbedFamily

WIDTH, HEIGHT, ACROSS, DOWN = 200, 40, 310, 52     # of a latent's box; from one column to the next, from one line to the next
ALONG = (0.62, 0.44, 0.8, 0.3)       # where on an arrow its number stands; a second one that ends at the same latent has another place


class Box(NamedTuple):
    """A latent; x and y are those of its left edge's middle."""

    latent: int
    x: float
    y: float
    words: str


class Arrow(NamedTuple):
    """An absorbed pair, from the parent's box to the child's."""

    parent: int
    child: int
    amount: float
    curve: str
    """an SVG path"""
    x: float
    """where the amount is written"""
    y: float


class Tree(NamedTuple):
    """The drawing of a family."""

    boxes: tuple[Box, ...]
    arrows: tuple[Arrow, ...]
    width: float
    height: float


def tree(family: AbsorbedFamily, words: Mapping[int, Sequence[str]]) -> Tree:
    """The drawing of a family; words (may be none) are written into its latents' boxes."""
    places = _places(family)                                # {latent: (column, line)}
    at = {latent: (column * ACROSS + 2, line * DOWN + HEIGHT / 2 + 2) for latent, (column, line) in places.items()}
    boxes = [Box(latent, *at[latent], shorten(", ".join(words.get(latent, ())), 30, placeholder=" …")) for latent in at]
    arrows, arrived = [], dict.fromkeys(at, 0)
    for pair in family.pairs:
        arrows.append(_arrow(pair, at, ALONG[arrived[pair.child] % len(ALONG)]))
        arrived[pair.child] += 1
    columns, lines = (max(place) for place in zip(*places.values()))
    return Tree(tuple(boxes), tuple(arrows), columns * ACROSS + WIDTH + 4, lines * DOWN + HEIGHT + 4)


def _arrow(pair: Any, at: Mapping[int, tuple[float, float]], t: float) -> Arrow:
    (x, y), (to_x, to_y) = at[pair.parent], at[pair.child]
    x += WIDTH
    middle = (x + to_x) / 2
    curve = f"M {x:.0f} {y:.0f} C {middle:.0f} {y:.0f}, {middle:.0f} {to_y:.0f}, {to_x:.0f} {to_y:.0f}"
    rest = 1 - t
    return Arrow(pair.parent, pair.child, pair.amount, curve, rest**3 * x + 3 * rest * t * middle + t**3 * to_x,
                 rest**2 * (1 + 2 * t) * y + t**2 * (3 - 2 * t) * to_y)


def _places(family: AbsorbedFamily) -> dict[int, tuple[int, float]]:
    """{latent: (column, line)}: each where it is first met from the roots, a parent halfway down its children."""
    children: dict[int, list[int]] = {latent: [] for latent in family.latents}
    for pair in family.pairs:
        children[pair.parent].append(pair.child)
    places: dict[int, tuple[int, float]] = {}
    below = {pair.child for pair in family.pairs}
    lines = 0

    def put(latent: int, column: int) -> float:
        nonlocal lines
        places[latent] = column, 0.0                        # met: who comes here again in a circle goes no further
        under = [put(child, column + 1) for child in children[latent] if child not in places]
        line = (under[0] + under[-1]) / 2 if under else float(lines)
        lines += not under
        places[latent] = column, line
        return line

    for latent in sorted(family.latents, key=lambda latent: latent in below):       # roots first, in their order
        if latent not in places:
            put(latent, 0)
    return places
