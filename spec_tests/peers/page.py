"""build/peers.html: the matrix in colours, and every difference under it."""

from pathlib import Path

from sae_spec.spec_tests.core.clauses import clauses
from sae_spec.spec_tests.peers.matrix import MEANINGS, again, anchor, matrix, number_of, numbers, totals
from sae_spec.torch_impl.pages import render

TEMPLATE = Path(__file__).resolve().with_name("peers.html")
CELLS = {"same": "=", "convention": "≈", "mistake": "✗", "unjudged": "?", "not offered": ""}


def page(measured):
    """HTML; measured as `read_measured` gives it."""
    rows = [{"id": id, "sentence": clauses()[id].sentence,
             "cells": [{"verdict": row[library.name], "to": to(id, library, found)} for library, found in measured.items()]}
            for id, row in matrix(measured).items()]
    libraries = [{"library": library, "version": found["version"], "totals": totals(measured)[library.name],
                  "differences": [shown(library, number, difference) for number, difference in enumerate(found["differences"], 1)]}
                 for library, found in measured.items()]
    return render(TEMPLATE, rows=rows, libraries=libraries, meanings=MEANINGS, signs=CELLS)


def to(id, library, found):
    number = number_of(id, found)
    return anchor(library, number) if number else ""


def shown(library, number, difference):
    """A difference as the template shows it."""
    return difference | {"anchor": anchor(library, number), "again": again(library, difference), "numbers": numbers(difference["example"])}
