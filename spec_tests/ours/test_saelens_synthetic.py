"""SAELens's synthetic models: what is read, what is drawn, and what `sae-spec synthetic` says of an SAE whose absorption is known."""

import json
from functools import partial

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import save_file

from sae_spec.reference.worlds import theory
from sae_spec.spec_tests.ours import called
from sae_spec.spec_tests.core.complaints import bytes_of
from sae_spec.torch_impl import CheckpointError, SAEConfig, SparseAutoencoder, find_absorption, save
from sae_spec.torch_impl.absorption.edges import edge_recall
from sae_spec.torch_impl.absorption.ground_truth import mcc, recall_hole, scores
from sae_spec.torch_impl.formats.saelens_synthetic import load_synthetic
from sae_spec.torch_impl.worlds.forest import draw, edges, generations
from sae_spec.torch_impl.worlds.toy_models import expected_cofiring
from sae_spec.torch_impl.worlds.toy_worlds import world

F, D, N = 6, 8, 20_000
RATES = [0.3, 0.4, 0.5, 0.2, 0.6, 0.1]


def node(feature, *children, exclusive=False, scaled=False):
    return {"feature_index": feature, "mutually_exclusive_children": exclusive, "scale_children_by_parent": scaled,
            "feature_id": None, "children": list(children)}


TREES = [node(4, node(0, node(5)), node(None, node(1), node(3), exclusive=True)), node(2)]


def saved(folder, roots=None, tensors=None, **about):
    """A folder as SyntheticModel.save writes it; `about` and `tensors` replace what is there, None leaves a tensor out."""
    folder.mkdir(parents=True, exist_ok=True)
    told = {"num_features": F, "hidden_dim": D, "firing_probability": {"probability": 0.1, "generator_name": "constant"}, "hierarchy": None,
            "orthogonalization": None, "correlation": None, "std_firing_magnitudes": 0.0, "mean_firing_magnitudes": 1.0, "bias": 0.5,
            "dtype": "float32", "seed": 3}
    (folder / "synthetic_model_config.json").write_text(json.dumps(told | about))
    weights = {"feature_vectors": torch.eye(F, D), "bias": torch.arange(D) / D, "firing_probabilities": torch.tensor(RATES)}
    weights = {name: tensor for name, tensor in (weights | (tensors or {})).items() if tensor is not None}
    save_file(weights, folder / "synthetic_model.safetensors")
    if roots is not None:
        (folder / "hierarchy.json").write_text(json.dumps({"roots": roots}))
    return folder


def of_all(drawn):
    return drawn.rows, torch.cat([magnitudes for _, magnitudes in drawn.batches()])


# ---------------------------------------------------------------- reading

def test_what_is_read(tmp_path):
    forest = load_synthetic(saved(tmp_path, TREES))
    assert forest.parent.tolist() == [4, 4, -1, 4, -1, 0]               # a node without a feature is none's parent
    assert forest.group.tolist()[0] == forest.group.tolist()[5] == -1 and forest.group[1] == forest.group[3] >= 0
    assert torch.allclose(forest.rate, torch.tensor(RATES)) and forest.mean.tolist() == [1] * F and forest.std.tolist() == [0] * F
    assert forest.factor.shape == (F, 0) and not forest.scaled.any() and forest.bias.tolist() == [i / D for i in range(D)]
    assert [features.tolist() for features in generations(forest.parent)] == [[2, 4], [0, 1, 3], [5]]
    assert edges(forest).tolist() == [[4, 4, 4, 0], [0, 1, 3, 5]]
    saved(tmp_path / "run" / "synthetic_model", TREES)                  # what a SyntheticSAERunner leaves
    assert load_synthetic(tmp_path / "run").parent.tolist() == forest.parent.tolist()
    assert edges(load_synthetic(saved(tmp_path / "flat"))).shape == (2, 0)


def test_magnitudes_follow_from_the_configuration(tmp_path):
    folded = {"generator_name": "folded_normal", "mean": 0.5, "std": 2.0, "min_value": 0.1, "max_value": 2.0}
    linear, curve = ({"generator_name": name, "start": 5.0, "end": 4.0} for name in ("linear", "exponential"))
    forest = load_synthetic(saved(tmp_path, std_firing_magnitudes=folded, mean_firing_magnitudes=linear))
    assert np.allclose(forest.mean, [5, 4.8, 4.6, 4.4, 4.2, 4])
    drawn = torch.randn(F, generator=torch.Generator().manual_seed(3 + 1))        # the model's seed, and 1 for deviations
    assert torch.equal(forest.std, (0.5 + 2 * drawn).abs().clamp(0.1, 2))
    assert np.allclose(load_synthetic(saved(tmp_path, mean_firing_magnitudes=curve)).mean, 5 * 0.8 ** (np.arange(F) / (F - 1)))
    value = {"generator_name": "constant", "value": 3.0}
    assert load_synthetic(saved(tmp_path, mean_firing_magnitudes=value)).mean.tolist() == [3] * F


@pytest.mark.parametrize("changes, said", [
    ({"num_features": 7}, "num_features is 7"), ({"hierarchy": {"total_root_nodes": 2}}, "hierarchy.json: no such file, though"),
    ({"std_firing_magnitudes": {"generator_name": "folded_normal"}, "seed": None}, "draws anew at every load, since seed is null"),
    ({"mean_firing_magnitudes": {"generator_name": "mine"}}, "mean_firing_magnitudes: the generator 'mine' cannot be read"),
    ({"mean_firing_magnitudes": {"generator_name": "linear"}}, "mean_firing_magnitudes: linear: 'start'"),
    ({"correlation": {"rank": 2}}, "correlation_factor is missing"),
    ({"tensors": {"bias": None}}, "bias is missing"), ({"tensors": {"bias": torch.zeros(3)}}, "bias has shape (3,), expected (8,)"),
    ({"tensors": {"firing_probabilities": torch.full((F,), 1.5)}}, "firing_probabilities holds a number out of range"),
    ({"tensors": {"feature_vectors": torch.full((F, D), torch.nan)}}, "feature_vectors holds a number that is not finite"),
    ({"roots": [node(0, node(0))]}, "feature 0 stands in it twice"), ({"roots": [node(9)]}, "feature_index is 9, expected 0 to 5"),
    ({"roots": [node(True)]}, "feature_index is True"), ({"roots": [3]}, "a node is no object"), ({"roots": {}}, "roots is missing"),
    ({"roots": [node(0, node(1), scaled=True)], "mean_firing_magnitudes": 0.0}, "not above 0 for a parent that scales"),
])
def test_what_cannot_be_read_is_said(tmp_path, changes, said):
    saved(tmp_path, **changes)
    with pytest.raises(CheckpointError) as refused:
        load_synthetic(tmp_path)
    assert said in str(refused.value) and str(tmp_path) in str(refused.value)


# ---------------------------------------------------------------- drawing

def test_features_fire_together_as_those_of_the_world_that_says_the_same(tmp_path):
    forest = load_synthetic(saved(tmp_path, TREES))
    on = (of_all(draw(forest, N))[1] > 0).double()
    one, other = RATES[1], RATES[3]                         # of two that are up one is drawn
    rates = [RATES[4], RATES[0], one * (1 - other / 2), other * (1 - one / 2), RATES[5], RATES[2]]
    same, order = world(torch.eye(F, D), rates, parent=[-1, 0, 0, 0, 1, -1], group=[-1, -1, 0, 0, -1, -1]), [4, 0, 1, 3, 5, 2]
    expected = expected_cofiring(same)
    deviations = ((on.T @ on / N)[order][:, order] - expected) / (expected * (1 - expected) / N).sqrt().clamp_min(1e-12)
    assert deviations.abs().max() < 4.5


def test_a_sample_is_what_its_features_make(tmp_path):
    vectors = torch.randn(F, D, generator=torch.Generator().manual_seed(0))
    trees = [node(4, node(0, node(5), scaled=True), node(1), scaled=True, exclusive=True), node(None, node(2), node(3), exclusive=True)]
    forest = load_synthetic(saved(tmp_path, trees, {"feature_vectors": vectors}, mean_firing_magnitudes=2.0))
    forest = forest._replace(std=torch.tensor([0, 0, 1, 1, 0.5, 0]))
    drawn = draw(forest, 5000, 1)
    x, magnitudes = of_all(drawn)
    on, parent = magnitudes > 0, forest.parent
    assert torch.allclose(x, magnitudes @ vectors + forest.bias, atol=1e-5) and not (magnitudes < 0).any()
    assert all((on[:, parent[f]] | ~on[:, f]).all() for f in (0, 1, 5))           # a child only with its parent
    assert not (on[:, 0] & on[:, 1]).any() and not (on[:, 2] & on[:, 3]).any()    # one of a group
    assert on[:, 0].any() and on[:, 1].any() and on[:, 5].any() and on[:, 2].any() and on[:, 3].any()
    assert torch.allclose(magnitudes[:, 0][on[:, 0]], magnitudes[:, 4][on[:, 0]])         # follows its parent's, by both means
    assert torch.allclose(magnitudes[:, 5][on[:, 5]], magnitudes[:, 0][on[:, 5]])
    assert torch.allclose(magnitudes[:, 1][on[:, 1]], magnitudes[:, 4][on[:, 1]]) and magnitudes[:, 4].std() > 0.3
    assert torch.equal(of_all(draw(forest, 5000, 1))[0], x) and not torch.equal(of_all(draw(forest, 5000, 2))[0], x)


def test_what_features_have_in_common_makes_them_fire_together(tmp_path):
    from scipy.stats import multivariate_normal, norm

    factor = torch.zeros(F, 2)
    factor[0, 0], factor[1, 0], factor[2, 1] = 0.8, 0.6, -0.5
    shared = {"correlation_factor": factor, "correlation_diag": 1 - factor.square().sum(1)}
    on = (of_all(draw(load_synthetic(saved(tmp_path, tensors=shared, correlation={"rank": 2})), N))[1] > 0).double()
    levels = norm.ppf(RATES[:2])
    together = multivariate_normal([0, 0], [[1, 0.48], [0.48, 1]]).cdf(levels)
    expected = torch.tensor([*RATES, together, RATES[0] * RATES[2]])
    seen = torch.cat([on.mean(0), torch.stack([(on[:, 0] * on[:, 1]).mean(), (on[:, 0] * on[:, 2]).mean()])])
    assert ((seen - expected).abs() / (expected * (1 - expected) / N).sqrt()).max() < 4.5


# ---------------------------------------------------------------- what an SAE does with it

def absorbing(delta):
    """An SAE of six latents in a world in which 1 is the child of 0; latent 1 has absorbed delta of latent 0."""
    W_enc, W_dec = np.eye(F, D), np.eye(F, D)
    W_enc[:2], W_dec[:2] = theory.delta_family(*np.eye(F, D)[:2], delta)
    sae = SparseAutoencoder(SAEConfig(D=D, M=F, activation="relu"))
    with torch.no_grad():
        sae.W_enc.copy_(torch.tensor(W_enc))
        sae.W_dec.copy_(torch.tensor(W_dec))
        sae.b_dec.copy_(torch.arange(D) / D)
    return sae.eval()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    torch.set_num_threads(1)
    tensors = {"firing_probabilities": torch.tensor([0.25, 0.2, 0.05, 0.05, 0.05, 0.05])}
    saved(tmp_path / "model", [node(0, node(1))], tensors)
    saved(tmp_path / "flat")
    for delta in (0, 1):
        save(absorbing(float(delta)), tmp_path / f"sae{delta}")
    save(SparseAutoencoder(SAEConfig(D=3, M=F, activation="relu")), tmp_path / "narrow")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def sae_spec(folder, capsys):
    return partial(called, capsys, "synthetic")


@pytest.mark.parametrize("delta, hole, truth", [(1, 1.0, "absorbed"), (0, 0.0, "not absorbed")])
def test_truth_and_detector_stand_side_by_side(sae_spec, folder, delta, hole, truth):
    status, out, err = sae_spec("model", f"sae{delta}", "--samples", 5000, "--out", "out")
    assert status == 0 and f"{delta} of 1 edges are absorbed" in err and f"names {delta} of the absorbed ones, 0 that are not" in err
    document = json.loads((folder / "out" / "synthetic.json").read_text())
    (edge,) = document["edges"]
    assert (edge["parent"], edge["child"], edge["parent latent"], edge["child latent"]) == (0, 1, 0, 1)
    assert edge["recall hole"] == edge["normalised recall hole"] == hole and edge["truth"] == truth
    assert edge["detector"] == ("absorbed" if delta else None) and edge["recall beside corrected"] == edge["recall without"] == 1
    assert edge["shortfall"] == pytest.approx(hole, abs=1e-6) and edge["precision alone"] == 1
    assert len(document["absorption"]["pairs"]) == delta and document["uniqueness"] == (F - delta) / F and len(document["features"]) == F
    head, line = out.splitlines()
    assert head.split()[:6] == ["parent", "child", "beside", "without", "hole", "normalised"] and truth in line and len(head) == len(line)


@pytest.mark.parametrize("every_activation", [True, False])
def test_the_numbers_are_those_of_the_clauses(folder, every_activation):
    sae, forest = absorbing(0.7), load_synthetic("model")
    with torch.no_grad():
        sae.b_enc[0] = -0.31                                # beside the child the parent's latent would say 0.3
    forest = forest._replace(std=torch.full((F,), 0.1))
    drawn = draw(forest, 5000, batch_size=700)
    x, magnitudes = of_all(drawn)
    report = find_absorption(sae, x)
    found = edge_recall(sae, drawn, forest.directions, edges(forest), report, every_activation)
    on, (edge,), acts = magnitudes > 0, found.edges, sae.encode(x)
    fires = acts > 0 if every_activation else acts * sae.W_dec.norm(dim=1) >= report.floor
    beside, without = (fires[which, 0].double().mean().item() for which in (on[:, 0] & on[:, 1], on[:, 0] & ~on[:, 1]))
    assert edge.recall_hole == pytest.approx(without - beside) and 0 < beside < without
    assert edge.normalised_recall_hole == pytest.approx(recall_hole(fires[:, 0], on[:, 0], on[:, 1]))
    assert found.mcc == pytest.approx(mcc(sae.W_dec.detach(), forest.directions).item())
    precision, recall, f1, _ = scores(fires, on)
    for feature in found.features:
        f = feature.feature
        assert (feature.precision, feature.recall, feature.f1) == pytest.approx((precision[f].item(), recall[f].item(), f1[f].item()))


def test_where_there_is_nothing_to_compare(folder):
    forest = load_synthetic("model")._replace(rate=torch.tensor([0.25, 1.0, 0.05, 0.05, 0.05, 0.05]))      # never without the child
    drawn = draw(forest, 2000)
    for latents, truth in (F, "unclear"), (1, "unclear"):   # one latent: features without any
        sae = SparseAutoencoder(SAEConfig(D=D, M=latents, activation="relu")).eval()
        found = edge_recall(sae, drawn, forest.directions, edges(forest), find_absorption(sae, drawn.rows))
        (edge,) = found.edges
        assert edge.recall_hole is None and edge.normalised_recall_hole is None and edge.truth == truth and edge.samples_without == 0
        json.dumps(found.to_dict(), allow_nan=False)


def test_without_an_sae_the_samples_are_written(sae_spec, folder):
    status, _, err = sae_spec("model", "--out", "world", "--samples", 1500, "--seed", 4)
    assert status == 0 and "1500 samples of 6 features" in err
    x, magnitudes = of_all(draw(load_synthetic("model"), 1500, 4))
    assert np.array_equal(np.load("world/acts.npy"), x) and np.array_equal(np.load("world/truth.npy"), magnitudes > 0)
    assert np.array_equal(np.load("world/directions.npy"), np.eye(F, D))


@pytest.mark.parametrize("words, said", [
    (["flat", "sae1"], "flat: the model has no hierarchy"), (["model", "narrow"], "model: the model has D = 8, the SAE has D = 3"),
    (["nowhere", "sae1"], "nowhere/synthetic_model_config.json: no such file"), (["model", "nowhere"], "nowhere"),
    (["model", "--out", "sae1"], "sae1: is a file, not a folder"),
])
def test_mistakes_are_told_in_a_line(sae_spec, folder, words, said):
    before = bytes_of(folder)
    status, _, err = sae_spec(*words)
    assert status == 2 and err.splitlines()[-1].startswith(f"error: {said}"), err
    assert bytes_of(folder) == before
