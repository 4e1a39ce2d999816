"""What the house tests read: the project's Python files, their syntax trees and their imports."""

import ast
from functools import cache
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[3]
PACKAGES = ("reference", "torch_impl", "spec_tests", "fixtures")


@cache
def python_files(folder=""):
    """Every Python file of the four packages, or of one folder of them, in order."""
    tops = [folder] if folder else PACKAGES
    return tuple(sorted(path for top in tops for path in (ROOT / top).rglob("*.py")))


@cache
def tree(path):
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"))


def inside(path):
    """A path as the project says it: "torch_impl/sae/costs.py"."""
    return path.relative_to(ROOT).as_posix()


class Import(NamedTuple):
    """One import statement's module, as it is resolved from the file that holds it."""

    file: str       # "torch_impl/sae/costs.py"
    line: int
    module: str     # "numpy", or of ours without the package's name: "torch_impl.sparse.entries"
    ours: bool
    relative: bool

    @property
    def package(self):
        """"torch_impl" of ours, "numpy" of others."""
        return self.module.split(".")[0]

    @property
    def folder(self):
        """The folder of a module of ours: "torch_impl/sparse"."""
        path = ROOT.joinpath(*self.module.split("."))
        return inside(path if path.is_dir() else path.parent)

    def __str__(self):
        return f"{self.file}:{self.line} imports {self.module}"


@cache
def imports(path):
    """Every import of a file, those within functions too; those for type checkers alone do not count."""
    return tuple(Import(inside(path), node.lineno, *resolved) for node in executed(tree(path))
                 if isinstance(node, (ast.Import, ast.ImportFrom)) for resolved in modules_of(node, path))


def executed(node):
    """The nodes below one, without what stands under `if TYPE_CHECKING:`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            continue
        yield child
        yield from executed(child)


def modules_of(node, path):
    """(module, ours, relative) for each module that an import statement names."""
    if isinstance(node, ast.Import):
        dotted, relative = [alias.name for alias in node.names], False
    else:
        relative = node.level > 0
        here = list(path.relative_to(ROOT).parent.parts)
        base = [*here[:len(here) - node.level + 1]] if relative else []
        base += [node.module] if node.module else []
        dotted = [".".join([*base, alias.name]) for alias in node.names]
    for name in dotted:
        ours = relative or name.split(".")[0] == "sae_spec"
        parts = name.removeprefix("sae_spec.").split(".") if ours else name.split(".")
        if ours and not is_module(parts):
            parts = parts[:-1]          # the last part is a name within the module
        yield ".".join(parts), ours, relative


def is_module(parts):
    path = ROOT.joinpath(*parts)
    return path.is_dir() or path.with_suffix(".py").is_file()


def functions(path):
    """Every function and method of a file."""
    return [node for node in ast.walk(tree(path)) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]


def lines_of(function):
    """How many lines a function has, its docstring left out."""
    first = function.body[0]
    docstring = first.end_lineno - first.lineno + 1 if ast.get_docstring(function, clean=False) is not None else 0
    return function.end_lineno - function.lineno + 1 - docstring
