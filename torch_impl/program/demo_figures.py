"""The demo's figures and its page: matplotlib draws, jinja2 sets the page, one file holds everything."""

import torch
from matplotlib.figure import Figure

from ..sae.autoencoder import encoder_weight
from ..sae.constraints import normalize_rows
from .demo_data import D
from .page import picture, render

SHOWN = 24                                                  # latents of a heat map of a large SAE


def report(passed, conformance, toy, readings, directions, real):
    """The whole page as HTML.

    conformance  what the suite wrote
    toy, real    lists of demo.Trained
    readings     of each toy SAE, see demo.toy_readings
    directions   (F, D) the toy world's features
    """
    return render(
        "report.html", passed=passed, tests=conformance["tests"], clauses=conformance["clauses"],
        dtypes=[d for d in ("float64", "float32", "float16", "bfloat16")
                if any(d in by_dtype for by_dtype in conformance["clauses"].values())],
        toy=list(zip(toy, readings)), real=real, columns=list(toy[0].summary),
        toy_maps=picture(toy_heat_maps(toy, directions)), toy_losses=picture(losses(toy)),
        toy_frequencies=picture(histograms(toy, D)), real_maps=picture(heat_maps(real)),
        real_losses=picture(losses(real)), real_frequencies=picture(histograms(real, real[0].sae.config.D)))


def grid(rows, columns, width, height):
    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


def heat(axes, values, title, across, down):
    image = axes.imshow(values, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto", interpolation="nearest")
    axes.set(title=title, xlabel=across, ylabel=down)
    return image


@torch.no_grad()
def toy_heat_maps(trained, directions):
    """Cosine of every latent's encoder and decoder direction with every true feature."""
    figure, axes = grid(2, len(trained), 2.6, 2.3)
    for column, each in enumerate(trained):
        params = each.sae.parameters_by_name()
        for row, (word, weight) in enumerate((("encoder", encoder_weight(params)), ("decoder", params["W_dec"]))):
            image = heat(axes[row, column], (normalize_rows(weight) @ directions.T).numpy(), f"{each.name}\n{word}",
                         "feature", "latent")
            axes[row, column].set_xticks(range(4), ["parent", "child", "2", "3"], fontsize=7)
            axes[row, column].set_yticks(range(len(weight)))
    figure.colorbar(image, ax=axes, label="cosine", shrink=0.6)
    return figure


@torch.no_grad()
def heat_maps(trained):
    """Cosines among the most active latents: encoders with encoders, decoders with decoders."""
    figure, axes = grid(2, len(trained), 2.8, 2.6)
    for column, each in enumerate(trained):
        params, busiest = each.sae.parameters_by_name(), each.frequencies.argsort(descending=True)[:SHOWN]
        for row, (word, weight) in enumerate((("encoder", encoder_weight(params)), ("decoder", params["W_dec"]))):
            unit = normalize_rows(weight[busiest])
            image = heat(axes[row, column], (unit @ unit.T).numpy(), f"{each.name}\n{word}", "latent", "latent")
    figure.colorbar(image, ax=axes, label="cosine", shrink=0.6)
    return figure


def losses(trained):
    """Total and reconstruction by step."""
    figure, axes = grid(1, 2, 4.6, 3.0)
    for each in trained:
        steps = [line["step"] for line in each.history]
        for ax, term in zip(axes[0], ("total", "reconstruction")):
            ax.plot(steps, [max(line[term], 1e-6) for line in each.history], label=each.name, linewidth=1)
    for ax, term in zip(axes[0], ("total", "reconstruction")):
        ax.set(title=term, xlabel="step", yscale="log")
    axes[0, 0].legend(fontsize=7)
    return figure


def histograms(trained, dimension):
    """How often latents fire, with the frequency 1 / D below which the price rises above 1."""
    figure, axes = grid(1, len(trained), 2.6, 2.3)
    for ax, each in zip(axes[0], trained):
        ax.hist(each.frequencies.clamp_min(1e-6).log10().numpy(), bins=40, range=(-6, 0))
        ax.axvline(-torch.tensor(float(dimension)).log10(), color="k", linewidth=0.8, linestyle=":")
        ax.set(title=each.name, xlabel="log10 frequency", ylabel="latents")
    return figure
