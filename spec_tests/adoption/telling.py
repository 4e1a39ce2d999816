"""What the command tells when the run is over, besides what it prints while it runs."""

import sys
from contextlib import nullcontext, redirect_stdout
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from sae_spec.spec_tests.adoption.summary import FORMATS
from sae_spec.spec_tests.core.cases import read_json
from sae_spec.spec_tests.core.options import SUMMARIES, taken_out, values_of
from sae_spec.torch_impl.training.atomic import replace_text


class Wanted(NamedTuple):
    """What the options ask to be told; "" where they do not."""

    format: str          # of the summary
    file: str            # where it goes; to the standard output, and all else to the standard error, if nowhere


def wanted(words):
    """(Wanted, the other words); ValueError of one line."""
    last = {}
    for option in ("--summary", "--summary-file"):
        values, words = taken_out(option, words)
        last[option] = values[-1] if values else ""
    asked = Wanted(last["--summary"], last["--summary-file"])
    if asked.format and asked.format not in SUMMARIES:
        raise ValueError(f"--summary {asked.format}: must be one of {', '.join(SUMMARIES)}")
    if asked.format == "html" and not find_spec("jinja2"):
        raise ValueError("--summary html: jinja2 is missing: pip install jinja2")
    if asked.file and not asked.format:
        raise ValueError(f"--summary-file {asked.file}: --summary is missing")
    return asked, words


def told(asked, words, run):
    """The exit status of `run`, which is given words for pytest, once what is asked for has been told.

    Of a run that could not begin or was broken off nothing is told.
    """
    if not asked.format:
        return run(words)
    with TemporaryDirectory() as folder:
        report, junit = (values_of("--report", words) or [f"{folder}/report.json"])[-1], Path(folder, "junit.xml")
        with nullcontext() if asked.file else redirect_stdout(sys.stderr):
            status = run([*words, f"--report={report}", *([f"--junit-xml={junit}"] if asked.format == "junit" else [])])
        if status not in (0, 1):
            return status
        text = junit.read_text(encoding="utf-8") if asked.format == "junit" else FORMATS[asked.format](read_json(report))
    return published(asked.file, text) or status


def published(file, text):
    """Put a text where it belongs; 2 where that cannot be, else 0."""
    if not file:
        print(text, end="")
        return 0
    try:
        Path(file).parent.mkdir(parents=True, exist_ok=True)
        replace_text(Path(file), text)
    except OSError as error:
        print(f"sae_spec.spec_tests: {file}: cannot be written: {error.strerror}", file=sys.stderr)
        return 2
    return 0
