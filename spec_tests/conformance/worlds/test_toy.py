"""TOY: worlds with known features, and what their samples must be like."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sae_spec.spec_tests.core.compare import assert_same
from sae_spec.spec_tests.core.properties import clause
from sae_spec.spec_tests.core.strategies import dyadic, rotations

PARTS = ("parent", "rate", "rate_alone", "group")
quarters = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])


def world(parent, rate, rate_alone, group, directions=None, mean=1.0, std=0.0):
    F = len(parent)
    for_all = lambda value: np.broadcast_to(value, F)
    return {"directions": np.eye(F) if directions is None else directions, "parent": parent, "rate": rate,
            "rate_alone": rate_alone, "group": group, "mean": for_all(mean), "std": for_all(std)}


@st.composite
def families(draw):
    """A root, two siblings (exclusive or not, their rates then at most 1/2 each) and a grandchild or another root."""
    exclusive = draw(st.booleans())
    halves = st.sampled_from([0.0, 0.25, 0.5])
    siblings = [draw(halves if exclusive else quarters) for _ in range(4)]
    last = draw(st.sampled_from([-1, 0, 1, 2]))
    return world([-1, 0, 0, last], [draw(quarters), *siblings[:2], draw(quarters)], [0.5, *siblings[2:], draw(quarters)],
                 [-1, 3, 3, -1] if exclusive else [-1] * 4)


@st.composite
def loud_worlds(draw):
    """Features on their own, always firing: (world, uniforms, normals) with magnitudes of either side of 0."""
    B, F, D = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    nobody = np.full(F, -1)
    parts = world(nobody, np.ones(F), np.zeros(F), nobody, draw(dyadic((F, D))), draw(dyadic((F,))), draw(dyadic((F,), 0.0)))
    return parts, np.zeros((B, F)), draw(dyadic((B, F)))


def sample(adapter, parts, uniforms, normals=None):
    normals = np.zeros(np.shape(uniforms)) if normals is None else normals
    return adapter("toy_sample", {}, **parts, uniforms=uniforms, normals=normals)


def every_draw(F, steps=4):
    """All F-tuples of multiples of 1 / steps in [0, 1): what uniform draws are, each once."""
    return np.array(list(itertools.product(np.arange(steps) / steps, repeat=F)))


@clause("TOY-1", "TOY-2", "TOY-5")
@given(parts=families())
def test_over_all_draws_features_fire_together_as_often_as_expected(adapter, parts):
    """Rates are multiples of 1/4, so draws that are multiples of 1/4 stand for all others."""
    on = sample(adapter, parts, every_draw(4))["magnitudes"] > 0
    expected = adapter("toy_cofiring", {}, **{name: parts[name] for name in PARTS})
    assert_same({"cofiring": on.T @ on.astype(float) / len(on)}, expected, adapter.dtype)


@clause("TOY-1")
@given(parts=families(), data=st.data())
def test_a_higher_rate_of_a_single_silences_nobody_and_nothing_else_changes(adapter, parts, data):
    parts = parts | {"parent": [-1, 0, 0, -1], "rate": [*parts["rate"][:3], 0.5]}
    uniforms = data.draw(dyadic((4, 4), 0.0, 0.75))
    with_rate = lambda rate: parts | {"rate": [*parts["rate"][:3], rate]}
    before, after = (sample(adapter, with_rate(rate), uniforms)["magnitudes"] for rate in (0.5, 0.75))
    assert (after >= before).all()
    assert_same({"magnitudes": before[:, :3]}, {"magnitudes": after[:, :3]}, adapter.dtype)


@clause("TOY-2")
@given(parts=families(), data=st.data())
def test_exclusive_siblings_never_meet_and_read_one_draw(adapter, parts, data):
    halves = [min(rate, 0.5) for rate in parts["rate"][1:3]], [min(rate, 0.5) for rate in parts["rate_alone"][1:3]]
    parts = parts | {"group": [-1, 3, 3, -1], "rate": [0.5, *halves[0], 0.5], "rate_alone": [0, *halves[1], 0]}
    uniforms, other = data.draw(dyadic((4, 4), 0.0, 0.75)), data.draw(dyadic((4,), 0.0, 0.75))
    one = sample(adapter, parts, uniforms)["magnitudes"]
    assert not (one[:, 1] * one[:, 2]).any()
    uniforms[:, 2] = other
    assert_same({"magnitudes": one}, sample(adapter, parts, uniforms), adapter.dtype)


@clause("TOY-3")
@given(given_=loud_worlds())
def test_a_magnitude_less_its_mirror_image_is_what_was_drawn(adapter, given_):
    """max(0, a) - max(0, -a) = a; and a feature of rate 0 has magnitude 0, however loud it would be."""
    parts, uniforms, normals = given_
    here = sample(adapter, parts, uniforms, normals)["magnitudes"]
    there = sample(adapter, parts | {"mean": -parts["mean"]}, uniforms, -normals)["magnitudes"]
    assert (here >= 0).all() and (there >= 0).all()
    assert_same({"drawn": parts["mean"] + parts["std"] * normals}, {"drawn": here - there}, adapter.dtype)
    silent = sample(adapter, parts | {"rate": np.zeros(len(parts["rate"]))}, uniforms, normals)
    assert not silent["magnitudes"].any() and not silent["x"].any()


@clause("TOY-4")
@given(given_=loud_worlds(), data=st.data())
def test_samples_turn_and_add_up_with_the_directions(adapter, given_, data):
    parts, uniforms, normals = given_
    F, D = parts["directions"].shape
    turn, other = data.draw(rotations(D)), data.draw(dyadic((F, D)))
    one, two, both, turned = (sample(adapter, parts | {"directions": directions}, uniforms, normals)["x"] for directions in
                              (parts["directions"], other, parts["directions"] + other, parts["directions"] @ turn))
    assert_same({"x": one + two}, {"x": both}, adapter.dtype)
    assert_same({"x": one @ turn}, {"x": turned}, adapter.dtype)
    alone = sample(adapter, parts | {"directions": np.eye(F)}, uniforms, normals)
    assert_same({"x": alone["magnitudes"]}, alone, adapter.dtype)


@st.composite
def draws_in_general_position(draw, D):
    """Normal draws (2 or 3, D) that no dtype makes dependent."""
    F = draw(st.integers(2, 3))
    return np.sign(draw(dyadic((F, 1), -1.0, 0.0, 1.0)) + 0.5) * (4 * np.eye(F, D) + draw(dyadic((F, D), -1.0, 1.0, 0.5)))


@clause("TOY-6")
@given(normals=draws_in_general_position(4), rho=st.sampled_from([0.0, 0.25, 0.5, 0.9375]), turn=rotations(4))
def test_every_two_directions_are_at_cosine_rho_and_turn_with_the_draws(adapter, normals, rho, turn):
    draw_directions = lambda normals: adapter("directions_with_cosine", {"rho": rho}, normals=normals)["directions"]
    directions, gram = draw_directions(normals), np.full((len(normals), len(normals)), rho)
    np.fill_diagonal(gram, 1.0)
    assert_same({"gram": gram}, {"gram": directions @ directions.T}, adapter.dtype)
    assert_same({"directions": directions @ turn}, {"directions": draw_directions(normals @ turn)}, adapter.dtype)
    assert directions[0] @ normals[0] > 0


@clause("TOY-6")
@given(rho=st.sampled_from([-0.125, 1.0, 1.5]), normals=draws_in_general_position(4))
def test_an_impossible_cosine_or_too_many_directions_are_errors(adapter, rho, normals):
    adapter.refuses("rho", "directions_with_cosine", {"rho": rho}, normals=normals)
    adapter.refuses("normals", "directions_with_cosine", {"rho": 0.5}, normals=normals[:, :1])


@clause("TOY-7")
@given(scale=st.sampled_from([0.5, 1.0, 2.0]), turn=rotations(50), std=st.sampled_from([0.0, 0.125]))
def test_the_hierarchy_has_a_quarter_a_twentieth_each_and_no_child_alone(adapter, scale, turn, std):
    parts = adapter("toy_world", {"world": "hierarchy", "std": std}, normals=scale * np.eye(4, 50) @ turn)
    cofiring = adapter("toy_cofiring", {}, **{name: parts[name] for name in PARTS})["cofiring"]
    frequency = {"frequency": np.diag(cofiring), "child": cofiring[0, 1]}
    assert_same({"frequency": [0.25, 0.05, 0.05, 0.05], "child": cofiring[1, 1]}, frequency, adapter.dtype)
    assert_same({"gram": np.eye(4)}, {"gram": parts["directions"] @ parts["directions"].T}, adapter.dtype)
    assert_same({"mean": np.ones(4), "std": [std, 0, 0, 0]}, parts, adapter.dtype)
