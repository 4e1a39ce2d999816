"""Clause by library, from what was measured."""

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
    """Which of MEANINGS holds of a clause: the worst that is known of it."""
    judged = {difference.get("judgement", "unjudged") for difference in measured["differences"] if id in difference["clauses"]}
    judged |= {"unjudged" for line in measured["unjudged"] if id in line.split("  ")[0].split()}
    for word in ("mistake", "unjudged", "convention"):
        if word in judged:
            return word
    counts = measured["clauses"].get(id, {"pass": 0, "fail": 0})
    if counts["pass"] or not counts["fail"]:
        return "same" if counts["pass"] else "not offered"
    return worst(difference for difference in measured["differences"] if id in difference["shown_by"])


def worst(differences):
    """The verdict on a clause none of whose tests passes, though its differences are put to other clauses."""
    judged = {difference.get("judgement", "unjudged") for difference in differences}
    return next(word for word in ("mistake", "unjudged", "convention") if word in judged)


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
    for of in ("clauses", "shown_by"):
        judged = [(difference.get("judgement") != "mistake", number)
                  for number, difference in enumerate(found["differences"], 1) if id in difference[of]]
        if judged and (of == "clauses" or not found["clauses"][id]["pass"]):
            return min(judged)[1]
    return None
