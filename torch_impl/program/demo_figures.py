"""The demo's figures and its page: matplotlib draws, jinja2 sets the page, one file holds everything."""

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from matplotlib.figure import Figure
from torch import Tensor

from ..sae.linear import encoder_weight
from ..sae.constraints import normalize_rows
from .page import picture, render

if TYPE_CHECKING:
    from .demo import Trained

SHOWN = 24                                                  # latents of a heat map of a large SAE


def report(passed: bool, conformance: Mapping[str, Any], toy: "Sequence[Trained]", readings: Sequence[Mapping[str, float]],
           directions: Tensor, real: "Sequence[Trained]") -> str:
    """The whole page as HTML.

    passed       whether every clause holds
    conformance  what the suite wrote
    toy, real    demo.Trained, one for each SAE
    readings     of each toy SAE, see demo.toy_readings
    directions   (F, D) the toy world's features
    """
    return render(
        "report.html", passed=passed, tests=conformance["tests"], clauses=conformance["clauses"],
        dtypes=[d for d in ("float64", "float32", "float16", "bfloat16")
                if any(d in by_dtype for by_dtype in conformance["clauses"].values())],
        toy=list(zip(toy, readings)), real=real, columns=list(toy[0].summary),
        toy_maps=picture(toy_heat_maps(toy, directions)), toy_losses=picture(losses(toy)),
        toy_frequencies=picture(histograms(toy)), real_maps=picture(heat_maps(real)),
        real_losses=picture(losses(real)), real_frequencies=picture(histograms(real)))


def grid(rows: int, columns: int, width: float, height: float) -> tuple[Figure, Any]:
    """A figure of rows × columns axes, each of that size in inches."""
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


def heat(axes: Any, values: Any, title: str, across: str, down: str) -> None:
    """One heat map of cosines."""
    axes.imshow(values, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto", interpolation="nearest")
    axes.set(title=title, xlabel=across, ylabel=down)


@torch.no_grad()
def toy_heat_maps(trained: "Sequence[Trained]", directions: Tensor) -> Figure:
    """Cosine of every latent's encoder and decoder direction with every true feature."""
    figure, axes = grid(2, len(trained), 2.6, 2.3)
    for column, one in enumerate(trained):
        params = one.sae.parameters_by_name()
        for row, (word, weight) in enumerate((("encoder", encoder_weight(params)), ("decoder", params["W_dec"]))):
            heat(axes[row, column], (normalize_rows(weight) @ directions.T).numpy(), f"{one.name}\n{word}",
                 "feature", "latent")
            axes[row, column].set_xticks(range(4), ["parent", "child", "2", "3"], fontsize=7)
            axes[row, column].set_yticks(range(len(weight)))
    figure.colorbar(axes[0, 0].images[0], ax=axes, label="cosine", shrink=0.6)
    return figure


@torch.no_grad()
def heat_maps(trained: "Sequence[Trained]") -> Figure:
    """Cosines among the most active latents: encoders with encoders, decoders with decoders."""
    figure, axes = grid(2, len(trained), 2.8, 2.6)
    for column, one in enumerate(trained):
        params, busiest = one.sae.parameters_by_name(), one.frequencies.argsort(descending=True)[:SHOWN]
        for row, (word, weight) in enumerate((("encoder", encoder_weight(params)), ("decoder", params["W_dec"]))):
            unit = normalize_rows(weight[busiest])
            heat(axes[row, column], (unit @ unit.T).numpy(), f"{one.name}\n{word}", "latent", "latent")
    figure.colorbar(axes[0, 0].images[0], ax=axes, label="cosine", shrink=0.6)
    return figure


def losses(trained: "Sequence[Trained]") -> Figure:
    """Total and reconstruction by step."""
    figure, axes = grid(1, 2, 4.6, 3.0)
    for one in trained:
        steps = [line["step"] for line in one.history]
        for ax, term in zip(axes[0], ("total", "reconstruction")):
            ax.plot(steps, [max(line[term], 1e-6) for line in one.history], label=one.name, linewidth=1)
    for ax, term in zip(axes[0], ("total", "reconstruction")):
        ax.set(title=term, xlabel="step", yscale="log")
    axes[0, 0].legend(fontsize=7)
    return figure


def histograms(trained: "Sequence[Trained]") -> Figure:
    """How often latents fire, with the frequency 1 / D below which the price rises above 1."""
    figure, axes = grid(1, len(trained), 2.6, 2.3)
    for ax, one in zip(axes[0], trained):
        ax.hist(one.frequencies.clamp_min(1e-6).log10().numpy(), bins=40, range=(-6, 0))
        ax.axvline(-math.log10(one.sae.config.D), color="k", linewidth=0.8, linestyle=":")
        ax.set(title=one.name, xlabel="log10 frequency", ylabel="latents")
    return figure
