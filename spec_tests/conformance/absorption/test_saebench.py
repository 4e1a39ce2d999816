"""ABS, SAEBench's metric: against its published code's behaviour, written out sample by sample."""

import math

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from sae_spec.spec_tests.core.compare import assert_same
from sae_spec.spec_tests.core.properties import clause
from sae_spec.spec_tests.core.strategies import dyadic

# SAEBench 0.6.0's own names: projection share (cosine), proportion of the activation, absorbing latents, full absorption.
PUBLISHED = {"code": dict(tau_ps=0.1, tau_pa=0.4, a_max=3), "paper": dict(tau_ps=-1.0, tau_pa=0.0, a_max=math.inf)}
FULL_COS, FULL_SHARE, OFF = 0.025, 0.4, 1e-8


def published(preset, x, acts, W_dec, probe, main):
    """(fraction, full, margin) of one sample, plain numbers only, as feature_absorption_calculator.py goes about it.

    margin  how far the sample is from where rounding decides
    """
    tau_ps, tau_pa, a_max = PUBLISHED[preset].values()
    norm = lambda v: math.sqrt(sum(a * a for a in v))
    dot = lambda v, w: sum(a * b for a, b in zip(v, w))
    cosines = [dot(row, probe) / (max(norm(row), 1e-8) * norm(probe)) for row in W_dec]
    wanted = dot(x, probe) / norm(probe)
    projections = [a * c for a, c in zip(acts, cosines)]
    mains = [i for i, flag in enumerate(main) if flag]
    by_main = sum(projections[i] for i in mains)
    candidates = [projections[i] for i in range(len(acts)) if i not in mains and cosines[i] >= tau_ps and projections[i] > 0]
    candidates.sort(reverse=True)
    absorbed = sum(candidates[: int(min(a_max, len(candidates)))])
    largest = max(range(len(acts)), key=lambda i: projections[i])
    close = [abs(wanted), abs(wanted - by_main), abs(by_main) or 1.0, abs(absorbed - tau_pa * wanted) or 1.0,
             abs(projections[largest] - FULL_SHARE * wanted),
             *(abs(c - limit) for c in cosines for limit in (tau_ps, FULL_COS)),
             *(projections[largest] - q for i, q in enumerate(projections) if i != largest and projections[largest] > 0)]
    if wanted <= 0:                 # the code divides by it; at exactly 0 it fails
        return 0.0, 0.0, abs(wanted)
    if by_main >= wanted or absorbed / wanted < tau_pa:
        fraction = 0.0
    elif by_main <= 0:
        fraction = 1.0
    else:
        capped = min(absorbed, wanted - by_main)
        fraction = max(0.0, min(1.0, capped / (capped + by_main)))
    full = all(acts[i] < OFF for i in mains) and cosines[largest] >= FULL_COS and projections[largest] / wanted >= FULL_SHARE
    return fraction, float(full), min(close)


def random_case(seed):
    """Small random tensors with zero rows and silent latents, sometimes with negative activations or no main latent."""
    rng = np.random.default_rng(seed)
    B, D, M = 3, int(rng.integers(2, 5)), int(rng.integers(2, 8))
    dyad = lambda *shape: np.round(rng.normal(size=shape) * 16) / 16
    probe, W_dec, x = dyad(D) + 1 / 32, dyad(M, D), dyad(B, D)
    W_dec += rng.integers(0, 2) * probe.round()                         # often rows that lean towards the probe
    W_dec[rng.random(M) < 0.1] = 0
    acts = np.abs(dyad(B, M)) * (rng.random((B, M)) < 0.6)
    if seed % 5 == 0:
        acts = acts * rng.choice([-1, 1], size=(B, M))
    main = (rng.random(M) < rng.choice([0.0, 0.3])).astype(float)
    acts[rng.random(B) < 0.5] *= 1 - main                               # the main latents silent
    return {"x": x, "acts": acts, "W_dec": W_dec, "probe": probe, "main": main}


@clause("ABS-1", "ABS-2", "ABS-3", "ABS-4", "ABS-5", "ABS-6", "ABS-7")
def test_what_the_published_code_says(adapter):
    """500 random batches under both presets; samples that rounding decides are left out, and they must be few."""
    rounding, want, answered = 1e-12 if adapter.dtype == "float64" else 1e-5, [], []
    for seed in range(500):
        inputs, preset = random_case(seed), ("code", "paper")[seed % 2]
        got = adapter("saebench", {"thresholds": preset}, **inputs)
        for b in range(len(inputs["x"])):
            fraction, full, margin = published(preset, *(inputs[name][b].tolist() for name in ("x", "acts")),
                                               *(inputs[name].tolist() for name in ("W_dec", "probe", "main")))
            if margin > rounding:
                want.append((fraction, full))
                answered.append((got["fraction"][b], got["full"][b]))
    assert len(want) > 1400
    assert_same({"fraction, full": want}, {"fraction, full": answered}, adapter.dtype)


@st.composite
def asked(draw):
    """A feature along the first axis; latents along it, across it or against it; everything exact."""
    B, M = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    rows = [[1.0, 0.0], [-1.0, 0.0], [0.0, 1.0], [0.0, 0.0]]
    return {"x": draw(dyadic((B, 2), -2.0, 2.0, 0.5)), "acts": draw(dyadic((B, M), 0.0, 2.0, 0.25)),
            "W_dec": np.array([draw(st.sampled_from(rows)) for _ in range(M)]), "probe": np.array([1.0, 0.0]),
            "main": draw(dyadic((M,), 0.0, 1.0, 1.0))}


presets = st.sampled_from(["code", "paper"])
EXACT = {"partial_cos": 0.5, "partial_share": 0.5, "full_cos": 0.5, "full_share": 0.5, "silent": 0.25}


def ask(adapter, inputs, thresholds="code", **changes):
    return adapter("saebench", {"thresholds": thresholds}, **(inputs | changes))


@clause("ABS-1")
@given(inputs=asked(), preset=presets, scale=st.sampled_from([0.5, 2.0, 4.0]))
def test_lengths_of_rows_and_probe_do_not_enter_and_a_zero_probe_is_an_error(adapter, inputs, preset, scale):
    lengths = scale ** np.arange(len(inputs["W_dec"]))[:, np.newaxis]
    scaled = ask(adapter, inputs, preset, W_dec=inputs["W_dec"] * lengths, probe=inputs["probe"] * scale)
    assert_same(ask(adapter, inputs, preset), scaled, adapter.dtype)
    adapter.refuses("probe", "saebench", {"thresholds": preset}, **(inputs | {"probe": np.zeros(2)}))


@clause("ABS-2", "ABS-6")
@given(inputs=asked(), preset=presets)
def test_nothing_is_absorbed_where_the_feature_is_not(adapter, inputs, preset):
    x = inputs["x"] * [1, 0]
    got = ask(adapter, inputs, preset, x=-np.abs(x))
    assert not got["fraction"].any() and not got["full"].any()


@clause("ABS-42")
@given(inputs=asked())
def test_the_papers_thresholds_leave_full_absorption_alone(adapter, inputs):
    """Main latents that are silent beside the feature, and others that write little of it or much."""
    silenced = {"x": np.abs(inputs["x"]) + [0.5, 0], "acts": inputs["acts"] * (1 - inputs["main"])}
    for changes in ({}, silenced):
        want = ask(adapter, inputs, "code", **changes)["full"]
        assert_same({"full": want}, {"full": ask(adapter, inputs, "paper", **changes)["full"]}, adapter.dtype)


@clause("ABS-3", "ABS-7")
@given(inputs=asked(), preset=presets)
def test_no_main_latents_is_as_main_latents_that_are_silent(adapter, inputs, preset):
    """A latent across the probe that never fires, called main, changes nothing."""
    M = len(inputs["W_dec"])
    silent = {"W_dec": np.vstack([inputs["W_dec"], [[0, 1]]]), "acts": np.pad(inputs["acts"], ((0, 0), (0, 1)))}
    want = ask(adapter, inputs, preset, main=np.zeros(M))
    assert_same(want, ask(adapter, inputs, preset, **silent, main=np.eye(M + 1)[M]), adapter.dtype)


@clause("ABS-4")
@given(inputs=asked(), scale=st.sampled_from([0.25, 1.0]))
def test_without_absorbers_the_share_is_0_unless_none_are_asked_for(adapter, inputs, scale):
    everyone = np.ones(len(inputs["W_dec"]))
    assert not ask(adapter, inputs, main=everyone)["fraction"].any()
    off = {"acts": 0 * inputs["acts"], "x": np.abs(inputs["x"]) + scale}
    assert (ask(adapter, inputs, "paper", **off)["fraction"] == 1).all()


@clause("ABS-4", "ABS-6", "ABS-7")
@given(inputs=asked(), delta=st.sampled_from([0.0, 0.125]))
def test_limits_are_inclusive_and_silence_is_below_its_own(adapter, inputs, delta):
    """One absorber at cosine 1 writes half of 1; a main latent across the probe speaks with its limit or less."""
    given_ = {"x": [[1, 0]], "acts": [[0.25 - delta, 0.5]], "W_dec": [[0, 1], [1, 0]], "probe": [2, 0], "main": [1, 0]}
    reached = ask(adapter, given_, EXACT | {"partial_cos": 1.0, "full_cos": 1.0})
    assert reached["fraction"][0] == 1 and reached["full"][0] == (delta > 0)
    missed = ask(adapter, given_, EXACT | {"partial_share": 0.5 + 2**-7, "full_share": 0.5 + 2**-7}, acts=[[0, 0.5]])
    assert not missed["fraction"].any() and not missed["full"].any()


@clause("ABS-5")
@given(inputs=asked(), preset=presets, factor=st.sampled_from([2.0, 4.0]))
def test_writing_more_than_is_missing_does_not_raise_the_share(adapter, inputs, preset, factor):
    """Others write all that is missing and then `factor` times as much."""
    want, by_main = 2.0, np.minimum(np.abs(inputs["x"][:, :1]), 1.0)     # so half of it is missing, enough for both presets
    given_ = {"x": np.hstack([0 * by_main + want, by_main]), "W_dec": [[1, 0], [1, 0]], "probe": [1, 0], "main": [1, 0]}
    writing = lambda times: ask(adapter, given_, preset, acts=np.hstack([by_main, times * (want - by_main)]))["fraction"]
    enough, more = writing(1), writing(factor)
    assert_same({"fraction": enough}, {"fraction": more}, adapter.dtype)
    assert_same({"fraction": 1 - by_main[:, 0] / want}, {"fraction": more}, adapter.dtype)


@clause("ABS-6")
@given(inputs=asked(), data=st.data())
def test_of_equal_latents_the_first_is_asked(adapter, inputs, data):
    """Latents that all write 0: only the first one's cosine counts."""
    across = data.draw(st.booleans())
    given_ = {"x": [[1.0, 0]], "probe": [1, 0], "main": [0, 0, 0], "acts": [[float(across), 0, 0]],
              "W_dec": [[0, 1] if across else [1, 0], [1, 0], [1, 0]]}
    assert ask(adapter, given_, EXACT | {"full_share": 0.0})["full"][0] == (not across)


# ---------------------------------------------------------------- main latents

scores_ = st.lists(st.integers(0, 8), min_size=1, max_size=6).map(lambda eighths: np.array(eighths) / 8)


@clause("ABS-8")
@given(scores=scores_, gain=st.sampled_from([0.125, 0.25]))
@example(scores=np.array([0.0, 0.5, 0.5]), gain=0.125)      # better than with the first latent, not than with two
def test_main_latents_as_the_published_loop_finds_them(adapter, scores, gain):
    previous, ranking, main = -100.0, np.arange(len(scores))[::-1], []
    for k, score in enumerate(scores, start=1):
        if not score > previous + gain:
            break
        previous, main = score, ranking[:k]
    assert_same({"main": main}, adapter("main_latents", {"gain": gain}, ranking=ranking, scores=scores), adapter.dtype)


@clause("ABS-9")
@given(K=st.integers(2, 5), data=st.data())
def test_absorbers_that_all_improve_the_probe_become_main_and_then_nothing_is_reported(adapter, K, data):
    """A parent that is off and K - 1 children, one of which writes the whole feature."""
    ranking = np.array(data.draw(st.permutations(range(K))))
    main = adapter("main_latents", {"gain": 0.0625}, ranking=ranking, scores=np.arange(1, K + 1) / 8)["main"]
    child = data.draw(st.integers(1, K - 1))
    given_ = {"x": [[1.0, 0]], "acts": np.eye(K)[[child]], "W_dec": np.tile([1.0, 0], (K, 1)), "probe": [1, 0]}
    swallowed = ask(adapter, given_, main=np.isin(np.arange(K), main))
    assert not swallowed["fraction"].any() and not swallowed["full"].any()
    truth = ask(adapter, given_, main=np.eye(K)[0])
    assert truth["fraction"].all() and truth["full"].all()
