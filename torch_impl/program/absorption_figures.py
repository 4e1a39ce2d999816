"""The figures of the absorption report: what decides a pair, cosines within a family, how much every latent loses."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from matplotlib.figure import Figure
from torch import Tensor

from ..absorption.evidence import ENOUGH
from ..absorption.find import SAE, AbsorbedPair, AbsorptionReport
from ..sae.constraints import normalize_rows
from ..sae.linear import encoder_weight

ROWS, BATCH = 2**16, 1024                           # rows that are read for the pictures, or a batch more
DOTS, SILENT, NAMED = 3000, 500, 5                  # in one picture; of samples in which neither speaks; latents named in the overview
CHILDREN = 12                                       # of a family in its heat map


class Seen(NamedTuple):
    """What a few latents do in some rows."""

    acts: dict[int, Tensor]                         # {latent: (n,)}
    content: dict[int, Tensor]                      # {latent: (n,)}  the rows' components along its decoder row


@torch.no_grad()
def look(sae: SAE, rows: Tensor, pairs: Sequence[AbsorbedPair]) -> Seen:
    """What the latents of pairs do in rows (N, D): all of them, or of many every n-th batch."""
    latents = sorted({latent for pair in pairs for latent in (pair.parent, pair.child)})
    W_dec, b_dec = sae.W_dec.detach(), sae.b_dec.detach()
    unit, acts, content = normalize_rows(W_dec[latents]), [], []
    for begin in range(0, len(rows), BATCH * -(-len(rows) // ROWS)):
        x = rows[begin : begin + BATCH].to(W_dec)
        acts.append(sae.encode(x)[:, latents].float().cpu())
        content.append(((x - b_dec) @ unit.T).float().cpu())
    return Seen(*({latent: column for latent, column in zip(latents, torch.cat(parts).T)} for parts in (acts, content)))


def decides(seen: Seen, pair: AbsorbedPair) -> Figure:
    """The parent's content, coloured by its activation: over its activation where the child is silent, over the child's beside it."""
    parent, child, content = seen.acts[pair.parent], seen.acts[pair.child], seen.content[pair.parent]
    beside, alone, neither = child != 0, (child == 0) & (parent != 0), (child == 0) & (parent == 0)
    figure = Figure(figsize=(5.2, 2.6), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1, 1.3))
    colours = {"cmap": "viridis", "vmin": 0, "vmax": max(float(parent.max()), 1e-30), "s": 6, "linewidths": 0}
    for axis, over, which in ((left, parent, [few(neither, SILENT), few(alone, DOTS)]), (right, child, [few(beside, DOTS)])):
        at = torch.cat(which)
        dots = axis.scatter(over[at], content[at], c=parent[at], **colours)
        axis.axhline(0, color="#bbb", linewidth=0.6, zorder=0)
        axis.tick_params(labelsize=7)
    left.set_title(f"{pair.child} silent", fontsize=9)
    right.set_title(f"{pair.child} speaks", fontsize=9)
    left.set_xlabel(f"activation of {pair.parent}", fontsize=8)
    right.set_xlabel(f"activation of {pair.child}", fontsize=8)
    left.set_ylabel(f"content along {pair.parent}", fontsize=8)
    bar = figure.colorbar(dots, ax=right)
    bar.set_label(f"activation of {pair.parent}", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    return figure


def few(which: Tensor, at_most: int) -> Tensor:
    """Places of what is true, spread evenly where there are more."""
    places = which.nonzero()[:, 0]
    return places[:: max(1, -(-len(places) // at_most))]


@torch.no_grad()
def heat_maps(sae: Any, families: Sequence[Mapping[str, Any]]) -> Figure:
    """Cosines among a parent and its children: of encoder rows above, of decoder rows below."""
    params = sae.parameters_by_name()
    figure = Figure(figsize=(2.6 * max(2, len(families)), 5), layout="constrained")
    axes = figure.subplots(2, len(families), squeeze=False)
    weights = {"encoder": encoder_weight(params), "decoder": params["W_dec"]}
    images = []
    for column, family in enumerate(families):
        latents = [family["parent"], *family["children"][:CHILDREN]]
        for row, (word, weight) in enumerate(weights.items()):
            unit = normalize_rows(weight[latents]).float().cpu()
            images.append(axes[row, column].imshow((unit @ unit.T).numpy(), cmap="RdBu_r", vmin=-1, vmax=1))
            axes[row, column].set_title(f"{word}, parent {latents[0]}", fontsize=8)
            axes[row, column].set_xticks(range(len(latents)), latents, fontsize=6, rotation=90)
            axes[row, column].set_yticks(range(len(latents)), latents, fontsize=6)
    figure.colorbar(images[-1], ax=axes, label="cosine", shrink=0.6)
    return figure


def losses(report: AbsorptionReport) -> Figure:
    """Every latent by how often it speaks in full: above, what the absorbed ones lose; below, how many there are."""
    rate, samples = report.full / max(1, report.samples), max(1, report.samples)
    parents = [parent.parent for parent in report.parents]
    share = torch.tensor([100 * parent.share_lost for parent in report.parents])
    figure = Figure(figsize=(8, 4.2), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    speaks = rate[rate > 0]
    bins = torch.logspace(torch.tensor(1 / samples).log10().item(), 0, 50)
    above.scatter(speaks, torch.zeros(len(speaks)), s=14, marker="|", color="#999", linewidths=0.5)
    above.scatter(rate[parents], share, s=18, color="#b3261e", zorder=3)
    for parent in sorted(report.parents, key=lambda parent: -parent.share_lost)[:NAMED]:
        above.annotate(str(parent.parent), (float(rate[parent.parent]), 100 * parent.share_lost), fontsize=7,
                       xytext=(4, 3), textcoords="offset points")
    for which, colour in ((speaks, "#bbb"), (rate[parents], "#b3261e")):
        below.hist(which, bins=bins.tolist(), color=colour)
    for axis in (above, below):
        axis.axvspan(1 / samples / 2, min(1.0, ENOUGH / samples), color="#f3f3f3", zorder=0)
        axis.axvspan(0.6, 1.2, color="#f3f3f3", zorder=0)
    above.set_ylabel("lost, % of what\nit should say", fontsize=8)
    above.set_ylim(bottom=-2)
    below.set(xscale="log", yscale="log", xlim=(1 / samples / 1.5, 1.2))
    below.set_xlabel(f"share of the {report.samples} samples in which it speaks in full", fontsize=8)
    below.set_ylabel("latents", fontsize=8)
    return figure
