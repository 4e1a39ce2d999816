"""The way into the reference: its files can be read in the order that its docstring gives, and its first example runs."""

import ast
import re
import subprocess
import sys

import pytest

from sae_spec import reference
from sae_spec.spec_tests.core.clauses import REFERENCE

ORDER = re.findall(r"^    (\S+\.py)  ", reference.__doc__, re.MULTILINE)      # "sae/activations.py", ...
FIRST = "first_sae.py"                          # shown before the list; it uses what the list explains


def imported_files(name):
    """The files of the reference that one of its files imports from, by relative imports."""
    path = REFERENCE / name
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.level:
            origin = path.parents[node.level - 1].joinpath(*(node.module or "").split("."))
            modules = [origin] if origin.with_suffix(".py").exists() else [origin / alias.name for alias in node.names]
            yield from (module.with_suffix(".py").relative_to(REFERENCE).as_posix() for module in modules)


def test_the_order_lists_every_file_once():
    files = {path.relative_to(REFERENCE).as_posix() for path in REFERENCE.rglob("*.py")}
    assert sorted(ORDER) == sorted(name for name in files if name != FIRST and not name.endswith("__init__.py"))
    assert FIRST in files and FIRST in reference.__doc__


@pytest.mark.parametrize("name", ORDER)
def test_a_file_needs_only_those_before_it(name):
    later = [other for other in imported_files(name) if other not in ORDER[:ORDER.index(name)]]
    assert not later, f"{name} imports {later}, which the reading order of reference/__init__.py lists after it"


def test_the_imports_of_a_file_are_seen():
    assert set(imported_files("sae/gated.py")) == {"sae/activations.py"}
    assert set(imported_files("worlds/toy_worlds.py")) == {"sae/constraints.py", "worlds/toy_models.py"}


def test_the_first_sae_shows_absorption_where_untied_and_none_where_tied():
    """Its lines of numbers: cosine with parent and with child, activation on the parent and on parent + child."""
    command = [sys.executable, "-m", "sae_spec.reference.first_sae"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
    lines = [[float(number) for number in re.findall(r"-?\d+\.\d\d", line)] for line in printed.splitlines()]
    untied_parent, untied_child, tied_parent, tied_child = [numbers for numbers in lines if numbers]

    for latent in (untied_parent, tied_parent):
        assert latent[0] > 0.98 and abs(latent[1]) < 0.1 and latent[2] > 0.9, "the parent's latent has the parent alone"
    assert untied_parent[3] == 0, "absorbed: beside the child the parent's latent is silent"
    assert untied_child[0] > 0.6 and untied_child[1] > 0.6, "and the child's latent writes both"
    assert tied_parent[3] > 0.9, "not absorbed: the parent's latent fires beside the child as it does alone"
    assert abs(tied_child[0]) < 0.1 and tied_child[1] > 0.98 and tied_child[2] < 0.1 < tied_child[3]


def test_the_first_sae_ends_without_a_word_when_its_reader_leaves():
    """As `| head -1` does; unbuffered, so that the second table finds nobody."""
    process = subprocess.Popen([sys.executable, "-u", "-m", "sae_spec.reference.first_sae"], stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE, text=True)
    assert process.stdout and process.stderr
    assert process.stdout.readline().startswith("untied")
    process.stdout.close()
    assert process.stderr.read() == "" and process.wait(60) == 0
    process.stderr.close()
