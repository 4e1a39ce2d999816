"""Programs as a user starts them: in a folder of their own, with a limit on their time."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple


class Ran(NamedTuple):
    status: int
    out: str
    err: str

    @property
    def text(self):
        return self.out + self.err


SUITE = [sys.executable, "-m", "sae_spec.spec_tests"]
SCRIPT = [str(Path(sys.executable).with_name("sae-spec"))]
# What a user's or a CI's shell may say about output. pytest repeats every message in its summary where CI is set.
ABOUT_OUTPUT = {"CI", "BUILD_NUMBER", "FORCE_COLOR", "NO_COLOR", "PY_COLORS", "LINES"}


def start(folder, *words, program=SUITE):
    """A program with its words, in `folder`, with few examples a property."""
    environment = {name: value for name, value in os.environ.items()
                   if not name.startswith(("PYTEST_", "SAE_SPEC_")) and name not in ABOUT_OUTPUT}
    environment |= {"SAE_SPEC_EFFORT": "quick", "COLUMNS": "200"}
    done = subprocess.run([*program, *map(str, words)], cwd=folder, env=environment,
                          capture_output=True, text=True, encoding="utf-8", timeout=300)
    return Ran(done.returncode, done.stdout, done.stderr)
