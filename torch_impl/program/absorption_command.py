"""The command `sae-spec absorption`: which latents of an SAE are absorbed into which."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from .terminal import choose_device, say

if TYPE_CHECKING:
    import torch

    from ..training.data import Activations

ABOUT = """Find feature absorption: latents that stay silent, or speak too low, where a rarer one writes their direction too.

Reads an SAE (a folder that `sae-spec train` wrote, or a SAELens checkpoint) and activations, and needs no
labels. The report folder gets absorption.html, a page to look at, and absorption.json, all the numbers.

[bold]Examples[/bold]

sae-spec absorption run --data acts.npy

sae-spec absorption run --data acts.npy --labels words.txt

sae-spec absorption run --data acts.npy --report out --truth features.npy --directions probes.npy
"""
Run = Annotated[Path, typer.Argument(help="The SAE's folder.")]
Data = Annotated[Path, typer.Option(help="Activations: a .npy or .safetensors file, (N, D).")]
Report = Annotated[Path, typer.Option(help="Folder for the page and the numbers.")]
Labels = Annotated[Path | None, typer.Option(help=(
    "A UTF-8 text file, one line for each row (its token, say): the page shows the lines on which a family's latents speak loudest."))]
Truth = Annotated[Path | None, typer.Option(help=(
    "A .npy file (N, F) of true or false: which features are in which row; recall is then reported."))]
Directions = Annotated[Path | None, typer.Option(help=(
    "A .npy file (F, D): the features' directions, or probes for them; they say which latent stands for which feature."))]
Tensor = Annotated[str | None, typer.Option(help="Which tensor of a .safetensors file.")]
Samples = Annotated[int | None, typer.Option(min=1, help="Read only so many rows (default: all).")]
Top = Annotated[int, typer.Option(min=1, help="Possible parents to compare each latent with.")]
Threshold = Annotated[float | None, typer.Option(min=0, max=1, help="Probability above which a pair is absorbed (default: .8).")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1, ...")]


def absorption(run: Run, data: Data, report: Report = Path("sae-spec-absorption"), labels: Labels = None, truth: Truth = None,
               directions: Directions = None, tensor: Tensor = None, samples: Samples = None, top: Top = 32,
               threshold: Threshold = None, device: Device = "auto") -> None:
    """The command."""
    from ..absorption.detector import ABSORBED
    from ..absorption.find import find_absorption
    from ..absorption.labels import label_families
    from ..absorption.recall import feature_recall
    from ..formats import load_any
    from ..training.data import open_activations
    from . import absorption_report

    sae, source = load_any(run, choose_device(device)), open_activations(data, tensor)
    if source.D != sae.config.D:
        raise ValueError(f"{data}: the data has D = {source.D}, the SAE has D = {sae.config.D}")
    if report.exists() and not report.is_dir():
        raise ValueError(f"{report}: is a file, not a folder")
    rows = source.rows[:samples]
    words = None if labels is None else read_labels(labels, source)[:samples]
    known = read_truth(truth, directions, source, samples)
    threshold = ABSORBED if threshold is None else threshold
    with progress_bars() as progress, source.saying_where(0, samples):
        result = find_absorption(sae, rows, top, threshold, progress=progress)
        document = result.to_dict(str(run), source.name)
        of_families = None if words is None else label_families(sae, rows, words, result, progress=progress)
        for family, its in zip(document["families"], of_families or ()):
            family["labels"] = its.to_dict()
        if known is not None:
            on, probes = known
            recalls = feature_recall(sae, rows, on, result, probes, progress=progress)
            document["features"] = [recall.to_dict() for recall in recalls]
        page = absorption_report.page(result, document, sae, rows, of_families, progress)
    write(report, document, page)
    worst = max((parent.share_lost for parent in result.parents), default=None)
    found = f"{len(result.pairs)} absorbed pairs, {result.judged.cannot_tell} of which it cannot be told"
    lost = "" if worst is None else f", {len(result.parents)} latents are absorbed, the worst loses {worst:.0%} of what it should say"
    say(f"{found}{lost}: see {report / 'absorption.html'}")


@contextmanager
def progress_bars() -> Iterator[Callable[[str, int, int], None]]:
    """A function of stage, what is done and how much there is, that draws one bar for each stage on standard error."""
    from ..training.progress import progress_bar

    with progress_bar() as bars:
        tasks = {}

        def progress(stage: str, done: int, total: int) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage, total=total)
            bars.update(tasks[stage], completed=done)

        yield progress


def read_labels(path: Path, source: "Activations") -> list[str]:
    """The lines of a file, one for each row; only line feeds end a line, since a token may be any other sign.

    raises  FileNotFoundError, ValueError that names the file
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not UTF-8 (byte {error.start})") from None
    lines = [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")] if text else []
    if len(lines) != source.N:
        raise ValueError(f"{path}: has {len(lines)} lines, {source.name} has {source.N} rows")
    return lines


def read_truth(truth: Path | None, directions: Path | None, source: "Activations",
               samples: int | None) -> "tuple[torch.Tensor, torch.Tensor | None] | None":
    """(truth (N, F) bool, directions (F, D) or None), checked; None where no truth is given.

    raises  FileNotFoundError, ValueError that names the file
    """
    from ..training.data import open_npy

    if truth is None:
        if directions is not None:
            raise ValueError("--directions needs --truth: a direction does not say where its feature is")
        return None
    features = open_npy(truth)
    if features.ndim != 2 or len(features) != source.N or features.shape[1] < 1:
        raise ValueError(f"{truth}: has shape {tuple(features.shape)}, expected (N = {source.N}, F)")
    probes = None if directions is None else open_npy(directions).float()
    if probes is not None and tuple(probes.shape) != (features.shape[1], source.D):
        wanted = (features.shape[1], source.D)
        raise ValueError(f"{directions}: has shape {tuple(probes.shape)}, expected {wanted}")
    if probes is not None and not probes.isfinite().all():
        raise ValueError(f"{directions}: holds a number that is not finite")
    return features[:samples] != 0, probes


def write(folder: Path, document: dict, page: str) -> None:
    """absorption.json and absorption.html in a folder."""
    from ..training.atomic import replace_text

    folder.mkdir(parents=True, exist_ok=True)
    replace_text(folder / "absorption.json", json.dumps(document, indent=1, allow_nan=False) + "\n")
    replace_text(folder / "absorption.html", page)
