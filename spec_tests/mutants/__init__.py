"""Deliberately wrong implementations: what the suite must catch.

Each is the reference with one function replaced. `test_the_suite.py` demands that every mutant is killed twice: by
the golden cases of its clause alone, and by the properties of its clause alone. Many compute what a public project
computes; `seen_in` says which, and `convention` whether that is a choice of its own or a mistake.
A mutant of another dtype than float64 computes with float64 numbers, rounds where the mistake does, and is judged in its dtype.
"""

import importlib
import pkgutil
import sys
from contextlib import contextmanager
from functools import cache
from types import SimpleNamespace
from collections.abc import Callable
from typing import NamedTuple

from sae_spec.spec_tests.adapters import reference_numpy

MUTANTS = []

# The public projects in which mutants were seen, by the name that `seen_in` uses, and where they are published.
PROJECTS = {
    "SAELens": "github.com/decoderesearch/SAELens",
    "dictionary_learning": "github.com/saprmarks/dictionary_learning",
    "sparsify": "github.com/EleutherAI/sparsify",
    "overcomplete": "github.com/KempnerInstitute/overcomplete",
    "openai/sparse_autoencoder": "github.com/openai/sparse_autoencoder",
    "Language-Model-SAEs": "github.com/OpenMOSS/Language-Model-SAEs",
    "BatchTopK": "github.com/bartbussmann/BatchTopK",
    "matryoshka_sae": "github.com/bartbussmann/matryoshka_sae",
    "SAEBench": "github.com/adamkarvonen/SAEBench",
    "feature-hedging-paper": "github.com/chanind/feature-hedging-paper",
    "MetaSAE": "github.com/good-epic/MetaSAE",
}


class Mutant(NamedTuple):
    name: str            # "jumprelu: on at equality"
    clause: str          # the clause it breaks
    target: str          # the function of the reference that is replaced: "activations.jumprelu"
    wrong: Callable      # called with the right function first, then as the right one would be
    seen_in: tuple       # public projects that compute this, with the version where it is known: ("SAELens 6.54.12",)
    where: str           # the option, mode or function of theirs that does so, where it is not the only way
    convention: bool     # it contradicts nothing in those projects: another reduction, unit, order or starting value
    dtype: str           # in which the mistake is made, and judged

    @property
    def mistake(self):
        """Seen in public, and wrong there too: not the gradient of its own loss, a wrong shape, data lost, NaN, or at
        odds with what the project says or computes elsewhere."""
        return bool(self.seen_in) and not self.convention

    def as_adapter(self):
        """An adapter module that computes with the mistake."""
        def run(operation, config, inputs, dtype):
            with replaced(self.target, self.wrong):
                return reference_numpy.run(operation, config, inputs, dtype)

        return SimpleNamespace(NAME=f"mutant {self.name}", VERSION="0", DTYPES=[self.dtype], run=run)


def mutant(name, *, clause, target, seen_in=(), where="", convention=False, dtype="float64"):
    """Declare a mutant; decorates the wrong function, whose first argument is the right one."""
    def declare(wrong):
        MUTANTS.append(Mutant(name, clause, target, wrong, seen_in, where, convention, dtype))
        return wrong

    return declare


@contextmanager
def replaced(target, wrong):
    """Replace a function wherever the reference has imported it."""
    module_name, function_name = target.split(".")
    modules = modules_of_the_reference()
    home = next(module for module in modules if module.__name__.endswith(f".{module_name}"))
    right = getattr(home, function_name)

    def mistaken(*arguments, **named):
        return wrong(right, *arguments, **named)

    places = [module for module in modules if getattr(module, function_name, None) is right]
    for module in places:
        setattr(module, function_name, mistaken)
    try:
        yield
    finally:
        for module in places:
            setattr(module, function_name, right)


@cache
def modules_of_the_reference():
    """Every module of the reference that computes; all are imported once a mutant runs."""
    return tuple(module for name, module in list(sys.modules.items()) if name.startswith("sae_spec.reference."))


@cache
def all_mutants():
    """Every mutant of every file in this folder and the folders in it, in the order of the files' names."""
    for module in pkgutil.walk_packages(__path__, f"{__name__}."):
        importlib.import_module(module.name)
    return tuple(MUTANTS)


def projects(*, mistakes_only=False):
    """The public projects in which a mutant was seen, each once and without its version; only mistakes if asked for."""
    seen = {project(release) for mutant in all_mutants() for release in mutant.seen_in
            if mutant.mistake or not mistakes_only}
    return tuple(sorted(seen))


def project(release):
    """"SAELens" of "SAELens 6.54.12"; a release without a version is the project's name."""
    return release.split(" ")[0]
