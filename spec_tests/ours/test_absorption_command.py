"""`sae-spec absorption`: a toy run and a SAELens checkpoint with a known absorber; what is reported, and mistakes."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")

from safetensors.torch import save_file

from sae_spec.reference.worlds import theory, toy_worlds
from sae_spec.reference.worlds.toy_models import draw
from sae_spec.spec_tests.ours import called
from sae_spec.spec_tests.core.complaints import bytes_of
from sae_spec.torch_impl import SAEConfig, SparseAutoencoder, Trainer, TrainingConfig, load_sae
from sae_spec.torch_impl.formats import load_any, load_saelens
from sae_spec.torch_impl.training import checkpoint

N, D = 6000, 6


def absorbing(delta=0.9):
    """The world, and W_enc, W_dec in which latent 1 has absorbed delta of latent 0."""
    rng = np.random.default_rng(0)
    world = toy_worlds.hierarchy(rng, D=D)
    W_enc, W_dec = world.directions.copy(), world.directions.copy()
    W_enc[:2], W_dec[:2] = theory.delta_family(*world.directions[:2], delta)
    x, magnitudes = draw(world, rng, N)
    return world, x, magnitudes > 0, *(torch.tensor(W, dtype=torch.float32) for W in (W_enc, W_dec))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with our run, a SAELens checkpoint of the same SAE, data, truth and directions."""
    torch.set_num_threads(1)
    world, x, on, W_enc, W_dec = absorbing(1.0)
    np.save(tmp_path / "acts.npy", x.astype(np.float32))
    np.save(tmp_path / "truth.npy", on)
    np.save(tmp_path / "directions.npy", world.directions)
    sae = SparseAutoencoder(SAEConfig(D=D, M=4, activation="relu"))
    with torch.no_grad():
        sae.W_enc.copy_(W_enc)
        sae.W_dec.copy_(W_dec)
    trainer = Trainer(sae, TrainingConfig(steps=1))
    checkpoint.start(tmp_path / "run", sae.config, trainer.training, "toy")
    checkpoint.save(tmp_path / "run", sae, trainer.moments(), 0)
    (tmp_path / "theirs").mkdir()
    save_file({"W_enc": W_enc.T.contiguous(), "W_dec": W_dec, "b_enc": torch.zeros(4), "b_dec": torch.zeros(D)},
              tmp_path / "theirs" / "sae_weights.safetensors")
    about = {"architecture": "standard", "d_in": D, "d_sae": 4, "apply_b_dec_to_input": True,
             "normalize_activations": "none"}
    (tmp_path / "theirs" / "cfg.json").write_text(json.dumps(about))
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def sae_spec(folder, capsys):
    def call(*words):
        status, _, err = called(capsys, "absorption", *words)
        return status, err

    return call


@pytest.mark.parametrize("run", ["run", "theirs"])
def test_the_report_names_who_is_absorbed_into_whom(sae_spec, folder, run):
    words = [run, "--data", "acts.npy", "--report", "out", "--truth", "truth.npy"]
    for more in ([], ["--directions", "directions.npy"]):
        status, err = sae_spec(*words, *more)
        assert status == 0 and "1 absorbed pairs, 0 of which it cannot be told, 1 latents are absorbed" in err
        document = json.loads((folder / "out" / "absorption.json").read_text())
        (pair,), (parent,) = document["pairs"], document["parents"]
        assert (pair["parent"], pair["child"]) == (0, 1) and pair["probability"] > 0.9 and pair["amount"] > 0.95
        true = np.load("truth.npy")
        parents, children = true[:, 0].sum(), true[:, 1].sum()
        assert parent["firings lost"] == children and abs(parent["share lost"] - children / parents) < 1e-9
        feature = document["features"][0]
        assert feature["latent"] == 0 and feature["recall"] < 0.9 < 0.999 < feature["recall corrected"]
        assert feature["precision corrected"] > 0.999
        page = (folder / "out" / "absorption.html").read_text()
        assert "data:image/png;base64," in page and "Recall, before and after" in page and "NaN" not in page
    assert {path.name for path in (folder / "out").iterdir()} == {"absorption.json", "absorption.html"}


def test_words_say_what_a_family_is_about(sae_spec, folder):
    """Rows of the child are called apple, those of the parent alone fruit; a token may hold any sign but a line feed."""
    true = np.load("truth.npy")
    words = np.where(true[:, 1], "apple\u2028<pie>", np.where(true[:, 0], "fruit", "nothing"))
    (folder / "words.txt").write_text("\n".join(words), encoding="utf-8")
    status, err = sae_spec("run", "--data", "acts.npy", "--labels", "words.txt", "--report", "out", "--samples", 5000)
    family, = json.loads((folder / "out" / "absorption.json").read_text(encoding="utf-8"))["families"]
    assert status == 0 and family["latents"] == [0, 1] and family["pairs"] == [[0, 1]]
    assert family["lost"] == pytest.approx(true[:5000, 1].sum())
    apples = {"parent": 0, "child": 1, "without parent": ["apple\u2028<pie>"], "with parent": []}
    assert family["labels"] == {"parents": {"0": ["fruit"]}, "pairs": [apples]}
    page = (folder / "out" / "absorption.html").read_text(encoding="utf-8")
    assert "<td>0 alone</td><td>fruit</td>" in page and "&lt;pie&gt;" in page and "<pie>" not in page
    assert page.count('id="pair-0-1"') == 1 and page.count('href="#pair-0-1"') >= 4     # arrow, its number, both tables
    assert "http" not in page.replace("http-equiv", "")     # one file, nothing fetched


def test_a_page_without_words_has_no_word_of_them(sae_spec, folder):
    sae_spec("run", "--data", "acts.npy", "--report", "out")
    document = json.loads((folder / "out" / "absorption.json").read_text())
    assert [list(family) for family in document["families"]] == [["latents", "pairs", "lost"]]
    assert "Words" not in (folder / "out" / "absorption.html").read_text()


def test_nothing_absorbed_is_a_report_too(sae_spec, folder):
    np.save("noise.npy", np.random.default_rng(1).normal(size=(500, D)).astype(np.float32))
    status, err = sae_spec("run", "--data", "noise.npy", "--samples", 400)
    document = json.loads((folder / "sae-spec-absorption" / "absorption.json").read_text())
    assert status == 0 and document["samples"] == 400


@pytest.mark.parametrize("words, said", [
    (["nowhere", "--data", "acts.npy"], "nowhere/config.json: no such file"),
    (["run", "--data", "none.npy"], "none.npy: no such file"),
    (["run", "--data", "directions.csv"], "directions.csv: expected a .npy"),
    (["run", "--data", "wide.npy"], "wide.npy: the data has D = 7, the SAE has D = 6"),
    (["run", "--data", "acts.npy", "--truth", "directions.npy"], "directions.npy: has shape (4, 6), expected (N = 60"),
    (["run", "--data", "acts.npy", "--directions", "directions.npy"], "--directions needs --truth"),
    (["run", "--data", "acts.npy", "--truth", "truth.npy", "--directions", "wide.npy"], "wide.npy: has shape (3, 7)"),
    (["run", "--data", "acts.npy", "--truth", "gone.npy"], "gone.npy: No such file"),
    (["run", "--data", "acts.npy", "--labels", "three.txt"], "three.txt: has 3 lines, acts.npy has 6000 rows"),
    (["run", "--data", "acts.npy", "--labels", "latin.txt"], "latin.txt: not UTF-8 (byte 1)"),
    (["run", "--data", "acts.npy", "--labels", "gone.txt"], "gone.txt: No such file"),
    (["run", "--data", "acts.npy", "--report", "acts.npy"], "acts.npy: is a file"),
    (["odd", "--data", "acts.npy"], "odd/cfg.json: architecture is 'transcoder'"),
    (["cut", "--data", "acts.npy"], "cut/sae_weights.safetensors: truncated"),
])
def test_a_mistake_is_one_line_and_leaves_nothing(sae_spec, folder, words, said):
    np.save("wide.npy", np.zeros((3, 7), np.float32))
    (folder / "directions.csv").write_text("1")
    (folder / "three.txt").write_bytes(b"one\r\n\r\nthree\n")
    (folder / "latin.txt").write_bytes(b"s\xfc\xdf\n" * N)
    for name, about, weights in (("odd", '{"architecture": "transcoder"}', b"x"), ("cut", "{}", b"junk")):
        (folder / name).mkdir()
        (folder / name / "cfg.json").write_text(about)
        (folder / name / "sae_weights.safetensors").write_bytes(weights)
    before = bytes_of(folder)
    status, err = sae_spec(*words)
    assert status == 2 and err.splitlines()[-1].startswith(f"error: {said}"), err
    assert bytes_of(folder) == before


def theirs(folder, about, **tensors):
    base = {"W_enc": torch.eye(D)[:, :4].contiguous(), "W_dec": 2 * torch.eye(D)[:4], "b_enc": torch.zeros(4),
            "b_dec": torch.ones(D)}
    folder.mkdir(exist_ok=True)
    save_file(base | tensors, folder / "sae_weights.safetensors")
    (folder / "cfg.json").write_text(json.dumps(about))
    return load_saelens(folder)


def test_saelens_architectures(tmp_path):
    x = torch.tensor([[1.5, 2, 3, 4, 0, 0]])
    plain = {"apply_b_dec_to_input": False}
    assert theirs(tmp_path, plain).encode(x).tolist() == [[1.5, 2, 3, 4]]
    assert theirs(tmp_path, {}).encode(x).tolist() == [[0.5, 1, 2, 3]]
    assert theirs(tmp_path, plain | {"architecture": "topk", "k": 2}).encode(x).tolist() == [[0, 0, 3, 4]]
    jump = theirs(tmp_path, plain | {"architecture": "jumprelu"}, threshold=torch.tensor([0.0, 2.5, 2.5, 9]))
    assert jump.encode(x).tolist() == [[1.5, 0, 3, 0]]
    assert jump.theta.tolist() == [0, 2.5, 2.5, 9]
    below = theirs(tmp_path, plain | {"architecture": "jumprelu"}, threshold=torch.tensor([-0.5, 2.5, 2.5, 9]))
    assert below.theta.tolist() == [0, 2.5, 2.5, 9] and below.encode(-x).tolist() == [[0, 0, 0, 0]]
    scalar = torch.tensor(5.5, dtype=torch.float64)
    by_norm = plain | {"architecture": "batchtopk", "k": 2, "rescale_acts_by_decoder_norm": True}
    weighed = theirs(tmp_path, by_norm, topk_threshold=scalar)
    assert weighed.encode(x).tolist() == [[0, 0, 6, 8]]     # in units of decoder norms, which are folded away
    assert weighed.decode(weighed.encode(x)).tolist() == [[1, 1, 7, 9, 1, 1]]


def test_one_door_for_both(folder):
    x = torch.tensor(np.load("acts.npy")[:50])
    assert torch.equal(load_any(folder / "run").encode(x), load_any(folder / "theirs").encode(x))
    assert torch.equal(load_any(folder / "run").W_enc, load_sae(folder / "run").W_enc)
