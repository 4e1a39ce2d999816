"""The rules of the house: what may import what, how long a file of the spec may be, what the prose looks like."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

from sae_spec.spec_tests.core.cases import FIXTURES, golden_cases, read_json
from sae_spec.spec_tests.core.clauses import REFERENCE, clauses

ROOT = Path(__file__).resolve().parents[2]
TOP_LEVEL = {"pyproject.toml", "README.md", "Makefile", "LICENSE", "reference", "torch_impl", "spec_tests", "fixtures"}
REFERENCE_FILES = sorted(REFERENCE.rglob("*.py"))
LONGEST_FILE, LONGEST_FUNCTION = 200, 30        # lines; a function's docstring does not count


def imports(path):
    """(level, module) of every import in a file."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((0, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.level, node.module or ""


def python_files(folder):
    return sorted(path for path in (ROOT / folder).rglob("*.py"))


def test_the_top_level_holds_only_the_house():
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True).stdout.split()
    found = {path.split("/")[0] for path in tracked}
    assert not {name for name in found if not name.startswith(".")} - TOP_LEVEL


@pytest.mark.parametrize("path", REFERENCE_FILES, ids=lambda path: path.name)
def test_the_reference_imports_numpy_scipy_and_itself(path):
    for level, module in imports(path):
        assert level or module.split(".")[0] in ("numpy", "scipy", "typing"), f"{path.name} imports {module}"


@pytest.mark.parametrize("path", python_files("torch_impl"), ids=lambda path: path.name)
def test_production_never_sees_the_reference(path):
    assert not [module for _, module in imports(path) if "reference" in module.split(".")]


@pytest.mark.parametrize("path", python_files("spec_tests"), ids=lambda path: path.name)
def test_the_suite_imports_absolutely(path):
    assert not [module for level, module in imports(path) if level]


@pytest.mark.parametrize("path", REFERENCE_FILES, ids=lambda path: path.name)
def test_a_file_of_the_spec_reads_in_one_sitting(path):
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= LONGEST_FILE
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert ast.get_docstring(node), f"{node.name} has no docstring"
            body = node.end_lineno - (node.body[1].lineno if len(node.body) > 1 else node.end_lineno) + 1
            assert body <= LONGEST_FUNCTION, f"{node.name} has {body} lines"


def test_clause_ids_have_no_gaps():
    """A gap is a retired clause; when one is retired, say so here."""
    for area in {clause.area for clause in clauses().values()}:
        numbers = [int(id.split("-")[1]) for id, clause in clauses().items() if clause.area == area]
        assert numbers == list(range(1, len(numbers) + 1))


@pytest.mark.parametrize("clause", clauses().values(), ids=lambda clause: clause.id)
def test_a_clause_is_a_sentence(clause):
    assert clause.sentence.endswith((".", ".]")) and len(clause.sentence) > 15
    assert not re.search(r"\b(should|shall|might|roughly)\b", clause.sentence), "say what is, not what should be"


@pytest.mark.parametrize("case", golden_cases(), ids=lambda case: case.id)
def test_a_case_explains_itself(case):
    assert len(case.comment) >= 5 and not case.comment.endswith(".")
    assert "should" not in case.comment.split()
    assert set(case.clauses) <= set(clauses())


def test_ids_of_cases_and_files_match_the_index():
    index = read_json(FIXTURES / "index.json")
    on_disk = {path.name for path in FIXTURES.glob("*.json")} - {"index.json", "schema.json"}
    assert on_disk == set(index["files"])


def test_nothing_names_a_machine():
    """Paths of the machine on which something was written have no place in the project."""
    tracked = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True).stdout.split("\0")
    pattern = re.compile("/(" + "|".join(["tm" + "p", "wor" + "k", "roo" + "t", "hom" + "e"]) + ")/")
    guilty = [name for name in tracked if name and (ROOT / name).suffix in (".py", ".md", ".toml", ".json", "")
              and (ROOT / name).is_file() and pattern.search((ROOT / name).read_text(encoding="utf-8", errors="replace"))]
    assert not guilty
