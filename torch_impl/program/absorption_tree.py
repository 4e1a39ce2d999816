"""Where a family's latents and the arrows between them stand in a drawing: parents on the left, their children to the right."""

from collections.abc import Mapping, Sequence
from itertools import count
from textwrap import shorten
from typing import NamedTuple

from ..absorption.families import AbsorbedFamily
from ..absorption.find import AbsorbedPair

WIDTH, HEIGHT, ACROSS, DOWN = 220, 40, 330, 52      # of a latent's box; from one column to the next, from one line to the next
LETTERS = 26                                        # of words in a box
ALONG = (0.62, 0.4, 0.8, 0.3)                       # where on an arrow its number stands: elsewhere on the next to the same latent
BEND = 0.9 * DOWN                                   # of an arrow that leads further than to the next column: below the boxes between


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
    columns = _columns(family)
    lines = _lines(family, columns)
    at = {latent: (columns[latent] * ACROSS + 2, lines[latent] * DOWN + HEIGHT / 2 + 2) for latent in lines}
    boxes = [Box(latent, *at[latent], shorten(", ".join(words.get(latent, ())), LETTERS, placeholder=" …")) for latent in at]
    arrows, arrived, below = [], dict.fromkeys(at, 0), 0.0
    for pair in family.pairs:
        bend = BEND if columns[pair.child] - columns[pair.parent] != 1 else 0.0
        arrows.append(_arrow(pair, at, bend, ALONG[arrived[pair.child] % len(ALONG)]))
        arrived[pair.child], below = arrived[pair.child] + 1, max(below, bend)
    width, height = max(columns.values()) * ACROSS + WIDTH + 4, max(lines.values()) * DOWN + HEIGHT + 4 + below / 2
    return Tree(tuple(boxes), tuple(arrows), width, height)


def _arrow(pair: AbsorbedPair, at: Mapping[int, tuple[float, float]], bend: float, t: float) -> Arrow:
    """A Bézier curve whose number stands at t of its way."""
    (x, y), (to_x, to_y) = at[pair.parent], at[pair.child]
    x += WIDTH
    middle, rest = (x + to_x) / 2, 1 - t
    curve = f"M {x:.0f} {y:.0f} C {middle:.0f} {y + bend:.0f}, {middle:.0f} {to_y + bend:.0f}, {to_x:.0f} {to_y:.0f}"
    return Arrow(pair.parent, pair.child, pair.amount, curve, rest**3 * x + 3 * rest * t * middle + t**3 * to_x,
                 rest**2 * (1 + 2 * t) * y + t**2 * (3 - 2 * t) * to_y + 3 * rest * t * bend)


def _columns(family: AbsorbedFamily) -> dict[int, int]:
    """{latent: column}: right of all its parents, but where they absorb each other in a circle."""
    columns = dict.fromkeys(family.latents, 0)
    for _ in columns:
        for pair in family.pairs:
            if columns[pair.parent] + 1 < len(columns):
                columns[pair.child] = max(columns[pair.child], columns[pair.parent] + 1)
    used = sorted(set(columns.values()))
    return {latent: used.index(column) for latent, column in columns.items()}


def _lines(family: AbsorbedFamily, columns: Mapping[int, int]) -> dict[int, float]:
    """{latent: line}: a parent halfway down the children that are met there first."""
    lines: dict[int, float] = {}
    next_line = count()

    def put(latent: int) -> float:
        lines[latent] = 0.0                                 # met: who comes here again in a circle goes no further
        under = [put(pair.child) for pair in family.pairs if pair.parent == latent and pair.child not in lines
                 and columns[pair.child] == columns[latent] + 1]
        lines[latent] = (under[0] + under[-1]) / 2 if under else float(next(next_line))
        return lines[latent]

    for latent in sorted(family.latents, key=lambda latent: columns[latent]):
        if latent not in lines:
            put(latent)
    return lines
