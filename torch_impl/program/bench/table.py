"""What the bench found, for people."""

from collections.abc import Mapping
from typing import Any

from rich.table import Table


def table(document: Mapping[str, Any]) -> Table:
    """A rich table of session.run's document."""
    s = document["settings"]
    title = f"one step, D={s['D']} M={s['M']} k={s['k']} B={s['B']}, {document['rounds']} rounds, {document['machine']['device']}"
    out = Table(title=title, caption="ratio: to the product, median of the ratios within a round; MB: peak memory above "
                                     "parameters, gradients and moments")
    for column in ("", "ms", "quartiles", "ratio", "MB", "loss"):
        out.add_column(column, justify="right" if column else "left", no_wrap=bool(column))
    for name, measured in document["subjects"].items():
        out.add_row(f"{name} [dim]{measured.get('version', '')}[/]",
                    *([measured["error"]] if "error" in measured else cells(measured)))
    return out


def cells(measured: Mapping[str, Any]) -> tuple[str, ...]:
    """A subject's row: milliseconds, their quartiles, ratio, MB, loss."""
    first, third = measured["quartiles"]
    peak, loss = measured["peak_bytes"], measured["loss"]
    return (f"{measured['median'] * 1e3:.0f}", f"{first * 1e3:.0f} to {third * 1e3:.0f}", f"{measured['paired_ratio']:.2f}",
            "" if peak is None else f"{peak / 2**20:.0f}", "" if loss is None else f"{loss:.4f}")
