"""README does what it says: its examples run, its commands run, its failure message comes."""

import json
import re
import shlex
import sys

import numpy as np
import pytest

from sae_spec.spec_tests.core.clauses import clauses
from sae_spec.spec_tests.core.commands import SCRIPT, start
from sae_spec.spec_tests.docs import markdown
from sae_spec.spec_tests.docs.__main__ import ROOT

TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
PROGRAMS = {"sae-spec": SCRIPT, "python": [sys.executable]}


def example(name):
    """An example of README."""
    return markdown.example(TEXT, name)


def shell_commands():
    """Every command of every sh block, without its comment; those of make have their own tests."""
    blocks = re.findall(r"^```sh\n(.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    lines = [shlex.split(line, comments=True) for block in blocks for line in block.splitlines()]
    return [words for words in lines if words and words[0] != "make"]


@pytest.fixture
def folder(tmp_path):
    """A folder with what README asks for: my_adapter.py and a small activations.npy."""
    folder = tmp_path
    (folder / "my_adapter.py").write_text(example("adapter"), encoding="utf-8")
    np.save(folder / "activations.npy", np.random.default_rng(0).normal(size=(500, 16)).astype(np.float32))
    return folder


def test_the_adapter_is_about_thirty_lines():
    assert len(example("adapter").splitlines()) <= 32


@pytest.mark.parametrize("words", [
    pytest.param(words, id=" ".join(words), marks=[pytest.mark.long] if "ACT-*" in words else [])
    for words in shell_commands()])
def test_a_command_runs(words, folder):
    pytest.importorskip("torch")
    commands = [words]
    if words[1] == "absorption":                            # of the run that README has trained before
        commands.insert(0, next(each for each in shell_commands() if each[1] == "train"))
    for each in commands:
        ran = start(folder, *each[1:], program=PROGRAMS[each[0]])
        assert ran.status == 0, ran.text


def test_the_first_sae_prints_what_is_shown(folder):
    """Word for word, and number for number but for the last digit, in which machines may differ."""
    (shown,) = re.findall(r"^```text\n(untied.*?)^```", TEXT, re.DOTALL | re.MULTILINE)
    printed = start(folder, "-m", "sae_spec.reference.first_sae", program=PROGRAMS["python"]).out
    number = re.compile(r"-?\d+\.\d\d")
    assert printed and number.sub("", printed).startswith(number.sub("", shown))
    want, got = ([float(text) for text in number.findall(part)] for part in (shown, printed))
    assert want and np.all(np.abs(np.subtract(want, got[: len(want)])) < 0.015), (want, got)


def test_the_adapter_passes_what_it_has_and_no_more(folder):
    pytest.importorskip("torch")
    start(folder, "--adapter", "my_adapter.py", "--clause", "ACT-5", "--report", "out.json")
    report = json.loads((folder / "out.json").read_text())
    assert report["tests"]["pass"] > 0 and report["tests"]["unsupported"] > 0 and report["tests"]["fail"] == 0
    assert set(report["clauses"]["ACT-5"]) == {"float64", "float32", "bfloat16"}


def test_ties_left_to_chance_fail_by_the_name_of_the_clause(folder):
    pytest.importorskip("torch")
    stable = "acts.argsort(dim=-1, descending=True, stable=True)"
    wrong = "(acts.shape[-1] - 1 - acts.flip(-1).argsort(dim=-1, descending=True, stable=True))"
    assert stable in example("adapter")
    (folder / "wrong.py").write_text(example("adapter").replace(stable, wrong), encoding="utf-8")
    ran = start(folder, "--adapter", "wrong.py", "--clause", "ACT-5", "--dtype", "float64")
    assert ran.status == 1
    clause = clauses()["ACT-5"]
    assert f"ACT-5  {clause.sentence}\n      {clause.where}\n" in ran.out, ran.out


def test_the_training_example_runs(capsys):
    torch = pytest.importorskip("torch")
    torch.set_num_threads(1)
    names = {}
    exec(compile(example("train"), "README.md", "exec"), names)
    assert names["trainer"].steps_done == 20 and names["out"].acts.shape == (5, 64)
