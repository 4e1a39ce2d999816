"""ABS: what weights show."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sae_spec.spec_tests.core.compare import assert_same
from sae_spec.spec_tests.core.properties import clause
from sae_spec.spec_tests.core.strategies import dyadic, rotations

powers = st.sampled_from([0.25, 0.5, 2.0, 4.0])
deltas = st.integers(0, 8).map(lambda eighths: eighths / 8)


@st.composite
def weights(draw, least=1):
    """W_enc and W_dec, (M, D) each; zero rows occur."""
    M, D = draw(st.integers(least, 4)), draw(st.integers(2, 4))
    return {"W_enc": draw(dyadic((M, D), -1.0, 1.0, 0.5)), "W_dec": draw(dyadic((M, D), -1.0, 1.0, 0.5))}


def patterns(adapter, given_, **config):
    return adapter("absorption_patterns", config, **given_)


def same_cosines(adapter, want, got):
    """Cosines and their differences have the scale of 1, also where all of them happen to be 0."""
    on_scale = lambda outputs: {name: np.append(outputs[name], 1.0) for name in want}
    assert_same(on_scale(want), on_scale(got), adapter.dtype)


def swapped(given_):
    return {"W_enc": given_["W_dec"], "W_dec": given_["W_enc"]}


@clause("ABS-16", "ABS-17")
@given(given_=weights(), scale=powers, data=st.data())
def test_patterns_know_directions_only(adapter, given_, scale, data):
    M, D = given_["W_dec"].shape
    turn, lengths = data.draw(rotations(D)), scale ** np.arange(M)[:, np.newaxis]
    want = patterns(adapter, given_)
    same_cosines(adapter, want, patterns(adapter, {name: W @ turn for name, W in given_.items()}))
    same_cosines(adapter, want, patterns(adapter, {"W_enc": given_["W_enc"] * lengths, "W_dec": given_["W_dec"] / lengths}))


@clause("ABS-16", "ABS-17")
@given(given_=weights())
def test_exchanging_the_roles_keeps_alignment_and_negates_the_gap(adapter, given_):
    want, got = patterns(adapter, given_), patterns(adapter, swapped(given_))
    same_cosines(adapter, {"alignment": want["alignment"], "gap": -want["gap"]}, got)
    same_cosines(adapter, {"gap": want["gap"]}, {"gap": want["gap"].T})
    assert not np.diag(want["gap"]).any() and (np.abs(want["alignment"]) <= 1 + 2**-20).all()


@clause("ABS-16", "ABS-17")
@given(given_=weights())
def test_a_tied_sae_is_aligned_and_has_no_gap(adapter, given_):
    W_dec = given_["W_dec"]
    for got in (patterns(adapter, {"W_dec": W_dec}, tied=True), patterns(adapter, {"W_dec": W_dec, "W_enc": W_dec})):
        assert_same({"alignment": W_dec.any(-1)}, got, adapter.dtype)
        assert not got["gap"].any()


@clause("ABS-16", "ABS-17", "THEORY-3")
@given(delta=deltas, turn=rotations(3), unit=st.booleans())
def test_alignment_and_gap_of_the_delta_family(adapter, delta, turn, unit):
    """alignment^2 · (1 + delta^2) = 1 and gap^2 · (1 + delta^2) = (2 delta)^2, at any length of the rows."""
    got = patterns(adapter, adapter("delta_family", {"delta": delta, "unit": unit}, parent=turn[0], child=turn[1]))
    assert (got["alignment"] > 0).all() and got["gap"][0, 1] >= 0
    squares = {"alignment": got["alignment"] ** 2, "gap": got["gap"][0, 1] ** 2}
    longer = {name: value * (1 + delta**2) for name, value in squares.items()}
    assert_same({"alignment": np.ones(2), "gap": 4 * delta**2}, longer, adapter.dtype)


@clause("ABS-18")
@given(W=dyadic((3, 2), 0.5), exponent=st.integers(1, 10))
def test_a_direction_that_is_seen_faintly_is_seen(adapter, W, exponent):
    faint = np.diag([1.0, 2.0 ** -(exponent if adapter.dtype == "float16" else 2 * exponent)])
    assert_same({"W_enc": W}, adapter("within_data", {}, W_enc=W, x=faint), adapter.dtype)


@clause("ABS-18")
@given(W=dyadic((3, 4), -1.0, 1.0, 0.5), B=st.integers(0, 3), rank=st.integers(0, 3), turn=rotations(4), data=st.data())
def test_what_lies_outside_the_data_is_dropped_and_no_activation_changes(adapter, W, B, rank, turn, data):
    """The samples lie along the first `rank` of some axes."""
    x = np.pad(data.draw(dyadic((B, rank))), ((0, 0), (0, 4 - rank)))
    outside = np.pad(data.draw(dyadic((3, 4 - rank))), ((0, 0), (rank, 0)))
    inside = lambda W: adapter("within_data", {}, W_enc=W @ turn, x=x @ turn)["W_enc"]
    got = inside(W)
    assert_same({"pre": W @ x.T}, {"pre": got @ (x @ turn).T}, adapter.dtype)
    assert_same({"W_enc": got}, {"W_enc": inside(W + outside)}, adapter.dtype)
    assert not np.any(np.abs((got @ turn.T)[:, rank:]) > 1e-5)          # nothing along axes that no sample has
    if np.linalg.matrix_rank(x) == rank:
        assert_same({"W_enc": np.pad(W[:, :rank], ((0, 0), (0, 4 - rank)))}, {"W_enc": got @ turn.T}, adapter.dtype)
