"""--summary: what a run found, for people who did not see it run: Markdown for a job summary, HTML, JSON or JUnit's XML.

All are made from the document that --report writes, but JUnit's, which is pytest's own.
"""

import json
from collections import Counter
from pathlib import Path

from sae_spec.spec_tests.core.clauses import clauses
from sae_spec.spec_tests.core.report import simplicity
from sae_spec.spec_tests.docs.markdown import cell, table
from sae_spec.spec_tests.operations import AREAS

VERDICTS = {
    "pass": "all of its tests pass",
    "in part": "what the adapter has of it passes, and it does not have everything",
    "fail": "a test fails",
    "known failure": "a test fails, and is on the list of those that are expected to",
    "unsupported": "the adapter has nothing of it",
}
TEMPLATE = Path(__file__).with_name("summary.html")


def verdict(by_dtype):
    """Which of VERDICTS holds of a clause, its dtypes together; by_dtype as in the report."""
    tests = sum((Counter(counts) for counts in by_dtype.values()), Counter())
    if tests["fail"] or tests["known_failure"]:
        return "fail" if tests["fail"] else "known failure"
    if not tests["unsupported"]:
        return "pass"
    return "in part" if tests["pass"] else "unsupported"


def verdicts(document):
    """{clause that was asked: its verdict}"""
    return {id: verdict(document["clauses"][id]) for id in clauses() if id in document["clauses"]}


def headline(document):
    """One line: who was asked, what, and how it ended."""
    name = " and ".join(" ".join(adapter) for adapter in document["adapters"])
    found = Counter(verdicts(document).values())
    ended = "holds to" if not document["exit_status"] else "does not hold to"
    counts = ", ".join(f"{found[word]} {word}" for word in VERDICTS if found[word]) or "nothing was asked"
    return f"{name} {ended} sae-spec {document['spec']} ({counts}; clauses)"


def areas(document):
    """[(the area's title, {verdict: clauses})] of those that were asked."""
    found = verdicts(document)
    counted = [(area.title, Counter(word for id, word in found.items() if clauses()[id].area == area.id)) for area in AREAS]
    return [(title, counts) for title, counts in counted if counts]


def failing(document):
    """[([Clause], the command that runs their simplest failure again)]; a golden case is preferred to a property."""
    commands, shown = {}, {}
    for failure in sorted(document["failures"], key=lambda failure: ("test" in failure["name"], simplicity(failure))):
        for id in failure["clauses"]:
            commands.setdefault(id, failure["again"])
    for id, clause in clauses().items():
        if id in commands:
            shown.setdefault(commands[id], []).append(clause)
    return [(held, again) for again, held in shown.items()]


def lost(document):
    """What failed and is about no clause: a process that took its counts with it."""
    return [failure["message"] for failure in document["failures"] if not failure["clauses"]]


def markdown(document):
    """The page for a job summary."""
    rows = [[title, *(str(counts[word] or "") for word in VERDICTS)] for title, counts in areas(document)]
    parts = [f"**{cell(headline(document))}**", table(["clauses", *VERDICTS], rows, right=VERDICTS)]
    for held, again in failing(document):
        parts += [*(f"**{clause.id}** {clause.sentence}" for clause in held), f"```sh\n{again}\n```"]
    return "\n\n".join([*parts, *lost(document)]) + "\n"


def html(document):
    """The same as a page by itself."""
    from sae_spec.torch_impl.pages import render

    return render(TEMPLATE, headline=headline(document), passed=not document["exit_status"], areas=areas(document),
                  failing=failing(document), lost=lost(document), verdicts=VERDICTS)


def as_json(document):
    """What --report writes."""
    return json.dumps(document, indent=1, allow_nan=False) + "\n"


FORMATS = {"markdown": markdown, "html": html, "json": as_json}
