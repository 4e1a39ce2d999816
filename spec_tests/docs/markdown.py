"""Tables, and the examples that a document holds."""

import re


def table(head, rows, right=()):
    """A Markdown table; `right` names the columns whose numbers stand to the right."""
    lines = (head, ["--:" if name in right else "---" for name in head], *rows)
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def cell(text):
    """Text that may stand in a table."""
    return text.replace("|", "\\|")


def example(text, name):
    """The fenced block after <!-- example: name -->."""
    return re.search(rf"<!-- example: {name} -->\n```\w+\n(.*?)```", text, re.DOTALL).group(1)
