"""`sae-spec demo`: is the implementation right, and what do four SAEs make of a toy and of real activations?"""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from rich.console import Console
from torch import Tensor

from ..sae.frequency import firing_counts, frequency
from ..training.atomic import replace_text
from ..training.config import SAEConfig, TrainingConfig
from ..training.data import Activations
from ..training.module import SparseAutoencoder
from ..training.trainer import Trainer
from . import demo_figures as figures
from .demo_data import CHILD, PARENT, toy_hierarchy, word_embeddings

# The four of the discussion: untied and tied with L1, and two whose cost of speaking is the frequency-aware price.
TOY_SAES = {
    "untied L1": ({"activation": "relu"}, {"l1_coefficient": 0.03}),
    "tied L1": ({"activation": "relu", "tied": True}, {"l1_coefficient": 0.03}),
    "budget top-k, priced": ({"activation": "batch_budget_topk", "k": 1}, {"priced": True}),
    "JumpReLU, priced L0": ({"activation": "jumprelu", "bandwidth": 0.2, "initial_threshold": 0.02},
                            {"l0_coefficient": 0.02, "priced": True, "aux_coefficient": 1 / 32, "dead_after": 5000}),
}
REAL_SAES = {
    "untied L1": ({"activation": "relu"}, {"l1_coefficient": 0.12}),
    "tied L1": ({"activation": "relu", "tied": True}, {"l1_coefficient": 0.12}),
    "budget top-k, priced": ({"activation": "batch_budget_topk", "k": 12}, {"priced": True}),
    "JumpReLU, priced L0": ({"activation": "jumprelu", "bandwidth": 0.05, "initial_threshold": 0.05},
                            {"l0_coefficient": 0.008, "priced": True}),
}
# Short runs want short memories. The coefficients are those of the discussion, in the unit of the data as it is.
SHORT = {"batch_size": 512, "frequency_decay": 0.99, "threshold_decay": 0.9, "normalize_activations": False, "threshold_rate": 1.0}
TOY = SHORT | {"M": 4, "steps": 2000, "learning_rate": 3e-3, "centre": "zero", "log_every": 20}
REAL = SHORT | {"M": 3072, "steps": 300, "learning_rate": 1e-3, "log_every": 5}


class Trained(NamedTuple):
    """One trained SAE and what the report says of it."""

    name: str
    sae: SparseAutoencoder
    history: list[dict[str, Any]]  # the lines of metrics.jsonl
    frequencies: Tensor      # (M,) over the whole data set
    summary: dict[str, float]      # the columns of the table


def main(out: Path) -> int:
    """Run the demo.

    out     folder for the report, the conformance result and the runs
    returns the exit status: 0 if every clause holds
    """
    console = Console(stderr=True)
    embeddings, _ = word_embeddings()                       # first: a package that is missing shows before minutes are spent
    out.mkdir(parents=True, exist_ok=True)
    console.rule("1 of 3: does the implementation compute what the specification says?")
    status = check(out / "conformance.json")

    console.rule("2 of 3: a toy world, where the child feature never comes without its parent")
    runs = out / "runs"
    shutil.rmtree(runs, ignore_errors=True)                 # an earlier demo's; they are quick to make again
    x, on, directions = toy_hierarchy(100_000, seed=0)
    toy = train_all(x, TOY_SAES, TOY, runs / "toy", console)

    console.rule("3 of 3: 30,522 real activations, the word embeddings of MiniLM")
    real = train_all(embeddings, REAL_SAES, REAL, runs / "words", console)

    page = figures.report(status == 0, read(out / "conformance.json"), toy, toy_readings(toy, x, on), directions, real)
    replace_text(out / "report.html", page)
    console.print(f"\n[bold]{out / 'report.html'}[/] is written"
                  + ("" if status == 0 else "; [red bold]some clauses do not hold: see the table above[/]"))
    return status


def check(report: Path) -> int:
    """Every clause on this implementation, with few examples a property; prints the clause by dtype table."""
    from sae_spec.spec_tests.__main__ import main as run_suite

    return run_suite(["--adapter", "torch_impl", "--effort", "quick", "--require", "*", "--report", str(report)])


def read(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else {"clauses": {}, "tests": {}}


def train_all(x: Tensor, saes: Mapping[str, Any], common: Mapping[str, Any], folder: Path, console: Console) -> list[Trained]:
    """Each SAE on the same rows x (N, D), in a run folder of its own."""
    data, trained = Activations(x), []
    for name, (architecture, training) in saes.items():
        console.print(name, style="bold")
        options = {key: value for key, value in common.items() if key != "M"} | training
        trainer = Trainer.start(SAEConfig(D=x.shape[1], M=common["M"], **architecture), TrainingConfig(**options), data)
        run = folder / name.replace(" ", "-").replace(",", "")
        trainer.fit(data, run)
        trained.append(measured(name, trainer.sae.eval(), x, run))
    return trained


@torch.no_grad()
def measured(name: str, sae: SparseAutoencoder, x: Tensor, run: Path) -> Trained:
    """What the SAE does on all of x (N, D), with its running threshold."""
    counts, spent, error = torch.zeros(sae.config.M), 0.0, 0.0
    for rows in x.split(4096):
        acts = sae.encode(rows)
        counts += firing_counts(acts)
        spent += float((acts != 0).float().matmul(sae.price).sum())
        error += float((rows - sae.decode(acts)).square().sum())
    summary = {
        "fraction of variance unexplained": error / float((x - x.mean(0)).square().sum()),
        "mean active latents": float(counts.sum()) / len(x),
        "dead latents": int((counts == 0).sum()),
        "price spent": spent / len(x),
    }
    history = [json.loads(line) for line in (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    return Trained(name, sae, history, frequency(counts, len(x)), summary)


@torch.no_grad()
def toy_readings(trained: Sequence[Trained], x: Tensor, on: Tensor) -> list[dict[str, float]]:
    """For each SAE: the parent's latent, and how often it speaks on the parent alone and beside the child.

    x   (N, D) samples of the toy world
    on  (N, F) bool, which features are active in them
    The parent's latent is the one whose firing best agrees with the parent where the child is absent.
    returns a list of {"alone": share, "beside the child": share}
    """
    alone, beside = on[:, PARENT] & ~on[:, CHILD], on[:, CHILD]
    readings = []
    for one in trained:
        fires = one.sae.encode(x) != 0                     # (N, M)
        clean = ~on[:, CHILD]
        agreement = (fires[clean] == on[clean, PARENT].unsqueeze(-1)).float().mean(0)   # (M,)
        parent = int(agreement.argmax())
        readings.append({"alone": float(fires[alone, parent].float().mean()),
                         "beside the child": float(fires[beside, parent].float().mean())})
    return readings
