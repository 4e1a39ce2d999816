"""Files that are whole or absent, whatever happens while they are written.

It stands here because `torch_impl` may import nothing of the other folders, while the suite and the generator of
the golden data, which write with it too, may import it: it needs the standard library alone, and does not load torch.
"""

import os
from collections.abc import Callable
from pathlib import Path


def replace_file(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file so that its name never shows half of it, even when the power fails.

    path    where the file is to stand; where a link stands, the file that it points to is replaced, not the link
    write   called with the path to write to, which then takes the place of `path`
    raises  OSError, and whatever `write` raises; `path` is then as it was
    """
    path = Path(os.path.realpath(path))
    unfinished = path.with_name(path.name + ".unfinished")
    try:
        write(unfinished)
        _force_to_disk(unfinished, os.O_RDWR)
        os.replace(unfinished, path)
        if os.name == "posix":                              # elsewhere a folder cannot be opened
            _force_to_disk(path.parent, os.O_RDONLY)
    finally:
        unfinished.unlink(missing_ok=True)


def replace_text(path: Path, text: str) -> None:
    """`replace_file` with text: UTF-8, and the same line ends on every system."""
    replace_file(path, lambda unfinished: unfinished.write_text(text, encoding="utf-8", newline="\n"))


def _force_to_disk(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
