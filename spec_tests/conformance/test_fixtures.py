"""Every golden case, one test each."""


from sae_spec.spec_tests.core.cases import Failure, command, explain, golden_cases, read_cases, run_case
from sae_spec.spec_tests.core.tally import TALLY


def pytest_generate_tests(metafunc):
    replayed = [name for name in metafunc.config.getoption("--case") or [] if name.endswith(".json")]
    cases = [case for name in replayed for case in read_cases(name)] if replayed else golden_cases()
    metafunc.parametrize("case", cases, ids=[case.id for case in cases])


def test_golden_case(adapter, case):
    result = run_case(adapter.module, case, adapter.dtype)
    TALLY.executed(case.clauses, adapter.dtype, "cases")
    for id in case.clauses:
        TALLY.worst[id, adapter.dtype] = max(TALLY.worst[id, adapter.dtype], min(result.worst, 1e9))
    if result.mismatches:
        again = command(adapter.argument, adapter.dtype, "--case", case.id)
        raise Failure(explain(case.clauses, f"case {case.id}: {case.comment}", f"fixtures/{case.file}", case.flags,
                              adapter.module, adapter.dtype, result.mismatches, again), case.clauses)
