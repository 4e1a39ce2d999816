"""ABS, the detector's evidence: one question at a time."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sae_spec.spec_tests.core.compare import assert_same
from sae_spec.spec_tests.core.properties import clause
from sae_spec.spec_tests.conformance.absorption.scenes import (
    C, P, answers, detect, eighths, family, powers, scene, within,
)

louder = st.sampled_from([1.0, 2.0, 4.0])             # so that the child speaks in full


@clause("ABS-24")
@given(delta=eighths, times=st.integers(1, 30), content=st.sampled_from([2.0, 4.0]))
def test_what_is_usual_does_not_depend_on_low_or_accompanied_speech(adapter, delta, times, content):
    """More samples in which the parent speaks low without the child, or in full beside an unrelated latent."""
    stream = family(delta)
    low = {"x": np.vstack([stream["x"], np.tile([content, 0, 0], (times, 1))]),
           "acts": np.vstack([stream["acts"], np.tile([content / 4, 0, 0], (times, 1))])}
    names = "silent", "low", "level"
    want, got = (answers(detect(adapter, samples), *names) for samples in (stream, stream | low))
    assert_same(want, got, adapter.dtype)


@clause("ABS-24", "ABS-25")
@given(delta=eighths, times=st.integers(1, 30), whisper=st.sampled_from([0.0625, 0.125]))
def test_only_a_child_that_speaks_in_full_has_its_parent_beside_it(adapter, delta, times, whisper):
    """More samples of the parent alone, in which the child's latent whispers: as if it were silent."""
    stream = family(delta)
    more = lambda whisper: stream | {"x": np.vstack([stream["x"], np.tile([1, 0, 0], (times, 1))]),
                                     "acts": np.vstack([stream["acts"], np.tile([1, delta * whisper, 0], (times, 1))])}
    names = "silent", "low", "level", "disturbed", "enough"
    want, got = (answers(detect(adapter, samples), *names) for samples in (more(0), more(whisper)))
    assert_same(want, got, adapter.dtype)


@clause("ABS-35")
@given(few=st.integers(1, 19), many=st.integers(20, 40), scale=st.sampled_from([0.5, 1.0, 2.0]))
def test_few_samples_and_whispers_say_nothing(adapter, few, many, scale):
    """The parent alone at 1; with the child at 1 too, or at 64, beside which 1 is a whisper."""
    def asked(alone, child, beside):
        rows = ((alone, [scale, 0], [scale, 0]), (child, [scale * beside, 1], [scale * beside, 1]), (80, [0, 0], [0, 0]))
        return detect(adapter, scene([[1, 0], [0, 1]], *rows))["enough"][P, C]

    assert asked(many, many, 1) == 1
    assert asked(few, many, 1) == asked(many, few, 1) == asked(many, many, 64) == 0


@clause("ABS-36")
@given(fifth=st.integers(20, 30), who=st.sampled_from([P, C]))
def test_who_fires_in_more_than_three_fifths_of_the_samples_is_background(adapter, fifth, who):
    def asked(often, silent):
        """The other one fires in 20 of the samples in which this one does, and in 20 of those in which it does not."""
        this, other = ([1, 0], [0, 1]) if who == P else ([0, 1], [1, 0])
        rows = (often - 20, this, this), (20, [1, 1], [1, 1]), (20, other, other), (silent - 20, [0, 0], [0, 0])
        return detect(adapter, scene([[1, 0], [0, 1]], *rows))["enough"][P, C]

    assert asked(3 * fifth, 2 * fifth) == asked(3 * fifth - 1, 2 * fifth) == 1
    assert asked(3 * fifth + 1, 2 * fifth) == 0


@clause("ABS-36", "ABS-20")
@given(delta=eighths, who=st.sampled_from([P, C]), whisper=st.sampled_from([0.03125, 0.0625]), times=st.integers(400, 500))
def test_who_whispers_nearly_everywhere_is_no_background(adapter, delta, who, whisper, times):
    """More samples of nothing, in which a latent fills a slot that was left over."""
    stream = family(delta)
    more = stream | {"x": np.vstack([stream["x"], np.zeros((times, 3))]),
                     "acts": np.vstack([stream["acts"], np.tile(whisper * np.eye(3)[who], (times, 1))])}
    want, got = (answers(detect(adapter, samples), "enough") for samples in (stream, more))
    assert want["enough"] == 1
    assert_same(want, got, adapter.dtype)


def beside_the_child(silent, low, level, lack, usual=2.0, background=0.0):
    """The parent silent in some of the child's samples, lacking a share of its usual 2 in others, each at its content."""
    return scene([[1, 0], [0, 1]], (20, [usual, 0], [usual, 0]), (20, [background, 0], [0, 0]),
                 (silent, [level[0], 1], [0, 1]), (low, [level[1], 1], [usual * (1 - lack), 1]))


@clause("ABS-25")
@given(silent=st.integers(0, 9), low=st.integers(1, 9), lack=st.sampled_from([-1.0, -0.5, 0.0, 0.25, 0.75]))
def test_the_silent_count_in_full_and_the_low_in_part(adapter, silent, low, lack):
    got = answers(detect(adapter, beside_the_child(silent, low, (2.0, 2.0), lack)), "silent", "low")
    want = {"silent": [silent, 16], "low": [low * max(lack, 0), 16]}
    assert_same(want, {name: [share * (silent + low), 16] for name, share in got.items()}, adapter.dtype)


@clause("ABS-26")
@given(t=st.integers(0, 12).map(lambda quarters: quarters / 4), background=st.sampled_from([0.0, 0.5, 1.0]),
       silent=st.integers(1, 9), low=st.integers(1, 9), lack=st.sampled_from([0.0, 0.25, 0.75]), other=st.integers(0, 12))
def test_levels_are_measured_from_the_background(adapter, t, background, silent, low, lack, other):
    """Contents lie t of the way from background to usual; where the parent lacks nothing its content does not matter."""
    from_background = lambda t: background + t * (2 - background)
    there = from_background(t), from_background(t if lack else other / 4)
    got = detect(adapter, beside_the_child(silent, low, there, lack, background=background))["level"][P, C]
    assert_same({"level": [t, 1.0]}, {"level": [got, 1.0]}, adapter.dtype)


@clause("ABS-26")
@given(delta=eighths.filter(lambda delta: delta < 1), missing=st.integers(30, 60), both=st.integers(20, 32))
def test_where_the_parent_is_not_there_its_level_falls(adapter, delta, missing, both):
    """Samples of the child without its parent, in which silence weighs 1 and those with both what the parent lacks."""
    stream = family(delta, 64, 2 * both, 128)
    more = {"x": np.tile([0, 1, 0], (missing, 1)), "acts": np.tile([0, 1, 0], (missing, 1))}
    got = answers(detect(adapter, stream | {name: np.vstack([stream[name], rows]) for name, rows in more.items()}), "silent", "level")
    n1 = 2 * both
    want = {"silent": [missing / (n1 + missing), 1], "level": [delta * n1 / (delta * n1 + missing), 1]}
    assert_same(want, {name: [value, 1] for name, value in got.items()}, adapter.dtype)


@clause("ABS-39")
@given(t=st.integers(-4, 4).map(lambda quarters: quarters / 4), silent=st.sampled_from([0.0, 0.5]), usual=st.sampled_from([1.0, 2.0]))
def test_returned_is_measured_from_where_the_child_is_silent(adapter, t, silent, usual):
    """The child's content lies t of the way where the parent speaks; nothing else is at `silent` more or less than that."""
    there = silent + t * (usual - silent)
    rows = ((20, [2, there], [2, 0]), (20, [0, 2 * silent - there], [0, 0]), (20, [1, usual], [0, usual]))
    got = detect(adapter, scene([[1, 0], [0, 1]], *rows))
    assert_same({"returned": [t, 1.0]}, {"returned": [got["returned"][P, C], 1.0]}, adapter.dtype)


@clause("ABS-30", "ABS-39")
@given(near=st.sampled_from([(12, 5, 13), (15, 8, 17), (20, 21, 29)]), scale=powers)
def test_features_that_are_as_much_in_each_others_samples_are_not_absorbed(adapter, near, scale):
    """Features that overlap and exclude each other, up to cosine .92; the child is silent in two thirds, with a third of it."""
    cosine, sine = near[0] / near[2], near[1] / near[2]
    rows = (48, [scale, 0], [scale, 0]), (48, [scale * cosine, scale * sine], [0, scale]), (96, [0, 0], [0, 0])
    got = detect(adapter, scene([[1, 0], [cosine, sine]], *rows))
    assert_same({"level": cosine, "silent": 1.0}, answers(got, "level", "silent"), adapter.dtype)
    assert_same({"returned": 2 * cosine}, {"returned": got["returned"][P, C] * (3 - cosine)}, adapter.dtype)
    assert not (got["verdict"] == 1).any()


@clause("ABS-27")
@given(p=st.integers(1, 3), c=st.integers(1, 3), n=st.integers(1, 8))
def test_independent_latents_are_not_disturbed(adapter, p, c, n):
    """Quarters of the samples, every combination as often as independence has it."""
    kinds = [(n * (p if a else 4 - p) * (c if b else 4 - c), [a, b], [a, b]) for a in (0, 1) for b in (0, 1)]
    got = detect(adapter, scene([[1, 0], [0, 1]], *kinds))["disturbed"]
    within(adapter, "disturbed", 0.0, got[P, C], 1e-6)


@clause("ABS-27")
@given(alone=st.integers(24, 40), child=st.integers(24, 40), neither=st.integers(20, 30))
def test_disturbance_nears_its_limit_with_the_root_of_the_number_of_samples(adapter, alone, child, neither):
    """Exclusive latents: the limit is 1, and four times the samples halve the distance."""
    stream = scene([[1, 0], [0, 1]], (alone, [1, 0], [1, 0]), (child, [0, 1], [0, 1]), (neither, [0, 0], [0, 0]))
    once, more = (detect(adapter, stream, times=times)["disturbed"][P, C] for times in (1, 4))
    assert 0 < once < more < 1
    assert_same({"distance": 1 - once}, {"distance": 2 * (1 - more)}, adapter.dtype)


@clause("ABS-27")
@given(delta=eighths)
def test_speaking_low_is_a_disturbance_also_where_the_rates_agree(adapter, delta):
    """The parent fires in every sample: beside the child as often as without it."""
    stream = scene([[1, 0], [delta, 1]], (24, [1, 0], [1, 0]), (24, [1, 1], [1 - min(delta, 0.875), 1]))
    assert_same({"disturbed": min(delta, 0.875)}, {"disturbed": detect(adapter, stream)["disturbed"][P, C]}, adapter.dtype)


@clause("ABS-43")
@given(own=st.sampled_from([0.25, 0.5, 1.0]), left=st.sampled_from([0.0, 0.25, 0.5]), part=st.sampled_from([0.0, 0.5, 1.0]),
       childs=st.sampled_from([0.0, 0.5]), low=st.booleans(), scale=powers)
def test_unwritten_is_the_variance_that_nobody_writes(adapter, own, left, part, childs, low, scale):
    """The parent is 2 ± own by itself. Beside the child 2 ± left are left of it, besides what the child writes and it says itself."""
    signs = [(i, j) for i in (-1, 1) for j in (-1, 1)]
    says = lambda i: (2 + i) / 4 if low else 0.0
    kinds = [(20, [2 + i * left + part * (2 + j * childs) + says(j), 2 + j * childs], [says(j) / scale, 2 + j * childs])
             for i, j in signs]
    alone = [(20, [2 + sign * own, 0], [(2 + sign * own) / scale, 0]) for sign in (-1, 1)]
    got = detect(adapter, scene([[scale, 0], [part, 1]], *alone, (120, [0, 0], [0, 0]), *kinds))["unwritten"][P, C]
    assert_same({"variance": [left**2, 1]}, {"variance": [got * own**2, 1]}, adapter.dtype)


@clause("ABS-43")
@given(spread=st.sampled_from([0.0, 0.03125, 0.0625, 0.125]), beside=st.sampled_from([0.0, 1.0]))
def test_what_is_unwritten_is_asked_only_where_the_parent_varies(adapter, spread, beside):
    """1 ± spread varies by `spread`: asked from 5 % on. How the parent varies where the child speaks too does not matter."""
    alone = [(20, [1 + sign * spread, 0], [1 + sign * spread, 0]) for sign in (-1, 1)]
    with_child = [(20, [1 + sign * beside, 1], [1 + sign * beside, 1]) for sign in (-0.5, 1)]
    got = detect(adapter, scene([[1, 0], [0.5, 1]], *alone, *with_child, (120, [0, 0], [0, 0])))["unwritten"][P, C]
    assert np.isnan(got) == (spread < 0.05)
