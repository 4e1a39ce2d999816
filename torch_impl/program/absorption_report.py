"""How the document that `sae-spec absorption` writes looks as an HTML page, with figures inside."""

import torch
from matplotlib.figure import Figure

from ..sae.linear import encoder_weight
from ..sae.constraints import normalize_rows
from .page import picture, render

FAMILIES, CHILDREN, LISTED = 6, 12, 500     # heat maps, children in one of them, pairs on the page


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


def page(document, sae):
    """The document as HTML; the SAE's rows are drawn."""
    families = document["parents"][:FAMILIES]
    maps = picture(heat_maps(sae, families)) if families else None
    return render("absorption.html", document=document, shown=document["pairs"][:LISTED], maps=maps)
