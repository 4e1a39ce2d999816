"""Data and configurations that cannot be used: one line that names the file or the field, nothing overwritten."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import save_file

from sae_spec.spec_tests.core.complaints import complaint
from sae_spec.torch_impl import SAEConfig, TrainingConfig, open_activations
from sae_spec.torch_impl.program.train_command import build, read_toml

ROWS = np.random.default_rng(0).normal(size=(40, 4)).astype(np.float32)


# ---------------------------------------------------------------- data

@pytest.mark.parametrize("rows, said", [
    (np.zeros(5), "expected rows of activations, shape (N, D), got (5,)"),
    (np.zeros((2, 3, 4)), "expected rows of activations, shape (N, D), got (2, 3, 4)"),
    (np.zeros((0, 4)), "expected rows of activations, shape (N, D), got (0, 4)"),
    (np.zeros((4, 0)), "expected rows of activations, shape (N, D), got (4, 0)"),
    (np.zeros((4, 2), int), "expected floating-point numbers, got torch.int64"),
    (np.zeros((4, 2), bool), "expected floating-point numbers, got torch.bool"),
    (np.zeros((4, 2), complex), "expected floating-point numbers, got torch.complex128"),
    (np.array([["a"]]), "not a .npy file of numbers"),
    (np.array([None]), "not a .npy file of numbers"),
    (np.array([[1.0, 2.0], [3.0, np.nan]]), "row 1, column 1 holds nan, a number that is not finite"),
    (np.array([[np.inf, 2.0]]), "row 0, column 0 holds inf, a number that is not finite"),
])
def test_an_npy_file_of_the_wrong_thing(rows, said, tmp_path):
    path = tmp_path / "rows.npy"
    np.save(path, rows)
    assert complaint(tmp_path, ValueError, open_activations, path).startswith(f"{path}: {said}")


@pytest.mark.parametrize("spoil", [lambda b: b[:-100], lambda b: b[:60], lambda b: b"", lambda b: b"garbage" * 9])
def test_an_npy_file_that_is_none(spoil, tmp_path):
    path = tmp_path / "rows.npy"
    np.save(path, ROWS)
    path.write_bytes(spoil(path.read_bytes()))
    assert complaint(tmp_path, ValueError, open_activations, path).startswith(f"{path}: not a .npy file of numbers")


@pytest.mark.parametrize("spoil", [lambda b: b[:-100], lambda b: b[:60], lambda b: b"", lambda b: b"garbage" * 9])
def test_a_safetensors_file_that_is_none(spoil, tmp_path):
    path = tmp_path / "rows.safetensors"
    save_file({"acts": torch.tensor(ROWS)}, path)
    path.write_bytes(spoil(path.read_bytes()))
    assert complaint(tmp_path, ValueError, open_activations, path).startswith(f"{path}: not a .safetensors file")


@pytest.mark.parametrize("tensor, said", [
    ("q", "holds no tensor 'q'; it has "), ("v", "expected rows of activations, shape (N, D), got (3,)"),
    ("i", "expected floating-point numbers"),
])
def test_a_tensor_that_is_not_rows(tensor, said, tmp_path):
    path = tmp_path / "rows.safetensors"
    save_file({"v": torch.zeros(3), "i": torch.zeros(2, 3, dtype=torch.int64)}, path)
    assert complaint(tmp_path, ValueError, open_activations, path, tensor).startswith(f"{path}: {said}")


def test_no_data_file_at_all(tmp_path):
    missing = ("no.npy", FileNotFoundError, "no such file")
    for name, error, said in (missing, ("x.csv", ValueError, "expected a .npy or")):
        (tmp_path / "x.csv").write_text("1,2")
        assert complaint(tmp_path, error, open_activations, tmp_path / name).startswith(f"{tmp_path / name}: {said}")


# ---------------------------------------------------------------- configurations

@pytest.mark.parametrize("model, text, said", [
    (SAEConfig, '{"D": 4', "SAEConfig: "), (SAEConfig, "5", "SAEConfig: "),
    (SAEConfig, "{}", "SAEConfig.D: is required"),
    (SAEConfig, '{"D": 4, "M": 8, "k": 9}', "SAEConfig.k: must be above 0 and at most M = 8, got 9"),
    (SAEConfig, '{"D": 4, "M": 8, "k": 1.5, "activation": "topk"}',
     "SAEConfig.k: must be a whole number for topk, got 1.5; a batch rule takes a fraction"),
    (SAEConfig, '{"D": 4, "M": 8, "k": 0.5, "activation": "topk"}', "SAEConfig.k: must be from 1 to M = 8, got 0.5"),
    (SAEConfig, '{"D": 4, "M": 8, "k": -0.5}', "SAEConfig.k: must be above 0 and at most M = 8, got -0.5"),
    (SAEConfig, '{"D": 4, "M": 8, "k": 0}', "SAEConfig.k: must be above 0 and at most M = 8, got 0"),
    (SAEConfig, '{"D": 4, "M": 8}', "SAEConfig.k: the activation batch_topk needs it"),
    (SAEConfig, '{"D": 4, "M": 8, "k": 2, "activation": "relu"}', "SAEConfig.k: the activation relu takes none"),
    (SAEConfig, '{"D": 4, "M": 8, "k": 2, "activation": "foo"}', "SAEConfig.activation: "),
    (SAEConfig, '{"D": 4, "M": 8, "k": 2, "prefixes": [8, 4]}', "SAEConfig.prefixes: must increase"),
    (SAEConfig, '{"D": 4, "M": 8.5, "k": 2}', "SAEConfig.M: "), (SAEConfig, '{"D": "4", "M": 8}', "SAEConfig.D: "),
    (SAEConfig, '{"D": 4, "M": 8, "k": 2, "K": 3}', "SAEConfig.K: unknown; the fields are D, M"),
    (TrainingConfig, '{"steps": 0}', "TrainingConfig.steps: must be at least 1, got 0"),
    (TrainingConfig, '{"steps": 1.5}', "TrainingConfig.steps: "),
    (TrainingConfig, '{"l1_coefficient": -1}', "TrainingConfig.l1_coefficient: must be at least 0, got -1"),
    (TrainingConfig, '{"learning_rate": NaN}', "TrainingConfig.learning_rate: "),
    (TrainingConfig, '{"frequency_decay": 1}', "TrainingConfig.frequency_decay: must be below 1, got 1"),
    (TrainingConfig, '{"precision": "float8"}', "TrainingConfig.precision: "),
])
def test_a_configuration_with_one_wrong_field(model, text, said, tmp_path):
    assert complaint(tmp_path, ValueError, model.model_validate_json, text).startswith(said)


def test_configurations_come_back_from_json():
    for config in (SAEConfig(D=4, M=8, k=2, prefixes=(2, 8)), TrainingConfig(steps=40, priced=True)):
        assert type(config).model_validate_json(config.model_dump_json()) == config


@pytest.mark.parametrize("content, said", [
    (b"[sae", "not TOML"), (b"\xff\xfe", "not TOML"), (b"[saes]\nM = 3", "saes: unknown; the tables are"),
    (b"sae = 3", "sae: unknown"), (b"M = 3", "M: unknown"),
])
def test_a_toml_file_that_is_no_configuration(content, said, tmp_path):
    path = tmp_path / "run.toml"
    path.write_bytes(content)
    assert complaint(tmp_path, ValueError, read_toml, path).startswith(f"{path}: {said}")


def test_a_toml_file_with_one_wrong_field_is_named_with_the_field(tmp_path):
    path = tmp_path / "run.toml"
    path.write_text("[sae]\nD = 4\nM = 8\nk = 9\n[training]\nstep = 3")
    tables = read_toml(path)
    for model, table, said in ((SAEConfig, "sae", "SAEConfig.k: must be"),
                               (TrainingConfig, "training", "TrainingConfig.step: ")):
        assert complaint(tmp_path, ValueError, build, model, tables[table], path, {}).startswith(f"{path}: {said}")
    line = complaint(tmp_path, ValueError, build, SAEConfig, tables["sae"], path, {"k": 9})
    assert line.startswith("SAEConfig.k: must be"), "an option was wrong, not the file"
