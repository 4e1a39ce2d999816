"""`sae-spec bench`: run a session, show it, write it down."""

import json
from pathlib import Path

from rich.console import Console

from . import session
from .table import table


def main(shape, peers, out):
    """Measure and report.

    shape  {"D", "M", "k", "B", "rounds"}
    peers  folder of the peers' environment; it need not exist
    out    where to write the document as JSON, or None
    returns the exit status: 1 when subjects that should compute the same loss do not
    """
    console, python = Console(stderr=True), Path(peers) / "bin" / "python"
    if not python.exists():
        console.print(f"no {python}: only our own subjects (`make bench-peers` makes the environment)")
        python = None
    with console.status("starting") as status:
        found = session.run(**shape, python_of_peers=python and python.absolute(), tell=status.update)
    Console().print(table(found))
    if out:
        Path(out).write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    if found["losses_agree"] is False:
        console.print("[bold red]the losses differ[/]: these are not the same computation")
    return int(found["losses_agree"] is False)
