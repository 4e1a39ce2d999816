"""Files that are whole or absent, whatever happens while they are written."""

import os


def replace_file(path, write):
    """Write a file so that its name never shows half of it, even when the power fails.

    path   Path
    write  called with the path to write to, which then takes the place of `path`
    """
    unfinished = path.with_name(path.name + ".unfinished")
    try:
        write(unfinished)
        _force_to_disk(unfinished, os.O_RDWR)
        os.replace(unfinished, path)
        if os.name == "posix":                              # elsewhere a folder cannot be opened
            _force_to_disk(path.parent, os.O_RDONLY)
    finally:
        unfinished.unlink(missing_ok=True)


def _force_to_disk(path, flags):
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
