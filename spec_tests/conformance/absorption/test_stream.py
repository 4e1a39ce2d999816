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
    """x (B, 2), acts (B, M), W_dec (M, 2) along either axis, b_dec: sums are exact and nothing is near its floor."""
    B, M = B or draw(sizes), M or draw(widths)
    rows = st.sampled_from([[1.0, 0.0], [0.0, 1.0], [-2.0, 0.0], [0.0, 0.5]])
    return {"x": draw(dyadic((B, 2), -2.0, 2.0, 0.5)), "acts": draw(dyadic((B, M), -1.0, 1.0, 0.25)),
            "W_dec": np.array([draw(rows) for _ in range(M)]), "b_dec": draw(dyadic((2,), -1.0, 1.0, 0.5))}


def observe(adapter, stream, **config):
    return adapter("cofiring", config, **stream)


def who_fires(adapter, acts, **config):
    """Of activations of 0 and 1 every 1 is a firing."""
    B, M = np.shape(acts)
    return observe(adapter, {"x": np.zeros((B, 1)), "acts": acts, "W_dec": np.ones((M, 1)), "b_dec": [0.0]}, **config)


@clause("ABS-19", "ABS-20", "ABS-40")
@given(stream=streams(), scale=powers, shift=dyadic((2,), -1.0, 1.0, 0.5), data=st.data())
def test_firing_is_a_matter_of_proportion(adapter, stream, scale, shift, data):
    """Louder samples, a moved centre, longer rows with lower activations: the same latents fire, and in full."""
    turn = data.draw(rotations(2))
    want = {name: tensor for name, tensor in observe(adapter, stream).items() if name != "floor"}     # in units of x
    for changed in ({"x": stream["x"] * scale, "b_dec": stream["b_dec"] * scale, "acts": stream["acts"] * scale},
                    {"x": stream["x"] + shift, "b_dec": stream["b_dec"] + shift},
                    {"W_dec": stream["W_dec"] * scale, "acts": stream["acts"] / scale},
                    {"x": stream["x"] @ turn, "b_dec": stream["b_dec"] @ turn, "W_dec": stream["W_dec"] @ turn}):
        assert_same(want, observe(adapter, stream | changed), adapter.dtype)


def lengths(stream):
    return np.sqrt((np.array(stream["W_dec"]) ** 2).sum(-1))


@clause("ABS-19")
@given(stream=streams(B=4), sign=st.sampled_from([-1.0, 1.0]), size=st.sampled_from([0.0, 1.0, 1024.0]), floor=powers)
def test_a_latent_fires_from_its_floor_on_whatever_the_sample(adapter, stream, sign, size, floor):
    """Each latent once at its floor, once just below, once at 0, once at twice its floor; samples of any size, and of none."""
    level = sign * floor / lengths(stream)
    acts = np.stack([level, level * 0.984375, 0 * level, 2 * level])
    got = observe(adapter, stream | {"x": size * stream["x"], "acts": acts, "floor": np.full(len(level), floor)})
    assert_same({"fires": np.full(len(level), 2.0)}, got, adapter.dtype)


@clause("ABS-19", "ABS-40", "ABS-21")
@given(stream=streams(B=2), noise=st.sampled_from([2.0**-50, 2.0**-24]), empty=st.integers(1, 60))
def test_noise_in_samples_that_are_nearly_empty_is_no_firing(adapter, stream, noise, empty):
    """Nearly empty samples, in which every latent writes about as much as there is; also where they are a piece of their own."""
    stream = stream | {"x": np.ones((2, 2)), "acts": np.ones((2, len(stream["W_dec"]))), "b_dec": np.zeros(2)}
    x, acts = (np.vstack([stream[name], np.full((empty, stream[name].shape[1]), noise)]) for name in ("x", "acts"))
    want = {name: observe(adapter, stream)[name] for name in ("fires", "full", "together")}
    for cuts in ([], [2]):
        assert_same(want, observe(adapter, stream | {"x": x, "acts": acts}, cuts=cuts), adapter.dtype)


@clause("ABS-40")
@given(content=dyadic((3, 2), 0.5, 2.0, 0.5), sign=st.sampled_from([-1.0, 1.0]))
def test_what_cancellation_leaves_over_is_no_firing(adapter, content, sign):
    """Of samples that are b_dec itself, 2^-50 is left over: a latent that writes nothing else never fires."""
    content[1:] = content[0]
    got = observe(adapter, {"x": content, "b_dec": content[0], "W_dec": [[1.0, 0.0]], "acts": np.full((3, 1), sign * 2.0**-50)})
    assert_same({"fires": [0.0], "full": [0.0]}, got, adapter.dtype)


@clause("ABS-40")
@given(one=streams(), other=streams(M=1), b_dec=dyadic((2,)))
def test_the_floor_is_a_hundredth_of_the_mean_weighted_by_itself(adapter, one, other, b_dec):
    """The floors of two streams, weighted by what is written in each, add up to that of both; of one activation it is 1 %."""
    one = one | {"W_dec": one["W_dec"][:1], "acts": one["acts"][:, :1]}
    both = {name: np.vstack([one[name], other[name]]) for name in ("x", "acts")} | {"W_dec": one["W_dec"], "b_dec": b_dec}
    written = [np.abs(acts).sum() for acts in (one["acts"], other["acts"], both["acts"])]
    floors = [observe(adapter, stream | {"W_dec": one["W_dec"]})["floor"][0] for stream in (one, other, both)]
    if all(written):
        shares = [weight * floor for weight, floor in zip(written, floors)]
        assert_same({"floor": shares[2]}, {"floor": shares[0] + shares[1]}, adapter.dtype)
    level = observe(adapter, one | {"acts": np.where(one["acts"] < 0, -0.5, 0.5)})
    assert_same({"floor": [0.005 * lengths(one)[0]]}, level, adapter.dtype)


@clause("ABS-40")
@given(stream=streams(), scale=powers)
def test_a_latent_that_writes_nothing_has_a_millionth_of_the_mean_sample_for_its_floor(adapter, stream, scale):
    silent = stream | {"acts": 0 * stream["acts"]}
    got, sizes = observe(adapter, silent)["floor"], np.sqrt((stream["x"] ** 2).sum(-1))
    assert_same({"floor": np.full(len(got), 1e-6 * sizes.sum())}, {"floor": got * len(sizes)}, adapter.dtype)
    assert_same({"floor": got * scale}, observe(adapter, silent | {"x": stream["x"] * scale}), adapter.dtype)


@clause("ABS-20")
@given(stream=streams(), data=st.data())
def test_which_way_a_row_points_does_not_matter(adapter, stream, data):
    """A row turned round, and its activations with it, write the same: who fires and who speaks in full stays."""
    M = len(stream["W_dec"])
    signs = np.array(data.draw(st.lists(st.sampled_from([-1.0, 1.0]), min_size=M, max_size=M)))
    turned = stream | {"W_dec": stream["W_dec"] * signs[:, np.newaxis], "acts": stream["acts"] * signs}
    assert_same(observe(adapter, stream), observe(adapter, turned), adapter.dtype)


@clause("ABS-20")
@given(content=st.sampled_from([0.5, 1.0, 3.0]), length=powers)
def test_what_writes_all_of_a_sample_against_its_row_speaks_in_full(adapter, content, length):
    given_ = {"x": np.full((3, 1), -content), "W_dec": [[length]], "b_dec": [0.0]}
    got = observe(adapter, given_ | {"acts": content / length * np.array([[-1.0], [-0.5], [-0.25]])})
    assert_same({"fires": [3.0], "full": [2.0], "both_full": [[2.0]]}, got, adapter.dtype)


@clause("ABS-20")
@given(content=st.sampled_from([0.5, 1.0, 3.0]), length=powers, b_dec=dyadic((1,)))
def test_half_its_content_is_speaking_in_full(adapter, content, length, b_dec):
    """What writes all or half of the sample speaks in full, what writes 7/16 of it only fires."""
    given_ = {"x": np.full((3, 1), content) + b_dec, "W_dec": [[length]], "b_dec": b_dec}
    got = observe(adapter, given_ | {"acts": content / length * np.array([[1.0], [0.5], [0.4375]])})
    want = {"fires": [3.0], "full": [2.0], "together": [[3.0]], "beside": [[2.0]], "both_full": [[2.0]]}
    assert_same(want, got, adapter.dtype)


@clause("ABS-20")
@given(stream=streams(B=3), sign=st.sampled_from([-1.0, 1.0]), floor=powers)
def test_a_latent_speaks_in_full_from_twenty_five_floors_on(adapter, stream, sign, floor):
    """Each latent once there, once just below, once at eleven floors; samples of b_dec itself, in which everything is more than half."""
    level = sign * floor / lengths(stream)
    acts = np.stack([25 * level, 24.75 * level, 11 * level])
    nothing = stream | {"x": np.tile(stream["b_dec"], (3, 1)), "acts": acts, "floor": np.full(len(level), floor)}
    assert_same({"fires": np.full(len(level), 3.0), "full": np.full(len(level), 1.0)}, observe(adapter, nothing), adapter.dtype)


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
