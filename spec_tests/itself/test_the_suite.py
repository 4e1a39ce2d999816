"""The suite is itself tested: every clause is covered, every mutant dies twice, the comparator lets nothing through."""

import importlib

import pytest
from hypothesis import Phase, settings

from sae_spec.spec_tests.core.adapter import Bound
from sae_spec.spec_tests.core.cases import Failure, golden_cases, run_case
from sae_spec.spec_tests.core.clauses import clauses
from sae_spec.spec_tests.mutants import all_mutants
from sae_spec.spec_tests.core.properties import PROPERTIES

AREAS = ("activations", "selection", "autoencoder", "frequency", "costs", "training",
         "toy", "absorption", "ground_truth", "saebench", "detector", "meta_theory")


def properties_that_do_not_shrink():
    """{clause: [property]}, imported under settings of their own.

    For a mutant the first failing example is enough.
    """
    settings.register_profile("mutants", settings.get_profile("sae-spec"), max_examples=60,
                              phases=[Phase.explicit, Phase.generate])
    settings.load_profile("mutants")
    names = {importlib.import_module(f"sae_spec.spec_tests.conformance.test_{area}").__name__ for area in AREAS}
    settings.load_profile("sae-spec")
    return {id: [test for test in PROPERTIES[id].values() if test.__module__ in names and not test.agreement]
            for id in clauses()}


RELATIONS = properties_that_do_not_shrink()
TESTED = [id for id, found in clauses().items() if not found.untested]


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
    assert any(kills(test, mutant) for test in relations), f"survives {[test.__name__ for test in relations]}"


def kills(test, mutant):
    """Whether a property fails for a mutant."""
    try:
        test(adapter=Bound(mutant.as_adapter(), "float64"))
    except Failure:
        return True
    return False


@pytest.mark.parametrize("case", golden_cases(), ids=lambda case: case.id)
def test_the_reference_passes_every_golden_case(case):
    from sae_spec.spec_tests.adapters import reference_numpy

    assert not run_case(reference_numpy, case, "float64").mismatches
