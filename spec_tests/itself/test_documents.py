"""The documents do what they say: they are current, their links lead somewhere, their examples and commands run."""

import json
import re
import shlex
import subprocess
import sys

import pytest

from sae_spec.reference import SPEC_VERSION
from sae_spec.spec_tests.core.cases import FIXTURES, golden_cases, read_json
from sae_spec.spec_tests.core.clauses import clauses
from sae_spec.spec_tests.core.commands import start
from sae_spec.spec_tests.core.known_failures import read_known_failures
from sae_spec.spec_tests.core.options import OPTIONS
from sae_spec.spec_tests.docs.__main__ import HERE, ROOT, documents, out_of_date
from sae_spec.spec_tests.docs.failure import messages
from sae_spec.spec_tests.docs.markdown import example
from sae_spec.spec_tests.docs.parts import PARTS
from sae_spec.spec_tests.operations import OPERATIONS

ADAPTER_PAGE, FAILURE_PAGE = ((HERE / name).read_text(encoding="utf-8") for name in ("write_an_adapter.md", "read_a_failure.md"))
STABLE = "acts.argsort(dim=-1, descending=True, stable=True)"
TIES_TO_THE_HIGHEST = "(acts.shape[-1] - 1 - acts.flip(-1).argsort(dim=-1, descending=True, stable=True))"


def commands(text):
    """The words of every command in the sh blocks of a page."""
    blocks = re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    return [shlex.split(line) for block in blocks for line in block.splitlines()]


def run(folder, words):
    """A command of a page, with this Python for `python`."""
    assert words[:3] == ["python", "-m", "sae_spec.spec_tests"]
    here = [word.replace("python ", f"{shlex.quote(sys.executable)} ") if word.startswith("python ") else word for word in words]
    return start(folder, *here[3:])


def lines(name):
    """A request and its reply, from an example of two lines."""
    return map(json.loads, example(ADAPTER_PAGE, name).splitlines())


@pytest.fixture
def folder(tmp_path):
    """A folder with the files that write_an_adapter.md has its reader write."""
    for file, name in {"my_adapter.py": "adapter", "program.py": "program", "known.toml": "known"}.items():
        (tmp_path / file).write_text(example(ADAPTER_PAGE, name), encoding="utf-8")
    return tmp_path


def test_every_document_is_current():
    assert not [path.name for path in out_of_date()], "run python -m sae_spec.spec_tests.docs"


def test_a_page_is_the_same_whatever_the_shell_says_about_output(monkeypatch):
    for name in ("CI", "FORCE_COLOR"):
        monkeypatch.setenv(name, "1")
    messages.cache_clear()
    assert all(PARTS[f"{kind}_failure"](FAILURE_PAGE) in FAILURE_PAGE for kind in ("golden", "property"))


@pytest.mark.parametrize("name", PARTS)
def test_every_part_can_be_made(name):
    """Also those that no document holds at the moment."""
    assert len(PARTS[name](FAILURE_PAGE)) > 50


@pytest.mark.parametrize("path", documents(), ids=lambda path: path.relative_to(ROOT).as_posix())
def test_every_linked_file_is_there(path):
    for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8")):
        assert (path.parent / target).exists(), target


def test_the_history_knows_this_version_and_all_that_was_retired():
    page = (ROOT / "reference" / "CHANGES.md").read_text(encoding="utf-8")
    assert re.findall(r"^# (\d+\.\d+)$", page, re.MULTILINE)[0] == SPEC_VERSION, "the newest version comes first"
    index = read_json(FIXTURES / "index.json")
    ids = {case.id for case in golden_cases()}
    assert index["spec"] == SPEC_VERSION and not ids & set(index["retired"])
    assert not [id for id in index["retired"] if f"`{id}`" not in page]


def test_every_clause_that_the_history_calls_new_is_there():
    page = (ROOT / "reference" / "CHANGES.md").read_text(encoding="utf-8")
    new, retired = (set(re.findall(rf"\b([A-Z]+-\d+), {word}\b", page)) for word in ("new", "retired"))
    assert new and new - retired <= set(clauses()) and not retired & set(clauses())


def test_every_operation_and_option_is_in_the_documents():
    page = (HERE / "OPERATIONS.md").read_text(encoding="utf-8")
    assert re.findall(r"^### `(\w+)`$", page, re.MULTILINE) == list(OPERATIONS)
    assert all(f"| `{option.usage}` |" in ADAPTER_PAGE for option in OPTIONS)


# ---------------------------------------------------------------- write an adapter

def test_the_adapter_is_about_thirty_lines():
    assert len(example(ADAPTER_PAGE, "adapter").splitlines()) <= 32


@pytest.mark.long
def test_the_adapter_passes_what_it_has(folder):
    pytest.importorskip("torch")
    words, = [words for words in commands(ADAPTER_PAGE) if words[3:] == ["--adapter", "my_adapter.py", "--clause", "ACT-*"]]
    ran = run(folder, [*words, "--report", "out.json"])
    report = json.loads((folder / "out.json").read_text())
    assert ran.status == 0 and report["tests"]["fail"] == 0 < report["tests"]["unsupported"], ran.text
    assert set(report["clauses"]["ACT-5"]) == {"float64", "float32", "bfloat16"}
    assert all(counts["pass"] for counts in report["clauses"]["ACT-5"].values())


def test_the_program_answers_as_shown(folder):
    names = ("hello", "exchange", "refusal")
    asked, want = zip(*(lines(name) for name in names))
    done = subprocess.run([sys.executable, "program.py"], cwd=folder, input="\n".join(map(json.dumps, asked)) + "\n",
                          capture_output=True, text=True, timeout=60)
    assert [json.loads(line) for line in done.stdout.splitlines()] == list(want) and not done.stderr


def test_the_program_passes_what_it_has(folder):
    words, = [words for words in commands(ADAPTER_PAGE) if "--command" in words]
    ran = run(folder, [*words, "--report", "out.json"])
    report = json.loads((folder / "out.json").read_text())
    assert ran.status == 0 and report["tests"]["fail"] == 0 < report["clauses"]["ACT-5"]["float64"]["pass"], ran.text


def test_the_command_for_ci_runs_as_shown(folder):
    """With an adapter whose ties are wrong in bfloat16, as the list of known failures says."""
    pytest.importorskip("torch")
    known, = read_known_failures(folder / "known.toml")
    adapter = example(ADAPTER_PAGE, "adapter")
    assert STABLE in adapter and known.clause == "ACT-*" and known.dtype == "bfloat16"
    chosen = f"({TIES_TO_THE_HIGHEST} if acts.dtype == torch.bfloat16 else {STABLE})"
    (folder / "my_adapter.py").write_text(adapter.replace(STABLE, chosen), encoding="utf-8")
    words, = [words for words in commands(ADAPTER_PAGE) if "--known-failures" in words]
    ran = run(folder, [*words, "--clause", "ACT-5"])
    report = json.loads((folder / "sae-spec.json").read_text())
    assert ran.status == 0 and report["clauses"]["ACT-5"]["bfloat16"]["known_failure"] > 0 == report["tests"]["fail"], ran.text


# ---------------------------------------------------------------- read a failure

def test_the_wrong_adapter_fails_as_shown(tmp_path):
    (tmp_path / "my_adapter.py").write_text(example(FAILURE_PAGE, "wrong_adapter"), encoding="utf-8")
    words, = commands(FAILURE_PAGE)
    ran = run(tmp_path, [*words, "--effort", "normal"])
    shown = re.findall(r"<!-- generated: \w+_failure -->\n```text\n(.*?)```", FAILURE_PAGE, re.DOTALL)
    assert ran.status == 1 and len(shown) == 2
    for message in shown:
        assert message in ran.out, ran.out
        again = shlex.split(message.rsplit("  again: ", 1)[1])
        assert run(tmp_path, again).status == 1


def test_the_mended_adapter_passes(tmp_path):
    """The page says how the mistake is mended."""
    mended = re.search(r"The\nmistake is gone with `(.+?)`", FAILURE_PAGE).group(1)
    adapter = re.sub(r"np\.argsort\(.*", mended, example(FAILURE_PAGE, "wrong_adapter"))
    (tmp_path / "my_adapter.py").write_text(adapter, encoding="utf-8")
    ran = run(tmp_path, commands(FAILURE_PAGE)[0])
    assert mended in adapter and ran.status == 0, ran.text


def test_other_outcomes_are_said_in_these_words():
    """The table of other outcomes quotes the suite."""
    source = "".join(path.read_text(encoding="utf-8") for path in (HERE.parent / "core").glob("*.py"))
    source += (HERE.parent / "conftest.py").read_text(encoding="utf-8")
    for words in ("unsupported: ", "known failure: ", "known failure no longer fails, or matches nothing",
                  "should have raised a ValueError, it returned ", "the ValueError must name "):
        assert words in source and words.strip() in FAILURE_PAGE.replace("must name k", "must name "), words
