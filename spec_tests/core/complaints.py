"""What a file that cannot be used must bring about: one line, and not a byte changed."""

import pytest


def bytes_of(folder):
    """{path: content} of every file below a folder."""
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def complaint(folder, error, call, *arguments):
    """The one line of the error that `call` raises, after which the folder is what it was."""
    before = bytes_of(folder)
    with pytest.raises(error) as caught:
        call(*arguments)
    assert bytes_of(folder) == before
    line = str(caught.value)
    assert line and "\n" not in line and "Traceback" not in line
    return line
