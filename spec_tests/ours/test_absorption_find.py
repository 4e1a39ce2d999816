"""`find_absorption`: the planted pair, in numbers; what the command writes; the corrected read-out; mistakes."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sae_spec.reference.absorption import detector, evidence, read_out
from sae_spec.reference.absorption.stream import observe
from sae_spec.reference.worlds import theory, toy_worlds
from sae_spec.reference.worlds.toy_models import draw
from sae_spec.spec_tests.ours import called
from sae_spec.torch_impl import SAEConfig, SparseAutoencoder
from sae_spec.torch_impl.absorption.find import STAGES, AbsorbedPair, find_absorption
from sae_spec.torch_impl.absorption.recall import feature_recall
from sae_spec.torch_impl.training.config import TrainingConfig
from sae_spec.torch_impl.training import checkpoint
from sae_spec.torch_impl.training.trainer import Trainer

D, N, DELTA = 6, 6000, 0.75


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def planted(delta=DELTA, tied=False, dtype=torch.float64):
    """An SAE of the hierarchy whose latent 1 has absorbed delta of latent 0; samples (N, D), what is in them (N, 4)."""
    rng = np.random.default_rng(0)
    world = toy_worlds.hierarchy(rng, D=D)
    W_enc, W_dec = world.directions.copy(), world.directions.copy()
    W_enc[:2], W_dec[:2] = theory.delta_family(*world.directions[:2], delta)
    x, magnitudes = draw(world, rng, N)
    sae = SparseAutoencoder(SAEConfig(D=D, M=4, activation="relu", tied=tied), dtype=dtype).eval()
    with torch.no_grad():
        sae.W_dec.copy_(torch.tensor(W_dec))
        if not tied:
            sae.W_enc.copy_(torch.tensor(W_enc))
    return sae, torch.tensor(x, dtype=dtype), magnitudes > 0


@pytest.mark.parametrize("delta", [0.625, 0.75, 1.0])
def test_the_planted_pair_is_found_and_nothing_else(delta):
    sae, rows, on = planted(delta)
    report = find_absorption(sae, rows)
    (pair,), (parent,) = report.pairs, report.parents
    silenced = int(on[:, 1].sum()) if delta == 1 else 0
    assert (pair.parent, pair.child) == (0, 1) and 0.85 < pair.probability < 0.95
    assert abs(pair.amount - delta) < 1e-9 and pair.amount == pair.silent + pair.low and abs(pair.level - 1) < 1e-9
    assert pair.against == "unwritten"                      # nothing varies in this world, so that is not asked
    assert (parent.parent, parent.children, parent.firings_lost) == (0, (1,), silenced)
    assert parent.firings == on[:, 0].sum() - silenced and abs(parent.share_lost - delta * on[:, 1].sum() / on[:, 0].sum()) < 1e-9
    assert (report.samples, report.latents_that_fire, report.candidates_per_latent) == (N, 4, 4)
    stricter = find_absorption(sae, rows, threshold=pair.probability + 1e-6)
    assert not stricter.pairs and stricter.near_misses[0] == pair._replace(unwritten=stricter.near_misses[0].unwritten)     # a NaN
    assert stricter.judged == report.judged._replace(absorbed=0, cannot_tell=report.judged.cannot_tell + 1)


@pytest.mark.parametrize("off, dtype", [(1e-12, torch.float64), (1e-6, torch.float32)])
@pytest.mark.parametrize("delta", [0.75, 1.0])
def test_a_b_dec_that_is_slightly_off_hides_nothing(delta, off, dtype):
    """Samples with no feature in them are off by so little, and latents are on in them."""
    sae, rows, on = planted(delta, dtype=dtype)
    with torch.no_grad():
        sae.b_dec -= off * (sae.W_enc[0] + sae.W_enc[1])    # both latents of the pair read it
    report = find_absorption(sae, rows)
    (pair,), (parent,) = report.pairs, report.parents
    assert (pair.parent, pair.child) == (0, 1) and abs(pair.amount - delta) < 1e-4
    assert parent.firings == on[:, 0].sum() - (on[:, 1].sum() if delta == 1 else 0)
    assert (sae.encode(rows)[:, 0] != 0).sum() > parent.firings


def test_every_pair_and_number_is_the_references():
    """A threshold of 0: whatever has a probability at all, the most probable first."""
    sae, rows, _ = planted()
    W_dec, b_dec = (getattr(sae, name).detach().numpy() for name in ("W_dec", "b_dec"))
    want = evidence.evidence(observe(rows.numpy(), sae.encode(rows).detach().numpy(), W_dec, b_dec), W_dec)
    probability, report = detector.probability(want), find_absorption(sae, rows, threshold=0.0)
    assert {(pair.parent, pair.child) for pair in report.pairs} == set(zip(*map(np.ndarray.tolist, np.nonzero(probability))))
    assert [pair.probability for pair in report.pairs] == sorted((pair.probability for pair in report.pairs), reverse=True)
    for pair in report.pairs:
        place = pair.parent, pair.child
        assert abs(pair.probability - probability[place]) < 1e-9
        costs = {name: question.weight * (1 - detector.answers(want)[name][place]) for name, question in detector.QUESTIONS.items()}
        assert costs[pair.against] == max(costs.values())
        for name in set(AbsorbedPair._fields) & set(want._fields):
            np.testing.assert_allclose(getattr(pair, name), getattr(want, name)[place], atol=1e-9, err_msg=name)


def test_what_cannot_be_told_is_counted_and_listed():
    """Three eighths absorbed where nothing varies; and too few samples to say anything."""
    sae, rows, _ = planted(0.375)
    report = find_absorption(sae, rows)
    near = report.near_misses[0]
    assert not report.pairs and (near.parent, near.child) == (0, 1) and abs(near.amount - 0.375) < 1e-9
    assert (report.judged.absorbed, report.judged.cannot_tell, report.judged.latents) == (0, len(report.near_misses), 4)
    few = find_absorption(sae, rows[:100]).judged
    assert few.latents_too_rare > 0 and few.too_few_samples > 0 and few.latents + few.latents_too_rare + few.latents_background == 4
    assert find_absorption(planted()[0], rows).judged.absorbed == 1


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_corrected_read_out_gives_the_parent_back(dtype):
    sae, rows, on = planted(dtype=dtype)
    report, acts = find_absorption(sae, rows), sae.encode(rows).detach()
    before = acts.clone()
    got = report.corrected(acts)
    probability = np.zeros((4, 4))
    probability[0, 1] = report.pairs[0].probability
    A = read_out.read_out_matrix(probability, sae.W_dec.detach().double().numpy())
    tolerance = 100 * torch.finfo(dtype).eps                # of numbers near 1, after a product of six terms
    np.testing.assert_allclose(got.numpy(), read_out.corrected(acts.numpy(), A), atol=tolerance)
    np.testing.assert_allclose(got[:, 0].numpy(), on[:, 0], atol=tolerance)
    assert got.dtype == dtype and torch.equal(acts, before)             # what was given is not written into
    with pytest.raises(ValueError, match=r"acts has shape \(5, 3\), expected \(B, M = 4\)"):
        report.corrected(torch.zeros(5, 3))


def test_recall_comes_back():
    sae, rows, on = planted(1.0)
    report = find_absorption(sae, rows)
    parent, *others = feature_recall(sae, rows, torch.tensor(on), report)
    alone = (on[:, 0] & ~on[:, 1]).sum()
    assert (parent.latent, parent.recall, parent.recall_corrected) == (0, alone / on[:, 0].sum(), 1.0)
    assert parent.precision == parent.precision_corrected == 1.0
    assert [other[2:] for other in others] == [(1.0, 1.0, 1.0, 1.0)] * 3


def test_a_tied_sae_is_judged_like_any_other():
    """One slot, and a child whose row is the sum of both features: the tied parent is silent beside it."""
    rows = torch.eye(3, dtype=torch.float64)[[0, 0, 0, 1, 2, 2]].repeat(40, 1)
    rows[3::6, 0] = 1                                       # the child, with its parent
    found = []
    for tied in (True, False):
        sae = SparseAutoencoder(SAEConfig(D=3, M=3, activation="topk", k=1, tied=tied), dtype=torch.float64).eval()
        with torch.no_grad():
            sae.W_dec.copy_(torch.tensor([[1, 0, 0], [1, 1, 0], [0, 0, 1]]))
            sae.parameters_by_name()["b_enc"].copy_(torch.tensor([0, -0.75, 0]))
            if not tied:
                sae.W_enc.copy_(sae.W_dec)
        report = find_absorption(sae, rows)
        assert report.tied == tied
        found.append(report.pairs)
    (pair,), again = found
    assert (pair.parent, pair.child, pair.silent, pair.amount) == (0, 1, 1, 1)
    assert again[0].to_dict() == pair.to_dict() and len(again) == 1


def test_no_rows_no_pairs():
    sae, rows, _ = planted()
    report = find_absorption(sae, rows[:0])
    assert (report.samples, report.latents_that_fire, report.pairs) == (0, 0, ())


def test_the_document_is_what_the_command_writes(tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")
    sae, rows, _ = planted(dtype=torch.float32)
    trainer = Trainer(sae, TrainingConfig(steps=1))
    monkeypatch.chdir(tmp_path)
    checkpoint.start(tmp_path / "run", sae.config, trainer.training, "toy")
    checkpoint.save(tmp_path / "run", sae, trainer.moments(), 0)
    np.save("acts.npy", rows.numpy())
    status, _, err = called(capsys, "absorption", "run", "--data", "acts.npy", "--report", "out", "--top", 3, "--threshold", 0.5)
    assert status == 0, err
    document = json.loads((tmp_path / "out" / "absorption.json").read_text())
    want = find_absorption(sae.eval(), rows, top=3, threshold=0.5).to_dict("run", "acts.npy")
    assert document == want and list(document) == list(want) and len(document["pairs"]) == 1
    assert document["pairs"][0]["unwritten"] is None        # the parent does not vary: asked of nothing, and JSON has no NaN


def test_progress_is_told_to_the_end():
    sae, rows, _ = planted()
    told = []
    quiet = find_absorption(sae, rows)
    loud = find_absorption(sae, rows, batch_size=1000, progress=lambda *news: told.append(news))
    assert [stage for stage in dict.fromkeys(stage for stage, _, _ in told)] == list(STAGES)
    last = {stage: (done, total) for stage, done, total in told}
    assert last == {"candidate pairs": (1, 1), "activations": (N, N), "evidence": (4, 4)}
    assert [done for stage, done, _ in told if stage == "activations"] == list(range(1000, N + 1, 1000))
    np.testing.assert_allclose(loud.pairs[0][:-1], quiet.pairs[0][:-1], rtol=1e-12)         # sums in another order


@pytest.mark.parametrize("change, said", [
    ({"rows": torch.zeros(5, 7)}, r"rows has shape \(5, 7\), expected \(N, D = 6\)"),
    ({"rows": torch.zeros(6)}, r"rows has shape \(6,\), expected \(N, D = 6\)"),
    ({"rows": torch.full((5, 6), torch.nan)}, "x .*finite"),
    ({"top": 0}, "top must be at least 1, got 0"),
    ({"threshold": 1.5}, "threshold must be from 0 to 1, got 1.5"),
])
def test_a_mistake_is_named(change, said):
    sae, rows, _ = planted()
    with pytest.raises(ValueError, match=said):
        find_absorption(**({"sae": sae, "rows": rows} | change))


@pytest.mark.parametrize("rows", [np.zeros((4, D)), [[0.0] * D]])
def test_rows_that_are_no_tensor_are_a_mistake(rows):
    with pytest.raises(ValueError, match=r"rows must be a torch tensor \(N, D\)"):
        find_absorption(SparseAutoencoder(SAEConfig(D=D, M=4, activation="relu")).eval(), rows)


def test_train_mode_is_a_mistake():
    sae, rows, _ = planted()
    with pytest.raises(ValueError, match="sae is in train mode"):
        find_absorption(sae.train(), rows)
