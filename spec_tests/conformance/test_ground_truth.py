"""ABS, with the truth at hand: matching, firing scores, the recall hole, the carried share, hedging."""

import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sae_spec.spec_tests.core.compare import assert_same
from sae_spec.spec_tests.core.properties import clause
from sae_spec.spec_tests.core.strategies import dyadic, positive, rotations

flags = lambda *shape: dyadic(shape, 0.0, 1.0, 1.0)
odd = lambda *shape: dyadic(shape, -2.0, 1.0, 1.0).map(lambda array: array + 0.5)


def cosines(adapter, left, right):
    """|cosine| of row i of the one with row i of the other."""
    return np.abs(adapter("absorption_patterns", {}, W_enc=left, W_dec=right)["alignment"])


@st.composite
def dictionaries(draw, zero_rows=True):
    """Latents and features, more of the one or of the other."""
    M, F = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    W_dec = draw(dyadic((M, 3), -2.0, 2.0, 0.5) if zero_rows else odd(M, 3))
    return {"W_dec": W_dec, "directions": draw(odd(F, 3))}


@clause("ABS-10")
@given(given_=dictionaries())
def test_no_other_assignment_matches_better_and_none_is_used_twice(adapter, given_):
    got = adapter("match", {}, **given_)
    W_dec, directions, latent = given_["W_dec"], given_["directions"], got["latent"].astype(int)
    matched = latent >= 0
    assert matched.sum() == min(len(W_dec), len(directions)) == len(set(latent[matched]))
    assert not got["cosine"][~matched].any()
    own = cosines(adapter, W_dec[latent[matched]], directions[matched])
    on_scale_1 = lambda cosine: {"cosine": np.append(cosine, 1.0)}                      # all of them may be 0
    assert_same(on_scale_1(own), on_scale_1(got["cosine"][matched]), adapter.dtype)
    slots = list(range(len(W_dec))) + [-1] * max(0, len(directions) - len(W_dec))
    for other in set(itertools.permutations(slots, len(directions))):
        chosen = np.array(other)
        rival = cosines(adapter, W_dec[chosen[chosen >= 0]], directions[chosen >= 0])
        assert rival.sum() <= got["cosine"].sum() + 1e-5


@clause("ABS-10", "ABS-11")
@given(given_=dictionaries(), scale=st.sampled_from([-2.0, -0.5, 4.0]), turn=rotations(3), data=st.data())
def test_signs_lengths_order_and_turning_change_no_match(adapter, given_, scale, turn, data):
    want, order = adapter("match", {}, **given_), data.draw(st.permutations(range(len(given_["W_dec"]))))
    changed = {"W_dec": scale * given_["W_dec"][order] @ turn, "directions": given_["directions"] @ turn}
    got = adapter("match", {}, **changed)
    total = lambda matched: {"cosine": matched["cosine"].sum(), "mcc": matched["mcc"]}
    assert_same(total(want), total(got), adapter.dtype)


@clause("ABS-11")
@given(given_=dictionaries(), zeros=st.integers(0, 2))
def test_mcc_is_the_mean_over_as_many_pairs_as_there_can_be(adapter, given_, zeros):
    M, F = len(given_["W_dec"]), len(given_["directions"])
    got = adapter("match", {}, **given_)
    assert_same({"sum": got["cosine"].sum()}, {"sum": got["mcc"] * min(M, F)}, adapter.dtype)
    more = np.vstack([given_["directions"], np.zeros((zeros, 3))])
    perfect = adapter("match", {}, W_dec=more, directions=given_["directions"])
    assert_same({"mcc": 1.0, "cosine": np.ones(F)}, perfect, adapter.dtype)


@clause("ABS-12")
@given(fires=flags(4, 3), truth=flags(4, 3))
def test_precision_and_recall_exchange_and_f1_is_their_harmonic_mean(adapter, fires, truth):
    got = adapter("firing_scores", {}, fires=fires, truth=truth)
    back = adapter("firing_scores", {}, fires=truth, truth=fires)
    assert_same({"precision": got["recall"], "recall": got["precision"], "f1": got["f1"]}, back, adapter.dtype)
    assert_same({"dead": 1 - fires.any(0)}, got, adapter.dtype)
    product = got["precision"] * got["recall"]
    assert_same({"f1": 2 * product}, {"f1": got["f1"] * (got["precision"] + got["recall"])}, adapter.dtype)
    assert ((got["f1"] > 0) == (product > 0)).all()


@clause("ABS-12")
@given(fires=flags(4, 3))
def test_a_perfect_latent_scores_1_and_a_dead_one_0(adapter, fires):
    alive = fires.any(0).astype(float)
    got = adapter("firing_scores", {}, fires=fires, truth=fires)
    assert_same({"precision": alive, "recall": alive, "f1": alive, "dead": 1 - alive}, got, adapter.dtype)
    nobody = adapter("firing_scores", {}, fires=0 * fires, truth=fires)
    assert_same({"precision": 0 * alive, "recall": 0 * alive, "f1": 0 * alive, "dead": 1 + 0 * alive}, nobody, adapter.dtype)


def hole(adapter, fires, parent, child):
    return float(adapter("recall_hole", {}, fires=fires, parent=parent, child=child)["hole"])


@clause("ABS-13")
@given(given_=flags(3, 6))
def test_the_holes_beside_the_child_and_without_it_are_each_others_inverse(adapter, given_):
    """(1 - hole) · (1 - hole with the child's absence for the child) = 1; samples without the parent do not matter."""
    fires, parent, child = given_
    one, other = hole(adapter, fires, parent, child), hole(adapter, fires, parent, 1 - child)
    assert one <= 1
    if one < 1 and other < 1 and (parent * child).any() and (parent * (1 - child)).any() and (fires * parent).any():
        assert_same({"product": 1.0}, {"product": (1 - one) * (1 - other)}, adapter.dtype)
    assert_same({"hole": one}, {"hole": hole(adapter, np.where(parent, fires, 1), parent, child)}, adapter.dtype)
    assert_same({"hole": one}, {"hole": hole(adapter, *np.repeat(given_, 3, axis=1))}, adapter.dtype)


@clause("ABS-13")
@given(given_=flags(2, 5))
def test_nothing_to_compare_is_no_hole_and_silence_beside_the_child_is_all_of_it(adapter, given_):
    fires, parent = given_
    for child in (0 * parent, parent, 1 + 0 * parent):
        assert hole(adapter, fires, parent, child) == 0
    assert hole(adapter, 0 * fires, parent, fires) == 0
    both, alone = np.append(parent, [1, 1]), np.append(fires, [1, 0])
    assert hole(adapter, 1 - alone, both, alone) == 1


def share(adapter, acts, W_dec, direction, samples, latent):
    got = adapter("carried_share", {"latent": latent}, acts=acts, W_dec=W_dec, direction=direction, samples=samples)
    return float(got["share"])


@clause("ABS-14")
@given(acts=dyadic((3, 3), 0.0), W_dec=dyadic((3, 2), 0.0), direction=positive((2,)), samples=flags(3),
       other=dyadic((3,), 0.0))
def test_what_all_latents_write_of_a_feature_is_the_whole(adapter, acts, W_dec, direction, samples, other):
    """What each does not leave to others adds up to 1; where nothing is written each share is 0."""
    own = [1 - share(adapter, acts, W_dec, direction, samples, latent) for latent in range(3)]
    written = (acts @ W_dec @ direction) * samples
    assert_same({"sum": 1.0 if written.any() else 3.0}, {"sum": sum(own)}, adapter.dtype)
    alone = [1 - share(adapter, acts, W_dec, direction, sample, 0) for sample in np.eye(3)]
    assert_same({"own": written @ alone}, {"own": written.sum() * own[0]}, adapter.dtype)
    elsewhere = np.where(samples[:, np.newaxis] == 1, acts, other)
    again = [1 - share(adapter, elsewhere, W_dec, 2 * direction, samples, latent) for latent in range(3)]
    assert_same({"own": own}, {"own": again}, adapter.dtype)


@clause("ABS-14")
@given(delta=st.integers(1, 4).map(lambda quarters: quarters / 4), turn=rotations(3), times=st.integers(1, 3))
def test_in_the_delta_family_the_child_carries_delta(adapter, delta, turn, times):
    family = adapter("delta_family", {"delta": delta, "unit": False}, parent=turn[0], child=turn[1])
    acts = np.tile([1 - delta, 1.0], (times, 1))
    assert_same({"share": delta}, {"share": share(adapter, acts, family["W_dec"], turn[0], np.ones(times), 0)}, adapter.dtype)


@clause("ABS-15")
@given(W_enc=dyadic((2, 3)), W_dec=dyadic((2, 3)), other=dyadic((3,)), latent=st.integers(0, 1))
def test_hedging_is_two_cosines_with_the_other_feature(adapter, W_enc, W_dec, other, latent):
    cosines = lambda other: adapter("hedging", {"latent": latent}, W_enc=W_enc, W_dec=W_dec, other=other)
    pair = np.stack([W_enc[latent], W_dec[latent]])
    want = adapter("absorption_patterns", {}, W_enc=pair, W_dec=np.stack([other, other]))["alignment"]
    got = cosines(other)
    back = cosines(-2 * other)
    on_scale_1 = lambda encoder, decoder: {"cosines": [encoder, decoder, 1.0]}          # all of them may be 0
    assert_same(on_scale_1(*want), on_scale_1(got["encoder"], got["decoder"]), adapter.dtype)
    assert_same(on_scale_1(*want), on_scale_1(-back["encoder"], -back["decoder"]), adapter.dtype)


@clause("ABS-15")
@given(turn=rotations(3), eighths=st.integers(1, 8))
def test_absorption_and_hedging_differ_in_sign(adapter, turn, eighths):
    """The delta family's parent reads against the child and writes none of it; a mixture reads and writes it."""
    parent, child, delta = turn[0], turn[1], eighths / 8
    absorbed = adapter("delta_family", {"delta": delta}, parent=parent, child=child)
    mixed = np.stack([parent + delta * child, child])
    signs = lambda W_enc, W_dec: adapter("hedging", {"latent": 0}, W_enc=W_enc, W_dec=W_dec, other=child)
    got = signs(absorbed["W_enc"], absorbed["W_dec"])
    assert got["encoder"] < 0 and got["decoder"] == 0
    got = signs(mixed, mixed)
    assert got["encoder"] > 0 and got["decoder"] > 0
