"""`python -m sae_spec.spec_tests` as an adapter's author meets it: verdicts, messages, replays, reports."""

import json
import shlex

import numpy as np
import pytest

from sae_spec.reference import SPEC_VERSION
from sae_spec.spec_tests.core.cases import FIXTURES, golden_cases, sha256
from sae_spec.spec_tests.core.clauses import clauses
from sae_spec.spec_tests.core.commands import start
from sae_spec.spec_tests.core.known_failures import read_known_failures
from sae_spec.spec_tests.core.replay import replay_document
from sae_spec.spec_tests.itself.command.samples import RELU_ONLY, WRONG_TIES, adapter

# Each starts interpreters, half a minute of them in all.
pytestmark = pytest.mark.long


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
    assert "no activation_backward (asked was activation_backward relu)" in ran.out and report["adapters"] == [["relu-only", "1"]]
    assert set(counts) == set(report["columns"])


HALF = """
from sae_spec.spec_tests.adapters import reference_numpy

NAME, VERSION, DTYPES = "half", "1", ["float64"]


def run(operation, config, inputs, dtype):
    if config.get("activation") in ("topk", "gated"):
        raise NotImplementedError
    return reference_numpy.run(operation, config, inputs, dtype)
"""


def test_a_property_that_reaches_something_missing_says_what_that_was(tmp_path):
    ran = start(tmp_path, "--adapter", adapter(tmp_path, HALF), "--clause", "SAE-11", "--properties-only", "--effort", "normal")
    assert "no reason given (asked was encode gated, encode topk)" in ran.out, ran.out


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
                 "flag Tie: the selection does not order ties", "smallest example:", "begin with topk-",
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
             {"operation": "cost", "config": {"cost": "tanh", "tanh_scale": np.nan},
              "inputs": {"acts": np.ones((1, 2)), "W_dec": np.ones((2, 1)), "price": np.ones(2)}},
             {"operation": "cost", "config": {"cost": "l1"},
              "inputs": {"acts": np.ones((0, 2)), "W_dec": np.ones((2, 1)), "price": np.ones(2)}},
             {"operation": "activation", "config": {"activation": "relu"}, "inputs": {}},
             {"operation": "no such operation", "config": {}, "inputs": {}}]
    cases = replay_document("test_this", ["ACT-1"], asked, reference_numpy)["cases"]
    assert ["expected" in case for case in cases] == [True, False, False, False]
    assert [case["error"] for case in cases[1:]] == ["k", "tanh_scale", "batch"]
    assert cases[2]["config"]["tanh_scale"] == "NaN" and json.dumps(cases, allow_nan=False)


def test_the_report_lists_the_failures(broken):
    report = json.loads((broken[0] / "out.json").read_text())
    assert report["exit_status"] == 1 and report["tests"]["fail"] == len(report["failures"]) > 0
    assert all("ACT-5" in failure["clauses"] and failure["message"] for failure in report["failures"])


def test_the_report_says_which_golden_data_ran(broken):
    folder, ran = broken
    report = json.loads((folder / "out.json").read_text())
    assert report["spec"] == SPEC_VERSION and report["fixtures"]["activations.json"] == sha256(FIXTURES / "activations.json")
    assert f"specification {SPEC_VERSION}, golden data {sha256(FIXTURES / 'index.json')[:12]}" in ran.out
    replay = reruns(ran)[-1]
    start(folder, *replay, "--report", "replayed.json")
    path = folder / replay[-1]
    assert json.loads((folder / "replayed.json").read_text())["fixtures"] == {path.name: sha256(path)}


def test_workers_count_as_one_process_does(broken):
    """Two processes of pytest-xdist: one report, whole."""
    folder, (alone, together) = broken[0], ("out.json", "workers.json")
    ran = start(folder, "--adapter", folder / "mine.py", "--clause", "ACT-5", "--effort", "normal", "--report", together, "-n", "2")
    one, two = (json.loads((folder / name).read_text()) for name in (alone, together))
    assert ran.status == 1 and two["clauses"] == one["clauses"] and two["tests"] == one["tests"]
    assert sorted(failure["test"] for failure in two["failures"]) == sorted(failure["test"] for failure in one["failures"])


def test_a_list_of_known_failures_is_written_and_excuses_the_next_run(broken):
    folder, words = broken[0], ("--adapter", broken[0] / "mine.py", "--clause", "ACT-5", "--effort", "normal")
    first = start(folder, *words, "--write-known-failures", "written.toml")
    entries = read_known_failures(folder / "written.toml")
    assert first.status == 1 and any(entry.case for entry in entries) and any(entry.test for entry in entries)
    assert all(entry.dtype == "float64" for entry in entries) and any("want" in entry.reason for entry in entries)
    again = start(folder, *words, "--known-failures", "written.toml", "--write-known-failures", "again.toml")
    assert again.status == 0 and " 0 fail" in again.out, again.out
    assert (folder / "again.toml").read_text() == (folder / "written.toml").read_text()


PASSES = next(case.id for case in golden_cases() if case.config.get("activation") == "relu" and case.operation == "activation")


def known(folder, *entries):
    text = "\n".join(f'[[known_failure]]\nclause = "{clause}"\nreason = "wanted"' for clause in entries)
    (folder / "known.toml").write_text(text)
    return start(folder, "--adapter", folder / "mine.py", "--case", "topk-all-equal", "--case", PASSES,
                 "--known-failures", "known.toml")


def test_known_failures_are_excused_and_the_list_is_strict(broken):
    folder = broken[0]
    ran = known(folder, "ACT-5")
    assert ran.status == 0 and "known failure" in ran.out and " 0 known failure" not in ran.out
    ran = known(folder, "ACT-5", "SAE-1")
    assert ran.status == 1 and "no longer fails, or matches nothing: SAE-1  (wanted)" in ran.out
