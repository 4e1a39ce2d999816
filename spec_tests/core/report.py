"""The conformance report: a table clause by dtype for people, a JSON document for machines."""

import platform
from importlib.metadata import PackageNotFoundError, version

import numpy as np

from sae_spec.reference import SPEC_VERSION
from sae_spec.spec_tests.core.adapter import DTYPES
from sae_spec.spec_tests.core.cases import FIXTURES, sha256
from sae_spec.spec_tests.core.clauses import clauses
from sae_spec.spec_tests.core.tally import OUTCOMES
from sae_spec.spec_tests.operations import depth


COLUMNS = {
    "pass": "tests that passed; a test is a golden case or a property in one dtype, and counts for each clause that it names",
    "fail": "tests that failed",
    "unsupported": "tests that asked for something the adapter says it does not have: no pass",
    "known_failure": "tests that failed, and are on the list of those that are expected to",
    "cases": "golden cases that were run, whatever came of them",
    "examples": "examples of properties that were run, those that looked for a smaller failing one included",
    "worst_error_over_allowed": "of all golden cases, the largest error as a share of what is allowed; 0 where nothing differed",
}


def report_document(tally, adapters, exitstatus, paths):
    """Everything that ran, as plain data.

    paths  the files of the golden cases that ran
    """
    return {
        "format": 1,
        "spec": SPEC_VERSION,
        "fixtures": {path.name: sha256(path) for path in paths},
        "adapters": sorted({(module.NAME, str(module.VERSION)) for _, module in adapters}),
        "environment": environment(),
        "exit_status": int(exitstatus),
        "tests": {outcome: tally.tests[outcome] for outcome in OUTCOMES},
        "columns": COLUMNS,
        "clauses": tally.as_dict(),
        "unsupported_reasons": dict(tally.unsupported),
        "asked_otherwise": dict(tally.otherwise),
        "failures": sorted(tally.failures, key=simplicity),
    }


def what_was_asked(calls):
    """Of a test's calls: the operation that is put together of most others, and how many numbers there are to look at."""
    arrays = [array for call in calls for group in ("inputs", "expected") for array in call.get(group, {}).values()]
    return {"operation": max((call["operation"] for call in calls), key=depth, default=""),
            "numbers": sum(np.size(array) for array in arrays)}


def simplicity(failure):
    """What orders failures, the one to read first in front: a mistake shows in all that is put together of what is wrong.

    First the operation that is put together of fewest others, then the test that is about fewest clauses, a golden case
    before a property, and the one of fewest numbers.
    """
    return depth(failure["operation"]), len(failure["clauses"]) or 99, "test" in failure["name"], failure["numbers"]


def begin_with(failures):
    """Which of the failed tests to read first, and what it is about: text of two lines."""
    first = min(failures, key=simplicity)
    known, name = clauses(), " ".join(first["name"].values())
    about = "\n".join(f"  {id}  {known[id].sentence}" for id in first["clauses"] if id in known)
    return f"begin with {name}, the simplest of {len(failures)} tests that failed ({first['dtype']}):\n{about}"


def environment():
    """Versions of what the suite ran on."""
    versions = {"python": platform.python_version(), "system": platform.system(), "machine": platform.machine()}
    for package in ("numpy", "scipy", "torch", "hypothesis"):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            pass
    return versions


HEADING = "clause × dtype: tests passed, (golden cases + examples of properties) run; a test counts for each clause it names"


def print_report(tally, console=None):
    """Clause by dtype: how many tests passed, and how many golden cases and examples they ran."""
    from rich.console import Console

    console = console or Console()
    console.print(f"specification {SPEC_VERSION}, golden data {sha256(FIXTURES / 'index.json')[:12]}", highlight=False)
    console.print(HEADING, style="italic", highlight=False)
    console.print(table(tally))
    for reason, count in tally.unsupported.most_common():
        console.print(f"unsupported, {count} tests: {reason}", style="yellow", highlight=False)
    for how, count in tally.otherwise.most_common():
        console.print(f"asked otherwise, {count} calls: {how}", highlight=False)
    console.print(summary(tally), highlight=False)


def table(tally):
    from rich.table import Table

    dtypes = [dtype for dtype in DTYPES if any(key[1] == dtype for key in tally.outcomes)]
    grid = Table()
    grid.add_column("clause", no_wrap=True)                 # a cell may take two lines, so that no column is lost
    for dtype in dtypes:
        grid.add_column(dtype, justify="right")
    for id in clauses():
        if any((id, dtype) in tally.outcomes for dtype in dtypes):
            grid.add_row(id, *(cell(tally, id, dtype) for dtype in dtypes))
    return grid


def cell(tally, id, dtype):
    counts, ran = tally.outcomes.get((id, dtype)), tally.examples[id, dtype]
    if not counts:
        return "–"
    words = []
    if counts["fail"]:
        words.append(f"[red bold]{counts['fail']} FAIL[/]")
    if counts["unsupported"]:
        words.append(f"[yellow]{counts['unsupported']} unsupported[/]")
    if counts["known_failure"]:
        words.append(f"[yellow]{counts['known_failure']} known[/]")
    if counts["pass"]:
        words.append(f"[green]{counts['pass']}[/]")
    return " ".join(words) + f" [dim]({ran['cases']}+{ran['examples']})[/]"


def summary(tally):
    """One line: what a person needs if they read nothing else."""
    return "tests: " + ", ".join(f"{tally.tests[outcome]} {outcome.replace('_', ' ')}" for outcome in OUTCOMES)
