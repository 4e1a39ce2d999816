"""The detector's rivals say what they should on examples whose answer is known, and are judged fairly."""

import json
import pickle
from functools import partial

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("matplotlib")

from sae_spec.reference.absorption import detector, saebench
from sae_spec.reference.absorption.stream import observe, phi
from sae_spec.reference.sae.constraints import normalize_rows
from sae_spec.spec_tests.claims import MEASURED
from sae_spec.spec_tests.claims.detector import __main__ as experiment
from sae_spec.spec_tests.claims.detector import fit, rivals, shoot_out
from sae_spec.spec_tests.docs import measured

P, C, DEAD = 0, 1, 2
ON = np.array([[1, 0, 1, 1, 1, 1], [1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 0]], float).T       # p, c and a latent that never fires


def test_irtk_jaxs_ratio_compares_how_often_p_fires_with_c_and_without():
    ratio = rivals.ratio(ON)
    assert ratio[P, C] == 0.5                                # 1/2 with c, all of 4 without
    assert ratio[C, P] == pytest.approx(0.8)                 # 1/5 with p, the one sample without it
    assert ratio[P, DEAD] == 1 and ratio[DEAD, C] == 0
    assert rivals.ratio(1 - ON[:, [DEAD, DEAD]])[0, 1] == 0  # nothing to compare with: no samples without c
    assert rivals.ratio(np.array([[1, 1], [0, 0], [0, 0.0]]))[0, 1] == 0                    # always with c: not negative


def test_coverage_is_the_share_of_the_childs_samples():
    coverage = rivals.coverage(ON)
    assert (coverage[P, C], coverage[C, P], coverage[P, DEAD]) == (0.5, 0.2, 0)
    assert rivals.coverage(np.array([[9e-4, 1], [1, 1]]))[0, 1] == 0.5                      # a whisper is no firing


def test_lift_and_correlation_are_positive_where_two_fire_more_rarely_than_by_chance():
    stream = observe(np.eye(3)[[0] * 6], ON, np.eye(3), np.zeros(3))
    lift = rivals.rarely(stream)
    assert lift[P, C] == pytest.approx(0.25)                 # 1/6 of samples instead of 5/6 · 1/3, so .6 times as often
    assert lift[P, DEAD] == 0 and lift[P, P] < 0
    scores = rivals.scores(np.eye(3)[[0] * 6], ON, np.eye(3), np.zeros(3), np.eye(3), ON > 0)
    assert scores["phi"][P, C] == pytest.approx(4 / np.sqrt(40)) == -phi(stream)[P, C]
    assert scores["lift"][P, C] == pytest.approx(0.25)


def test_likeness_is_to_the_direction_that_tells_where_the_child_fires():
    x = np.array([[1, 1], [1, -1], [-1, 1], [-1, -1.0]] * 5)
    acts = np.stack([np.maximum(x[:, 1], 0), np.maximum(x[:, 0], 0)], -1)
    like = rivals.likeness(x, acts, np.array([[0.6, 0.8], [2, 0]]))
    assert like == pytest.approx(np.array([[0.8, 0.6], [0, 1]]), abs=1e-3)
    assert rivals.likeness(x, acts, np.array([[-0.6, 0.8], [1, 0]]))[0, 1] == pytest.approx(-0.6, abs=1e-3)
    assert not rivals.likeness(x, 0 * acts, np.eye(2)).any()


def test_a_pair_is_rebuilt_if_both_rows_are_among_the_five_most_like_the_probe():
    like = np.tile(np.linspace(0.9, 0.3, 7)[:, None], 7)
    kept = rivals.rebuilt(like)
    assert kept[:5, :5].all() and not kept[5:].any() and not kept[:, 5:].any()


def test_the_projection_shares_a_feature_between_two_latents():
    half = np.sqrt(0.5)
    x, acts = np.array([[1, 1], [1, 1], [1, 0], [0, 1.0]]), np.array([[0, 2 * half], [0.5, 2 * half], [1, 0], [0, 1]])
    W_dec, there = np.array([[1, 0], [half, half]]), np.array([[1, 1, 1, 0], [1, 1, 0, 1]], bool).T
    found = rivals.projection(x, acts, W_dec, np.eye(2), there)
    assert found[P, C] == pytest.approx(0.75)                # all of it where p is silent, half of it where p says half
    assert found[C, P] == 0                                  # p's row writes nothing of c's feature


def test_the_projection_of_a_pair_is_the_specifications_fraction():
    rng = np.random.default_rng(5)
    x, acts = rng.normal(size=(60, 4)) + 0.5, np.maximum(rng.normal(size=(60, 5)), 0)
    W_dec, probes, there = normalize_rows(rng.normal(size=(5, 4))), rng.normal(size=(5, 4)), rng.random((60, 5)) < 0.7
    found = rivals.projection(x, acts, W_dec, probes, there)
    for p, c in [(p, c) for p in range(5) for c in range(5) if p != c]:
        where = there[:, p] & (acts[:, c] > 0)
        share = saebench.absorption_fraction(x[where], acts[where][:, [p, c]], W_dec[[p, c]], probes[p], np.array([True, False]))
        assert found[p, c] == pytest.approx(share.mean()), (p, c)
    assert (found > 0).sum() > 5


def test_rows_of_one_direction_share_a_meta_latent():
    rows = np.eye(6)[[0, 0, 1, 1]][None]
    together = rivals.shared(rows, seed=0, steps=300)[0]
    assert together[0, 1] > 0.5 > 0.2 > together[0, 2]


def test_the_best_threshold_tells_equal_scores_alike():
    found = fit.best(np.array([3, 2, 2, 1, -np.inf]), np.array([True, False, True, False, False]))
    assert found == {"best F1": pytest.approx(0.8), "precision": pytest.approx(2 / 3), "recall": 1}


def test_log_loss_is_saved_by_who_knows():
    label = np.array([1, 0, 0, 0])
    assert shoot_out.saved(label.astype(float), label) == pytest.approx(1) and shoot_out.saved(np.full(4, 0.25), label) == 0
    assert shoot_out.saved(np.full(4, 0.5), label) < 0


def test_a_rival_is_turned_where_that_helps_and_has_the_detectors_pairs():
    rng = np.random.default_rng(2)
    label, kind = (rng.random(600) < 0.3).astype(int), np.repeat(["a", "b", "c"], 200)
    judged, table = np.arange(600) % 4 > 0, {"label": label, "kind": kind}
    score = label + rng.normal(size=600)
    score[~judged] = 5.0                                     # alarms of which the detector's pairs free everybody
    row, turned = shoot_out.judge(score, table, judged), shoot_out.judge(-score, table, judged)
    assert turned.pop("reversed") and not row.pop("reversed")
    assert row == pytest.approx(turned, nan_ok=True)
    assert 0.6 < row["AUROC"] < 1 and row["AUROC"] > row["AUROC, all pairs"]
    assert row["own precision"] is None and row["calibration error"] < 0.1 < row["log loss saved"]
    own = shoot_out.judge(score, table, judged, own=label == 1)
    assert own["own precision"] == 1 and own["own recall"] == pytest.approx((label[judged] == 1).sum() / label.sum())


def test_the_shoot_out_is_reported_and_knows_its_saes(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(experiment, "ARCHITECTURES", {})
    monkeypatch.setattr(experiment, "KINDS", dict.fromkeys(("hierarchy", "overlap", "tree")))
    monkeypatch.setattr(rivals, "shared", partial(rivals.shared, steps=20))
    assert shoot_out.main(["--each", "2", "--out", str(tmp_path)]) == 0
    result = json.loads((tmp_path / "shoot_out.json").read_text())
    assert set(shoot_out.NAMES.values()) < set(result["scores"]) and shoot_out.OURS in capsys.readouterr().out
    path = next(tmp_path.glob("overlap*.rivals.pickle"))
    others = [part | {"beside": part["beside"] + 0.1} for part in pickle.loads(path.read_bytes())]
    path.write_bytes(pickle.dumps(others))
    with pytest.raises(ValueError, match="other SAEs"):
        shoot_out.main(["--each", "2", "--out", str(tmp_path)])


def test_the_record_is_of_the_recorded_detector():
    """Same pairs, same area as in the experiment that fits the weights; what README shows is a part of it."""
    found = json.loads((MEASURED / "shoot_out.json").read_text())
    fitted = json.loads((MEASURED / "detector.json").read_text())["scores"]["sum of questions"]
    assert {name: found[name] for name in ("absorbed", "not")} == {name: fitted[name] for name in ("absorbed", "not")}
    ours = found["scores"][shoot_out.OURS]
    assert ours["AUROC, all pairs"] == pytest.approx(fitted["AUROC"], abs=1e-4)
    assert ours["best F1, all pairs"] == pytest.approx(fitted["best F1"], abs=1e-4)
    assert detector.ABSORBED == 0.8 and measured.shoot_out().count("\n| ") > measured.rivals().count("\n| ") > 8
