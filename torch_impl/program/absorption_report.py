"""What `sae-spec absorption` finds and how it looks: a JSON document, an HTML page with figures inside."""

import torch
from matplotlib.figure import Figure

from ..absorption.pairs import detected
from ..sae.autoencoder import encoder_weight
from ..sae.constraints import normalize_rows
from .page import picture, render

FAMILIES, CHILDREN, LISTED = 6, 12, 500     # heat maps, rows of one beside the parent, pairs on the page


def document(run, data, sae, counts, index, scores, found, threshold):
    """Everything that was found, as plain numbers; recall is added where the truth is known."""
    parents, children, slots = detected(scores, index, threshold)
    columns = {"parent": parents, "child": children, "score": scores[children, slots]}
    columns |= {name: getattr(found, name)[children, slots] for name in found._fields if name != "enough"}
    rows = zip(*(column.tolist() for column in columns.values()))
    pairs = [dict(zip(columns, map(number, row))) for row in rows]
    return {"format": "sae-spec absorption", "version": 1, "run": str(run), "data": data.name,
            "D": sae.config.D, "M": sae.config.M, "activation": sae.config.activation,
            "tied": sae.config.tied,
            "samples": int(counts.samples), "latents that fire": int((counts.fires > 0).sum()),
            "candidates per latent": index.shape[1], "threshold": threshold, "pairs": pairs,
            "parents": lost_firings(parents, children, slots, counts)}


def number(value):
    return None if value != value else value                # JSON has no NaN


def lost_firings(parents, children, slots, counts):
    """For each parent how many firings its children swallow, and their share of what it would have had.

    Where two children fire together both count: an upper bound.
    """
    silent = counts.full[children] - counts.beside[children, slots]
    lost = torch.zeros_like(counts.fires).index_add_(0, parents, silent)
    worst = torch.unique(parents)
    worst = worst[lost[worst].argsort(descending=True, stable=True)]
    return [{"parent": p, "children": children[parents == p].tolist(), "firings": int(counts.fires[p]),
             "firings lost": int(lost[p]),
             "share lost": float(lost[p] / (counts.fires[p] + lost[p]).clamp_min(1))}
            for p in worst.tolist()]


@torch.no_grad()
def heat_maps(sae, families):
    """Cosines within each family, encoders above decoders: absorption is red below where it is blue above."""
    params = sae.parameters_by_name()
    figure = Figure(figsize=(2.6 * max(2, len(families)), 5), layout="constrained")
    axes = figure.subplots(2, len(families), squeeze=False)
    weights = {"encoder": encoder_weight(params), "decoder": params["W_dec"]}
    for column, family in enumerate(families):
        latents = [family["parent"], *family["children"][:CHILDREN]]
        for row, (word, weight) in enumerate(weights.items()):
            unit = normalize_rows(weight[latents]).float().cpu()
            image = axes[row, column].imshow((unit @ unit.T).numpy(), cmap="RdBu_r", vmin=-1, vmax=1)
            axes[row, column].set_title(f"{word}, parent {latents[0]}", fontsize=8)
            axes[row, column].set_xticks(range(len(latents)), latents, fontsize=6, rotation=90)
            axes[row, column].set_yticks(range(len(latents)), latents, fontsize=6)
    figure.colorbar(image, ax=axes, label="cosine", shrink=0.6)
    return figure


def page(found, sae):
    """The document as HTML."""
    families = found["parents"][:FAMILIES]
    maps = picture(heat_maps(sae, families)) if families else None
    return render("absorption.html", found=found, shown=found["pairs"][:LISTED], maps=maps)
