"""The suite is itself tested: every clause is covered, every mutant dies twice."""

import importlib
import pkgutil

import numpy as np
import pytest
from hypothesis import Phase, settings

from sae_spec.spec_tests import conformance
from sae_spec.spec_tests.core.adapter import DTYPES, Bound
from sae_spec.spec_tests.core.cases import Failure, golden_cases, run_case
from sae_spec.spec_tests.core.clauses import clauses
from sae_spec.spec_tests.mutants import all_mutants
from sae_spec.spec_tests.core.properties import PROPERTIES

EXAMPLES_TRIED = (4, 60)


def properties_that_do_not_shrink():
    """{clause: [property]}, imported under settings of their own, the property likeliest to fail first.

    For a mutant the first failing example is enough. A property that names the clause first, and few others, is
    about that clause more than one that names it in passing.
    """
    settings.register_profile("mutants", settings.get_profile("sae-spec"), max_examples=EXAMPLES_TRIED[-1],
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
    cases = [case for case in golden_cases() if mutant.clause in case.clauses and mutant.dtype in case.dtypes]
    assert any(run_case(adapter, case, mutant.dtype).mismatches for case in cases), f"survives {[case.id for case in cases]}"


@pytest.mark.long
@pytest.mark.parametrize("mutant", all_mutants(), ids=lambda mutant: mutant.name)
def test_mutant_dies_by_properties_alone(mutant):
    """Few examples of every property first: most mutants die of some property's first, and all examples of those it survives cost most."""
    relations = [test for test in RELATIONS[mutant.clause] if mutant.dtype in (test.dtypes or DTYPES)]
    killed = any(fails(test, mutant, examples) for examples in EXAMPLES_TRIED for test in relations)
    assert killed, f"survives {[test.__name__ for test in relations]}"


def fails(test, mutant, examples):
    """Whether the property `test` does not hold for the mutant in as many examples."""
    # Hypothesis fixes the settings when it decorates; a name that it has changed costs time, and kills no fewer.
    test.__wrapped__._hypothesis_internal_use_settings = settings(settings.get_profile("mutants"), max_examples=examples)
    try:
        test(adapter=Bound(mutant.as_adapter(), mutant.dtype))
    except Failure as failure:
        if isinstance(failure.__cause__.__cause__, NameError):          # the mutant itself is broken, and nothing was killed
            raise
        return True
    return False


# ---------------------------------------------------------------- golden data can fail

# A case that no mutant of its clauses gets wrong may pass by coincidence. These are right answers at an edge for which nobody
# has written the mistake yet (an empty batch, an argument at the end of its range): the list can only shrink.
WITHOUT_A_MISTAKE = set("""
    relu-empty-batch jumprelu-empty-batch jumprelu-backward-empty-batch step-empty-batch step-backward-empty-batch
    topk-empty-batch batch-topk-empty-batch abs-topk-empty-batch budget-topk-empty-batch batch-budget-topk-empty-batch
    topk-backward-empty-batch batch-topk-inference-empty-batch decode-empty-batch backward-of-nothing
    firing-empty-batch toy-no-samples saebench-no-samples
    jumprelu-zero-at-threshold-zero topk-keeps-the-largest topk-tie-of-fewer-than-k topk-k-equals-m
    budget-topk-zero-decoder-row-may-be-bought budget-topk-at-most-k batch-budget-topk-all-prices-one
    batch-topk-inference-threshold-zero budget-thresholds-at-zero prefixes-of-one-latent-each
    frequency-of-one-sample running-mean-of-one-sample running-mean-decay-zero reconstruction-perfect
    reconstruction-perfect-gradient reconstruction-of-prefixes-gradient l1-zero-row tanh-zero-row
    aux-leading-dimensions aux-leading-dimensions-gradient aux-no-dead-gradient aux-dead-and-silent
    aux-zero-among-the-k-aux objective-l0-coefficient-zero median-of-a-cross rate-plain
    rate-plain-at-the-end rate-warmup-over sparsity-over sparsity-no-warmup clip-zero-gradient clip-none
    toy-no-parent-ignores-rate-alone toy-two-groups toy-directions-too-many saebench-zero-row-is-main
    saebench-negative-main-counts-as-off saebench-no-absorbers saebench-no-absorbers-but-main-on-paper
    saebench-cosine-of-the-absorber saebench-full-tie-first saebench-silent-is-below-its-limit
    saebench-absorber-called-main saebench-absorber-not-main recall-hole-full recall-hole-never-with-child
    hedging-nothing patterns-hedging detector-independent-is-not-disturbed
    read-out-zero-row-parent delta-family-none delta-l1-disentangled
    hedging-angle-never-together
    l0-bandwidth-zero l0-bandwidth-negative
""".split())


def test_every_golden_case_fails_for_a_single_mistake():
    mutants = [(mutant, mutant.as_adapter()) for mutant in all_mutants()]
    with np.errstate(all="ignore"):                     # mistakes divide by 0
        idle = {case.id for case in golden_cases()
                if not any(run_case(adapter, case, mutant.dtype).mismatches for mutant, adapter in mutants
                           if mutant.clause in case.clauses and mutant.dtype in case.dtypes)}
    new, mended = sorted(idle - WITHOUT_A_MISTAKE), sorted(WITHOUT_A_MISTAKE - idle)
    assert not new, f"no mutant of their clauses gets these cases wrong; give them better numbers, or write the mistake: {new}"
    assert not mended, f"a mutant gets these wrong now; take them off the list: {mended}"
