"""The console script `sae-spec`: what a user types, what a mistake of theirs looks like, what a run leaves behind."""

import json
import shutil
from functools import partial

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sae_spec.spec_tests.core.commands import SCRIPT, start
from sae_spec.spec_tests.core.complaints import bytes_of
from sae_spec.spec_tests.ours import called
from sae_spec.torch_impl import load_sae
from sae_spec.torch_impl.training import checkpoint

ROWS = np.random.default_rng(0).normal(size=(60, 6)).astype(np.float16)
TRAIN = ["train", "rows.npy", "--out", "run", "--M", 12, "--k", 2, "--steps", 8, "--batch-size", 10,
         "--checkpoint-every", 3, "--log-every", 2]


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture
def sae_spec(tmp_path, monkeypatch, capsys):
    """Runs the console script in a folder that holds rows.npy: (exit status, out, err)."""
    np.save(tmp_path / "rows.npy", ROWS)
    monkeypatch.chdir(tmp_path)

    return partial(called, capsys)


def refused(call, *words):
    """The one line that says what the user must change."""
    status, out, err = call(*words)
    (line,) = err.splitlines()
    assert status == 2 and not out and line.startswith("error: ")
    return line


@pytest.mark.parametrize("words, said", [
    (["--help"], ["Start here", "train", "check", "demo"]),
    (["train", "--help"], ["--activation", "--l1-coefficient", "--resume", "one row a token"]),
    (["check", "--help"], ["--dtype", "--require"]), (["--version"], ["sae-spec 0."]),
])
def test_help_answers(sae_spec, words, said):
    status, out, err = sae_spec(*words)
    assert status == 0 and not err and all(word in out for word in said)


def test_train_leaves_a_run_that_can_be_read(sae_spec, tmp_path):
    status, out, err = sae_spec(*TRAIN)
    assert status == 0 and "8 steps done: load_sae reads the SAE in run" in err
    sae = load_sae(tmp_path / "run")
    assert (sae.config.D, sae.config.M, sae.config.k) == (6, 12, 2) and sae.frequency_batches == 8
    lines = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [2, 4, 6, 8]
    assert {"total", "active", "dead", "price_spent", "unexplained", "learning_rate"} <= set(lines[0])


def test_resume_goes_on_to_the_same_bytes(sae_spec, tmp_path, monkeypatch):
    def interrupted(run_folder, sae, moments, steps_done, scale):
        save(run_folder, sae, moments, steps_done, scale)
        if steps_done == 6:
            raise KeyboardInterrupt

    sae_spec(*TRAIN)
    whole, save = bytes_of(tmp_path / "run"), checkpoint.save
    shutil.rmtree(tmp_path / "run")
    monkeypatch.setattr(checkpoint, "save", interrupted)
    status = sae_spec(*TRAIN)[0]
    assert status != 0 and bytes_of(tmp_path / "run") != whole
    monkeypatch.setattr(checkpoint, "save", save)
    assert sae_spec("train", "rows.npy", "--out", "run", "--resume")[0] == 0
    assert bytes_of(tmp_path / "run") == whole
    line = refused(sae_spec, "train", "rows.npy", "--out", "run", "--resume", "--k", 3)
    assert "SAEConfig.k: the run to resume has 2, got 3" in line
    assert "run: holds another run; resume it (--resume)" in refused(sae_spec, *TRAIN)
    assert bytes_of(tmp_path / "run") == whole


@pytest.mark.parametrize("words, said", [
    (["nowhere.npy"], "nowhere.npy: no such file"),
    (["notes.csv"], "notes.csv: expected a .npy or a .safetensors file"),
    (["rows.npy", "--k", 99], "SAEConfig.k: must be above 0 and at most M = 48, got 99"),
    (["rows.npy", "--activation", "foo"], "SAEConfig.activation: "),
    (["rows.npy", "--l1-coefficient", -1], "TrainingConfig.l1_coefficient: must be at least 0, got -1"),
    (["rows.npy", "--l0-coefficient", 1], "TrainingConfig.l0_coefficient: needs jumprelu"),
    (["rows.npy", "--prefixes", 5], "SAEConfig.prefixes: must increase"),
    (["rows.npy", "--prefixes", "4,x,48"], "SAEConfig.prefixes.1: "),
    (["rows.npy", "--device", "cuda:77"], "device: cuda:77 cannot be used here"),
    (["rows.npy", "--tensor", "acts"], "rows.npy: a .npy file has no named tensors, got 'acts'"),
    (["rows.npy", "--config", "no.toml"], "no.toml: No such file"),
    (["rows.npy", "--config", "bad.toml"], "bad.toml: SAEConfig.kk: unknown"),
    (["rows.npy", "--config", "size.toml"], "SAEConfig.D: the data has D = 6, got 5"),
    (["rows.npy", "--resume"], "run/config.json: no such file"),
])
def test_a_mistake_is_one_line_and_leaves_nothing(sae_spec, tmp_path, words, said):
    (tmp_path / "notes.csv").write_text("1,2")
    (tmp_path / "bad.toml").write_text("[sae]\nkk = 3")
    (tmp_path / "size.toml").write_text("[sae]\nD = 5")
    before = bytes_of(tmp_path)
    assert refused(sae_spec, "train", *words, "--out", "run").startswith(f"error: {said}")
    assert bytes_of(tmp_path) == before and not (tmp_path / "run").exists()


def test_a_toml_file_configures_and_options_win(sae_spec, tmp_path):
    tables = '[sae]\nM = 10\nactivation = "topk"\nk = 3\n[training]\nsteps = 2\nbatch_size = 4'
    (tmp_path / "run.toml").write_text(tables)
    assert sae_spec("train", "rows.npy", "--out", "run", "--config", "run.toml", "--k", 2)[0] == 0
    config = load_sae(tmp_path / "run").config
    assert (config.M, config.activation, config.k) == (10, "topk", 2)


@pytest.mark.parametrize("words", [["--prefixes", "4,8,12"], ["--prefixes", 4, "--prefixes", 8, "--prefixes", 12],
                                   ["--prefixes", "4,8", "--prefixes", 12]])
def test_prefixes_may_be_one_list_or_given_one_by_one(sae_spec, tmp_path, words):
    assert sae_spec(*TRAIN, *words)[0] == 0
    assert load_sae(tmp_path / "run").config.prefixes == (4, 8, 12)


def test_a_norm_of_inf_leaves_gradients_as_they_are(sae_spec, tmp_path):
    """As the option's help says; in JSON, which has no infinity, it is null, and the run can be resumed."""
    assert sae_spec(*TRAIN, "--max-grad-norm", "inf")[0] == 0
    assert json.loads((tmp_path / "run" / "config.json").read_text())["training"]["max_grad_norm"] is None
    assert sae_spec("train", "rows.npy", "--out", "run", "--resume")[0] == 0
    line = refused(sae_spec, *TRAIN, "--out", "elsewhere", "--max-grad-norm", "nan")
    assert "TrainingConfig.max_grad_norm: must be above 0, got nan" in line


@pytest.mark.parametrize("words", [["encode", "run", "late.npy", "--out", "out.safetensors"],
                                   ["absorption", "run", "--data", "late.npy"]])
def test_a_number_that_is_not_finite_is_located_in_its_file(sae_spec, tmp_path, words):
    """It lies where the first look, at a sample of the rows, does not fall."""
    rows = np.tile(ROWS, (100, 1))
    looked_at = set(np.random.default_rng(0).choice(len(rows), 1024, replace=False, shuffle=False))
    late = max(set(range(len(rows))) - looked_at)
    rows[late, 3] = np.nan
    np.save(tmp_path / "late.npy", rows)
    sae_spec(*TRAIN)
    *_, line = sae_spec(*words)[2].splitlines()
    assert line == f"error: late.npy: row {late}, column 3 holds nan, a number that is not finite"


@pytest.mark.parametrize("out, said", [("folder", "folder: is a folder; give the name of a .safetensors file"),
                                       ("acts.npy", "acts.npy: what is written is a .safetensors file, and its name must end so")])
def test_encode_says_at_once_that_a_file_cannot_be_written(sae_spec, tmp_path, out, said):
    """Before it reads the run, which is not there."""
    (tmp_path / "folder").mkdir()
    assert refused(sae_spec, "encode", "no-run", "rows.npy", "--out", out) == f"error: {said}"


def test_nothing_sparse_is_noted(sae_spec):
    words = ["--activation", "relu", "--steps", 1, "--batch-size", 4]
    status, _, err = sae_spec("train", "rows.npy", "--out", "run", *words)
    assert status == 0 and "note: nothing makes this relu SAE sparse; give it --l1-coefficient" in err


def test_divergence_is_one_line_and_keeps_the_checkpoint(sae_spec, tmp_path):
    rows = ROWS.astype(np.float32)
    np.save(tmp_path / "huge.npy", rows * 1e30)
    status, _, err = sae_spec("train", "huge.npy", *TRAIN[2:], "--no-normalize-activations")
    assert status == 2 and "error: step 0: " in err.splitlines()[-1]
    assert load_sae(tmp_path / "run").frequency_batches == 0


def test_a_wrong_adapter_is_one_line(sae_spec, tmp_path):
    status, _, err = sae_spec("check", "no_such_adapter")
    (line,) = err.splitlines()
    assert status == 2 and "no_such_adapter: neither one of ours" in line


def test_check_runs_the_suite(tmp_path):
    ran = start(tmp_path, "check", "reference_numpy", "--clause", "ACT-7", "--report", "out.json", program=SCRIPT)
    tests = json.loads((tmp_path / "out.json").read_text())["tests"]
    assert ran.status == 0 and tests["pass"] > 0 and tests["fail"] == tests["unsupported"] == 0
    assert f"tests: {tests['pass']} pass, 0 fail, 0 unsupported" in ran.out


def test_help_shows_brackets_as_they_are(tmp_path):
    assert "values[offsets[n]:offsets[n + 1]]" in " ".join(start(tmp_path, "encode", "--help", program=SCRIPT).out.split())
