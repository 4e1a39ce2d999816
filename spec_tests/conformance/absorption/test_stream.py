"""ABS: what a stream of activations shows."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sae_spec.spec_tests.core.compare import assert_same
from sae_spec.spec_tests.core.properties import clause
from sae_spec.spec_tests.core.strategies import dyadic, rotations, sizes, widths

powers = st.sampled_from([0.25, 0.5, 2.0, 4.0])


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
