"""ABS, what can be seen: weight patterns, the span of the data, who fires with whom."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sae_spec.spec_tests.core.compare import assert_same
from sae_spec.spec_tests.core.properties import clause
from sae_spec.spec_tests.core.strategies import dyadic, rotations, sizes, widths

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


# ---------------------------------------------------------------- weights


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


# ---------------------------------------------------------------- the stream


@st.composite
def streams(draw, B=None, M=None):
    """x (B, 2), acts (B, M), W_dec (M, 2) along either axis, b_dec: sums are exact and nothing is near 1 %."""
    B, M = B or draw(sizes), M or draw(widths)
    rows = st.sampled_from([[1.0, 0.0], [0.0, 1.0], [-2.0, 0.0], [0.0, 0.5]])
    return {"x": draw(dyadic((B, 2), -2.0, 2.0, 0.5)), "acts": draw(dyadic((B, M), -1.0, 1.0, 0.25)),
            "W_dec": np.array([draw(rows) for _ in range(M)]), "b_dec": draw(dyadic((2,), -1.0, 1.0, 0.5))}


def observe(adapter, stream, **config):
    return adapter("cofiring", config, **stream)


def who_fires(adapter, acts, **config):
    """Samples of size 0: every activation but 0 is a firing."""
    B, M = np.shape(acts)
    return observe(adapter, {"x": np.zeros((B, 1)), "acts": acts, "W_dec": np.ones((M, 1)), "b_dec": [0.0]}, **config)


@clause("ABS-19", "ABS-20")
@given(stream=streams(), scale=powers, shift=dyadic((2,), -1.0, 1.0, 0.5), data=st.data())
def test_firing_is_a_matter_of_proportion(adapter, stream, scale, shift, data):
    """Louder samples, a moved centre, longer rows with lower activations: the same latents fire, and in full."""
    turn = data.draw(rotations(2))
    want = observe(adapter, stream)
    for changed in ({"x": stream["x"] * scale, "b_dec": stream["b_dec"] * scale, "acts": stream["acts"] * scale},
                    {"x": stream["x"] + shift, "b_dec": stream["b_dec"] + shift},
                    {"W_dec": stream["W_dec"] * scale, "acts": stream["acts"] / scale},
                    {"x": stream["x"] @ turn, "b_dec": stream["b_dec"] @ turn, "W_dec": stream["W_dec"] @ turn}):
        assert_same(want, observe(adapter, stream | changed), adapter.dtype)


@clause("ABS-19")
@given(stream=streams(), sign=st.sampled_from([-1.0, 1.0]))
def test_a_hundredth_of_the_sample_is_a_firing_and_less_is_noise(adapter, stream, sign):
    """Samples of size 100 and size 0; each latent once at 1 %, once just below, once at 0."""
    M = len(stream["W_dec"])
    given_ = {"x": [[60.0, 80.0]] * 3 + [[0, 0]], "W_dec": stream["W_dec"], "b_dec": [0, 0]}
    level = sign / np.sqrt((stream["W_dec"] ** 2).sum(-1))
    got = observe(adapter, given_ | {"acts": np.stack([level, level * 0.984375, 0 * level, level / 256])})
    assert_same({"fires": np.full(M, 2.0)}, got, adapter.dtype)


@clause("ABS-20")
@given(content=st.sampled_from([0.5, 1.0, 3.0]), length=powers, b_dec=dyadic((1,)))
def test_half_its_content_is_speaking_in_full(adapter, content, length, b_dec):
    """What writes all or half of the sample speaks in full, what writes a quarter of it only fires."""
    given_ = {"x": np.full((3, 1), content) + b_dec, "W_dec": [[length]], "b_dec": b_dec}
    got = observe(adapter, given_ | {"acts": content / length * np.array([[1.0], [0.5], [0.25]])})
    want = {"fires": [3.0], "full": [2.0], "together": [[3.0]], "beside": [[2.0]], "both_full": [[2.0]]}
    assert_same(want, got, adapter.dtype)


@clause("ABS-21")
@given(stream=streams(B=6), cuts=st.lists(st.integers(0, 6), max_size=3).map(sorted), times=st.integers(2, 3),
       order=st.permutations(range(6)))
def test_a_stream_may_be_cut_shuffled_and_repeated(adapter, stream, cuts, times, order):
    want, shuffled = observe(adapter, stream), {name: stream[name][order] for name in ("x", "acts")}
    assert_same(want, observe(adapter, stream, cuts=cuts), adapter.dtype)
    assert_same(want, observe(adapter, stream | shuffled, cuts=cuts), adapter.dtype)
    counts = {name: times * want[name] for name in ("fires", "full", "together", "beside", "both_full")}
    assert_same(want | counts, observe(adapter, stream, times=times, cuts=cuts), adapter.dtype)


@clause("ABS-22", "ABS-23")
@given(one=dyadic((3, 1), 0.0, 1.0, 1.0), other=dyadic((4, 1), 0.0, 1.0, 1.0))
def test_independent_latents_have_lift_1_and_phi_0(adapter, one, other):
    """Every value of the one with every value of the other; also where one of them is dead or always on."""
    both = np.array([[a, b] for a in one[:, 0] for b in other[:, 0]])
    got = who_fires(adapter, both)
    assert_same({"lift": 1.0, "phi": 0.0}, {"lift": got["lift"][0, 1], "phi": got["phi"][0, 1]}, adapter.dtype)


@clause("ABS-22")
@given(acts=dyadic((4, 3), 0.0, 1.0, 1.0), silent=st.integers(1, 3))
def test_lift_is_symmetric_0_if_exclusive_1_with_the_dead_and_grows_with_silence(adapter, acts, silent):
    M = 3
    acts = np.hstack([acts, 1 - acts, np.zeros((4, 1))])
    got, rarer = who_fires(adapter, acts), who_fires(adapter, np.vstack([acts, np.zeros((4 * silent, 2 * M + 1))]))
    assert_same({"lift": got["lift"].T}, got, adapter.dtype)
    assert (got["lift"][-1] == 1).all()
    alive = got["fires"] > 0
    pairs = np.ix_(alive, alive)
    assert_same({"lift": got["lift"][pairs] * (1 + silent)}, {"lift": rarer["lift"][pairs]}, adapter.dtype)
    for i in range(M):
        assert got["lift"][i, M + i] == (0 if alive[i] and alive[M + i] else 1)


@clause("ABS-23")
@given(acts=dyadic((5, 3), 0.0, 1.0, 1.0))
def test_phi_is_1_with_itself_and_changes_sign_with_the_complement(adapter, acts):
    phi = who_fires(adapter, np.hstack([acts, 1 - acts]))["phi"]
    varies = acts.any(0) & ~acts.all(0)
    assert_same({"phi": np.hstack([phi[:3, :3], -phi[:3, :3]])}, {"phi": phi[:3]}, adapter.dtype)
    assert_same({"phi": varies}, {"phi": np.diag(phi)[:3]}, adapter.dtype)
    correlated = np.corrcoef(acts[:, varies].T).reshape(varies.sum(), -1) if varies.any() else np.zeros((0, 0))
    assert_same({"phi": np.append(correlated, 1)}, {"phi": np.append(phi[:3, :3][np.ix_(varies, varies)], 1)}, adapter.dtype)
