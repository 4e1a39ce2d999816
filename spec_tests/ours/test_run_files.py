"""Run folders that cannot be used: one line that names file and field, nothing overwritten; writes whole or absent."""

import json
import os
import shutil

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file, save_file

from sae_spec.spec_tests.core.complaints import bytes_of, complaint
from sae_spec.torch_impl import (
    Activations, CheckpointError, SAEConfig, SparseAutoencoder, Trainer, TrainingConfig, load, load_any, load_sae, save,
)
from sae_spec.torch_impl.training import checkpoint
from sae_spec.torch_impl.training.atomic import replace_text

ROWS = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


TRAINING = TrainingConfig(steps=6, batch_size=8, checkpoint_every=2, log_every=1)


def new_trainer():
    return Trainer.start(SAEConfig(D=4, M=8, k=2), TRAINING, Activations(torch.tensor(ROWS)))


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("run")
    new_trainer().fit(Activations(torch.tensor(ROWS)), folder, progress=False)
    return folder


@pytest.fixture
def run_folder(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "run")


def without(document, key):
    return {name: value for name, value in document.items() if name != key}


@pytest.mark.parametrize("change, said", [
    (lambda c: "", "not JSON"), (lambda c: json.dumps(c)[:-9], "not JSON"),
    (lambda c: "[]", "format is not 'sae-spec run'"), (lambda c: c | {"format": "x"}, "format is not"),
    (lambda c: c | {"version": 2}, "version is 2, this program reads 1"),
    (lambda c: without(c, "sae"), "sae is missing"), (lambda c: without(c, "data"), "data is missing"),
    (lambda c: c | {"scale": 0}, "scale is 0, expected a number above 0"),
    (lambda c: c | {"scale": "2"}, "scale is '2', expected"), (lambda c: c | {"scale": float("nan")}, "scale is nan, expected"),
    (lambda c: c | {"sae": 5}, "SAEConfig: "),
    (lambda c: c | {"sae": without(c["sae"], "M")}, "SAEConfig.M: is required"),
    (lambda c: c | {"training": {"steps": 0}}, "TrainingConfig.steps: must be at least 1"),
    (lambda c: c | {"training": {"step": 1}}, "TrainingConfig.step: unknown"),
])
def test_a_run_whose_configuration_cannot_be_used(change, said, run_folder):
    path = run_folder / "config.json"
    content = change(json.loads(path.read_text()))
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    for call in (load_sae, Trainer.resume):
        assert complaint(run_folder, CheckpointError, call, run_folder).startswith(f"{path}: {said}")


SIX_STEPS = {"steps_done": "6"}


def rewritten(edit, about=SIX_STEPS):
    """Spoil a safetensors file by editing its tensors or what it says about itself."""
    def spoil(path):
        tensors = {name: tensor.clone() for name, tensor in load_file(path).items()}
        edit(tensors)
        save_file(tensors, path, about)
    return spoil


@pytest.mark.parametrize("name, weight", [("sae.safetensors", "W_dec"),
                                          ("trainer.6.safetensors", "first_moment.W_dec")])
@pytest.mark.parametrize("spoil, said", [
    (lambda path, key: path.unlink(), "no such file"),
    (lambda path, key: path.write_bytes(path.read_bytes()[:-7]), "truncated or not a .safetensors file"),
    (lambda path, key: path.write_bytes(b""), "truncated or not a .safetensors file"),
    (lambda path, key: path.write_bytes(b"junk" * 9), "truncated or not a .safetensors file"),
    (lambda path, key: rewritten(lambda t: t.pop(key))(path), "{} is missing"),
    (lambda path, key: rewritten(lambda t: t.update(more=torch.zeros(2)))(path), "more is not expected"),
    (lambda path, key: rewritten(lambda t: t.update({key: torch.zeros(2)}))(path), "{} has shape (2,), expected"),
    (lambda path, key: rewritten(lambda t: t.update({key: t[key].long()}))(path), "{} is of type torch.int64"),
    (lambda path, key: rewritten(lambda t: t[key].fill_(np.nan))(path), "{} holds a number that is not finite"),
    (lambda path, key: rewritten(lambda t: None, None)(path), "steps_done is missing"),
], ids=["gone", "cut", "empty", "junk", "missing", "extra", "shape", "type", "nan", "unstamped"])
def test_a_checkpoint_that_cannot_be_used(name, weight, spoil, said, run_folder):
    spoil(run_folder / name, weight)
    line = complaint(run_folder, CheckpointError, Trainer.resume, run_folder)
    assert line.startswith(f"{run_folder / name}: {said.format(weight)}")


def test_a_checkpoint_whose_files_are_of_different_steps(run_folder):
    path = run_folder / "trainer.6.safetensors"
    rewritten(lambda t: None, {"steps_done": "4"})(path)
    assert complaint(run_folder, CheckpointError, Trainer.resume, run_folder) == f"{path}: steps_done is 4, expected 6"


def test_metrics_of_something_else_stop_a_resumed_run(run_folder):
    path = run_folder / "metrics.jsonl"
    path.write_text("not of this run\n")
    again = Trainer.resume(run_folder)
    line = complaint(run_folder, ValueError, again.fit, Activations(torch.tensor(ROWS)), run_folder, False)
    assert line.startswith(f"{path}: holds a line")


def test_a_folder_that_is_not_free_is_left_alone(run_folder, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    for folder, said in ((run_folder, "holds another run; go on with it, Trainer.resume("), (tmp_path / "full", "is not empty"),
                         (tmp_path / "full" / "notes.txt", "is a file, not a folder")):
        line = complaint(tmp_path, CheckpointError, new_trainer().fit, Activations(torch.tensor(ROWS)), folder, False)
        assert line.startswith(f"{folder}: {said}")


@pytest.mark.parametrize("rows, said", [(ROWS + 1, "config.json: data: the run began with other data"),
                                        (ROWS[:, :3], "the data has D = 3, the SAE has D = 4")])
def test_a_resumed_run_refuses_other_data(rows, said, run_folder):
    data = Activations(torch.tensor(rows))
    assert said in complaint(run_folder, ValueError, Trainer.resume(run_folder).fit, data, run_folder, False)


@pytest.mark.parametrize("stuck", ["trainer.4.safetensors", "sae.safetensors"])
def test_a_write_that_fails_leaves_the_last_good_checkpoint(stuck, finished, tmp_path, monkeypatch):
    """The disk fills up at step 4, before either of the checkpoint's two files has its name."""
    data, folder, replace_file, seen = Activations(torch.tensor(ROWS)), tmp_path / "run", checkpoint.replace_file, []

    def full(path, write):
        seen.append(path.name)
        if path.name == stuck and "trainer.4.safetensors" in seen:
            raise OSError(28, "No space left on device", str(path))
        replace_file(path, write)

    monkeypatch.setattr(checkpoint, "replace_file", full)
    with pytest.raises(OSError, match="No space left"):
        new_trainer().fit(data, folder, progress=False)
    monkeypatch.undo()
    trainer = Trainer.resume(folder)
    assert trainer.steps_done == 2 and load_sae(folder).frequency_batches == 2
    trainer.fit(data, folder, progress=False)
    assert bytes_of(folder) == bytes_of(finished)


def test_a_file_half_written_never_shows(tmp_path):
    def write(path):
        path.write_text("half")
        raise KeyboardInterrupt

    (tmp_path / "config.json").write_text("whole")
    with pytest.raises(KeyboardInterrupt):
        checkpoint.replace_file(tmp_path / "config.json", write)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"config.json": "whole"}


# ---------------------------------------------------------------- one SAE in one file

@pytest.fixture
def sae_file(tmp_path):
    trainer = new_trainer()
    for _ in range(3):
        trainer.step(torch.tensor(ROWS))
    save(trainer.sae, tmp_path / "folder" / "sae.safetensors")
    return trainer.sae, tmp_path / "folder" / "sae.safetensors"


@pytest.mark.parametrize("read", [load, load_any])
def test_an_sae_comes_back_from_its_file(read, sae_file):
    sae, path = sae_file
    again = read(path)
    assert not again.training and again.config == sae.config
    assert all(torch.equal(tensor, again.state_dict()[name]) for name, tensor in sae.state_dict().items())
    x = torch.tensor(ROWS)
    assert all(torch.equal(mine, theirs) for mine, theirs in zip(sae.eval()(x), again(x)))


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_an_sae_comes_back_in_the_precision_in_which_it_was_saved(dtype, tmp_path):
    sae = SparseAutoencoder(SAEConfig(D=4, M=8, activation="jumprelu", tied=True, prefixes=(4, 8))).to(dtype)
    save(sae, tmp_path / "sae.safetensors")
    again = load(tmp_path / "sae.safetensors")
    assert again.W_dec.dtype == dtype and again.price.dtype == sae.price.dtype and torch.equal(again.W_dec, sae.W_dec)


def test_a_jumprelu_saved_before_thresholds_were_trained_themselves_comes_back(tmp_path):
    sae = SparseAutoencoder(SAEConfig(D=4, M=8, activation="jumprelu", threshold_parameter="log_threshold"))
    config = json.dumps({key: value for key, value in sae.config.model_dump().items() if key != "threshold_parameter"})
    save_file(sae.state_dict(), tmp_path / "old.safetensors", ABOUT | {"config": config})
    again = load(tmp_path / "old.safetensors")
    assert again.config == sae.config and torch.equal(again.log_threshold, sae.log_threshold)


def test_loading_a_run_says_which_function_reads_it(run_folder):
    assert complaint(run_folder, CheckpointError, load, run_folder) == f"{run_folder}: is a folder; load_sae reads a run"
    line = complaint(run_folder, CheckpointError, load, run_folder / "sae.safetensors")
    assert line.startswith(f"{run_folder / 'sae.safetensors'}: format is None, expected 'sae-spec sae'")


ABOUT = {"format": "sae-spec sae", "version": "1", "config": SAEConfig(D=4, M=8, k=2).model_dump_json()}


@pytest.mark.parametrize("spoil, said", [
    (lambda path: path.unlink(), "no such file"),
    (lambda path: path.write_bytes(path.read_bytes()[:-7]), "truncated or not a .safetensors file"),
    (rewritten(lambda t: None, ABOUT | {"format": "x"}), "format is 'x', expected 'sae-spec sae'"),
    (rewritten(lambda t: None, ABOUT | {"version": "2"}), "version is '2', this program reads '1'"),
    (rewritten(lambda t: None, without(ABOUT, "config")), "config: SAEConfig: "),
    (rewritten(lambda t: None, ABOUT | {"config": '{"D": 4}'}), "config: SAEConfig.M: is required"),
    (rewritten(lambda t: t.pop("W_dec"), ABOUT), "W_dec is missing"),
    (rewritten(lambda t: t.update(W_enc=torch.zeros(2)), ABOUT), "W_enc has shape (2,), expected (8, 4)"),
    (rewritten(lambda t: t["b_enc"].fill_(np.inf), ABOUT), "b_enc holds a number that is not finite"),
], ids=["gone", "cut", "format", "version", "no-config", "config", "missing", "shape", "inf"])
def test_a_file_that_holds_no_sae(spoil, said, sae_file):
    path = sae_file[1]
    spoil(path)
    assert complaint(path.parent, CheckpointError, load, path).startswith(f"{path}: {said}")


def test_saving_that_fails_leaves_the_sae_that_was_there(sae_file, monkeypatch):
    sae, path = sae_file
    before = bytes_of(path.parent)
    monkeypatch.setattr("os.replace", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space left"):
        save(SparseAutoencoder(sae.config, seed=9), path)
    assert bytes_of(path.parent) == before


@pytest.mark.skipif(os.name != "posix", reason="links need a privilege on Windows")
def test_a_link_stays_a_link(tmp_path):
    """An editable install has links in place of files: what is written goes where they point."""
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    replace_text(tmp_path / "link", "new\n")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "real").read_bytes() == b"new\n"
