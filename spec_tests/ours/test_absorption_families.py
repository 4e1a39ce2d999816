"""Families of absorbed pairs: what is connected, its strongest part, its drawing, and the words of its rows."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

from sae_spec.torch_impl.absorption.families import excerpt, families, lost
from sae_spec.torch_impl.absorption.find import AbsorbedPair, find_absorption
from sae_spec.torch_impl.absorption.labels import label_families
from sae_spec.torch_impl.program.absorption_tree import tree
from sae_spec.spec_tests.ours.test_absorption_find import planted


def pair(parent, child, samples, amount=0.5):
    return AbsorbedPair(parent, child, 0.9, amount, amount, 0.0, 1.0, 0.0, 0.0, float("nan"), 0.5, samples, "missing")


# 1 -> 2 -> 3, 1 -> 4 <- 5; 7 -> 8, and 8 -> 7 for good measure
PAIRS = pair(7, 8, 90), pair(1, 2, 100), pair(2, 3, 20), pair(1, 4, 40), pair(5, 4, 60), pair(8, 7, 10)


def ends(family):
    return [(pair.parent, pair.child) for pair in family.pairs]


def test_what_pairs_connect_is_a_family():
    first, second = families(PAIRS)
    assert ends(first) == [(1, 2), (5, 4), (1, 4), (2, 3)] and first.latents == (1, 2, 5, 4, 3)
    assert (first.lost, second.lost) == (110, 50) and ends(second) == [(7, 8), (8, 7)]
    assert families(()) == () and lost(PAIRS[0]) == 45
    assert sorted(map(ends, families(PAIRS[::-1]))) == sorted(map(ends, families(PAIRS)))


def test_an_excerpt_is_connected():
    """5 -> 4 is stronger than 1 -> 4, but touches 1 -> 2 only by way of it."""
    family = families(PAIRS)[0]
    assert [ends(excerpt(family, n)) for n in (1, 2, 3)] == [[(1, 2)], [(1, 2), (1, 4)], [(1, 2), (1, 4), (5, 4)]]
    assert excerpt(family, 99).lost == family.lost


def test_a_tree_has_every_latent_once_and_children_to_the_right():
    drawing = tree(families(PAIRS)[0], {3: ["a word", "another that is by far too long for its box"]})
    boxes = {box.latent: box for box in drawing.boxes}
    assert len(boxes) == len(drawing.boxes) == 5 and len(drawing.arrows) == 4
    assert boxes[1].x == boxes[5].x < boxes[2].x == boxes[4].x < boxes[3].x and boxes[3].words.endswith("…")
    for column in {box.x for box in drawing.boxes}:
        lines = sorted(box.y for box in drawing.boxes if box.x == column)
        assert min(np.diff(lines), default=40) >= 40            # as high as a box
    assert all(box.x + 200 <= drawing.width and 20 <= box.y <= drawing.height - 20 for box in drawing.boxes)
    assert len(tree(families(PAIRS)[1], {}).boxes) == 2         # a circle ends


@pytest.mark.parametrize("batch_size", [6000, 77])
def test_words_are_those_of_the_loudest_rows(batch_size):
    """Against the rows sorted one latent at a time."""
    sae, rows, on = planted(0.75)
    report = find_absorption(sae, rows)
    rows = rows * (1 + torch.rand(len(rows), 1, generator=torch.Generator().manual_seed(0), dtype=rows.dtype))
    labels = [f"{number % 1000}" for number in range(len(rows))]
    of, = label_families(sae, rows, labels, report, at_most=5, batch_size=batch_size)
    acts = sae.encode(rows).detach()
    fires = acts > 1e-6                                     # beyond what rounding leaves

    def loudest(latent, where):
        order = acts[:, latent].where(where, 0).argsort(descending=True)
        return tuple(dict.fromkeys(labels[row] for row in order.tolist() if where[row]))[:5]

    assert of.parents == {0: loudest(0, fires[:, 0] & ~fires[:, 1])} and of.pairs[0].without_parent == ()
    assert of.pairs[0].with_parent == loudest(1, fires[:, 0] & fires[:, 1]) and len(of.pairs[0].with_parent) == 5
    with pytest.raises(ValueError, match="3 labels for 6000 rows"):
        label_families(sae, rows, labels[:3], report)
