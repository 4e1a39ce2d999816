"""The options of the suite: one list for pytest, for --help and for the documents."""

import os
from pathlib import Path
from textwrap import fill
from typing import NamedTuple

from sae_spec.spec_tests.core.adapter import DTYPES

SUMMARIES = ("markdown", "html", "json", "junit")
EXAMPLES = {"quick": 10, "normal": 30, "thorough": 300}          # of a property


class Option(NamedTuple):
    name: str            # "--dtype"
    value: str           # "DTYPE", what stands for its value
    meaning: str
    pytest: dict         # what pytest's parser is told besides; None: it is not pytest's

    @property
    def usage(self):
        return f"{self.name} {self.value}".strip()


def seconds(text):
    """A time limit: a number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < float("inf"):
        raise ValueError(f"--timeout {text}: must be a number of seconds above 0")
    return value


REPEATED = {"action": "append"}
SWITCH = {"action": "store_true"}
OPTIONS = (
    Option("--adapter", "NAME_OR_PATH", "what is checked: one of ours (reference_numpy, torch_impl), a module, or a .py file",
           REPEATED),
    Option("--command", '"PROGRAM …"', "instead: a program that speaks JSON lines", None),
    Option("--dtype", "DTYPE", "only this of float64, float32, float16 and bfloat16; may be repeated",
           REPEATED | {"choices": DTYPES}),
    Option("--clause", "PATTERN", "only these clauses, such as ACT-4 or 'ACT-*'; may be repeated", REPEATED),
    Option("--case", "ID_OR_FILE", "only this golden case, or the cases of a replay file; may be repeated", REPEATED),
    Option("--require", "PATTERNS", "clauses that may not be unsupported, such as 'ACT-*,SAE-1'", REPEATED | {"default": []}),
    Option("--exclude", "PATTERN", "leave out clauses, golden cases and properties of these names, such as 'TOY-*'; may be repeated",
           REPEATED | {"default": []}),
    Option("--golden-only", "", "golden cases, and no properties", SWITCH),
    Option("--properties-only", "", "properties, and no golden cases", SWITCH),
    Option("--no-argument-checks", "", "leave out what asks for the refusal of a caller's mistake", SWITCH),
    Option("--timeout", "SECONDS", "how long a program may take for an answer (60)",
           {"type": seconds, "default": os.environ.get("SAE_SPEC_TIMEOUT", "60")}),
    Option("--known-failures", "FILE", "a strict TOML list of failures that are expected", {"type": Path}),
    Option("--write-known-failures", "FILE", "write such a list of what fails in this run", {"type": Path}),
    Option("--effort", "EFFORT", "quick, normal or thorough: 10, 30 or 300 examples for a property",
           {"choices": EXAMPLES, "default": os.environ.get("SAE_SPEC_EFFORT", "normal")}),
    Option("--report", "FILE", "write the outcome as JSON to this file", {"type": Path}),
    Option("--summary", "FORMAT", f"tell what was found as {', '.join(SUMMARIES[:-1])} or {SUMMARIES[-1]}, on the standard output; "
           "all else then goes to the standard error", None),
    Option("--summary-file", "FILE", "write that summary to this file instead", None),
    Option("--failures", "FOLDER", "where replay files of failing examples go (sae-spec-failures)",
           {"type": Path, "default": Path("sae-spec-failures")}),
    Option("--operations", "", "print all that an adapter can be asked, and check nothing", None),
)

EXIT_STATUS = "0 when every clause that the adapter supports holds, 1 when one fails or nothing passed, 2 or more for a usage error"


def values_of(option, words):
    """The values of every such option among the words."""
    return taken_out(option, words)[0]


def taken_out(option, words):
    """(the values of every such option, the words without it and them)"""
    values, left, words = [], [], iter(words)
    for word in words:
        if word.startswith(f"{option}="):
            values.append(word.split("=", 1)[1])
        elif word == option:
            values += [value for value in [next(words, None)] if value is not None]
        else:
            left.append(word)
    return values, left


def usage():
    """What --help prints."""
    width = max(len(option.usage) for option in OPTIONS) + 4
    lines = [fill(option.meaning, 118, initial_indent=f"  {option.usage}".ljust(width), subsequent_indent=" " * width)
             for option in OPTIONS]
    return "\n".join([
        "usage: python -m sae_spec.spec_tests --adapter NAME_OR_PATH [options]", "",
        "Checks an implementation of sparse autoencoders against the specification: golden cases first, then properties.", "",
        *lines, "", f"Exit status: {EXIT_STATUS}.", ""])
