"""What a run tells while it trains: metrics.jsonl for programs, a progress bar for people."""

import json

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from .atomic import replace_file
from ..sae.frequency import firing_counts


@torch.no_grad()
def measure(passed, rate):
    """The numbers of one step.

    passed  trainer.Passed
    rate    the learning rate of the step
    returns dict of numbers: every term, and
        learning_rate
        active           mean number of latents that are on in a sample
        dead             number of dead latents
        price_spent      mean price of the latents that are on in a sample; equals active unless priced
        unexplained      fraction of the batch's variance that is not reconstructed; None if it has none
    """
    counts = firing_counts(passed.acts)                     # (M,)
    variance = ((passed.x - passed.x.mean(0)) ** 2).sum()
    numbers = {name: torch.as_tensor(term) for name, term in passed.terms.items()} | {
        "active": counts.sum() / len(passed.x),
        "dead": passed.dead.sum(),
        "price_spent": (counts @ passed.price) / len(passed.x),
        "unexplained": ((passed.x - passed.recon) ** 2).sum() / variance,
    }
    numbers = {name: number.item() for name, number in numbers.items()} | {"learning_rate": rate}
    return numbers if variance > 0 else numbers | {"unexplained": None}


def append(path, steps_done, numbers):
    """Add one line to metrics.jsonl."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps({"step": steps_done, **numbers}) + "\n")


def cut(path, steps_done):
    """Drop what metrics.jsonl says about steps after the checkpoint that a run resumes from.

    path  Path; no such file is nothing to cut
    A crash can leave half a line at the end; it is dropped too.
    """
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    try:
        kept = "".join(line for line in lines
                       if line.endswith("\n") and json.loads(line)["step"] <= steps_done)
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{path}: holds a line that is not of this run") from None
    replace_file(path, lambda unfinished: unfinished.write_text(kept, encoding="utf-8"))


def progress_bar(shown):
    """A rich progress bar on stderr, with room for one line of numbers; `shown` False: silent."""
    return Progress(TextColumn("training"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(),
                    TextColumn("{task.fields[numbers]}"), console=Console(stderr=True), disable=not shown)


def summary(numbers):
    """The numbers worth a glance, in one line."""
    unexplained = numbers["unexplained"]
    share = "" if unexplained is None else f"unexplained {unexplained:.1%}  "
    return f"loss {numbers['total']:.4g}  {share}active {numbers['active']:.1f}  dead {numbers['dead']}"
