"""Options, outcomes and the report of the suite."""

import fnmatch
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

from sae_spec.spec_tests.core.adapter import DTYPES, Bound, load_adapter
from sae_spec.spec_tests.asking.answers import Missing, listen_for_ctrl_c
from sae_spec.spec_tests.core.cases import FIXTURES, Failure, command, read_index
from sae_spec.spec_tests.core.examples import draw_from_the_seed_alone
from sae_spec.spec_tests.core.known_failures import known_failures_text, read_known_failures
from sae_spec.spec_tests.core.options import EXAMPLES, OPTIONS
from sae_spec.spec_tests.core.report import begin_with, print_report, report_document, what_was_asked
from sae_spec.spec_tests.selection import case_of, clauses_of, name_of, selected
from sae_spec.spec_tests.core.tally import TALLY
from sae_spec.torch_impl.training.atomic import replace_text

# What `pytest` runs when nobody says otherwise: both roads, production in every dtype.
DEFAULT = ("reference_numpy", "torch_impl")


def pytest_addoption(parser):
    group = parser.getgroup("sae-spec")
    for option in OPTIONS:
        if option.pytest is not None:
            group.addoption(option.name, help=option.meaning, **option.pytest)


def pytest_configure(config):
    draw_from_the_seed_alone()
    listen_for_ctrl_c()
    settings.register_profile(
        "sae-spec", max_examples=EXAMPLES[config.getoption("--effort")], derandomize=True, deadline=None, database=None,
        print_blob=False, report_multiple_bugs=False, phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.data_too_large,
                               HealthCheck.function_scoped_fixture, HealthCheck.differing_executors])
    settings.load_profile("sae-spec")
    path = config.getoption("--known-failures")
    try:
        config.known_failures = read_known_failures(path) if path else []
    except ValueError as error:
        raise pytest.UsageError(str(error)) from None


# ---------------------------------------------------------------- which tests, with which adapter

def bound_adapters(config, only_dtypes=None):
    """(label, what --adapter says, the adapter, dtype) for every adapter and dtype asked for."""
    named = config.getoption("--adapter")
    wanted = config.getoption("--dtype")
    pairs = []
    for argument in named or DEFAULT:
        try:
            module = load_adapter(argument)
        except ImportError as error:
            if named:
                raise pytest.UsageError(f"--adapter {argument}: {error}") from None
            continue                    # without torch the default run is the reference's alone
        except ValueError as error:
            raise pytest.UsageError(str(error)) from None
        for dtype in DTYPES:
            if dtype in module.DTYPES and (not wanted or dtype in wanted) and (not only_dtypes or dtype in only_dtypes):
                pairs.append((f"{module.NAME}-{dtype}", argument, module, dtype))
    return pairs


def pytest_generate_tests(metafunc):
    if "adapter" not in metafunc.fixturenames:
        return
    pairs = bound_adapters(metafunc.config, getattr(metafunc.function, "dtypes", None))
    metafunc.parametrize("adapter", [(argument, module, dtype) for _, argument, module, dtype in pairs],
                         ids=[label for label, *_ in pairs], indirect=True, scope="session")


@pytest.fixture(scope="session")
def adapter(request):
    argument, module, dtype = request.param
    return Bound(module, dtype, argument)


def pytest_collection_modifyitems(config, items):
    wanted = [item for item in items if selected(item, config.getoption)]
    if len(wanted) < len(items):
        config.hook.pytest_deselected(items=[item for item in items if item not in set(wanted)])
        items[:] = wanted
    # Of two workers the one that begins a test of a minute at the very end would keep the other waiting.
    items.sort(key=lambda item: not any(mark.kwargs.get("begins_first") for mark in item.iter_markers("long")))


# ---------------------------------------------------------------- the four outcomes

@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.when != "call" or "adapter" not in getattr(item, "fixturenames", ()):
        return
    argument, _, dtype = item.callspec.params["adapter"]
    error = call.excinfo.value if call.excinfo else None
    ids, config = error.clauses if isinstance(error, Failure) else clauses_of(item), item.config
    outcome = "pass" if report.passed else "fail"
    if isinstance(error, NotImplementedError):
        outcome = unsupported(report, error, ids, config)
    elif report.failed:
        outcome = failed(report, item, error, ids, argument, dtype)
    TALLY.ended(ids, dtype, outcome)


def unsupported(report, error, ids, config):
    """The adapter does not have it: skipped and counted, or failed where it was required."""
    reason = f"{error} (asked was {error.asked})" if isinstance(error, Missing) else str(error)
    patterns = [word.strip() for words in config.getoption("--require") for word in words.split(",")]
    required = [id for id in ids if any(fnmatch.fnmatch(id, pattern) for pattern in patterns)]
    TALLY.unsupported[reason] += 1
    if required:
        report.outcome, report.longrepr = "failed", f"{', '.join(required)} is required, the adapter says: {reason}"
        return "fail"
    report.outcome, report.longrepr = "skipped", (report.location[0], report.location[1] or 0, f"unsupported: {reason}")
    return "unsupported"


def failed(report, item, error, ids, argument, dtype):
    """A failure: known (and then no failure), or told in full and left behind as a replay file.

    ids  the clauses that it is about
    """
    name = name_of(item)
    for known in item.config.known_failures:
        if known.matches(ids, *name.values(), dtype):
            known.hits += 1
            why = (report.location[0], report.location[1] or 0, f"known failure: {known.reason}")
            report.outcome, report.longrepr = "skipped", why
            return "known_failure"
    if isinstance(error, Failure):
        text = str(error)
        if not case_of(item):
            again = replay_file(item, ids, argument, dtype)
            text += f"\n  again: {again}" if again else ""
        report.longrepr = text
    asked = what_was_asked([case_of(item)._asdict()] if case_of(item) else item.funcargs["adapter"].calls)
    again = command(argument, dtype, *(("--case", name["case"]) if "case" in name else ("--clause", ids[0])))
    TALLY.failures.append({"clauses": list(ids), "test": item.nodeid, "name": name, "dtype": dtype, **asked,
                           "message": str(report.longrepr), "again": again})
    return "fail"


def replay_file(item, ids, argument, dtype):
    """The smallest failing example as golden cases, with what the reference says of each call."""
    from sae_spec.spec_tests.adapters import reference_numpy
    from sae_spec.spec_tests.core.replay import replay_document

    again = command(argument, dtype, "--clause", ids[0])
    document = replay_document(item.originalname, ids, item.funcargs["adapter"].calls, reference_numpy)
    if not document["cases"]:
        return again
    folder = item.config.getoption("--failures")
    path = folder / f"{item.originalname}-{dtype}.json"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(document, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    except OSError as error:
        return f"{again}   (no replay file: {path}: {error.strerror})"
    return command(argument, dtype, "--case", path)


# ---------------------------------------------------------------- the end

def pytest_sessionfinish(session, exitstatus):
    config = session.config
    if hasattr(config, "workeroutput"):         # one of several processes: the first of them makes the report
        config.workeroutput["sae_spec"] = [TALLY.to_text(), [known.hits for known in config.known_failures]]
        return
    stale = [known for known in config.known_failures if not known.hits]
    if session.exitstatus == 0 and (stale or nothing_passed(config)):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
    write_files(config, session.exitstatus)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node, error):
    """A worker of pytest-xdist has ended: what it counted is added, or is known to be missing."""
    if "sae_spec" not in (getattr(node, "workeroutput", None) or {}):
        TALLY.lost(f"{node.gateway.id} ended without its counts, which are missing here: {error}")
        return
    text, hits = node.workeroutput["sae_spec"]
    TALLY.add_text(text)
    for known, number in zip(node.config.known_failures, hits):
        known.hits += number


def write_files(config, exitstatus):
    """The report, and the list of what is known to fail from now on."""
    path, known_path = config.getoption("--report"), config.getoption("--write-known-failures")
    if path:
        adapters = [(label, module) for label, _, module, _ in bound_adapters(config)]
        replayed = [Path(name) for name in config.getoption("--case") or [] if name.endswith(".json")]
        files = replayed or [FIXTURES / name for name in read_index(FIXTURES)["files"]]
        document = report_document(TALLY, adapters, exitstatus, files)
        path.parent.mkdir(parents=True, exist_ok=True)
        replace_text(path, json.dumps(document, indent=1, allow_nan=False) + "\n")
    if known_path:
        replace_text(known_path, known_failures_text([known for known in config.known_failures if known.hits], TALLY.failures))


def nothing_passed(config):
    """Of what an implementation was asked nothing passed: it did nothing, or all was unsupported."""
    return bool(config.getoption("--adapter")) and not TALLY.tests["pass"]


def pytest_terminal_summary(terminalreporter, exitstatus, config):
    for known in config.known_failures:
        if not known.hits:
            terminalreporter.write_line(f"ERROR known failure no longer fails, or matches nothing: {known}", red=True)
    if config.getoption("--adapter"):
        print_report(TALLY)
    if TALLY.failures:
        terminalreporter.write_line(begin_with(TALLY.failures))
    if nothing_passed(config):
        terminalreporter.write_line("ERROR nothing passed", red=True)
