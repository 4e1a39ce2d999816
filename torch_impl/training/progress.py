"""Progress bars, all of one kind."""

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn


def progress_bar(shown: bool = True, *more_columns: ProgressColumn) -> Progress:
    """A rich Progress on stderr: what is being done, a bar, how much of it is done, and the time that is left.

    shown         False: nothing is shown
    more_columns  what stands behind these
    returns Progress; use it as a context manager, and its `add_task(description, total=...)` for each bar
    """
    return Progress(TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
                    *more_columns, console=Console(stderr=True), disable=not shown)
