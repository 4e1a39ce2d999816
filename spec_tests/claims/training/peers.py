"""SAELens trained on the batches that `beside.py` wrote: a script for the peers' environment (`make bench-peers`).

    .peers/bin/python spec_tests/claims/training/peers.py FOLDER

It imports numpy, torch and SAELens alone. Everything is SAELens' default (start, clipping at 1, free decoder norms) but
the schedule of the rate, which is the one that `beside.py` gives to both. One JSON line a run on stdout.
"""

# pyright: reportMissingImports=false
import json
import sys
from pathlib import Path

import numpy as np


def main(folder):
    import torch

    settings = json.loads((folder / "settings.json").read_text())
    torch.set_num_threads(1)
    train, held_out = (torch.from_numpy(np.load(folder / f"{name}.npy")) for name in ("train", "held_out"))
    for activation in settings["activations"]:
        for rate in settings["rates"]:
            sae = trained(activation, rate, train, settings)
            line = {"library": "SAELens", "activation": activation, "rate": rate, **judged(sae, activation, held_out, settings)}
            print(json.dumps(line), flush=True)


def trained(activation, rate, train, settings):
    """The SAE after all steps."""
    import torch
    from sae_lens import BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig, TopKTrainingSAE, TopKTrainingSAEConfig
    from sae_lens.saes.sae import TrainStepInput

    kind, config = {"topk": (TopKTrainingSAE, TopKTrainingSAEConfig),
                    "batch_topk": (BatchTopKTrainingSAE, BatchTopKTrainingSAEConfig)}[activation]
    torch.manual_seed(0)
    sae = kind(config(d_in=train.shape[1], d_sae=settings["M"], k=settings["k"], dtype="float32", device="cpu"))
    optimizer, alive = torch.optim.Adam(sae.parameters(), lr=rate), torch.zeros(settings["M"], dtype=torch.bool)
    generator = torch.Generator().manual_seed(0)
    for factor in settings["schedule"]:
        x = train[torch.randint(len(train), (settings["B"],), generator=generator)]
        optimizer.param_groups[0]["lr"] = factor * rate
        optimizer.zero_grad()
        sae.training_forward_pass(TrainStepInput(sae_in=x, coefficients={}, dead_neuron_mask=alive, n_training_steps=0,
                                                 is_logging_step=False)).loss.backward()
        torch.nn.utils.clip_grad_norm_(sae.parameters(), 1.0)
        optimizer.step()
    return sae


def judged(sae, activation, x, settings):
    """As it is saved for inference: topk by sample, batch_topk by its running threshold; on rows x (N, D)."""
    import torch

    with torch.no_grad():
        norms = sae.W_dec.norm(dim=-1)
        pre = ((x - sae.b_dec) @ sae.W_enc + sae.b_enc) * norms                     # (N, M)
        limit = pre.topk(settings["k"]).values[:, -1:] if activation == "topk" else sae.topk_threshold.float()
        on = (pre > 0) & (pre >= limit if activation == "topk" else pre > limit)
        error = x - sae.b_dec - torch.where(on, pre, 0) @ (sae.W_dec / norms[:, None])
        return {"unexplained": float(error.square().sum() / (x - x.mean(0)).square().sum()), "l0": float(on.sum() / len(x))}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
