"""How the command is started, and what it says when it cannot be."""

import io
import json

import pytest
from rich.console import Console

from sae_spec.spec_tests.__main__ import main
from sae_spec.spec_tests.core.adapter import DTYPES
from sae_spec.spec_tests.core.commands import start
from sae_spec.spec_tests.core.report import print_report
from sae_spec.spec_tests.core.tally import Tally
from sae_spec.spec_tests.itself.command.samples import RELU_ONLY, adapter
from sae_spec.spec_tests.operations import OPERATIONS

# Each starts interpreters, half a minute of them in all.
pytestmark = pytest.mark.long


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


@pytest.mark.parametrize("text, said", [
    ("raise SystemExit(0)", "cannot be loaded: SystemExit: 0 ("), ("import helper_of_mine", "cannot be loaded: ZeroDivisionError: "),
    ("NAME, VERSION, DTYPES, run = 'a', '1', [], print", "DTYPES must list one or more of "),
    ("NAME, VERSION, DTYPES, run = 'a', '1', 3, print", "DTYPES must list one or more of "),
    ("NAME, VERSION, DTYPES, run = None, '1', ['float64'], print", "NAME must be text"),
    ("import no_such_module_at_all", "cannot be loaded: ModuleNotFoundError: "),
    ("raise ValueError('two\\nlines')", "cannot be loaded: ValueError: two lines ("),
])
def test_an_adapter_that_leaves_or_offers_nothing_is_one_line(text, said, refused, tmp_path, monkeypatch):
    (tmp_path / "helper_of_mine.py").write_text("\n\n\n1 / 0\n")
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "mine.py").write_text(f"\n{text}\n")
    line = refused("--adapter", "mine.py")
    place = "helper_of_mine.py, line 4)" if "helper" in text else "mine.py, line 2)"
    assert f"--adapter mine.py: {said}" in line and ("cannot be loaded" not in said or place in line)


def test_an_adapter_is_executed_once_in_a_process(tmp_path):
    path = adapter(tmp_path, f"open('executed', 'a').write('x')\n{RELU_ONLY}")
    assert start(tmp_path, "--adapter", path, "--clause", "ACT-1").status == 0
    assert (tmp_path / "executed").read_text() == "x"


def test_files_that_cannot_be_read_are_one_line(refused, tmp_path):
    (tmp_path / "cut.json").write_text('{"format": 1')
    (tmp_path / "bad.toml").write_text("[[known_failure]]\nreason = 3")
    path = adapter(tmp_path, RELU_ONLY)
    assert "cut.json: line 1: not JSON" in refused("--adapter", path, "--case", "cut.json")
    assert "bad.toml: known_failure[0].reason: " in refused("--adapter", path, "--known-failures", "bad.toml")


@pytest.mark.parametrize("option, name, said", [
    ("--clause", "ACT-99", "there is no such clause; nearest: ACT-9"), ("--clause", "act-4", "nearest: ACT-4"),
    ("--clause", "XYZ-*", "there is no such clause"),
    ("--require", "ACT-1,ATC-2", "--require ATC-2: there is no such clause; nearest: ACT-2"),
    ("--case", "topk-all-equals", "there is no such golden case; nearest: topk-all-equal"),
    ("--exclude", "TOYS-*", "there is no such clause, golden case or property"),
])
def test_a_name_that_names_nothing_is_one_line_with_what_is_nearest(option, name, said, refused):
    assert said in refused("--adapter", "reference_numpy", option, name)


def test_nothing_selected_is_no_success(tmp_path):
    path = adapter(tmp_path, RELU_ONLY)
    ran = start(tmp_path, "--adapter", path, "--case", "topk-all-equal", "--clause", "ACT-1")
    assert ran.status == 1 and "no test is left" in ran.err


def test_nothing_passed_is_no_success(tmp_path):
    path = adapter(tmp_path, RELU_ONLY)
    ran = start(tmp_path, "--adapter", path, "--clause", "ACT-16", "--report", "out.json")
    assert ran.status == 1 and "ERROR nothing passed" in ran.out
    assert json.loads((tmp_path / "out.json").read_text())["exit_status"] == 1


# ---------------------------------------------------------------- what to leave out

def counted(folder, *words):
    """{clause: how many golden cases and examples of properties were run}"""
    path = adapter(folder, RELU_ONLY)
    start(folder, "--adapter", path, "--dtype", "float64", "--report", "out.json", *words)
    report = json.loads((folder / "out.json").read_text())["clauses"]
    return {id: (counts["float64"]["cases"], counts["float64"]["examples"]) for id, counts in report.items()}


def test_golden_cases_properties_and_clauses_can_be_left_out(tmp_path):
    cases, examples = counted(tmp_path, "--clause", "ACT-1")["ACT-1"]
    assert cases and examples
    assert counted(tmp_path, "--clause", "ACT-1", "--golden-only")["ACT-1"] == (cases, 0)
    assert counted(tmp_path, "--clause", "ACT-1", "--properties-only")["ACT-1"] == (0, examples)
    without = counted(tmp_path, "--clause", "ACT-1", "--exclude", "ACT-2?", "--exclude", "relu-*")
    assert without["ACT-1"][0] < cases and not any(id.startswith("ACT-2") and len(id) == 6 for id in without)


def test_golden_only_and_properties_only_leave_nothing(refused):
    assert "leave nothing" in refused("--adapter", "reference_numpy", "--golden-only", "--properties-only")


CHECKS_NOTHING = """
from sae_spec.spec_tests.adapters import reference_numpy

NAME, VERSION, DTYPES = "checks-nothing", "1", ["float64"]


def run(operation, config, inputs, dtype):
    try:
        return reference_numpy.run(operation, config, inputs, dtype)
    except ValueError as error:
        raise RuntimeError("no argument is checked here") from error
"""


def test_argument_checks_can_be_left_out(tmp_path):
    path = adapter(tmp_path, CHECKS_NOTHING)
    words = ("--adapter", path, "--clause", "ACT-6", "--clause", "SAE-7", "--clause", "SAE-9", "--clause", "FREQ-8")
    strict, lenient = start(tmp_path, *words), start(tmp_path, *words, "--no-argument-checks")
    assert strict.status == 1 and "no argument is checked here" in strict.out
    assert lenient.status == 0 and " 0 fail" in lenient.out, lenient.out


@pytest.mark.parametrize("columns", [80, 100])
def test_the_table_fits_the_terminal_and_keeps_its_clauses(columns):
    tally = Tally()
    for dtype in DTYPES:
        for outcome in ("pass", "fail", "unsupported", "known_failure"):
            for _ in range(120):
                tally.ended(["ACT-10", "THEORY-6"], dtype, outcome)
        for _ in range(12345):
            tally.executed(["ACT-10"], dtype, "examples")
    text = io.StringIO()
    print_report(tally, Console(file=text, width=columns))
    lines = text.getvalue().splitlines()
    assert max(map(len, lines)) <= columns
    assert any("ACT-10" in line for line in lines) and any("THEORY-6" in line for line in lines)
    assert "12345" in text.getvalue() and "unsupported" in text.getvalue()
