"""Programs that speak JSON lines, and programs that do not."""

import json
import shlex
import sys

import pytest

from sae_spec.spec_tests.core.cases import golden_cases
from sae_spec.spec_tests.core.commands import start

# Each starts interpreters, a minute of them in all.
pytestmark = pytest.mark.long

CASES = [case.id for case in golden_cases() if "ACT-1" in case.clauses and case.config.get("activation") == "relu"
         and case.operation == "activation" and case.expected]
PROGRAM = """
import json, sys, time

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
    if number == SLEEPS_AT:
        time.sleep(60)
    if number == LOGS_AT:
        print("loading the model ...")
    print(ANSWER({"id": request["id"]} | reply), flush=True)
"""


def program(folder, dies_at=None, sleeps_at=None, logs_at=None, answer="json.dumps"):
    path = folder / "program.py"
    text = PROGRAM
    for word, value in {"DIES_AT": dies_at, "SLEEPS_AT": sleeps_at, "LOGS_AT": logs_at, "ANSWER": answer}.items():
        text = text.replace(word, str(value))
    path.write_text(text)
    return shlex.join([sys.executable, str(path)])


def failures(ran, folder):
    """The failures in the report, and the counts of the first clause."""
    report = json.loads((folder / "out.json").read_text())
    assert ran.status == 1 and "INTERNALERROR" not in ran.text and "Traceback" not in ran.text, ran.text
    return report["failures"], report["clauses"]["ACT-1"]["float64"]


def test_a_program_that_speaks_json_lines_is_an_adapter(tmp_path):
    ran = start(tmp_path, "--command", program(tmp_path), "--clause", "ACT-1", "--report", "out.json")
    tests = json.loads((tmp_path / "out.json").read_text())["tests"]
    assert ran.status == 0 and tests["pass"] > 0 and tests["unsupported"] > 0 and tests["fail"] == 0
    assert "only relu" in ran.out


def test_a_program_that_dies_fails_with_a_clear_line(tmp_path):
    ran = start(tmp_path, "--command", program(tmp_path, dies_at=3), "--clause", "ACT-1")
    assert ran.status == 1 and "ended without a reply (exit status 3)" in ran.out and "Traceback" not in ran.text


@pytest.mark.parametrize("misdeed, said", [
    ({"dies_at": 3}, "ended without a reply (exit status 3)"), ({"sleeps_at": 3}, "did not answer activation within 2 s (--timeout)"),
    ({"logs_at": 3}, "printed a line that is not a JSON object: 'loading the model ...'"),
])
def test_what_a_program_does_once_fails_one_case_and_is_named(misdeed, said, tmp_path):
    words = ("--command", program(tmp_path, **misdeed), "--case", CASES[0], "--case", CASES[1], "--case", CASES[2], "--timeout", "2")
    failed, counts = failures(start(tmp_path, *words, "--report", "out.json"), tmp_path)
    assert len(failed) == 1 and said in failed[0]["message"] and counts["pass"] == 2


@pytest.mark.parametrize("answer, said", [
    ("(lambda reply: json.dumps({k: v for k, v in reply.items() if k != 'id' or 'name' in reply}))", "without the id of the request"),
    ("(lambda reply: json.dumps(reply | {'id': reply['id'] + ('name' not in reply)}))", "replied to request "),
    ("(lambda reply: json.dumps(reply | {'outputs': {'acts': 3}}))", "the output acts cannot be read"),
    ("(lambda reply: json.dumps(reply | {'outputs': {'acts': {'shape': [1], 'data': [None]}}}))", "holds 'None', which is not a number"),
    ("(lambda reply: json.dumps(reply | {'outputs': [1]}))", "neither outputs by name nor error nor unsupported"),
    ("(lambda reply: '[' * 100000 if 'name' not in reply else json.dumps(reply))", "printed a line that is not a JSON object"),
])
def test_a_reply_that_is_none_is_named(answer, said, tmp_path):
    words = ("--command", program(tmp_path, answer=answer), "--case", CASES[0], "--timeout", "2", "--report", "out.json")
    failed, _ = failures(start(tmp_path, *words), tmp_path)
    assert said in failed[0]["message"], failed[0]["message"]


SILENT = """
import json, time

reply = {"id": json.loads(input())["id"], "name": "silent", "version": "1", "dtypes": ["float64"]}
print(json.dumps(reply), flush=True)
time.sleep(600)
"""


def test_a_program_that_never_answers_ends_the_waiting(tmp_path):
    """Properties too: an example without an answer is not made smaller."""
    (tmp_path / "silent.py").write_text(SILENT)
    words = ("--command", shlex.join([sys.executable, str(tmp_path / "silent.py")]), "--clause", "ACT-1", "--timeout", "0.5")
    failed, counts = failures(start(tmp_path, *words, "--report", "out.json"), tmp_path)
    assert counts["fail"] and not counts["pass"]
    assert any("did not answer" in failure["message"] for failure in failed)
    assert any("was not asked" in failure["message"] for failure in failed)


def test_the_again_of_a_program_runs_as_printed(tmp_path):
    nothing = "(lambda reply: json.dumps(reply | {'outputs': {}} if 'outputs' in reply else reply))"
    ran = start(tmp_path, "--command", program(tmp_path, answer=nothing), "--clause", "ACT-1", "--report", "out.json")
    failures(ran, tmp_path)
    commands = {line.split("again:")[1].strip() for line in ran.out.splitlines() if "  again:" in line}
    golden, = [command for command in commands if command.endswith(CASES[0])]
    replay = next(command for command in commands if command.endswith(".json"))
    for command in (golden, replay):
        words = shlex.split(command)
        assert words[3] == "--command" and start(tmp_path, *words[3:]).status == 1


REFERENCE = """
import json, sys
from sae_spec.spec_tests.adapters import reference_numpy
from sae_spec.spec_tests.core.cases import read_config, read_tensor, write_tensor

for line in sys.stdin:
    request = json.loads(line)
    reply = {"name": "reference", "version": "1", "dtypes": ["float64"]}
    if request["operation"] != "hello":
        inputs = {name: read_tensor(name, tensor) for name, tensor in request["inputs"].items()}
        try:
            outputs = reference_numpy.run(request["operation"], read_config(request["config"]), inputs, "float64")
            reply = {"outputs": {name: write_tensor(value) for name, value in outputs.items()}}
        except ValueError as error:
            reply = {"error": str(error)}
    print(json.dumps({"id": request["id"]} | reply), flush=True)
"""


def test_every_number_that_a_property_draws_reaches_a_program(tmp_path):
    (tmp_path / "program.py").write_text(REFERENCE)
    command = shlex.join([sys.executable, str(tmp_path / "program.py")])
    ran = start(tmp_path, "--command", command, "--clause", "COST-6", "--effort", "normal")
    assert ran.status == 0 and " 0 fail, 0 unsupported" in ran.out, ran.text


@pytest.mark.parametrize("text", ["0", "-1", "soon", "nan"])
def test_a_time_limit_that_is_none_is_one_line(text, refused, tmp_path):
    assert "must be a number of seconds above 0" in refused("--command", program(tmp_path), "--timeout", text)


@pytest.mark.parametrize("settings, said", [
    (None, "cannot be started"), ({"dies_at": 0}, "ended without a reply"), ({"answer": "str"}, "is not a JSON object"),
])
def test_a_program_that_does_not_say_hello_is_one_line(settings, said, refused, tmp_path):
    assert said in refused("--command", "./no-such-program" if settings is None else program(tmp_path, **settings), "--timeout", "3")
