"""Deliberately wrong implementations: what the suite must catch.

Each is the reference with one function replaced. `test_the_suite.py` demands that every mutant is killed twice: by
the golden cases of its clause alone, and by the properties of its clause alone. Many are mistakes of public
libraries; `seen_in` says whose.
"""

import sys
from contextlib import contextmanager
from types import SimpleNamespace
from collections.abc import Callable
from typing import NamedTuple

from sae_spec.spec_tests.adapters import reference_numpy

MUTANTS = []


class Mutant(NamedTuple):
    name: str            # "jumprelu: on at equality"
    clause: str          # the clause it breaks
    target: str          # the function of the reference that is replaced: "activations.jumprelu"
    wrong: Callable      # called with the right function first, then as the right one would be
    seen_in: str         # a public library that does this, or ""

    def as_adapter(self):
        """An adapter module that computes with the mistake."""
        def run(operation, config, inputs, dtype):
            with replaced(self.target, self.wrong):
                return reference_numpy.run(operation, config, inputs, dtype)

        return SimpleNamespace(NAME=f"mutant {self.name}", VERSION="0", DTYPES=["float64"], run=run)


def mutant(name, *, clause, target, seen_in=""):
    """Declare a mutant; decorates the wrong function, whose first argument is the right one."""
    def declare(wrong):
        MUTANTS.append(Mutant(name, clause, target, wrong, seen_in))
        return wrong

    return declare


@contextmanager
def replaced(target, wrong):
    """Replace a function wherever the reference has imported it."""
    module_name, function_name = target.split(".")
    home = next(module for name, module in sys.modules.items()
                if name.startswith("sae_spec.reference.") and name.endswith(f".{module_name}"))
    right = getattr(home, function_name)

    def mistaken(*arguments, **named):
        return wrong(right, *arguments, **named)

    places = [module for name, module in list(sys.modules.items())
              if name.startswith("sae_spec.reference.") and getattr(module, function_name, None) is right]
    for module in places:
        setattr(module, function_name, mistaken)
    try:
        yield
    finally:
        for module in places:
            setattr(module, function_name, right)


def all_mutants():
    """Every mutant of every area."""
    from sae_spec.spec_tests.mutants import activations, autoencoder, budgets, costs, frequency, selection, training  # noqa: F401
    from sae_spec.spec_tests.mutants import absorption, detector, meta_theory, saebench, toy  # noqa: F401

    return tuple(MUTANTS)
