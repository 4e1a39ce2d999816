"""The rules of the house: what lies where, how long a file or a function may be, what the prose looks like."""

import ast
import hashlib
import re
import subprocess
import sys
from collections import Counter

import pytest

from sae_spec.spec_tests.core.cases import FIXTURES, golden_cases, read_json
from sae_spec.spec_tests.core.clauses import clauses
from sae_spec.spec_tests.itself.house.source import ROOT, functions, inside, lines_of, python_files, tree
from sae_spec.spec_tests.mutants import PROJECTS, all_mutants, project

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

TOP_LEVEL = {"pyproject.toml", "README.md", "Makefile", "LICENSE", "reference", "torch_impl", "spec_tests", "fixtures"}
LONGEST_FILE, LONGEST_FUNCTION = 200, 30        # lines of a file and of a function of the reference
LONGEST_FUNCTION_ELSEWHERE = 40                 # but in kernels; a function's docstring does not count
MOST_FILES = 15                                 # Python files in one folder, its __init__.py aside


def tracked_files():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True).stdout
    return [name for name in listed.split("\0") if name]


# ---------------------------------------------------------------- rooms

def test_the_top_level_holds_only_the_house():
    assert not {name.split("/")[0] for name in tracked_files() if not name.startswith(".")} - TOP_LEVEL


def test_no_room_is_a_hall():
    files = Counter(inside(path.parent) for path in python_files() if path.name != "__init__.py")
    assert not {folder: count for folder, count in files.items() if count > MOST_FILES}


def test_every_folder_of_python_is_a_package_that_is_installed():
    setuptools = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]
    folders = sorted({inside(path.parent) for path in python_files()})
    packages = {f"sae_spec.{folder.replace('/', '.')}": folder for folder in folders}
    assert setuptools["package-dir"] == packages
    assert sorted(setuptools["packages"]) == sorted(packages)
    assert not [folder for folder in folders if not (ROOT / folder / "__init__.py").is_file()]


# ---------------------------------------------------------------- lengths

@pytest.mark.parametrize("path", python_files("reference"), ids=inside)
def test_a_file_of_the_spec_reads_in_one_sitting(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= LONGEST_FILE
    for function in ast.walk(tree(path)):
        if isinstance(function, ast.FunctionDef):
            assert ast.get_docstring(function), f"{function.name} has no docstring"
            body = function.end_lineno - (function.body[1].lineno if len(function.body) > 1 else function.end_lineno) + 1
            assert body <= LONGEST_FUNCTION, f"{function.name} has {body} lines"


def test_a_function_is_seen_at_once():
    """Kernels are left out: cut in pieces, a kernel is another kernel."""
    lengths = {f"{inside(path)}:{function.lineno} {function.name}": lines_of(function)
               for path in python_files() if not inside(path).startswith("torch_impl/kernels/") for function in functions(path)}
    assert not {where: lines for where, lines in lengths.items() if lines > LONGEST_FUNCTION_ELSEWHERE}


# ---------------------------------------------------------------- prose

def test_clause_ids_have_no_gaps():
    """A gap is a retired clause; when one is retired, say so here."""
    retired = {"ABS-28", "ABS-29", "ABS-31", "ABS-37", "ABS-38", "ABS-41"}       # of the detector as it was: CHANGES.md
    for area in {clause.area for clause in clauses().values()}:
        numbers = [int(id.split("-")[1]) for id in {*clauses(), *retired} if id.split("-")[0] == area]
        assert sorted(numbers) == list(range(1, len(numbers) + 1))
    assert not retired & set(clauses())


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
    pattern = re.compile("/(" + "|".join(["tm" + "p", "wor" + "k", "roo" + "t", "hom" + "e"]) + ")/")
    guilty = [name for name in tracked_files() if (ROOT / name).suffix in (".py", ".md", ".toml", ".json", "")
              and (ROOT / name).is_file() and pattern.search((ROOT / name).read_text(encoding="utf-8", errors="replace"))]
    assert not guilty


# ---------------------------------------------------------------- mutants and the public projects they were seen in

def test_names_of_mutants_are_used_once():
    assert not [name for name, count in Counter(mutant.name for mutant in all_mutants()).items() if count > 1]


@pytest.mark.parametrize("mutant", [mutant for mutant in all_mutants() if mutant.seen_in], ids=lambda mutant: mutant.name)
def test_a_mutant_was_seen_in_projects_that_are_known(mutant):
    assert isinstance(mutant.seen_in, tuple) and {project(release) for release in mutant.seen_in} <= set(PROJECTS)
    for release in mutant.seen_in:
        assert re.fullmatch(r"\d+(\.\d+)+|", release.removeprefix(project(release)).strip()), f"{release}: name, then version"
    assert len({project(release) for release in mutant.seen_in}) == len(mutant.seen_in), "one version of each"


def test_what_was_seen_nowhere_is_neither_mistake_nor_convention():
    assert not [mutant.name for mutant in all_mutants() if not mutant.seen_in and (mutant.where or mutant.convention)]


def test_every_known_project_is_one_in_which_a_mutant_was_seen():
    assert {project(release) for mutant in all_mutants() for release in mutant.seen_in} == set(PROJECTS)


def test_the_index_has_the_hash_of_every_file_of_golden_data():
    index = read_json(FIXTURES / "index.json")["files"]
    assert {name: hashlib.sha256((FIXTURES / name).read_bytes()).hexdigest() for name in index} == \
           {name: entry["sha256"] for name, entry in index.items()}
