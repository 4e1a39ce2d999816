"""The suite is itself tested: every clause is covered, every mutant dies twice."""

import importlib
import pkgutil

import pytest
from hypothesis import Phase, settings

from sae_spec.spec_tests import conformance
from sae_spec.spec_tests.core.adapter import Bound
from sae_spec.spec_tests.core.cases import Failure, golden_cases, run_case
from sae_spec.spec_tests.core.clauses import clauses
from sae_spec.spec_tests.mutants import all_mutants
from sae_spec.spec_tests.core.properties import PROPERTIES


def properties_that_do_not_shrink():
    """{clause: [property]}, imported under settings of their own, the property likeliest to fail first.

    For a mutant the first failing example is enough. A property that names the clause first, and few others, is
    about that clause more than one that names it in passing.
    """
    settings.register_profile("mutants", settings.get_profile("sae-spec"), max_examples=60,
                              phases=[Phase.explicit, Phase.generate])
    settings.load_profile("mutants")
    names = {module.name for module in pkgutil.walk_packages(conformance.__path__, f"{conformance.__name__}.")}
    for name in sorted(names):
        importlib.import_module(name)
    settings.load_profile("sae-spec")
    relations = {id: [test for test in PROPERTIES[id].values() if test.__module__ in names and not test.agreement]
                 for id in clauses()}
    return {id: sorted(tests, key=lambda test: (test.clauses.index(id), len(test.clauses)))
            for id, tests in relations.items()}


RELATIONS = properties_that_do_not_shrink()
TESTED = [id for id, clause in clauses().items() if not clause.untested]


@pytest.mark.parametrize("id", TESTED)
def test_clause_has_a_hand_typed_case(id):
    assert [case.id for case in golden_cases() if id in case.clauses and "ByHand" in case.flags]


@pytest.mark.parametrize("id", TESTED)
def test_clause_has_a_property(id):
    assert RELATIONS[id]


@pytest.mark.parametrize("id", TESTED)
def test_clause_has_a_mutant(id):
    assert [mutant.name for mutant in all_mutants() if mutant.clause == id]


@pytest.mark.parametrize("mutant", all_mutants(), ids=lambda mutant: mutant.name)
def test_mutant_dies_by_golden_data_alone(mutant):
    adapter = mutant.as_adapter()
    cases = [case for case in golden_cases() if mutant.clause in case.clauses]
    assert any(run_case(adapter, case, "float64").mismatches for case in cases), f"survives {[case.id for case in cases]}"


@pytest.mark.long
@pytest.mark.parametrize("mutant", all_mutants(), ids=lambda mutant: mutant.name)
def test_mutant_dies_by_properties_alone(mutant):
    relations = RELATIONS[mutant.clause]
    assert any(fails(test, mutant) for test in relations), f"survives {[test.__name__ for test in relations]}"


def fails(test, mutant):
    """Whether the property `test` does not hold for the mutant."""
    try:
        test(adapter=Bound(mutant.as_adapter(), "float64"))
    except Failure as failure:
        if isinstance(failure.__cause__.__cause__, NameError):          # the mutant itself is broken, and nothing was killed
            raise
        return True
    return False
