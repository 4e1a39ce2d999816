"""The experiments' own machinery: a fleet of one is the Trainer, labels and areas are right, the page is written."""

import json
import sys
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("matplotlib")

from sae_spec.reference.worlds import toy_worlds
from sae_spec.reference.absorption import detector
from sae_spec.reference.absorption.evidence import Evidence
from sae_spec.reference.worlds.toy_models import draw
from sae_spec.spec_tests import claims
from sae_spec.spec_tests.claims import fleet, zoo
from sae_spec.spec_tests.claims.__main__ import main
from sae_spec.spec_tests.claims.budgets.remedies import REMEDIES, remedied
from sae_spec.spec_tests.claims.detector import __main__ as detector_experiment
from sae_spec.spec_tests.claims.detector import fit, worlds
from sae_spec.spec_tests.claims.detector.__main__ import pairs as detector_pairs
from sae_spec.spec_tests.claims.detector.members import written_down
from sae_spec.spec_tests.claims.training import beside, grounds, hidden, knob, start, windows
from sae_spec.spec_tests.claims.zoo_labels import pairs
from sae_spec.spec_tests.claims.words import __main__ as words_experiment, experiment
from sae_spec.spec_tests.claims.zoo_members import closed_form
from sae_spec.spec_tests.docs import measured
from sae_spec.spec_tests.ours.test_absorption_find import planted
from sae_spec.torch_impl import SAEConfig, SparseAutoencoder, Trainer, TrainingConfig
from sae_spec.torch_impl.sae import autoencoder


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


COMMON = {"steps": 60, "batch_size": 16, "learning_rate": 1e-2, "aux_coefficient": 0.0, "threshold_decay": 0.9,
          "max_grad_norm": None}


@pytest.mark.parametrize("architecture, training", [
    ({"activation": "relu"}, {"l1_coefficient": 0.05}),
    ({"activation": "relu"}, {"l1_coefficient": 0.05, "tie_coefficient": 0.1, "priced": True, "frequency_decay": 0.9}),
    ({"activation": "relu", "tied": True}, {"l1_coefficient": 0.05}),
    ({"activation": "jumprelu", "bandwidth": 0.3, "initial_threshold": 0.1}, {"l0_coefficient": 0.05}),
    ({"activation": "topk", "k": 2}, {"max_grad_norm": 0.1}), ({"activation": "batch_topk", "k": 2}, {}),
], ids=lambda value: str(value.get("activation", "")))
def test_a_fleet_of_one_is_the_trainer(architecture, training):
    """And each of three in a fleet is trained as if alone."""
    worlds = [toy_worlds.overlap(np.random.default_rng(s), 0.4, F=4, D=6, rate=0.4) for s in range(3)]
    data = np.stack([draw(world, np.random.default_rng(9), 200)[0] for world in worlds])
    start = np.random.default_rng(1).normal(size=(3, 5, 6))
    fields = {name: value for name, value in COMMON.items() if name != "aux_coefficient"} | training
    together = fleet.train_on(data, 5, architecture, fields, start, seed=4)
    for s in range(3):
        centre = torch.tensor(data[s], dtype=torch.float32).mean(0)
        sae = SparseAutoencoder(SAEConfig(D=6, M=5, **architecture), b_dec=centre)
        with torch.no_grad():
            rows = torch.nn.functional.normalize(torch.tensor(start[s], dtype=torch.float32), dim=1)
            sae.W_dec.copy_(rows)
            if not architecture.get("tied"):
                sae.W_enc.copy_(rows)
        trainer, order = Trainer(sae, TrainingConfig(**COMMON | training)), torch.Generator().manual_seed(4)
        for _ in range(60):
            chosen = torch.randint(200, (16,), generator=order)
            trainer.step(torch.tensor(data[s], dtype=torch.float32)[chosen])
        for name, param in sae.parameters_by_name().items():
            np.testing.assert_allclose(together[s][name], param.detach().numpy(), atol=2e-4, err_msg=name)
        if "threshold" in together[s]:
            np.testing.assert_allclose(together[s]["threshold"], sae.threshold.item(), atol=2e-4)


def test_a_closed_form_of_the_zoo_is_labelled_by_its_delta():
    """A hierarchy written down: the label, the true shortfall, the amount and the verdict agree."""
    seen = set()
    for seed in range(12):
        member = closed_form("hierarchy", np.random.default_rng(seed))
        table = pairs(member, seed)
        one = table["label"] == 1
        seen |= {int(one.sum())}
        assert one.sum() <= 1 and not (table["score"][table["label"] == 0] > detector.ABSORBED).any()
        assert np.abs(table["amount"] - table["shortfall"])[one].max(initial=0) < 0.05
    assert seen == {0, 1}
    tied = pairs(closed_form("tied", np.random.default_rng(0)), 0)
    assert (tied["score"] < detector.NOT_ABSORBED).all() and not (tied["label"] == 1).any()


def test_a_remedy_of_the_budget_stands_in_productions_place():
    """The one that was kept buys what production buys; the old rule silences a row; and afterwards all is as before."""
    generator, rules = torch.Generator().manual_seed(0), dict(autoencoder._BY_DENSITY)
    pre, price = torch.randn(64, 9, generator=generator), 1 + 3 * torch.rand(9, generator=generator)
    for k in (1, 3, 9):
        want = {name: rule(pre, k, price, torch.ones(9)) for name, rule in rules.items()}
        with remedied(REMEDIES["while any is left"]):
            assert all(torch.equal(rule(pre, k, price, torch.ones(9)), want[name]) for name, rule in autoencoder._BY_DENSITY.items())
    row, prices = torch.tensor([[5.0, 1, 1, 1]]), torch.tensor([4.98, 1, 1, 1])
    on = {name: 0 for name in REMEDIES}
    for name, remedy in REMEDIES.items():
        with remedied(remedy):
            on[name] = int((autoencoder._BY_DENSITY["budget_topk"](row, 4, prices, torch.ones(4)) != 0).sum())
    assert on["as it was"] == 0 and on["skip what is too dear"] == 3 and on["while any is left"] == 1 and on["price ranks only"] == 4
    assert autoencoder._BY_DENSITY == rules


def test_the_area_counts_pairs():
    rng = np.random.default_rng(0)
    score, label = rng.integers(0, 5, 60).astype(float), rng.integers(-1, 2, 60)
    yes, no = score[label == 1], score[label == 0]
    want = np.mean([(a > b) + (a == b) / 2 for a in yes for b in no])
    assert abs(zoo.area(score, label) - want) < 1e-12


def test_the_command_writes_a_page(tmp_path, capsys):
    assert main(["--only", "price-gain", "--seeds", "1", "--out", str(tmp_path / "claims")]) == 0
    outcome = json.loads((tmp_path / "claims" / "claims.json").read_text())["claims"]["price-gain"]
    assert outcome["holds"] is True and outcome["numbers"]["largest relative error"] < 1e-6
    assert "price-gain" in (tmp_path / "claims" / "claims.html").read_text()
    with pytest.raises(SystemExit):
        main(["--only", "no-such-claim", "--out", str(tmp_path / "none")])
    assert not (tmp_path / "none").exists()


def test_starts_are_compared_on_the_same_batches(tmp_path):
    small = ["--ground", "hierarchy", "--M", "8", "--k", "2", "--B", "16", "--steps", "4", "--rate", "1e-3"]
    kinds = [word for name in ("topk", "relu", "jumprelu") for word in ("--activation", name)]
    assert start.main([*small, *kinds, "--start", "1", "--start", "0.25", "--start", "matched", "--out", str(tmp_path)]) == 0
    lines = json.loads((tmp_path / "hierarchy-M8-k2-4.json").read_text())
    assert len(lines) == 9 and {line["factor"] for line in lines if line["start"] == "0.25"} == {0.25}
    assert all(line["loss"] >= line["unexplained"] >= 0 for line in lines) and (tmp_path / "hierarchy-M8-k2-4.png").exists()
    again = tmp_path / "again"
    start.main([*small, "--activation", "topk", "--start", "1", "--out", str(again)])
    assert json.loads((again / "hierarchy-M8-k2-4.json").read_text()) == [line for line in lines if line["start"] == "1"][:1]


def test_the_knob_is_turned_and_aimed(tmp_path):
    small = ["--ground", "independent", "--steps", "20", "--B", "16", "--rows", "500", "--rate", "1e-2", "--initial_threshold", "1",
             "--bandwidth", "2", "--threshold_rate", "10", "--rounds", "1", "--out", str(tmp_path)]
    assert knob.main(small) == 0
    found = json.loads((tmp_path / "knob.json").read_text())["independent"]
    assert found["lines"][0]["l0"] > found["lines"][-1]["l0"] and (tmp_path / "knob.png").exists()
    assert [target["wanted"] for target in found["targets"].values()][-1] == 16.0
    assert knob.falls([{"coefficient": 1, "l0": 2.0}, {"coefficient": 2, "l0": 1.0}])
    assert not knob.falls([{"coefficient": 2, "l0": 2.0}, {"coefficient": 1, "l0": 1.0}])


def test_other_windows_are_productions_where_they_do_not_grow(tmp_path):
    """And a cost of the distance to a target leaves fewer on where the target is lower."""
    small, ground = knob.defaults(), grounds.named("independent")
    small.M, small.B, small.steps, small.rows, small.rate = 16, 16, 20, 500, 1e-2
    as_it_is = knob.sweep(ground, [4.0], small)
    found = {}
    for share in (0.0, 8.0):
        with windows.other(share):
            found[share] = knob.sweep(ground, [4.0], small)
    assert found[0.0][0]["theta"] == pytest.approx(as_it_is[0]["theta"]) != pytest.approx(found[8.0][0]["theta"])
    with windows.other(0.0, [0.5, 8.0]):
        few, many = knob.sweep(ground, [1e4, 1e4], small)
    assert few["l0"] < many["l0"] and knob.sweep(ground, [4.0], small) == as_it_is


FAKE_SAELENS = """
from types import SimpleNamespace

import torch


class TopKTrainingSAEConfig:
    def __init__(self, d_in, d_sae, dtype, device, k=2):
        self.D, self.M, self.k = d_in, d_sae, k


class TopKTrainingSAE(torch.nn.Module):
    def __init__(self, config):
        super().__init__()
        self.k, self.threshold = config.k, torch.nn.Parameter(torch.full((config.M,), 0.5))
        self.W_enc, self.W_dec = (torch.nn.Parameter(torch.randn(shape) / 4) for shape in ((config.D, config.M), (config.M, config.D)))
        self.b_enc, self.b_dec = torch.nn.Parameter(torch.zeros(config.M)), torch.nn.Parameter(torch.zeros(config.D))

    def training_forward_pass(self, step_input):
        x = step_input.sae_in
        best = ((x - self.b_dec) @ self.W_enc + self.b_enc).relu().topk(self.k)
        recon = torch.einsum("bk,bkd->bd", best.values, self.W_dec[best.indices]) + self.b_dec
        return SimpleNamespace(loss=(x - recon).square().sum(-1).mean())


BatchTopKTrainingSAEConfig = JumpReLUTrainingSAEConfig = TopKTrainingSAEConfig
BatchTopKTrainingSAE = JumpReLUTrainingSAE = TopKTrainingSAE
"""
FAKE_STEP = """
class TrainStepInput:
    def __init__(self, sae_in, coefficients, dead_neuron_mask, n_training_steps, is_logging_step):
        self.sae_in = sae_in
"""


@pytest.fixture
def beside_a_fake(tmp_path, monkeypatch):
    """Runs `beside` at a tiny size, with peers.py in a process of its own, in which SAELens is a fake of a few lines."""
    (tmp_path / "sae_lens" / "saes").mkdir(parents=True)
    (tmp_path / "measured").mkdir()
    for name, text in (("__init__", FAKE_SAELENS), ("saes/__init__", ""), ("saes/sae", FAKE_STEP)):
        (tmp_path / "sae_lens" / f"{name}.py").write_text(text, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(claims, "MEASURED", tmp_path / "measured")
    monkeypatch.setattr(grounds, "embeddings", lambda: grounds.toy("hierarchy", 300))
    small = ["--peers", sys.executable, "--M", "8", "--k", "2", "--B", "16", "--steps", "3", "--out", str(tmp_path / "out")]
    return lambda *words: beside.main([*small, *words])


def test_peers_are_trained_beside_on_the_same_rows(beside_a_fake, tmp_path, monkeypatch):
    monkeypatch.setattr(beside, "RATES", (1e-3, 3e-3))
    monkeypatch.setattr(beside, "NEAR", 10.0)               # at this size an L0 comes out as it happens to
    np.save(tmp_path / "hidden.npy", np.random.default_rng(0).normal(size=(300, 6)).astype(np.float32))
    monkeypatch.setattr(grounds, "hidden", lambda peers, file, read=grounds.hidden: read(peers, tmp_path / "hidden.npy"))
    assert beside_a_fake("--seeds", "2", "--record", "--also", "adam_beta1=0.5") == 0
    lines = json.loads((tmp_path / "out" / "beside.json").read_text())["lines"]
    assert [line["library"] for line in lines] == ["ours", "SAELens", "adam_beta1=0.5"] * (len(lines) // 3)
    assert [sum(line["activation"] == name for line in lines) for name in beside.ACTIVATIONS] == [18, 18, 48]
    shares = {line["library"]: line["unexplained"] for line in lines[:3]}
    assert len(set(shares.values())) == 3
    assert all(0 < line["unexplained"] and 0 <= line["l0"] <= 8 for line in lines)
    assert all(line["l0"] <= 2 for line in lines if line["activation"] == "topk")
    assert all((line["coefficient"] > 0) == (line["activation"] == "jumprelu") for line in lines)
    settings = json.loads((tmp_path / "out" / "settings.json").read_text())
    assert settings["schedule"] == [1.0, 1.0, 1.0] and np.load(tmp_path / "out" / "hierarchy-train.npy").shape == (270, 50)
    found = json.loads((tmp_path / "measured" / "beside.json").read_text())["grounds"]
    assert list(found) == ["hierarchy", "hidden"] and all(
        len(found[name][activation][library]["unexplained"]) == 2
        for name in found for activation in beside.ACTIVATIONS for library in beside.LIBRARIES)
    assert measured.beside(tmp_path / "measured" / "beside.json").count("\n") > 6


def test_a_peer_that_fails_is_no_result(beside_a_fake, tmp_path, monkeypatch):
    (tmp_path / "sae_lens" / "saes" / "sae.py").write_text("raise ImportError")
    with pytest.raises(SystemExit, match="peers.py ended with 1"):
        beside_a_fake("--ground", "embeddings", "--activation", "topk")
    with pytest.raises(SystemExit):
        beside_a_fake("--peers", str(tmp_path / "nowhere"))
    assert not (tmp_path / "out" / "beside.json").exists()


def some_lines(library, rate, points, seed=0):
    """Lines of (coefficient, L0, share unexplained)."""
    return [{"library": library, "rate": rate, "seed": seed, "coefficient": c, "l0": l0, "unexplained": share} for c, l0, share in points]


def test_a_share_is_compared_at_one_l0_or_not_at_all():
    lines = some_lines("ours", 1e-3, [(1, 64, 0.2), (4, 16, 0.4), (100, 1, 0.9)])
    assert beside.at(lines[:2], 32) is None                 # each is twice as far as it may be
    near = some_lines("ours", 1e-3, [(2, 32 * 1.1, 0.28), (3, 32 / 1.1, 0.32), *[(100, 1, 0.9)]])
    assert beside.at(near, 32) == pytest.approx(0.3)
    assert beside.at(near[:1], 32) == 0.28 and beside.at([], 32) is None
    assert beside.aimed([], 32) == beside.START
    assert beside.aimed(lines, 32) == pytest.approx(2)
    assert beside.aimed(lines[:1], 32) == pytest.approx(2)
    assert beside.best_rate(lines + some_lines("ours", 1e-2, [(1, 32, 0.5)]), "ours", 32) == 1e-2
    assert beside.best_rate(lines, "ours", 32) is None


def test_who_explains_more_does_so_on_every_seed():
    options = SimpleNamespace(k=32, seeds=2)

    def more(ours, theirs):
        pairs = zip(("ours", "SAELens"), (ours, theirs))
        return beside.summary([line for library, shares in pairs for seed, share in enumerate(shares)
                               for line in some_lines(library, 1e-3, [(0, 32, share)], seed)], options)["explains more"]

    assert more([0.2, 0.2], [0.3, 0.3]) == "ours" and more([0.4, 0.4], [0.3, 0.3]) == "SAELens"
    assert more([0.2, 0.4], [0.3, 0.3]) is None and more([0.3, 0.2], [0.3, 0.3]) is None
    assert more([], [0.3, 0.3]) == "SAELens" and more([], []) is None


def test_the_text_of_the_hidden_states_is_the_same_every_time(tmp_path):
    (tmp_path / "tests").mkdir()
    (tmp_path / "one.py").write_text('"""Of the module."""\n\n\ndef f():\n    """Of the function."""\n', encoding="utf-8")
    (tmp_path / "two.py").write_text('"""Of the module."""\n\n\nclass C:\n    """Of the class."""\n', encoding="utf-8")
    (tmp_path / "tests" / "three.py").write_text('"""Of a test."""\n', encoding="utf-8")
    assert sorted(hidden.docstrings(tmp_path)) == ["Of the class.", "Of the function.", "Of the module."]
    assert hidden.docstrings(tmp_path) == hidden.docstrings(tmp_path)


# ---------------------------------------------------------------- what the detector adds up

def test_what_is_absorbed_in_a_written_down_sae_is_labelled_so_and_answered_so():
    """Of every hierarchy, the parent and its child as far as delta says; of independent features that overlap, nothing."""
    for kind, most in ("hierarchy", 1), ("overlap", 0):
        for seed in range(4):
            member = written_down(kind, np.random.default_rng(seed))
            table = detector_pairs(member, seed)
            delta = member.params["W_dec"][1] @ member.params["W_dec"][0] if most else 0.0
            absorbed = np.flatnonzero(table["label"] == 1)
            assert len(absorbed) == (most if delta > 0.35 else 0), (kind, seed, delta)
            yes = detector.answers(Evidence(*(table[name] for name in Evidence._fields)))
            for question in ("missing", "there"):           # 1, but for the chance of which samples have both
                assert yes[question][absorbed].min(initial=1) > 0.9, (kind, seed)


def test_weights_are_found_again_and_say_nothing_of_a_kind_they_have_seen():
    """Labels drawn from known log-odds; a third kind whose labels are turned around is judged by the others'."""
    rng = np.random.default_rng(0)
    given, kind = rng.random((9000, 2)), np.repeat(["a", "b", "c"], 3000)
    label = (rng.random(9000) < fit.probability(given @ [4.0, -2.0] - 1)).astype(int)
    weights = fit.logistic(given, label, np.full(9000, 1 / 9000))
    np.testing.assert_allclose(weights, [4, -2, -1], atol=0.25)
    turned = np.where(kind == "c", 1 - label, label)
    said = fit.left_out(given, kind, turned, np.ones(9000, bool))
    assert zoo.area(said[kind == "c"], turned[kind == "c"]) < 0.3 < 0.7 < zoo.area(said[kind == "c"], label[kind == "c"])
    assert fit.calibration_error(said[kind == "c"], label[kind == "c"]) < 0.05


def test_a_child_of_either_parent_comes_with_either_and_a_child_of_both_with_both():
    for kind, needs in ("either parent", np.logical_or), ("both parents", np.logical_and):
        _, magnitudes = worlds.draw(worlds.KINDS[kind](np.random.default_rng(3)), np.random.default_rng(4), 4000)
        first, second, child = (magnitudes > 0).T[:3]
        assert child.sum() > 100 and not (child & ~needs(first, second)).any(), kind


def test_the_detectors_experiment_is_reported(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(detector_experiment, "ARCHITECTURES", {})
    monkeypatch.setattr(detector_experiment, "KINDS", dict.fromkeys(("hierarchy", "overlap", "tree")))
    assert detector_experiment.main(["--each", "2", "--out", str(tmp_path)]) == 0
    result = json.loads((tmp_path / "detector.json").read_text())
    assert set(result["by kind"]) == {"hierarchy", "overlap", "tree"} and set(result["without"]) == set(detector.QUESTIONS)
    assert result["scores"]["sum of questions"]["AUROC"] > 0.9 and "each kind left out" in capsys.readouterr().out


def test_the_weights_of_the_specification_are_those_that_were_found():
    """To the tenth: the record is what `python -m sae_spec.spec_tests.claims.detector --record` wrote."""
    found = json.loads((claims.MEASURED / "detector.json").read_text())["weights"]
    assert {name: round(weight, 1) for name, weight in found.items()} == \
        {name: question.weight for name, question in detector.QUESTIONS.items()} | {"1": detector.INTERCEPT}


def test_words_of_a_planted_pair_are_asked(tmp_path, monkeypatch):
    """What is kept is of the command's report, and pages and tables are made of it."""
    sae, rows, on = planted(1.0, dtype=torch.float32)
    words = ["apple" if child else "fruit" if parent else f"|{number}" for number, (parent, child) in enumerate(on[:, :2])]
    monkeypatch.setattr(words_experiment, "embeddings", lambda: (rows, words))
    monkeypatch.setattr(experiment, "train", lambda ground, architecture, training: sae)
    assert words_experiment.main(["--sae", "l1", "--M", "4", "--steps", "1", "--out", str(tmp_path / "out")]) == 0
    found = json.loads((tmp_path / "out" / "words.json").read_text(encoding="utf-8"))
    (family,), children = found["SAEs"]["l1"].pop("families"), int(on[:, 1].sum())
    pair, = family["pairs"]
    assert (pair["parent"], pair["child"], pair["both"], pair["samples"]) == (["fruit"], ["apple"], [], children)
    assert family["lost"] == children and found["SAEs"]["l1"]["absorbed"] == found["SAEs"]["l1"]["likely"] == 1
    page = (tmp_path / "out" / "words.html").read_text(encoding="utf-8")
    assert 'href="l1/absorption.html"' in page and "<td>apple</td>" in page and (tmp_path / "out" / "l1" / "absorption.html").is_file()
    assert "| l1 | fruit | apple | – | " in measured.words(tmp_path / "out" / "words.json")
    with pytest.raises(SystemExit):
        words_experiment.main(["--sae", "l1", "--record", "--out", str(tmp_path / "none")])
    assert not (tmp_path / "none").exists()
