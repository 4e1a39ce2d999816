"""How the document that `sae-spec absorption` writes looks as an HTML page, with figures inside."""

import torch
from matplotlib.figure import Figure

from ..sae.linear import encoder_weight
from ..sae.constraints import normalize_rows
from .page import picture, render

FAMILIES, CHILDREN, LISTED = 6, 12, 500     # heat maps, children in one of them, pairs on the page
DRAWN, NEAR_MISSES, ROWS = 6, 3, 8192       # pairs that are drawn, near misses among them, rows that are read for it


@torch.no_grad()
def heat_maps(sae, families):
    """Cosines within each family, a parent and its children: of encoder rows above, of decoder rows below."""
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


@torch.no_grad()
def scatter(sae, rows, pairs):
    """For each pair the samples in which either speaks: the parent's content over the child's activation, coloured by the parent's."""
    x = rows[:ROWS].to(sae.W_dec)
    acts, centred, W_dec = sae.encode(x).float().cpu(), (x - sae.b_dec).float().cpu(), normalize_rows(sae.W_dec).float().cpu()
    figure = Figure(figsize=(3.4 * min(3, len(pairs)), 2.8 * -(-len(pairs) // 3)), layout="constrained")
    axes = figure.subplots(-(-len(pairs) // 3), min(3, len(pairs)), squeeze=False).ravel()
    for axis, pair in zip(axes, pairs):
        parent, child, content = acts[:, pair["parent"]], acts[:, pair["child"]], centred @ W_dec[pair["parent"]]
        either = (parent != 0) | (child != 0)
        dots = axis.scatter(child[either], content[either], c=parent[either], s=6, cmap="viridis", vmin=0)
        figure.colorbar(dots, ax=axis, label=f"activation of {pair['parent']}")
        axis.set_title(f"{pair['parent']} in {pair['child']}: {pair['probability']:.2f}", fontsize=9)
        axis.set_xlabel(f"activation of {pair['child']}", fontsize=8)
        axis.set_ylabel(f"content along {pair['parent']}", fontsize=8)
    for axis in axes[len(pairs):]:
        axis.axis("off")
    return figure


def page(document, sae, rows):
    """The document as HTML; the SAE's rows and some of the data's are drawn."""
    families, near = document["parents"][:FAMILIES], document["near misses"][:NEAR_MISSES]
    maps = picture(heat_maps(sae, families)) if families else None
    drawn = [*document["pairs"][: DRAWN - len(near)], *near]
    dots = picture(scatter(sae, rows, drawn)) if drawn else None
    features = sorted(document.get("features", ()), key=lambda each: (each["recall"] is None, each["recall"]))     # the worst first
    return render("absorption.html", document=document, shown=document["pairs"][:LISTED], maps=maps, dots=dots, features=features)
