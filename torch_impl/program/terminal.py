"""What the commands have in common: what they tell a person, which device they take, which package they lack."""

import functools
from collections.abc import Callable
from textwrap import shorten
from typing import Any

import typer


class MissingPackage(ValueError):
    """A command needs a package that is not installed; the message says how to install it."""


def needs(extra: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Mark a command as one that needs an extra of sae-spec: where a package is missing, its error names the extra."""
    def mark(command: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(command)
        def checked(*args: Any, **options: Any) -> Any:
            try:
                return command(*args, **options)
            except ModuleNotFoundError as error:
                package = (error.name or "").partition(".")[0]
                if package in ("", "sae_spec"):             # not a missing package: a mistake of ours
                    raise
                raise MissingPackage(f"{package} is missing: pip install 'sae-spec[{extra}]'") from None
        return checked
    return mark


def choose_device(name: str) -> str:
    """The device's name, "auto" resolved: a GPU where there is one.

    raises  ValueError for one that is not there
    """
    import torch

    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    try:
        torch.empty(0, device=name)
    except (RuntimeError, AssertionError) as error:         # torch's ways of saying that there is none
        raise ValueError(f"device: {name} cannot be used here ({shorten(str(error), 60)})") from None
    return name


def say(text: str) -> None:
    """A line on stderr: stdout is for what other programs read."""
    typer.echo(text, err=True)


def folded(text: str) -> str:
    """A text whose paragraphs are one line each: the terminal decides where to break them."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
