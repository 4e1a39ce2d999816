"""`sae-spec bench`: run a session, show it, write it down."""

from pathlib import Path

from rich.console import Console

from . import session
from .record import add
from .table import table


def main(shape, device, peers, out):
    """Measure and report.

    shape  {"D", "M", "k", "B", "rounds"}
    device "cpu" or "cuda"
    peers  folder of the peers' environment; it need not exist
    out    the record (see record.py) to add to, or None
    returns the exit status: 1 when subjects that should compute the same loss do not
    """
    if device not in ("cpu", "cuda"):
        raise ValueError(f"device must be cpu or cuda, got {device!r}")
    console, python = Console(stderr=True), Path(peers) / "bin" / "python"
    if not python.exists():
        console.print(f"no {python}: only our own subjects (`make bench-peers` makes the environment)")
        python = None
    with console.status("starting") as status:
        found = session.run(**shape, device=device, python_of_peers=python and python.absolute(), tell=status.update)
    Console().print(table(found))
    if out:
        add(found, Path(out))
    if found["losses_agree"] is False:
        console.print("[bold red]the losses differ[/]: these are not the same computation")
    return int(found["losses_agree"] is False)
