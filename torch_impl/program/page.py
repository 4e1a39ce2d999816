"""The program's pages: its templates stand beside this file."""

from pathlib import Path
from typing import Any

from .. import pages
from ..pages import picture as picture


def render(template: str, **values: Any) -> str:
    """A template of this folder as HTML."""
    return pages.render(Path(__file__).parent / template, **values)
