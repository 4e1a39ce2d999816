"""python -m sae_spec.spec_tests --adapter NAME_OR_PATH: check an implementation against the specification."""

import os
import re
import sys
from importlib.util import find_spec
from pathlib import Path

from sae_spec.spec_tests.core.options import taken_out, usage, values_of

CONFORMANCE = Path(__file__).parent / "conformance"
NOTHING_COLLECTED = 5                  # pytest's exit status
GOLDEN = "test_fixtures.py"            # golden cases come first: what they say is easiest to understand


def main(argv=None):
    """Run the suite; returns the exit status."""
    words = list(sys.argv[1:] if argv is None else argv)
    if "-h" in words or "--help" in words:
        print(usage(), end="")
        return 0
    if "--operations" in words:
        print(all_operations(), end="")
        return 0
    words = with_command(words)
    if not any(word == "--adapter" or word.startswith("--adapter=") for word in words):
        print("sae_spec.spec_tests: --adapter is missing; --help says what there is", file=sys.stderr)
        return 2
    for package in ("pytest", "hypothesis", "jsonschema", "rich"):
        if not find_spec(package):
            print(f"sae_spec.spec_tests: {package} is missing: pip install 'sae-spec[test]'", file=sys.stderr)
            return 2
    from sae_spec.spec_tests.adoption.telling import told, wanted

    try:
        asked, words = wanted(words)
        read_what_is_named(words)
    except (ValueError, ImportError) as error:
        print(f"sae_spec.spec_tests: {error}", file=sys.stderr)
        return 2
    status = told(asked, words, run_pytest)
    if status == NOTHING_COLLECTED:
        print("sae_spec.spec_tests: no test is left: the options together, or the adapter's dtypes, leave all of them out", file=sys.stderr)
        return 1
    return status


def run_pytest(words):
    """The suite with these words as options; returns pytest's exit status."""
    import pytest

    # No configuration file of the caller's project may change what runs: hence an empty one.
    options = ["-c", os.devnull, f"--rootdir={CONFORMANCE.parent}", "--import-mode=importlib", "-p", "no:cacheprovider",
               "-q", "--no-header", "--tb=short"]
    return int(pytest.main([*options, *conformance_files(), *words]))


def read_what_is_named(words):
    """Read the golden data, and what the options name, before anything runs; ValueError or ImportError of one line."""
    from sae_spec.spec_tests import selection
    from sae_spec.spec_tests.core.adapter import load_adapter
    from sae_spec.spec_tests.core.cases import golden_cases, read_cases
    from sae_spec.spec_tests.core.known_failures import read_known_failures
    from sae_spec.spec_tests.core.options import seconds

    for text in values_of("--timeout", words):
        os.environ["SAE_SPEC_TIMEOUT"] = str(seconds(text))
    selection.check_names(lambda option: values_of(option, words), golden_cases(), property_names())
    for name in values_of("--adapter", words):
        load_adapter(name)
    for name in values_of("--case", words):
        if name.endswith(".json"):
            read_cases(name)
    for name in values_of("--known-failures", words):
        read_known_failures(Path(name))
    if "--golden-only" in words and "--properties-only" in words:
        raise ValueError("--golden-only and --properties-only together leave nothing")


def conformance_files():
    """What an implementation is judged by. The suite's tests of itself and of our production code are not among it."""
    files = sorted(CONFORMANCE.rglob("test_*.py"), key=lambda path: (path.name != GOLDEN, path))
    return [str(path) for path in files]


def property_names():
    """The names of all properties, as their files have them."""
    return re.findall(r"^def (test_\w+)", "\n".join(Path(file).read_text(encoding="utf-8") for file in conformance_files()), re.M)


def all_operations():
    """What --operations prints."""
    from sae_spec.spec_tests.operations import AREAS
    from sae_spec.spec_tests.operations.describe import described

    return "\n".join(text for area in AREAS for operation in area.operations for text in described(operation))


def with_command(words):
    """--command "./prog" is the subprocess adapter, told by the environment which program."""
    programs, left = taken_out("--command", words)
    if not programs:
        return words
    os.environ["SAE_SPEC_COMMAND"] = programs[0]
    return [*left, "--adapter", "subprocess_json"]


if __name__ == "__main__":
    sys.exit(main())
