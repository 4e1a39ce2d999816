"""Agreement on TOY, ABS, META and THEORY: an adapter and the reference say the same of the same dyadic inputs."""

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from sae_spec.spec_tests.adapters import reference_numpy
from sae_spec.spec_tests.core.compare import allowed_error, assert_same, compare
from sae_spec.spec_tests.core.properties import blames, clause
from sae_spec.spec_tests.core.strategies import dyadic
from sae_spec.spec_tests.conformance.absorption.scenes import eighths, family

flags = lambda *shape: dyadic(shape, 0.0, 1.0, 1.0)
odd = lambda *shape: dyadic(shape, -2.0, 1.0, 1.0).map(lambda array: array + 0.5)
quarters = lambda *shape: dyadic(shape, 0.0, 1.0, 0.25)


def both(adapter, operation, config=None, **inputs):
    """(the reference's outputs, the adapter's)"""
    copies = {name: np.array(value, dtype=np.float64) for name, value in inputs.items()}
    return reference_numpy.run(operation, config or {}, copies, "float64"), adapter(operation, config, **inputs)


def agree(adapter, operation, config=None, scale=None, **inputs):
    """The outputs are the reference's; where they may all be rounding noise, on a scale that is given."""
    want, got = both(adapter, operation, config, **inputs)
    if scale:
        want, got = ({name: np.append(outputs[name], scale) for name in want} for outputs in (want, got))
    assert_same(want, got, adapter.dtype)


@st.composite
def worlds(draw):
    """Up to 5 features, parents before children, siblings side by side."""
    F = draw(st.integers(1, 5))
    parent = np.array([draw(st.integers(-1, f - 1)) for f in range(F)])
    group = np.sort(draw(dyadic((F,), -1.0, 1.0, 1.0)))
    return {"parent": parent, "rate": draw(quarters(F)), "rate_alone": draw(quarters(F)), "group": group}


@clause("TOY-1", "TOY-2", "TOY-3", "TOY-4", "TOY-5", agreement=True)
@given(world=worlds(), data=st.data())
def test_toy_worlds_agree(adapter, world, data):
    F = len(world["parent"])
    agree(adapter, "toy_cofiring", **world)
    agree(adapter, "toy_sample", **world, directions=data.draw(dyadic((F, 3))), mean=data.draw(dyadic((F,))),
          std=data.draw(quarters(F)), uniforms=data.draw(dyadic((4, F), 0.0, 0.75)), normals=data.draw(dyadic((4, F))))


NAMED = {"independent": (4, {}), "hierarchy": (4, {"std": 0.25}), "imperfect_cooccurrence": (4, {}), "tree": (20, {}),
         "overlap": (3, {"rho": 0.5, "F": 3}), "exclusive_siblings": (3, {"rho": 0.25}),
         "superposition": (40, {"parents": 5}), "zipf": (60, {"F": 60, "D": 20})}


@clause("TOY-6", "TOY-7", agreement=True)
@given(name=st.sampled_from(sorted(NAMED)), seed=st.integers(0, 99))
def test_named_worlds_agree(adapter, name, seed):
    F, arguments = NAMED[name]
    D = 50 if F == 4 else 20
    noise = np.random.default_rng(seed).integers(-8, 9, (F, D)) / 32
    agree(adapter, "toy_world", {"world": name} | arguments, normals=4 * np.eye(F, D) + noise)


@clause("ABS-1", "ABS-2", "ABS-3", "ABS-4", "ABS-5", "ABS-6", "ABS-7", agreement=True)
@given(M=st.integers(1, 5), preset=st.sampled_from(["code", "paper", {"absorbers": 1, "partial_share": 0.25}]),
       data=st.data())
def test_saebench_agrees(adapter, M, preset, data):
    """Rows lie along axes and the probe's length is 2: whatever a limit is compared with is exact."""
    rows = data.draw(st.lists(st.sampled_from([[1.0, 0], [-4, 0], [0, 0.5], [0, 0]]), min_size=M, max_size=M))
    agree(adapter, "saebench", {"thresholds": preset}, x=data.draw(dyadic((3, 2), -1.0, 2.0, 0.5)),
          acts=data.draw(dyadic((3, M), -0.5, 2.0)), W_dec=rows, probe=[2.0, 0], main=data.draw(flags(M)))


@clause("ABS-8", agreement=True)
@given(scores=dyadic((5,), 0.0, 1.0, 0.125), gain=st.sampled_from([0.0625, 0.125, 0.25]))
def test_main_latents_agree(adapter, scores, gain):
    agree(adapter, "main_latents", {"gain": gain}, ranking=[3, 1, 4, 0, 2], scores=scores)


@clause("ABS-10", "ABS-11", agreement=True)
@given(W_dec=dyadic((3, 3), -2.0, 2.0, 0.5), directions=odd(2, 3))
def test_matches_agree_in_how_well_they_match(adapter, W_dec, directions):
    """Which of equally good assignments is taken is nobody's business."""
    want, got = both(adapter, "match", W_dec=W_dec, directions=directions)
    total = lambda outputs: {"cosine": outputs["cosine"].sum(), "mcc": outputs["mcc"]}
    assert_same(total(want), total(got), adapter.dtype)


@clause("ABS-12", "ABS-13", agreement=True)
@given(fires=flags(5, 3), truth=flags(5, 3), child=flags(5))
def test_scores_and_holes_agree(adapter, fires, truth, child):
    agree(adapter, "firing_scores", fires=fires, truth=truth)
    agree(adapter, "recall_hole", fires=fires[:, 0], parent=truth[:, 0], child=child, scale=1.0)


@clause("ABS-14", "ABS-15", agreement=True)
@given(acts=dyadic((3, 2), 0.0), W=dyadic((2, 3), 0.0), W_enc=dyadic((2, 3)), other=dyadic((3,), 0.0), samples=flags(3),
       latent=st.integers(0, 1))
def test_carried_share_and_hedging_agree(adapter, acts, W, W_enc, other, samples, latent):
    agree(adapter, "carried_share", {"latent": latent}, acts=acts, W_dec=W, direction=other, samples=samples, scale=1.0)
    agree(adapter, "hedging", {"latent": latent}, W_enc=W_enc, W_dec=W, other=other, scale=1.0)


@clause("ABS-16", "ABS-17", "ABS-18", agreement=True)
@given(W_enc=dyadic((3, 3)), W_dec=dyadic((3, 3)), x=dyadic((2, 3)), tied=st.booleans())
def test_patterns_agree(adapter, W_enc, W_dec, x, tied):
    agree(adapter, "absorption_patterns", {"tied": tied}, W_enc=W_enc, W_dec=W_dec, scale=1.0)
    agree(adapter, "within_data", W_enc=W_enc, x=x, scale=4.0)


@clause("ABS-19", "ABS-20", "ABS-21", "ABS-22", "ABS-23", "ABS-40", agreement=True)
@given(x=dyadic((5, 2)), acts=dyadic((5, 4), -1.0, 2.0), W_dec=dyadic((4, 2), -2.0, 2.0, 0.5), b_dec=dyadic((2,)),
       cut=st.integers(0, 5))
def test_streams_agree(adapter, x, acts, W_dec, b_dec, cut):
    """At half of its content rounding decides who speaks in full; rows along an axis are exact there."""
    W_dec[:, 1] = np.where(W_dec[:, 0] != 0, 0, W_dec[:, 1])
    agree(adapter, "cofiring", {"cuts": [cut]}, x=x, acts=acts, W_dec=W_dec, b_dec=b_dec, scale=1.0)


# What the detector asks, and then what it says: that is made of the others.
QUESTIONS = {"enough": ("ABS-35", "ABS-36"), "cosine": ("ABS-32",), "silent": ("ABS-25",), "low": ("ABS-25",), "level": ("ABS-26",),
             "returned": ("ABS-39",), "disturbed": ("ABS-27",), "unwritten": ("ABS-43",), "probability": ("ABS-30", "ABS-45"),
             "verdict": ("ABS-44",)}


@clause("ABS-24", "ABS-25", "ABS-26", "ABS-27", "ABS-30", "ABS-32", "ABS-35", "ABS-36", "ABS-39", "ABS-43", "ABS-44", "ABS-45",
        agreement=True)
@given(delta=eighths, seed=st.integers(0, 99), cut=st.integers(0, 144))
def test_the_detector_agrees(adapter, delta, seed, cut):
    """The delta family, disturbed. Evidence counts where there is enough of it and a shortfall to explain.

    It is made of quotients of differences whose terms are up to 16 times as large: hence the scale; 4 stands for more. At
    half of its content rounding decides who speaks in full, at a probability of .1 or .8 what is said of it, and at
    a level of .95 or 1.05 who may be a sibling.
    """
    rng, stream = np.random.default_rng(seed), family(delta)
    noise = lambda like: rng.integers(-2, 3, np.shape(like)) / 16
    stream |= {"x": stream["x"] + noise(stream["x"]), "W_dec": stream["W_dec"] + noise(stream["W_dec"]),
               "acts": stream["acts"] * rng.integers(2, 7, stream["acts"].shape) / 4}          # varies by 35 %
    written = stream["acts"] * (stream["W_dec"] ** 2).sum(-1)
    assume(np.abs(2 * written - stream["x"] @ stream["W_dec"].T)[stream["acts"] != 0].min() > 1e-6)
    want, got = both(adapter, "absorption", {"cuts": [cut]}, **stream)
    assume(min(np.abs(want["probability"] - limit).min() for limit in (0.1, 0.8)) > 0.02)
    assume(np.abs(np.abs(np.nan_to_num(want["level"]) - 1) - 0.05).min() > 1e-3)
    asked = (want["enough"] == 1) & (want["silent"] + want["low"] > 0.01)
    for question, ids in QUESTIONS.items():
        answers = (np.where(asked, np.clip(outputs[question], -4, 4), 0) for outputs in (want, got))
        with blames(*ids):
            mismatch, _ = compare(question, *answers, adapter.dtype, allowed=allowed_error(np.array(16.0), adapter.dtype))
            assert mismatch is None, f"the first of the detector's questions to be answered otherwise, [parent, child]: {mismatch}"


@clause("ABS-33", "ABS-34", agreement=True)
@given(acts=dyadic((3, 3)), probability=quarters(3, 3), W_dec=dyadic((3, 3)), threshold=st.sampled_from([0.25, 0.5]))
def test_the_read_out_agrees(adapter, acts, probability, W_dec, threshold):
    agree(adapter, "corrected_read_out", {"threshold": threshold}, acts=acts, probability=probability, W_dec=W_dec, scale=4.0)


@clause("META-1", "META-2", "META-3", "META-4", agreement=True)
@given(W_dec=dyadic((4, 3)), alive=flags(4), recon=dyadic((4, 3)))
def test_meta_agrees(adapter, W_dec, alive, recon):
    agree(adapter, "meta_samples", W_dec=W_dec, alive=alive)
    agree(adapter, "shared_meta_latents", meta_acts=np.abs(W_dec))
    agree(adapter, "variance_explained", x=W_dec + np.eye(4, 3) * 8, recon=recon, scale=1.0)


@clause("THEORY-1", "THEORY-2", "THEORY-3", "THEORY-4", "THEORY-5", "THEORY-6", "THEORY-7", "THEORY-8", agreement=True)
@given(delta=eighths, p10=eighths, p11=eighths, D=st.sampled_from([2, 5, 768]), unit=st.booleans(),
       rows=dyadic((3, 4), -0.5, 0.5, 0.25))
def test_theory_agrees(adapter, delta, p10, p11, D, unit, rows):
    share = {"p10": p10 / 2, "p11": p11 / 2}
    agree(adapter, "delta_family", {"delta": delta, "unit": unit}, parent=np.eye(3)[0], child=np.eye(3)[2])
    agree(adapter, "delta_l1", share | {"delta": delta})
    agree(adapter, "absorption_gain", share | {"D": D})
    agree(adapter, "hedging_angle", share)
    assume(p10 + p11 < 2)                                   # samples with neither: of a share of 0 rounding has the sign
    agree(adapter, "hedging_angle", share | {"biases": True})
    agree(adapter, "gram_schmidt", directions=rows + 2 * np.eye(3, 4))
