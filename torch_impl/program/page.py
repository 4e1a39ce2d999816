"""HTML pages that are one file: jinja2 sets them, figures lie inside."""

import base64
import io
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, select_autoescape


def render(template, **values):
    """A template of this folder as HTML."""
    pages = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=select_autoescape())
    return pages.get_template(template).render(**values)


def picture(figure):
    """A matplotlib figure as a data URI."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
