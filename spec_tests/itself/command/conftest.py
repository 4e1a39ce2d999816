"""What tests of the command share: a caller that is refused, in a folder of its own."""

import pytest

from sae_spec.spec_tests.__main__ import main


@pytest.fixture
def refused(tmp_path, monkeypatch, capsys):
    """Calls the program in a folder of its own; returns the one line with which it refuses to start."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("SAE_SPEC_COMMAND", "")
    monkeypatch.setenv("SAE_SPEC_TIMEOUT", "60")

    def call(*words):
        assert main(list(map(str, words))) == 2
        said = capsys.readouterr()
        (line,) = said.err.splitlines()
        assert not said.out and line.startswith("sae_spec.spec_tests: ")
        return line

    return call
