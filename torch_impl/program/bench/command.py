"""`sae-spec bench`: run a session, show it, write it down."""

from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from . import session
from .record import add
from .table import table


def main(shape: Mapping[str, int], device: str, peers: Path, out: Path | None) -> int:
    """Measure and report.

    shape  {"D", "M", "k", "B", "rounds"}
    device "cpu" or "cuda"
    peers  folder of the peers' environment; it need not exist
    out    the record (see record.py) to add to, or None
    returns the exit status: 1 when subjects that should compute the same loss do not
    raises  ValueError for another device
    """
    if device not in ("cpu", "cuda"):
        raise ValueError(f"device must be cpu or cuda, got {device!r}")
    console, python = Console(stderr=True), peers / "bin" / "python"
    if not python.exists():
        console.print(f"no {python}: only our own subjects (`make bench-peers` makes the environment)")
    with console.status("starting") as status:
        result = session.run(**shape, device=device, python_of_peers=python.absolute() if python.exists() else None,
                             tell=status.update)
    Console().print(table(result))
    if out:
        add(result, out)
    if result["losses_agree"] is False:
        console.print("[bold red]the losses differ[/]: these are not the same computation")
    return int(result["losses_agree"] is False)
