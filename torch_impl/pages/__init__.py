"""HTML pages that are one file: jinja2 sets them, figures lie inside. The program and the claims of the suite draw theirs here."""

import base64
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, FileSystemLoader, select_autoescape

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def render(template: Path, **values: Any) -> str:
    """A jinja2 template as HTML; it may extend page.html, which stands here."""
    folders = [template.parent, Path(__file__).parent]
    pages = Environment(loader=FileSystemLoader(folders), autoescape=select_autoescape())
    return pages.get_template(template.name).render(**values)


def picture(figure: "Figure") -> str:
    """A matplotlib figure as a data URI (a PNG), for the src of an img."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110, bbox_inches="tight")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
