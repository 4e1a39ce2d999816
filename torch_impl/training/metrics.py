"""What a run tells while it trains: metrics.jsonl for programs, a line of numbers for people."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch

from ..sae.frequency import firing_counts
from .atomic import replace_text

if TYPE_CHECKING:
    from .trainer import StepResult


@torch.no_grad()
def measure(result: "StepResult", rate: float) -> dict[str, Any]:
    """The numbers of one step.

    result  trainer.StepResult
    rate    the learning rate of the step
    returns dict of numbers: every term of the loss, and
        learning_rate
        active           mean number of latents that are on in a sample
        dead             number of dead latents
        price_spent      mean price of the latents that are on in a sample; equals active unless priced
        unexplained      fraction of the batch's variance that is not reconstructed; None if it has none

    They are of train mode; calibration.py has those of eval mode. Losses and costs are in the unit of training, in which the data's
    mean squared norm is D (see scale.py); numbers of latents, shares and prices have none.
    """
    counts = firing_counts(result.acts)                     # (M,)
    variance = ((result.x - result.x.mean(0)) ** 2).sum()
    numbers = {name: torch.as_tensor(term) for name, term in result.terms.items()} | {
        "active": counts.sum() / len(result.x),
        "dead": result.dead.sum(),
        "price_spent": (counts @ result.price) / len(result.x),
        "unexplained": ((result.x - result.recon) ** 2).sum() / variance,
    }
    numbers = {name: number.item() for name, number in numbers.items()} | {"learning_rate": rate}
    return numbers if variance > 0 else numbers | {"unexplained": None}


def append(path: Path, steps_done: int, numbers: Mapping[str, Any]) -> None:
    """Add one line to metrics.jsonl."""
    with open(path, "a", encoding="utf-8") as file:
        file.write(json.dumps({"step": steps_done, **numbers}) + "\n")


def cut(path: Path, steps_done: int) -> None:
    """Drop what metrics.jsonl says about steps after the checkpoint that a run resumes from.

    path    where no file stands there is nothing to cut; half a line at the end, which a crash can leave, is dropped too
    raises  ValueError that names the file where it holds anything else than metrics
    """
    if not path.exists():
        return
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    try:
        text = "".join(line for line in lines
                       if line.endswith("\n") and json.loads(line)["step"] <= steps_done)
    except (ValueError, KeyError, TypeError):
        raise ValueError(f"{path}: holds a line that is not of this run") from None
    replace_text(path, text)


def summary(numbers: Mapping[str, Any]) -> str:
    """The numbers worth a glance, in one line."""
    unexplained = numbers["unexplained"]
    share = "" if unexplained is None else f"unexplained {unexplained:.1%}  "
    in_eval_mode = f" (eval {numbers['eval_active']:.1f})" if "eval_active" in numbers else ""
    return f"loss {numbers['total']:.4g}  {share}active {numbers['active']:.1f}{in_eval_mode}  dead {numbers['dead']}"
