"""Clause by library, from what was measured."""

import json

from sae_spec.spec_tests.core.cases import read_json
from sae_spec.spec_tests.core.clauses import clauses
from sae_spec.spec_tests.peers.libraries import read_libraries

MEANINGS = {
    "same": "every test of the clause that the library can be asked passes",
    "convention": "differs: another choice, which the library makes on purpose or may make",
    "mistake": "differs: what it does contradicts itself, its documentation or the shape of its data",
    "unjudged": "differs, and nobody has looked at it yet",
    "not offered": "the library has nothing that the clause's tests could ask",
}


def read_measured(libraries=None):
    """{Library: what was measured of it}, of those that were."""
    return {library: read_json(library.measured) for library in (libraries or read_libraries()).values() if library.measured.exists()}


def verdict(id, measured):
    """Which of MEANINGS holds of a clause: the worst that its tests showed, also where the judgement is about another clause of theirs."""
    judged = {difference.get("judgement", "unjudged") for difference in measured["differences"] if id in difference["shown_by"]}
    judged |= {"unjudged" for line in measured["unjudged"] if id in line.split("  ")[0].split()}
    passed = measured["clauses"].get(id, {"pass": 0})["pass"]
    return next((word for word in ("mistake", "unjudged", "convention") if word in judged), "same" if passed else "not offered")


def matrix(measured):
    """{clause: {library's name: verdict}} of the clauses that at least one library can be asked."""
    rows = {id: {library.name: verdict(id, found) for library, found in measured.items()} for id in clauses()}
    return {id: row for id, row in rows.items() if set(row.values()) != {"not offered"}}


def totals(measured):
    """{library's name: {verdict: clauses}}"""
    return {library.name: {word: sum(verdict(id, found) == word for id in clauses()) for word in MEANINGS}
            for library, found in measured.items()}


def complaints(measured):
    """What makes a run fail: failures without a judgement, and judgements without a failure."""
    return [f"{library.title} {found['version']}: {what}: {line}" for library, found in measured.items()
            for what, lines in (("differs, and has no judgement", found["unjudged"]),
                                ("no longer differs, or matches nothing", found["stale"])) for line in lines]


def again(library, difference):
    """The command that replays a difference's counter-example."""
    name = difference["example"]["name"]
    replay = difference["example"].get("replay")
    what = f"--case=spec_tests/peers/measured/replays/{library.name}/{replay}" if replay else \
        f"--case {name['case']}" if "case" in name else f"--clause {difference['clauses'][0]} --properties-only"
    return (f'python -m sae_spec.spec_tests --command "{library.command()}" --no-argument-checks '
            f"--dtype {difference['example']['dtype']} {what}")


def anchor(library, number):
    return f"{library.name}-{number}"


def number_of(id, found):
    """Which difference (from 1) a clause's cell leads to; None where there is none."""
    shown = [(difference.get("judgement") != "mistake", id not in difference["clauses"], number)
             for number, difference in enumerate(found["differences"], 1) if id in difference["shown_by"]]
    return min(shown)[-1] if shown else None


def numbers(example):
    """A counter-example in plain numbers."""
    settings = ", ".join(f"{name} = {json.dumps(value)}" for name, value in example.get("config", {}).items())
    lines = [f"{example['operation']}  {settings}".rstrip()]
    lines += [f"  {name} = {short(value)}" for name, value in example.get("inputs", {}).items()]
    lines += [f"wanted {name} = {short(value)}" for name, value in example.get("expected", {}).items()]
    return "\n".join(lines + [line[:300] for line in example["found"]])


def short(value):
    written = json.dumps(value)
    return written if len(written) <= 200 else written[:200] + " …"
