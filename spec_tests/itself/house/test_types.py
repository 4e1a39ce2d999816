"""The public API is typed: a script outside the project passes a type checker, and its mistakes do not."""

import ast
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytest.importorskip("basedpyright", reason="a tool of those who change this project: pip install 'sae-spec[dev]'")

GOOD = '''
import sae_spec.torch_impl as production
from sae_spec.torch_impl import (
    AbsorptionReport, Activations, CheckpointError, Output, SAEConfig, SparseAutoencoder, Trainer, TrainingConfig,
    TrainingDiverged, config_mapping, find_absorption, load, load_any, load_sae, open_activations, save,
)
from torch import Tensor
from torch.nn import Parameter
from typing_extensions import assert_type

config = SAEConfig(D=16, M=64, activation="topk", k=4, prefixes=(16, 64))
training = TrainingConfig(steps=20, batch_size=32, precision="bfloat16")
data = open_activations("activations.npy")
assert_type(data, Activations)
assert_type(data.batch(0, 32, 0), Tensor)
trainer = Trainer.start(config, training, data, device="cpu")
try:
    trainer.fit(data, "run", progress=False)
    assert_type(trainer.step(data.sample(32)), dict[str, Tensor])
except TrainingDiverged as error:
    print(error)
try:
    sae = load_sae("run")
except CheckpointError as error:
    raise SystemExit(str(error))
assert_type(sae, SparseAutoencoder)
out = sae(data.sample(5))
assert_type(out, Output)
assert_type(out.recon, Tensor)
assert_type(sae.encode(out.recon), Tensor)
assert_type(sae.encode_sparse(out.recon), tuple[Tensor, Tensor])
assert_type(sae.decode(out.acts), Tensor)
assert_type(sae.config.k, float | None)
assert_type(sae.threshold, Tensor)
assert_type(sae.W_enc, Parameter)
assert_type(sae.theta, Parameter)
save(sae, "sae.safetensors")
assert_type(load("sae.safetensors", device="cpu"), SparseAutoencoder)
assert_type(load_any("elsewhere"), SparseAutoencoder)
config_mapping(config, training)["priced"]
assert_type(find_absorption(sae, data.rows), AbsorptionReport)
assert_type(production.Trainer.resume("run"), Trainer)
'''
# (a line, what the checker must say of it)
MISTAKES = [
    ("SAEConfig(D=16, M=64, activation='topkk', k=4)", "reportArgumentType"),
    ("SAEConfig(D=16, M=64, K=4)", "reportCallIssue"),
    ("TrainingConfig(stepps=20)", "reportCallIssue"),
    ("load_sae(3)", "reportArgumentType"),
    ("sae(data.sample(5)).reconstruction", "reportAttributeAccessIssue"),
    ("sae.encode_sparse(out.recon).shape", "reportAttributeAccessIssue"),
    ("production.SparseAutoencode", "reportAttributeAccessIssue"),
]


@pytest.fixture(scope="module")
def complaints(tmp_path_factory):
    """{"good": [(line, rule)], "bad": ...}: what the checker says of a script without mistakes and of one with them."""
    folder = tmp_path_factory.mktemp("outside")
    mistakes = "".join(f"{line}\n" for line, _ in MISTAKES)
    (folder / "good.py").write_text(GOOD, encoding="utf-8")
    (folder / "bad.py").write_text(GOOD + mistakes, encoding="utf-8")
    (folder / "pyrightconfig.json").write_text('{"typeCheckingMode": "basic"}', encoding="utf-8")
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    checked = subprocess.run([sys.executable, "-m", "basedpyright", "--outputjson", "--pythonpath", sys.executable, "-p", "."],
                             cwd=folder, env=environment, capture_output=True, text=True, encoding="utf-8", timeout=120)
    told = [(one["file"], one["range"]["start"]["line"], one.get("rule", one["message"]), one["message"])
            for one in json.loads(checked.stdout)["generalDiagnostics"]]
    return {name: [rest for file, *rest in told if file.endswith(f"{name}.py")] for name in ("good", "bad")}


def test_an_outside_script_passes(complaints):
    assert not complaints["good"], ("where sae_spec.* cannot be resolved, install strictly, as the Makefile does: pip install "
                                    "--config-settings editable_mode=strict -e .")


def test_its_mistakes_do_not(complaints):
    first = len(GOOD.splitlines())
    found = {(line - first, rule) for line, rule, _ in complaints["bad"]}
    assert found == {(number, rule) for number, (_, rule) in enumerate(MISTAKES)}


def test_what_is_lazy_is_what_type_checkers_see():
    """The names in __all__, in the table of modules and in the TYPE_CHECKING block are the same."""
    import sae_spec.torch_impl as production

    text = Path(production.__file__).read_text(encoding="utf-8")
    block = next(node for node in ast.parse(text).body if isinstance(node, ast.If))
    seen = {alias.name: line.module for line in block.body if isinstance(line, ast.ImportFrom) for alias in line.names}
    assert seen == production._MODULES and sorted(production.__all__) == sorted(seen)
