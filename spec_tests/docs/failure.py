"""The failure messages that read_a_failure.md explains, from a run of the adapter that the page itself shows."""

from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory

from sae_spec.spec_tests.core.commands import start
from sae_spec.spec_tests.docs.markdown import example

AGAIN = "  again: "


def golden(text):
    """The first failure of a golden case of that adapter."""
    return shown(messages(example(text, "wrong_adapter"))[0])


def property_(text):
    """The last failure, which is a property's."""
    return shown(messages(example(text, "wrong_adapter"))[-1])


def shown(message):
    return f"```text\n{message}\n```"


@cache
def messages(adapter):
    """The failures of an adapter that is wrong about ties, each from its clause to the command that runs it again."""
    with TemporaryDirectory() as folder:
        Path(folder, "my_adapter.py").write_text(adapter, encoding="utf-8")
        lines = start(folder, "--adapter", "my_adapter.py", "--clause", "ACT-5", "--effort", "normal").out.splitlines()
    stories, story = [], []
    for line in lines:
        story.append(line)
        if line.startswith("___"):                          # pytest's headline of one failure
            story = []
        if line.startswith(AGAIN):
            stories.append("\n".join(story))
    return stories
