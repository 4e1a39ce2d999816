"""`python -m sae_spec.spec_tests` as an adapter's author meets it: verdicts, messages, replays, reports."""

import json
import shlex
import sys

import numpy as np
import pytest

from sae_spec.spec_tests.core.cases import golden_cases, run_case
from sae_spec.spec_tests.__main__ import main
from sae_spec.spec_tests.core.clauses import clauses
from sae_spec.spec_tests.core.commands import start
from sae_spec.spec_tests.core.replay import replay_document
from sae_spec.spec_tests.operations import OPERATIONS

RELU_ONLY = """
import numpy as np

NAME, VERSION, DTYPES = "relu-only", "1", ["float64", "float32"]


def run(operation, config, inputs, dtype):
    if operation != "activation" or config["activation"] != "relu":
        raise NotImplementedError(f"no {operation}")
    return {"acts": np.maximum(inputs["pre"], 0)}
"""

# Ties go to the highest index where latents are chosen by size; everything else is the reference's.
WRONG_TIES = """
import numpy as np
from sae_spec.spec_tests.adapters import reference_numpy

NAME, VERSION, DTYPES = "wrong-ties", "0.3", ["float64"]


def run(operation, config, inputs, dtype):
    if operation != "activation" or config["activation"] not in ("topk", "batch_topk", "abs_topk"):
        return reference_numpy.run(operation, config, inputs, dtype)
    backwards = {"pre": np.flip(inputs["pre"])}
    return {"acts": np.flip(reference_numpy.run(operation, config, backwards, dtype)["acts"])}
"""


def adapter(folder, text):
    path = folder / "mine.py"
    path.write_text(text)
    return path


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    """Calls the program in a folder of its own; returns the one line with which it refuses to start."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAE_SPEC_COMMAND", "")

    def call(*words):
        assert main(list(map(str, words))) == 2
        said = capsys.readouterr()
        (line,) = said.err.splitlines()
        assert not said.out and line.startswith("sae_spec.spec_tests: ")
        return line

    return call


# ---------------------------------------------------------------- usage

def test_help_is_for_a_newcomer(capsys):
    assert main(["--help"]) == 0
    said = capsys.readouterr().out
    assert all(word in said for word in ("--adapter", "--clause", "--report", "Exit status"))


def test_all_operations_are_printed(capsys):
    assert main(["--operations"]) == 0
    printed = capsys.readouterr().out
    assert [line.split()[0] for line in printed.splitlines() if line and line[0] != " "] == list(OPERATIONS)
    assert "    inputs   acts (B, M), W_dec (M, D), price (M,)\n" in printed


def test_without_an_adapter_it_says_so(refused):
    assert "--adapter is missing" in refused("--clause", "ACT-1")


@pytest.mark.parametrize("name, said", [
    ("no_such_adapter", "neither one of ours ("), ("no_such.py", "there is no such file"),
    ("lacking.py", "the adapter lacks NAME, VERSION, DTYPES, run"),
    ("broken.py", "cannot be loaded: SyntaxError: "), ("raising.py", "cannot be loaded: ZeroDivisionError: "),
    ("float8.py", "unknown dtypes ['float8']"),
])
def test_an_adapter_that_cannot_be_loaded_is_one_line(name, said, refused, tmp_path):
    for file, text in {"lacking": "", "broken": "\ndef run(:", "raising": "\n1 / 0",
                       "float8": "NAME, VERSION, DTYPES, run = 'a', '1', ['float8'], print"}.items():
        (tmp_path / f"{file}.py").write_text(text)
    line = refused("--adapter", name)
    assert f"--adapter {name}: {said}" in line and ("cannot be loaded" not in said or f"{name}, line 2)" in line)


def test_files_that_cannot_be_read_are_one_line(refused, tmp_path):
    (tmp_path / "cut.json").write_text('{"format": 1')
    (tmp_path / "bad.toml").write_text("[[known_failure]]\nreason = 3")
    path = adapter(tmp_path, RELU_ONLY)
    assert "cut.json: line 1: not JSON" in refused("--adapter", path, "--case", "cut.json")
    assert "bad.toml: known_failure[0].reason: " in refused("--adapter", path, "--known-failures", "bad.toml")


def test_nothing_selected_is_no_success(tmp_path):
    path = adapter(tmp_path, RELU_ONLY)
    assert start(tmp_path, "--adapter", path, "--case", "no-such-case").status == 1


# ---------------------------------------------------------------- unsupported

def test_unsupported_is_counted_and_is_no_pass(tmp_path):
    path = adapter(tmp_path, RELU_ONLY)
    ran = start(tmp_path, "--adapter", path, "--clause", "ACT-1", "--dtype", "float32", "--report", "out.json")
    report = json.loads((tmp_path / "out.json").read_text())
    counts = report["clauses"]["ACT-1"]["float32"]
    assert ran.status == report["exit_status"] == 0 and set(report["clauses"]["ACT-1"]) == {"float32"}
    assert counts["pass"] > 0 and counts["unsupported"] > 0 and counts["fail"] == 0
    assert counts["cases"] > 0 and counts["examples"] >= 10
    assert report["tests"]["unsupported"] == sum(report["unsupported_reasons"].values()) > 0
    assert f"tests: {report['tests']['pass']} pass, 0 fail, {report['tests']['unsupported']} unsupported" in ran.out
    assert "no activation_backward" in ran.out and report["adapters"] == [["relu-only", "1"]]


def test_require_makes_unsupported_a_failure(tmp_path):
    path = adapter(tmp_path, RELU_ONLY)
    ran = start(tmp_path, "--adapter", path, "--clause", "ACT-1", "--require", "SAE-1,ACT-*")
    assert ran.status == 1 and "ACT-1 is required, the adapter says: no activation_backward" in ran.out


# ---------------------------------------------------------------- failures

@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """A run of the adapter with wrong ties: its folder and what it said."""
    folder = tmp_path_factory.mktemp("broken")
    path = adapter(folder, WRONG_TIES)
    return folder, start(folder, "--adapter", path, "--clause", "ACT-5", "--effort", "normal", "--report", "out.json")


def test_a_failure_says_all_there_is_to_say(broken):
    ran, clause = broken[1], clauses()["ACT-5"]
    assert ran.status == 1
    for part in (f"ACT-5  {clause.sentence}\n", f"      {clause.where}\n", "adapter wrong-ties 0.3   float64",
                 "acts[", "want ", "got ", "|error| ", "allowed 0 (exact)",
                 "flag Tie: the selection does not order ties", "smallest example:",
                 "  again: python -m sae_spec.spec_tests"):
        assert part in ran.out, part
    assert "Traceback" not in ran.text and "site-packages" not in ran.text


def reruns(ran):
    """The commands that a failing run offers, those for golden cases first."""
    found = [shlex.split(line.split("again:")[1]) for line in ran.out.splitlines() if line.startswith("  again:")]
    assert all(words[:3] == ["python", "-m", "sae_spec.spec_tests"] for words in found)
    return sorted({tuple(words[3:]) for words in found}, key=lambda words: words[-1].endswith(".json"))


def test_the_offered_commands_reproduce_the_failure(broken):
    folder, ran = broken
    by_case, by_replay = reruns(ran)[0], reruns(ran)[-1]
    assert not by_case[-1].endswith(".json") and by_replay[-1].endswith(".json")
    for words in (by_case, by_replay):
        again = start(folder, *words)
        assert again.status == 1 and "ACT-5  " in again.out and "acts[" in again.out


def test_a_call_that_the_reference_cannot_answer_is_left_out_of_the_replay():
    from sae_spec.spec_tests.adapters import reference_numpy

    asked = [{"operation": "activation", "config": {"activation": "relu"}, "inputs": {"pre": np.ones((1, 2))}},
             {"operation": "activation", "config": {"activation": "topk", "k": 3}, "inputs": {"pre": np.ones((1, 2))}},
             {"operation": "activation", "config": {"activation": "relu"}, "inputs": {}},
             {"operation": "no such operation", "config": {}, "inputs": {}}]
    cases = replay_document("test_this", ["ACT-1"], asked, reference_numpy)["cases"]
    assert ["expected" in case for case in cases] == [True, False] and cases[1]["error"] == "k"


def test_the_report_lists_the_failures(broken):
    report = json.loads((broken[0] / "out.json").read_text())
    assert report["exit_status"] == 1 and report["tests"]["fail"] == len(report["failures"]) > 0
    assert all("ACT-5" in failure["clauses"] and failure["message"] for failure in report["failures"])


def known(folder, *entries):
    text = "\n".join(f'[[known_failure]]\nclause = "{clause}"\nreason = "wanted"' for clause in entries)
    (folder / "known.toml").write_text(text)
    return start(folder, "--adapter", folder / "mine.py", "--case", "topk-all-equal", "--known-failures", "known.toml")


def test_known_failures_are_excused_and_the_list_is_strict(broken):
    folder = broken[0]
    ran = known(folder, "ACT-5")
    assert ran.status == 0 and "known failure" in ran.out and " 0 known failure" not in ran.out
    ran = known(folder, "ACT-5", "SAE-1")
    assert ran.status == 1 and "no longer fails, or matches nothing: SAE-1  (wanted)" in ran.out


# ---------------------------------------------------------------- liars

class Liar:
    """An adapter that answers everything, and nothing right."""

    NAME, VERSION, DTYPES = "liar", "0", ["float64"]

    def __init__(self, spoil):
        self.spoil = spoil

    def run(self, operation, config, inputs, dtype):
        from sae_spec.spec_tests.adapters import reference_numpy

        try:
            outputs = reference_numpy.run(operation, config, inputs, dtype)
        except ValueError:
            return {}                           # a caller's mistake goes unnoticed
        return self.spoil({name: np.asarray(value, dtype=float) for name, value in outputs.items()})


LIES = {
    "all NaN": lambda outputs: {name: np.full_like(value, np.nan) for name, value in outputs.items()},
    "one axis too many": lambda outputs: {name: value[None] for name, value in outputs.items()},
    "nothing": lambda outputs: {},
    "empty arrays": lambda outputs: {name: np.zeros(0) for name in outputs},
}


@pytest.mark.parametrize("lie", LIES)
def test_a_liar_fails_every_golden_case(lie):
    fooled = [case.id for case in golden_cases() if not run_case(Liar(LIES[lie]), case, "float64").mismatches
              if not all(want.size == 0 for want in case.expected.values()) or case.error]
    assert not fooled


# ---------------------------------------------------------------- programs

PROGRAM = """
import json, sys

for number, line in enumerate(sys.stdin):
    request = json.loads(line)
    if request["operation"] == "hello":
        reply = {"name": "tiny", "version": "1", "dtypes": ["float64"]}
    elif request["operation"] == "activation" and request["config"]["activation"] == "relu":
        pre = request["inputs"]["pre"]
        relu = lambda number: max(float(number), 0)
        acts = json.loads(json.dumps(pre["data"]), parse_int=relu, parse_float=relu)
        reply = {"outputs": {"acts": {"shape": pre["shape"], "data": acts}}}
    else:
        reply = {"unsupported": "only relu"}
    if number == DIES_AT:
        sys.exit(3)
    print(ANSWER(reply), flush=True)
"""


def program(folder, dies_at=None, answer="json.dumps"):
    path = folder / "program.py"
    path.write_text(PROGRAM.replace("DIES_AT", str(dies_at)).replace("ANSWER", answer))
    return shlex.join([sys.executable, str(path)])


def test_a_program_that_speaks_json_lines_is_an_adapter(tmp_path):
    ran = start(tmp_path, "--command", program(tmp_path), "--clause", "ACT-1", "--report", "out.json")
    tests = json.loads((tmp_path / "out.json").read_text())["tests"]
    assert ran.status == 0 and tests["pass"] > 0 and tests["unsupported"] > 0 and tests["fail"] == 0
    assert "only relu" in ran.out


def test_a_program_that_dies_fails_with_a_clear_line(tmp_path):
    ran = start(tmp_path, "--command", program(tmp_path, dies_at=3), "--clause", "ACT-1")
    assert ran.status == 1 and "ended without a reply (exit status 3)" in ran.out and "Traceback" not in ran.text


@pytest.mark.parametrize("settings, said", [
    (None, "cannot be started"), ({"dies_at": 0}, "ended without a reply"), ({"answer": "str"}, "is not JSON"),
])
def test_a_program_that_does_not_say_hello_is_one_line(settings, said, refused, tmp_path):
    assert said in refused("--command", "./no-such-program" if settings is None else program(tmp_path, **settings))
