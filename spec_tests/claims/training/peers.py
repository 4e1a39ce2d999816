"""SAELens trained on the rows that `beside.py` wrote: a script for the peers' environment (`make bench-peers`).

    .peers/torch/bin/python spec_tests/claims/training/peers.py FOLDER

It imports numpy, torch and SAELens alone. Everything is SAELens' default (start, clipping at 1, free decoder norms, jumprelu's
thresholds and window) but the schedule of the rate, which is the one that `beside.py` gives to both. A request is a JSON line on
stdin, {"ground", "activation", "rate", "seed", "coefficient"}; its answer a JSON line on stdout.
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
    for request in map(json.loads, sys.stdin):
        train, held_out = (torch.from_numpy(np.load(folder / f"{request['ground']}-{name}.npy")) for name in ("train", "held_out"))
        sae = trained(request, train, settings)
        print(json.dumps(judged(sae, request["activation"], train[: settings["calibration"]], held_out, settings)), flush=True)


def trained(request, train, settings):
    """The SAE after all steps."""
    import torch
    from sae_lens.saes.sae import TrainStepInput

    torch.manual_seed(request["seed"])
    sae = new(request["activation"], {"d_in": train.shape[1], "d_sae": settings["M"], "dtype": "float32", "device": "cpu"}, settings["k"])
    optimizer, alive = torch.optim.Adam(sae.parameters(), lr=request["rate"]), torch.zeros(settings["M"], dtype=torch.bool)
    generator = torch.Generator().manual_seed(request["seed"])
    for factor in settings["schedule"]:
        x = train[torch.randint(len(train), (settings["B"],), generator=generator)]
        optimizer.param_groups[0]["lr"] = factor * request["rate"]
        optimizer.zero_grad()
        sae.training_forward_pass(TrainStepInput(sae_in=x, coefficients={"l0": request["coefficient"]}, dead_neuron_mask=alive,
                                                 n_training_steps=0, is_logging_step=False)).loss.backward()
        torch.nn.utils.clip_grad_norm_(sae.parameters(), 1.0)
        optimizer.step()
    return sae


def new(activation, size, k):
    """An SAE before its first step."""
    import sae_lens

    if activation == "jumprelu":
        return sae_lens.JumpReLUTrainingSAE(sae_lens.JumpReLUTrainingSAEConfig(**size))
    if activation == "topk":
        return sae_lens.TopKTrainingSAE(sae_lens.TopKTrainingSAEConfig(**size, k=k))
    return sae_lens.BatchTopKTrainingSAE(sae_lens.BatchTopKTrainingSAEConfig(**size, k=k))


def judged(sae, activation, some, x, settings):
    """As it encodes rows x (N, D) in inference: topk by sample, jumprelu by its thresholds, batch_topk by the one that lets k on
    in an average one of other rows, `some`, as ours does."""
    import torch

    k = settings["k"]
    with torch.no_grad():
        norms = sae.W_dec.norm(dim=-1) if activation != "jumprelu" else torch.ones(settings["M"])

        def encode(rows):
            return ((rows - sae.b_dec) @ sae.W_enc + sae.b_enc) * norms                         # (N, M)

        pre = encode(x)
        if activation == "topk":
            on = pre >= pre.topk(k).values[:, -1:]
        elif activation == "jumprelu":
            on = pre > sae.threshold.clamp(min=0)
        else:
            on = pre > encode(some).flatten().topk(k * len(some) + 1).values[-1]
        acts = torch.where(on & (pre > 0), pre, 0)
        error = x - sae.b_dec - acts @ (sae.W_dec / norms[:, None])
        return {"unexplained": float(error.square().sum() / (x - x.mean(0)).square().sum()),
                "l0": float((acts > 0).sum() / len(x)), "silent": float((acts == 0).all(0).float().mean())}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
