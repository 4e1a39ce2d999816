"""The command `sae-spec synthetic`: what an SAE hides in a world that SAELens made, beside what the detector sees of it."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .terminal import choose_device, say

if TYPE_CHECKING:
    from ..absorption.edges import Edge
    from ..worlds.forest import Forest, Samples

ABOUT = """Measure feature absorption where the truth is known: on a synthetic model that SAELens saved.

With an SAE, each parent and child of the hierarchy gets a line: how often the parent's latent fires beside the child and
without it, the recall hole between the two (SAELens issue 729 calls it absorption gap), the hole by the recall without,
whether the parent is truly absorbed, and what the detector says, which sees no truth. All numbers are in synthetic.json.

Without an SAE, the samples are written, to train on: acts.npy, truth.npy, directions.npy.

[bold]Examples[/bold]

sae-spec synthetic model --out world

sae-spec train world/acts.npy --out run

sae-spec synthetic model run --out report
"""
LINES = 20                                                  # edges that are printed
Model = Annotated[Path, typer.Argument(help="The folder of SyntheticModel.save, or the output of SAELens's SyntheticSAERunner.")]
Run = Annotated[Path | None, typer.Argument(help="The SAE: a run's folder, a file of `save`, or a SAELens checkpoint.")]
Out = Annotated[Path, typer.Option(help="Folder for what is written.")]
N = Annotated[int, typer.Option(min=1, help="How many samples to draw.")]
Seed = Annotated[int, typer.Option(min=0, help="Of the draws.")]
Top = Annotated[int, typer.Option(min=1, help="Possible parents to compare each latent with.")]
Threshold = Annotated[float | None, typer.Option(min=0, max=1, help="Probability above which a pair is absorbed (default: .8).")]
EveryActivation = Annotated[bool, typer.Option("--every-activation", help=(
    "Whatever is not 0 counts as a firing, as in SAELens (default: a hundredth of what a latent usually writes)."))]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ...")]


def synthetic(model: Model, run: Run = None, out: Out = Path("sae-spec-synthetic"), samples: N = 50_000, seed: Seed = 0,
              top: Top = 32, threshold: Threshold = None, every_activation: EveryActivation = False, device: Device = "auto") -> None:
    """The command."""
    from ..absorption.detector import ABSORBED
    from ..formats import load_any
    from ..formats.saelens_synthetic import load_synthetic
    from ..worlds.forest import draw, edges

    if out.exists() and not out.is_dir():
        raise ValueError(f"{out}: is a file, not a folder")
    forest = load_synthetic(model)
    if run is None:
        write_samples(out, forest, draw(forest, samples, seed))
        say(f"{out}: {samples} samples of {len(forest.rate)} features: acts.npy, truth.npy, directions.npy")
        return
    sae, pairs = load_any(run, choose_device(device)), edges(forest)
    if forest.directions.shape[1] != sae.config.D:
        raise ValueError(f"{model}: the model has D = {forest.directions.shape[1]}, the SAE has D = {sae.config.D}")
    if not pairs.numel():
        raise ValueError(f"{model}: the model has no hierarchy: no feature has a parent")
    drawn, threshold = draw(forest, samples, seed), ABSORBED if threshold is None else threshold
    document, found = measured(sae, forest, drawn, top, threshold, every_activation)
    write_json(out / "synthetic.json", {"format": "sae-spec synthetic", "version": 1, "model": str(model), "run": str(run),
                                        "seed": seed, "every activation": every_activation} | document)
    typer.echo(table(found[:LINES]))
    say(summary(found) + f", MCC {document['MCC']:.3f}: see {out / 'synthetic.json'}")


def measured(sae: Any, forest: "Forest", drawn: "Samples", top: int, threshold: float,
             every_activation: bool) -> "tuple[dict[str, Any], tuple[Edge, ...]]":
    """The numbers of the document, and the edges."""
    from ..absorption.edges import edge_recall
    from ..absorption.find import find_absorption
    from ..worlds.forest import edges
    from .absorption_command import progress_bars

    with progress_bars() as progress:
        report = find_absorption(sae, drawn.rows, top, threshold, progress=progress)
        found = edge_recall(sae, drawn, forest.directions, edges(forest), report, every_activation, progress)
    return found.to_dict() | {"absorption": report.to_dict()}, found.edges


def write_samples(folder: Path, forest: "Forest", drawn: "Samples") -> None:
    """acts.npy (N, D), truth.npy (N, F) and directions.npy (F, D), as `train` and `absorption` read them."""
    import numpy as np

    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "acts.npy", drawn.rows.numpy())
    np.save(folder / "directions.npy", forest.directions.numpy())
    shape = (len(drawn.rows), len(forest.rate))
    truth, first = np.lib.format.open_memmap(folder / "truth.npy", mode="w+", dtype=bool, shape=shape), 0
    for _, magnitudes in drawn.batches():                   # of many features the whole of it would need much memory
        truth[first : first + len(magnitudes)] = (magnitudes > 0).numpy()
        first += len(magnitudes)
    truth.flush()


def write_json(path: Path, document: dict[str, Any]) -> None:
    """The document, whole or not at all; folders on the way are made."""
    from ..training.atomic import replace_text

    path.parent.mkdir(parents=True, exist_ok=True)
    replace_text(path, json.dumps(document, indent=1, allow_nan=False) + "\n")


def table(edges: "tuple[Edge, ...]") -> str:
    """The edges, a line each."""
    heads = ("parent", "child", "beside", "without", "hole", "normalised", "precision", "corrected", "truth", "detector")
    lines: list[tuple[str, ...]] = [heads]
    for edge in edges:
        numbers = (edge.recall_beside, edge.recall_without, edge.recall_hole, edge.normalised_recall_hole, edge.precision_alone,
                   edge.recall_beside_corrected)
        shares = ("-" if number is None else f"{number:.3f}" for number in numbers)
        says = edge.detector or "-" if edge.probability is None else f"{edge.detector} {edge.probability:.2f}"
        lines.append((str(edge.parent), str(edge.child), *shares, edge.truth, says))
    widths = [max(map(len, column)) for column in zip(*lines)]
    return "\n".join("  ".join(word.rjust(width) for word, width in zip(line, widths)) for line in lines)


def summary(edges: "tuple[Edge, ...]") -> str:
    """What is true of all edges and how much of it the detector says, in a line."""
    truly = [edge for edge in edges if edge.truth == "absorbed"]
    named = [edge for edge in edges if edge.detector == "absorbed"]
    wrong = sum(edge.truth == "not absorbed" for edge in named)
    unclear = sum(edge.truth in ("unclear", "between") for edge in edges)
    both = sum(edge.detector == "absorbed" for edge in truly)
    return (f"{len(truly)} of {len(edges)} edges are absorbed, {unclear} are unclear; the detector names {both} of the absorbed ones, "
            f"{wrong} that are not, {len(named) - both - wrong} of the unclear")
