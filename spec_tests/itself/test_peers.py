"""Other libraries against the clauses: an adapter served as a program, judgements held to, the matrix and its pages."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from sae_spec.spec_tests.core.cases import golden_cases, read_json, write_tensor
from sae_spec.spec_tests.docs import peers as document
from sae_spec.spec_tests.peers import matrix, measure
from sae_spec.spec_tests.peers.libraries import ADAPTERS, Library, environments, read_libraries
from sae_spec.spec_tests.peers.page import page

ADAPTER = '''
import numpy as np
import os
print("a library that greets")
NAME, VERSION, DTYPES = "tiny", 1, ["float64"]

def run(operation, config, inputs, dtype):
    print("a library that chatters")
    os.write(1, b"so does its compiled part")
    if operation != "activation":
        raise NotImplementedError(operation)
    if config["activation"] == "topk":
        if config["k"] < 1:
            raise ValueError("k must be at least 1")
        raise RuntimeError("k is broken")
    return {"acts": np.maximum(inputs["pre"], 0) if config["activation"] == "relu" else inputs["pre"] * np.nan}
'''
PRE = write_tensor([[-1.0, float("inf"), 2.0]])


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    """Replies of the adapter above to a list of (operation, config)."""
    path = tmp_path_factory.mktemp("served") / "tiny.py"
    path.write_text(ADAPTER)
    asked = [("hello", {})] + [("activation", config) for config in (
        {"activation": "relu"}, {"activation": "jumprelu"}, {"activation": "topk", "k": 1}, {"activation": "topk", "k": 0})]
    asked.append(("decode", {}))
    lines = [json.dumps({"id": number, "operation": operation, "config": config, "dtype": "float64", "inputs": {"pre": PRE}})
             for number, (operation, config) in enumerate(asked)]
    ran = subprocess.run([sys.executable, ADAPTERS / "serve.py", path], input="\n".join(lines) + "\n", capture_output=True, text=True,
                         timeout=60, check=True)
    return [json.loads(line) for line in ran.stdout.splitlines()], ran.stderr


def test_an_adapter_is_served_one_reply_a_line_whatever_the_library_prints(served):
    replies, noise = served
    assert [reply["id"] for reply in replies] == list(range(6)) and "greets" in noise and "compiled" in noise
    assert replies[0] == {"id": 0, "name": "tiny", "version": "1", "dtypes": ["float64"]}
    assert replies[1]["outputs"] == {"acts": {"shape": [1, 3], "data": [[0.0, "Infinity", 2.0]]}}
    assert replies[2]["outputs"]["acts"]["data"] == [["NaN", "NaN", "NaN"]]


def test_only_a_value_error_is_a_refusal(served):
    replies = served[0]
    assert replies[3] == {"id": 3, "failed": replies[3]["failed"]} and "RuntimeError: k is broken (tiny.py:" in replies[3]["failed"]
    assert replies[4] == {"id": 4, "error": "k must be at least 1"} and replies[5] == {"id": 5, "unsupported": "decode"}


# ---------------------------------------------------------------- from a report to the pages

CASES = {id: next(case for case in golden_cases() if case.clauses == (id,)) for id in ("ACT-5", "ACT-12", "SAE-1")}
LIBRARY = Library("tiny", "Tiny", "1", "torch", "docs", "issues")
COUNTS = {"pass": 0, "fail": 1, "unsupported": 0}
JUDGED = ('[[known_failure]]\nclause = "ACT-5"\njudgement = "convention"\nreason = "ties"\nwhere = "a.py:1"\n'
          f'[[known_failure]]\ncase = "{CASES["ACT-12"].id}"\njudgement = "mistake"\nreason = "lost"\nwhere = "a.py:2"\n')


def failure(id, *more):
    said = f"case {CASES[id].id}\n  acts[0, 0]  want 1.0   got 0.0"
    return {"clauses": [id, *more], "name": {"case": CASES[id].id}, "dtype": "float64", "operation": "activation", "message": said}


def found(monkeypatch, tmp_path, text, failures):
    """What is kept of a report with these failures, under these judgements."""
    (tmp_path / "judged.toml").write_text(text)
    monkeypatch.setattr(Library, "judgements", tmp_path / "judged.toml")
    ids = {id for one in failures for id in one["clauses"]}
    report = {"failures": failures, "spec": "0", "adapters": [["Tiny", "1"]],
              "clauses": {id: {"float64": COUNTS} for id in ids} | {"SAE-2": {"float64": {"pass": 3, "fail": 0, "unsupported": 1}},
                                                                  "SAE-3": {"float64": {"pass": 0, "fail": 0, "unsupported": 2}}}}
    return {LIBRARY: json.loads(json.dumps(measure.measured(LIBRARY, report, tmp_path)))}


def test_a_difference_is_what_its_judgement_says(monkeypatch, tmp_path):
    measured = found(monkeypatch, tmp_path, JUDGED, [failure("ACT-5", "ACT-4"), failure("ACT-12")])
    rows = {id: row["tiny"] for id, row in matrix.matrix(measured).items()}
    assert rows == {"ACT-4": "convention", "ACT-5": "convention", "ACT-12": "mistake", "SAE-2": "same"}
    assert not matrix.complaints(measured) and matrix.totals(measured)["tiny"]["not offered"] > 100


def test_a_clause_with_a_failing_test_is_not_the_same_whatever_else_passes(monkeypatch, tmp_path):
    """Nor where the judgement is about another clause of that test."""
    measured = found(monkeypatch, tmp_path, JUDGED, [failure("ACT-5", "SAE-2"), failure("ACT-12")])
    counts = measured[LIBRARY]["clauses"]["SAE-2"]
    assert counts["pass"] == 3 and matrix.matrix(measured)["SAE-2"]["tiny"] == "convention"
    assert matrix.number_of("SAE-2", measured[LIBRARY]) == 1 and matrix.number_of("SAE-3", measured[LIBRARY]) is None


def test_a_failure_without_judgement_and_a_judgement_without_failure_are_told(monkeypatch, tmp_path):
    measured = found(monkeypatch, tmp_path, JUDGED, [failure("ACT-12"), failure("SAE-1")])
    unjudged, stale = matrix.complaints(measured)
    assert "has no judgement: SAE-1  " in unjudged and "no longer differs, or matches nothing: ACT-5" in stale
    assert matrix.matrix(measured)["SAE-1"]["tiny"] == "unjudged"


def test_one_judgement_in_the_same_words_is_one_difference():
    one = {"judgement": "convention", "reason": "r", "where": "a:1", "tests": 1, "clauses": ["ACT-5"], "shown_by": ["ACT-5"], "example": {}}
    other = one | {"clauses": ["ACT-4"], "shown_by": ["ACT-4"], "example": {}}
    (both,) = measure.merged([one, other])
    assert both["tests"] == 2 and both["clauses"] == ["ACT-4", "ACT-5"] and len(measure.merged([one, other | {"reason": "s"}])) == 2


def test_the_pages_show_the_numbers_the_place_and_the_command(monkeypatch, tmp_path):
    measured = found(monkeypatch, tmp_path, JUDGED, [failure("ACT-5"), failure("ACT-12")])
    for text in (document.text(measured), page(measured)):
        assert "acts[0, 0]  want 1.0   got 0.0" in text and "a.py:2" in text and f"--case {CASES['ACT-12'].id}" in text
        assert 'id="tiny-1"' in text and ('href="#tiny-2"' in text or "(#tiny-2)" in text)
    assert document.text(measured).count("<details>") == 1, "a report for the mistake alone"


# ---------------------------------------------------------------- what is recorded

@pytest.mark.parametrize("library", read_libraries().values(), ids=lambda library: library.name)
def test_a_library_is_whole_and_what_was_measured_of_it_is_judged(library):
    assert library.environment in environments() and (ADAPTERS / "peers" / f"{library.name}.py").is_file()
    recorded = read_json(library.measured)
    assert recorded["version"] == library.version and not recorded["unjudged"] and not recorded["stale"]
    assert all(difference["judgement"] and difference["where"] for difference in recorded["differences"])


def test_an_adapter_of_a_library_needs_nothing_of_this_project():
    for path in [*(ADAPTERS / "peers").glob("*.py"), ADAPTERS / "serve.py"]:
        assert "import sae_spec" not in path.read_text() and "from sae_spec" not in path.read_text(), path


def test_an_entry_that_is_not_whole_is_refused(tmp_path):
    path = Path(tmp_path / "libraries.toml")
    path.write_text("[environments.e]\ninstall = []\n[libraries.a]\ntitle = 't'")
    with pytest.raises(ValueError, match="libraries.a: needs docs, environment"):
        read_libraries(path)
