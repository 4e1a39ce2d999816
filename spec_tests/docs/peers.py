"""PEERS.md: other libraries against the clauses, from what `make peers` measured."""

from sae_spec.spec_tests.core.clauses import clauses
from sae_spec.spec_tests.docs.markdown import cell, table
from sae_spec.spec_tests.operations import AREAS
from sae_spec.spec_tests.peers.matrix import MEANINGS, again, anchor, matrix, number_of, numbers, read_measured, totals

SIGNS = {"same": "=", "convention": "convention", "mistake": "**mistake**", "unjudged": "?", "not offered": ""}
HEAD = """# Other libraries against the clauses

What happens when the suite asks libraries that others wrote. Each is asked through its own code, for what it has and nothing
else; how to refuse a caller's mistake is not asked. A difference is not a fault: it is judged once, from the library's source,
and the suite holds to the judgement, so that a new version shows as a difference to this page.

This page is generated from `spec_tests/peers/measured/`, which `make peers` writes: `python -m sae_spec.spec_tests.docs`.
"""


def text(measured=None):
    """The whole page; measured as `read_measured` gives it."""
    measured = read_measured() if measured is None else measured
    libraries = list(measured)
    meanings = "\n".join(f"- {SIGNS[word] or 'an empty cell'}: {meaning}." for word, meaning in MEANINGS.items())
    summary = table(["library", *MEANINGS], [[f"[{library.title}]({library.docs}) {library.version}",
                    *(str(totals(measured)[library.name][word]) for word in MEANINGS)] for library in libraries], right=MEANINGS)
    rows = [[f"[{id}]({link(id)})", *(sign(id, row, library, measured[library]) for library in libraries)]
            for id, row in matrix(measured).items()]
    parts = [HEAD, meanings, "## How many clauses", summary, "## Clause by library",
             table(["clause", *(library.title for library in libraries)], rows)]
    return "\n\n".join(parts + [of_library(library, found) for library, found in measured.items()]) + "\n"


def link(id):
    """Where a clause stands, seen from this folder."""
    area = clauses()[id].area
    title = next(one.title for one in AREAS if one.id == area)
    return f"../../reference/CLAUSES.md#{area.lower()}-{title.lower().replace(' ', '-')}"


def sign(id, row, library, found):
    word, number = row[library.name], number_of(id, found)
    return f"[{SIGNS[word]}](#{anchor(library, number)})" if number and SIGNS[word] else SIGNS[word]


def of_library(library, found):
    """Every difference of one library, the mistakes first."""
    parts = [f"## {library.title} {found['version']}"]
    numbered = sorted(enumerate(found["differences"], 1), key=lambda pair: pair[1].get("judgement") != "mistake")
    parts += [of_difference(library, number, difference) for number, difference in numbered]
    return "\n\n".join(parts)


def of_difference(library, number, difference):
    """One difference: what, why, where, the smallest counter-example, and how to see it again."""
    ids = ", ".join(f"[{id}]({link(id)})" for id in difference["clauses"])
    source = f" [Documented]({difference['link']})." if "link" in difference else ""
    parts = [f'<a id="{anchor(library, number)}"></a>', f"### {ids}: {difference.get('judgement', 'not judged')}",
             f"{cell(difference['reason'])}{source}", f"In `{difference['where']}`." if "where" in difference else "",
             "```text\n" + numbers(difference["example"]) + "\n```", f"```sh\n{again(library, difference)}\n```"]
    if difference.get("judgement") == "mistake":
        parts.append(report(library, difference))
    return "\n\n".join(part for part in parts if part)


def report(library, difference):
    """A report that can be sent to the library's maintainers as it is."""
    sentences = "\n".join(f"> {clauses()[id].sentence} ([{id}]({link(id)}))" for id in difference["clauses"])
    return (f"<details><summary>A report for <a href=\"{library.issues}\">{library.title}</a></summary>\n\n"
            f"Version {library.version}, `{difference.get('where', '')}`.\n\n{difference['reason']}\n\n"
            f"The smallest input that shows it:\n\n```text\n{numbers(difference['example'])}\n```\n\n"
            f"What was expected:\n\n{sentences}\n\n</details>")
