"""What the bench found, for people."""

from rich.table import Table


def table(found):
    """A rich table of session.run's document."""
    s = found["settings"]
    title = f"one step, D={s['D']} M={s['M']} k={s['k']} B={s['B']}, {found['rounds']} rounds, {found['machine']['device']}"
    out = Table(title=title, caption="ratio: to the product, median of the ratios within a round; MB: peak memory above "
                                     "parameters, gradients and moments")
    for column in ("", "ms", "quartiles", "ratio", "MB", "loss"):
        out.add_column(column, justify="right" if column else "left", no_wrap=bool(column))
    for name, each in found["subjects"].items():
        out.add_row(f"{name} [dim]{each.get('version', '')}[/]", *([each["error"]] if "error" in each else cells(each)))
    return out


def cells(each):
    first, third = each["quartiles"]
    peak, loss = each["peak_bytes"], each["loss"]
    return (f"{each['median'] * 1e3:.0f}", f"{first * 1e3:.0f} to {third * 1e3:.0f}", f"{each['paired_ratio']:.2f}",
            "" if peak is None else f"{peak / 2**20:.0f}", "" if loss is None else f"{loss:.4f}")
