"""ABS, the detector: it finds absorption, how much of it, and leaves the look-alikes alone."""

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from sae_spec.spec_tests.core.compare import allowed_error, assert_same
from sae_spec.spec_tests.core.properties import clause
from sae_spec.spec_tests.core.strategies import rotations
from sae_spec.spec_tests.conformance.absorption.scenes import (
    C, P, answers, detect, eighths, family, powers, scene, within,
)

WEIGHTS = {"missing": (2.3, 0.1, 0.3), "there": (4.0, 0.4, 1.0), "alike": (3.6, 0.1, 0.6), "one way": (2.2, 0.1, 0.5),
           "disturbed": (2.1, 0.1, 0.2), "unwritten": (2.3, 0.0, 1.0)}           # and where the answer is no, and yes


def rounding(adapter):
    """A probability's allowed error: log odds are a sum of terms up to 12."""
    return allowed_error(np.array(16.0), adapter.dtype)


# ---------------------------------------------------------------- what is said

@clause("ABS-30", "ABS-32", "ABS-44", "ABS-45")
@given(delta=eighths, seed=st.integers(0, 999))
def test_the_answers_add_up_to_log_odds_and_these_to_a_verdict(adapter, delta, seed):
    """The delta family, disturbed more and less: whatever the evidence is, it is what the probability is made of."""
    rng, stream = np.random.default_rng(seed), family(delta)
    noise = lambda like: rng.integers(-4, 5, np.shape(like)) / 16 * rng.integers(0, 3)
    stream |= {"x": stream["x"] + noise(stream["x"]), "W_dec": stream["W_dec"] + noise(stream["W_dec"]),
               "acts": stream["acts"] * rng.integers(4 - seed % 3, 5 + seed % 3, stream["acts"].shape) / 4}
    got = {name: np.asarray(value, dtype=np.float64) for name, value in detect(adapter, stream).items()}
    values = {"missing": np.nan_to_num(got["silent"]) + np.nan_to_num(got["low"]), "there": got["level"], "alike": got["cosine"],
              "one way": got["level"] - got["returned"], "disturbed": got["disturbed"], "unwritten": got["unwritten"]}
    want = np.full(got["cosine"].shape, -11.5)
    for name, (weight, no, yes) in WEIGHTS.items():
        want += weight * np.nan_to_num(np.clip((values[name] - no) / (yes - no), 0, 1))
    left, off = got["unwritten"], np.abs(got["level"] - 1)
    sibling = ~(left >= 0.02) & ~(off <= 0.05)
    want = np.where(sibling, np.minimum(want, 0), want)
    asked = (got["enough"] == 1) & (got["cosine"] > 0.05) & (got["cosine"] < 0.98)
    near = (np.abs(got["cosine"] - 0.05) < 1e-3) | (np.abs(left - 0.02) < 1e-3) | (np.abs(off - 0.05) < 5e-3)
    p = got["probability"]
    within(adapter, "probability", np.where(asked & ~near, 1 / (1 + np.exp(-want)), 0), np.where(near, 0, p), rounding(adapter))
    sure = ~near & (np.abs(p - 0.8) > 0.01) & (np.abs(p - 0.1) > 0.01)
    possible = (got["cosine"] > 0.05) & (got["cosine"] < 0.98)
    said = np.where(p > 0.8, 1, np.where(possible & ((got["enough"] == 0) | (p >= 0.1)), -1, 0))
    assert_same({"verdict": said[sure]}, {"verdict": got["verdict"][sure]}, adapter.dtype)


@clause("ABS-45")
@given(loud=st.integers(20, 36), left=st.integers(0, 20), varies=st.booleans(), more=st.integers(1, 5))
def test_who_leaves_nothing_and_is_louder_is_no_child_for_sure(adapter, loud, left, varies, more):
    """The first says 1 and 3, or 2 always; the second, which silences it, writes 3/32 · loud of it, where left/64 more or less is there."""
    writes, d = 3 * loud / 32, left / 64
    level, unwritten = writes / 2, d**2 if varies else np.nan
    assume(abs(abs(level - 1) - 0.05) > 0.01)
    says = (1, 3) if varies else (2, 2)
    got = detect(adapter, scene([[1, 0], [0.75, 1]], *((20 * more, [a, 0], [a, 0]) for a in says), (60 * more, [0, 0], [0, 0]),
                                *((20, [x, loud / 8], [0, loud / 8]) for x in (writes - d, writes + d))))
    sibling = not unwritten >= 0.02 and abs(level - 1) > 0.05
    assert got["verdict"][P, C] == (-1 if sibling else 1)


@clause("ABS-30", "ABS-24", "ABS-25")
@given(delta=eighths, alone=st.integers(32, 40), both=st.integers(20, 32), turn=rotations(3))
def test_the_delta_family_is_absorbed_by_delta(adapter, delta, alone, both, turn):
    stream = family(delta, 2 * alone, 2 * both, 2 * (alone + both))
    got = detect(adapter, stream | {name: np.array(stream[name]) @ turn for name in ("x", "W_dec")})
    assert_same({"silent": float(delta == 1), "low": delta % 1, "level": 1.0}, answers(got, "silent", "low", "level"), adapter.dtype)
    others = np.delete(got["verdict"].ravel(), 3 * P + C)
    assert (got["verdict"][P, C] == 1 or delta < 0.625) and not (others == 1).any()


@clause("ABS-30", "ABS-25")
@given(delta=st.sampled_from([0.0, 0.25, 0.5, 0.625, 0.75]), seed=st.integers(0, 50))
def test_with_varying_magnitudes_the_amount_is_nearly_delta(adapter, delta, seed):
    """The hierarchy of the toy models, at standard deviation .1: over the child's 300 samples the parent's mean is known to .006."""
    rng, F = np.random.default_rng(seed), 4
    world = {"directions": np.eye(F), "parent": [-1, P, -1, -1], "rate": [0.25, 0.25, 0.0625, 0.0625],
             "rate_alone": np.zeros(F), "group": -np.ones(F), "mean": np.ones(F), "std": [0.1015625, 0, 0, 0]}
    B = 5000
    uniforms, normals = rng.integers(0, 256, (B, F)) / 256, np.round(rng.normal(size=(B, F)) * 32) / 32
    x = adapter("toy_sample", {}, **world, uniforms=uniforms, normals=normals)["x"]
    W_enc, W_dec = np.eye(F), np.eye(F)
    W_enc[P, C], W_dec[C, P] = -delta, delta
    got = detect(adapter, {"x": x, "acts": np.maximum(x @ W_enc.T, 0), "W_dec": W_dec, "b_dec": np.zeros(F)})
    within(adapter, "amount", delta, sum(answers(got, "silent", "low").values()), 0.02)
    absorbed = np.zeros((F, F))
    absorbed[P, C] = delta >= 0.5
    if delta != 0.25:
        assert_same({"absorbed": absorbed}, {"absorbed": got["verdict"] == 1}, adapter.dtype)


@clause("ABS-30", "ABS-21")
@given(delta=eighths, scale=powers, cuts=st.lists(st.integers(0, 144), max_size=3).map(sorted), data=st.data())
def test_the_probability_knows_neither_order_nor_cuts_nor_the_length_of_rows(adapter, delta, scale, cuts, data):
    stream = family(delta)
    want = detect(adapter, stream)["probability"]
    latents, samples = data.draw(st.permutations(range(3))), np.random.default_rng(len(cuts)).permutation(len(stream["x"]))
    moved = {"x": stream["x"][samples], "acts": stream["acts"][samples][:, latents], "W_dec": np.array(stream["W_dec"])[latents]}
    got = detect(adapter, stream | moved, cuts=cuts)["probability"]
    within(adapter, "probability", want[np.ix_(latents, latents)], got, rounding(adapter))
    lengths = scale ** np.arange(3)
    longer = {"acts": stream["acts"] / lengths, "W_dec": stream["W_dec"] * lengths[:, np.newaxis]}
    within(adapter, "probability", want, detect(adapter, stream | longer)["probability"], rounding(adapter))
    moved_centre = {"x": stream["x"] + 2, "b_dec": stream["b_dec"] + 2}
    within(adapter, "probability", want, detect(adapter, stream | moved_centre)["probability"], rounding(adapter))


@clause("ABS-30")
@given(delta=eighths, seed=st.integers(0, 99))
def test_latents_that_have_nothing_to_do_with_a_pair_do_not_change_what_is_said(adapter, delta, seed):
    stream, rng = family(delta), np.random.default_rng(seed)
    B = len(stream["x"])
    others = rng.integers(0, 2, (B, 2)) * 0.5
    W_dec = np.eye(5)
    W_dec[:3, :3] = stream["W_dec"]
    wider = {"x": np.hstack([stream["x"], others]), "acts": np.hstack([stream["acts"], others]), "W_dec": W_dec, "b_dec": np.zeros(5)}
    got = detect(adapter, wider)["probability"][:3, :3]
    within(adapter, "probability", detect(adapter, stream)["probability"], got, rounding(adapter))


@clause("ABS-30", "ABS-44")
@given(delta=eighths, few=st.integers(0, 9), which=st.sampled_from(["alone", "both"]))
def test_of_too_few_samples_of_the_child_or_of_the_parent_alone_it_cannot_be_told(adapter, delta, few, which):
    got = detect(adapter, family(delta, **{which: 2 * few}))
    assert not got["probability"].any() and got["verdict"][P, C] == -1


# ---------------------------------------------------------------- look-alikes

def read_exactly(adapter, rho, rate, group, seed):
    """Three features at cosine rho, each read by its dual: acts are the true magnitudes, whatever fires."""
    rng, F, B = np.random.default_rng(seed), 3, 1500
    normals = 4 * np.eye(F) + rng.integers(-4, 5, (F, F)) / 8
    directions = adapter("directions_with_cosine", {"rho": rho}, normals=normals)["directions"]
    world = {"directions": directions, "parent": -np.ones(F), "rate": np.full(F, rate), "rate_alone": np.zeros(F),
             "group": np.full(F, group), "mean": np.ones(F), "std": np.full(F, 0.125)}
    uniforms, normals = rng.integers(0, 256, (B, F)) / 256, np.round(rng.normal(size=(B, F)) * 32) / 32
    drawn = adapter("toy_sample", {}, **world, uniforms=uniforms, normals=normals)
    return {"x": drawn["x"], "acts": drawn["magnitudes"], "W_dec": directions, "b_dec": np.zeros(F)}


@clause("ABS-26", "ABS-27", "ABS-30")
@given(rho=st.sampled_from([0.0, 0.25, 0.5, 0.625, 0.8]), rate=st.sampled_from([0.125, 0.25]), seed=st.integers(0, 99))
def test_independent_features_that_overlap_are_not_absorbed(adapter, rho, rate, seed):
    """At a cosine of .8 it cannot be told of some; below it is told of each where there are samples enough."""
    got = detect(adapter, read_exactly(adapter, rho, rate, -1, seed))
    assert (got["verdict"] < 1).all() and (rho > 0.7 or (got["probability"] < 0.1).all())


@clause("ABS-26", "ABS-39", "ABS-43", "ABS-30")
@given(rho=st.sampled_from([0.0, 0.25, 0.5, 0.625, 0.8]), rate=st.sampled_from([0.125, 0.25]), seed=st.integers(0, 99))
def test_features_that_exclude_each_other_and_overlap_are_not_absorbed(adapter, rho, rate, seed):
    assert (detect(adapter, read_exactly(adapter, rho, rate, 0, seed))["verdict"] < 1).all()


@clause("ABS-25", "ABS-30")
@given(mixed=eighths, turn=rotations(3), delta=eighths)
def test_a_latent_that_mixes_its_child_in_is_not_absorbed(adapter, mixed, turn, delta):
    """Hedging: encoder and decoder rows are the same mixture, in two arrays."""
    stream = family(delta)
    x, W = stream["x"] @ turn, np.array([[1, mixed, 0], [0, 1, 0], [0, 0, 1]]) @ turn
    got = detect(adapter, stream | {"x": x, "acts": np.maximum(x @ W.T, 0), "W_dec": W})
    assert got["verdict"][P, C] == 0


@clause("ABS-30")
@given(both=st.integers(21, 40), turn=rotations(3))
def test_a_tied_parent_that_a_choice_silences_is_absorbed(adapter, both, turn):
    """A tied topk SAE of one slot, whose child's row is the sum of both features: it alone writes what both are."""
    W_dec = np.array([[1, 0, 0], [1, 1, 0], [0, 0, 1]]) @ turn
    kinds = (96, [1, 0, 0]), (both, [1, 1, 0]), (48, [0, 0, 1]), (48, [0, 0, 0])
    x = np.repeat([row for _, row in kinds], [times for times, _ in kinds], axis=0) @ turn
    sae = {"W_dec": W_dec, "b_enc": np.array([0, -0.75, 0]), "b_dec": np.zeros(3)}
    acts = adapter("encode", {"activation": "topk", "k": 1, "tied": True}, x=x, **sae)["acts"]
    acts = np.where(acts > 0.5, acts, 0.0)                  # what rounding leaves over where nothing is
    got = detect(adapter, {"x": x, "acts": acts, "W_dec": W_dec, "b_dec": sae["b_dec"]})
    assert_same({"silent": 1.0, "verdict": 1.0}, answers(got, "silent", "verdict"), adapter.dtype)


@clause("ABS-19", "ABS-25", dtypes=("float64",))
@given(delta=eighths, off=st.sampled_from([1e-12, -1e-12, 1e-9]), centre=st.sampled_from([0.0, 1.0, 8.0]), by_b_enc=st.booleans())
def test_in_the_delta_family_the_amount_is_delta_when_b_dec_is_slightly_off(adapter, delta, off, centre, by_b_enc):
    """What is off fires in samples in which nothing is; also where the encoder takes the mean from b_enc."""
    stream, b_dec = family(delta), np.full(3, centre + off)
    W_enc = np.array([[1, -delta, 0], [0, 1, 0], [0, 0, 1]])
    x = stream["x"] + centre
    config, b_enc = ({"subtract_b_dec": False}, -W_enc @ b_dec) if by_b_enc else ({}, np.zeros(3))
    acts = adapter("encode", {"activation": "relu"} | config, x=x, W_enc=W_enc, W_dec=stream["W_dec"], b_enc=b_enc,
                   b_dec=b_dec)["acts"]
    got = detect(adapter, stream | {"x": x, "acts": acts, "b_dec": b_dec})
    within(adapter, "amount", delta, sum(answers(got, "silent", "low").values()), 1e-6)


@clause("ABS-32")
@given(t=st.sampled_from([0.0625, 0.125, 0.1875, 0.21875, 0.5]))
def test_two_latents_of_one_feature_are_no_family(adapter, t):
    """The second speaks, alone, where the sample is louder and leans by t: cosine 1 / sqrt(1 + t^2), .983 and .977 in the middle."""
    stream = scene([[1, 0], [1, t]], (60, [1, 0], [1, 0]), (20, [1.5, 1.5 * t], [0, 1.5]), (40, [0, 0], [0, 0]))
    got = detect(adapter, stream)
    if t > 0.2:
        assert got["probability"][P, C] > 0.1 and got["verdict"][P, C] != 0
    else:
        assert_same({"probability": 0.0, "verdict": 0.0}, answers(got, "probability", "verdict"), adapter.dtype)
