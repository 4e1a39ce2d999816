"""The console script `sae-spec`: runs commands.py and turns a user's mistake into one line.

Importing this module imports nothing that may be missing, so that a missing package is one line too.
"""

import sys

INSTALL = {
    "torch": ("torch", "safetensors", "pydantic", "typer", "rich", "tomli"),
    "test": ("hypothesis", "pytest", "jsonschema"),
    "demo": ("matplotlib", "jinja2"),
}


def main(argv=None):
    """Run a command; never returns.

    argv  the arguments after the program's name; this process's unless given
    exits with the command's code; with 2, after one line on stderr, when the user must change something
    """
    try:
        from .commands import app

        app(args=argv, prog_name="sae-spec")
    except ModuleNotFoundError as error:
        package = (error.name or "").split(".")[0]
        extra = next((name for name, packages in INSTALL.items() if package in packages), None)
        if extra is None:
            raise
        fail(f"{package} is missing: install sae-spec[{extra}]")
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except ValueError as error:                             # CheckpointError and TrainingDiverged too
        fail(str(error))


def fail(message):
    """One line on stderr, red where that can be seen, and exit code 2."""
    line = "error: " + " ".join(message.split())
    print(f"\033[31m{line}\033[0m" if sys.stderr.isatty() else line, file=sys.stderr)
    sys.exit(2)


if __name__ == "__main__":
    main()
