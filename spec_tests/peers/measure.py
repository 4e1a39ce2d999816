"""One library through the suite, and what is kept of it.

The suite runs once, without the judgements; they are held against its failures here. So every difference that has been
judged is kept with its smallest counter-example, which a list of known failures would have hidden.
"""

import fnmatch
import json
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

from sae_spec.spec_tests.core.cases import golden_cases, read_json, write_config, write_tensor
from sae_spec.spec_tests.core.known_failures import FIELDS, read_known_failures
from sae_spec.spec_tests.peers.libraries import ADAPTERS
from sae_spec.torch_impl.training.atomic import replace_text


def run_suite(library, root, effort):
    """The suite's report, and the folder of its replay files; RuntimeError with its last lines if there is no report."""
    folder = Path(tempfile.mkdtemp(prefix=f"peers-{library.name}-"))
    report, serve = folder / "report.json", ADAPTERS / "serve.py"
    python = root / ".peers" / library.environment / "bin" / "python"
    command = f"{python} {serve} {ADAPTERS / 'peers' / library.name}.py"
    ran = subprocess.run([sys.executable, "-m", "sae_spec.spec_tests", "--command", command, "--no-argument-checks", "--effort", effort,
                          "--report", report, "--failures", folder], capture_output=True, text=True, check=False,
                         env=os.environ | {"OMP_NUM_THREADS": "1"})
    if not report.exists():
        raise RuntimeError(f"{library.title}: no report: " + "\n".join((ran.stdout + ran.stderr).splitlines()[-5:]))
    return read_json(report), folder


def measured(library, report, folder):
    """What the pages need of a report: counts by clause, and each difference with its judgement and counter-example.

    returns {"version", "clauses": {id: {"pass", "fail", "unsupported"}}, "differences", "unjudged", "stale"}
    """
    judgements = read_known_failures(library.judgements) if library.judgements.exists() else []
    excused = {number: [] for number in range(len(judgements))}
    unjudged = []
    for failure in report["failures"]:
        matching = [number for number, known in enumerate(judgements)
                    if known.matches(failure["clauses"], *failure["name"].values(), failure["dtype"])]
        excused[matching[0]].append(failure) if matching else unjudged.append(failure)
    differences = [{word: getattr(known, word) for word in FIELDS if getattr(known, word)}
                   | {"clauses": against(known, excused[number]), "tests": len(excused[number]),
                      "shown_by": sorted({id for failure in excused[number] for id in failure["clauses"]}),
                      "example": example(excused[number][0], folder, library)}
                   for number, known in enumerate(judgements) if excused[number]]
    return {"version": report["adapters"][0][1], "spec": report["spec"], "clauses": counts(report["clauses"]),
            "differences": merged(differences), "unjudged": [told(failure) for failure in unjudged],
            "stale": [str(known) for number, known in enumerate(judgements) if not excused[number]]}


def merged(differences):
    """Entries of one judgement, put in the same words, as one difference with the first's counter-example."""
    together = {}
    for difference in differences:
        same = together.setdefault((difference.get("judgement"), difference["reason"], difference.get("where")), dict(difference))
        if same["example"] is not difference["example"]:
            same["tests"] += difference["tests"]
            for group in ("clauses", "shown_by"):
                same[group] = sorted({*same[group], *difference[group]})
    return list(together.values())


def counts(clauses):
    """Of each clause, tests by outcome, its dtypes together."""
    outcomes = ("pass", "fail", "unsupported")
    return {id: {outcome: sum(by_dtype[dtype][outcome] for dtype in by_dtype) for outcome in outcomes}
            for id, by_dtype in clauses.items()}


def against(known, failures):
    """The clauses that a judgement is about: those that it names, or those of the tests that it names."""
    ids = sorted({id for failure in failures for id in failure["clauses"]})
    return fnmatch.filter(ids, known.clause or "*")


def told(failure):
    """A failure that nobody has judged, in a line."""
    return f"{' '.join(failure['clauses'])}  {' '.join(failure['name'].values())}  {failure['dtype']}"


def example(failure, folder, library):
    """The simplest failure of a difference in plain numbers: of a golden case, or of what Hypothesis found.

    What Hypothesis found is kept beside what was measured, as golden cases, so that it can be run again.
    """
    lines = [line.strip() for line in failure["message"].splitlines()]
    found = [plain(line) for line in lines if "want " in line or "'failed': " in line or line.startswith("assert ")][:3]
    kept = {"name": failure["name"], "dtype": failure["dtype"], "operation": failure["operation"], "found": found}
    if "case" in failure["name"]:
        (case,) = [case for case in golden_cases() if case.id == failure["name"]["case"]]
        return kept | {"config": write_config(case.config), "inputs": tensors(case.inputs), "expected": tensors(case.expected)}
    path = folder / f"{failure['name'].get('test', '')}-{failure['dtype']}.json"
    if not path.exists():
        return kept
    document = read_json(path)
    write(library.replays / path.name, document)
    case = document["cases"][-1]            # the call that the property ended on
    return kept | {"replay": path.name, "operation": case["operation"], "config": case["config"]} | {
        group: {name: tensor["data"] for name, tensor in case.get(group, {}).items()} for group in ("inputs", "expected")}


def plain(line):
    """What the library said, without what the suite says of its reply."""
    failed = re.search(r"""'failed': (["'])(.*)\1""", line)
    return failed.group(2) if failed else line


def tensors(arrays):
    return {name: write_tensor(array)["data"] for name, array in arrays.items()}


def write(path, document):
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_text(path, json.dumps(document, indent=1, allow_nan=False) + "\n")
