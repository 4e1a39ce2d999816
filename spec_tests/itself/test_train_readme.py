"""torch_impl/README.md does what it says: every command and every example in it runs, in the order in which they stand."""

import os
import re
import shlex
from typing import get_args

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sae_spec.spec_tests.core.clauses import REFERENCE
from sae_spec.spec_tests.core.commands import SCRIPT, start
from sae_spec.torch_impl.training.config import Activation, SAEConfig, TrainingConfig

README = REFERENCE.parent / "torch_impl" / "README.md"
TEXT = README.read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```", re.DOTALL | re.MULTILINE)
INSTALL = "pip install "


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder with activations.npy and words.txt in which everything that README shows has run once, in order."""
    folder = tmp_path_factory.mktemp("train")
    np.save(folder / "activations.npy", np.random.default_rng(0).normal(size=(500, 16)).astype(np.float32))
    (folder / "words.txt").write_text("word\n" * 500, encoding="utf-8")
    return folder


def parts():
    """(what, text) in README's order: each line of an sh block, each python block."""
    for language, text in BLOCK.findall(TEXT):
        yield from [("sh", line) for line in text.splitlines() if line.strip()] if language == "sh" else [("python", text)]


@pytest.mark.long          # it trains, stops, resumes and scans: ten times what another test of a page takes
def test_everything_it_shows_runs(folder, monkeypatch):
    torch.set_num_threads(1)
    monkeypatch.chdir(folder)
    names, installs = {}, []
    for language, text in parts():
        if language == "python":
            exec(compile(text, README.name, "exec"), names)
        elif text.startswith(INSTALL):
            installs.append(text)
        else:
            program, *words = shlex.split(text, comments=True)
            assert program == "sae-spec"
            ran = start(folder, *words, program=SCRIPT)
            assert ran.status == 0, ran.text
    assert len(installs) == 1 and names["trainer"].steps_done == 50 and names["out"].acts.shape == (5, 64)
    assert names["values"].shape == names["indices"].shape and names["sae"].config.M == 64
    assert torch.equal(names["again"].W_dec, names["trainer"].sae.W_dec)
    assert {"run", "python_run", "codes.safetensors", "sae.safetensors", "out"} <= set(os.listdir(folder))
    table = TEXT.split("| in the run's folder | |")[1].split("\n\n")[0]
    files = {re.sub(r"\d+", "<step>", name) for name in os.listdir(folder / "run")}
    assert files == set(re.findall(r"^\| `([^`]+)` \| ", table, re.MULTILINE))


def test_every_activation_is_in_the_table_and_every_option_exists():
    table = TEXT.split("## Which activation")[1].split("\n\n")[1]
    rows = table.splitlines()[2:]
    listed = [name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert sorted(listed) == sorted(get_args(Activation))
    fields = SAEConfig.model_fields | TrainingConfig.model_fields
    assert {re.findall(r"`(\w+)`", row.split("|")[3])[0] for row in rows} <= set(fields)


def test_every_linked_file_is_there():
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", TEXT):
        assert (README.parent / target).exists(), target
