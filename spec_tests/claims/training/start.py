"""The encoder's scale before the first step: by which factor should its rows be shorter than the decoder's?

    python -m sae_spec.spec_tests.claims.training.start [--ground embeddings] [--M 1024] [--steps 400] [--out build/start]

Every activation is trained from every start on the same batches, at several learning rates, and judged by rows that it
has not seen, each at its best rate. What is compared is the loss that the activation is trained by, as a share of the
variance: for the *_topk rules the share unexplained, for the others with the sparsity cost on top. The factors that the first
batch decides have its reconstruction's size be the samples' ("matched"), or lie nearest to them ("best"). Only untied SAEs are
tried: a tied one reads with its unit decoder rows.
"""

import argparse
import json
from pathlib import Path

import torch
from rich.progress import Progress

from sae_spec.spec_tests.claims.training import grounds
from sae_spec.torch_impl import SAEConfig, TrainingConfig
from sae_spec.torch_impl.sae import CHOOSING_RULES
from sae_spec.torch_impl.training.atomic import replace_text

COSTS = {"relu": {"l1_coefficient": 2.0}, "gated": {"l1_coefficient": 2.0}, "jumprelu": {"l0_coefficient": 1.5}}
ACTIVATIONS = ("topk", "batch_topk", "abs_topk", "budget_topk", "batch_budget_topk", *COSTS)
STARTS = ("1", "0.3", "0.25", "0.125", "0.1", "0.03", "matched", "best")
RATES = (3e-4, 1e-3, 3e-3)


@torch.no_grad()
def factor_of(start, sae, x):
    """A number as it is; or from the first batch x (B, D), the factor on recon - b_dec that has the batch's size
    ("matched") or lies nearest to it ("best")."""
    if start not in ("matched", "best"):
        return float(start)
    sizes, target = sae(x).recon - sae.b_dec, x - sae.b_dec
    if start == "matched":
        return float((target.square().sum() / sizes.square().sum()).sqrt())
    return float((target * sizes).sum() / sizes.square().sum())


def trained(ground, activation, start, rate, options):
    """One line of the result."""
    architecture = SAEConfig(D=ground.train.shape[1], M=options.M, activation=activation, initial_encoder_scale=1.0,
                             k=options.k if activation in CHOOSING_RULES else None)
    training = TrainingConfig(steps=options.steps, batch_size=options.B, learning_rate=rate,
                              **COSTS.get(activation, {}) | dict(options.set or ()))
    used = []

    def begin(sae, x):
        used.append(factor_of(start, sae, x))
        with torch.no_grad():
            sae.W_enc.mul_(used[0])

    sae = grounds.train(ground, architecture, training, begin)
    line = {"activation": activation, "start": start, "factor": used[0], "rate": rate}
    line |= grounds.judge(sae, ground.held_out)
    return line | {"loss": line["unexplained"] + charge(sae, ground.held_out, COSTS.get(activation, {}))}


@torch.no_grad()
def charge(sae, x, costs):
    """The sparsity cost of rows x (N, D), in shares of their variance."""
    acts = sae.encode(x)
    paid = costs.get("l1_coefficient", 0.0) * acts.sum() + costs.get("l0_coefficient", 0.0) * (acts != 0).sum()
    return float(paid / (x - x.mean(0)).square().sum())


def best(lines):
    """{(activation, start): its line of the smallest loss}"""
    found = {}
    for line in lines:
        key = line["activation"], line["start"]
        if key not in found or not line["loss"] >= found[key]["loss"]:
            found[key] = line
    return found


def figure(lines, path):
    """Loss by start, an activation a line."""
    from matplotlib.figure import Figure

    axes = (drawn := Figure(figsize=(8, 5), layout="constrained")).subplots()
    found = best(lines)
    for activation in dict.fromkeys(line["activation"] for line in lines):
        own = [found[activation, start]["loss"] for start in STARTS if (activation, start) in found]
        axes.plot([s for s in STARTS if (activation, s) in found], [loss / own[0] for loss in own], marker="o", label=activation)
    axes.set(xlabel="factor on the encoder's rows at the start", ylabel="loss on unseen rows, each at its best rate / at 1")
    axes.legend()
    drawn.savefig(path)


def setting(text):
    """A field of TrainingConfig and its value, as JSON."""
    name, _, value = text.partition("=")
    return name, json.loads(value)


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m sae_spec.spec_tests.claims.training.start", description=__doc__)
    parser.add_argument("--ground", default="embeddings", choices=["embeddings", *grounds.WORLDS])
    parser.add_argument("--activation", action="append", choices=ACTIVATIONS, help="only this one; may be repeated")
    parser.add_argument("--start", action="append", choices=STARTS, help="only this one; may be repeated")
    parser.add_argument("--rate", action="append", type=float, help="only this one; may be repeated")
    for name, default in (("M", 1024), ("k", 32), ("B", 512), ("steps", 400)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--set", action="append", type=setting, metavar="NAME=VALUE", help="a field of TrainingConfig, for all runs")
    parser.add_argument("--out", type=Path, default=Path("build/start"))
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    ground = grounds.named(options.ground)
    work = [(a, s, r) for a in options.activation or ACTIVATIONS for r in options.rate or RATES for s in options.start or STARTS]
    lines = []
    with Progress() as bar:
        for activation, start, rate in bar.track(work):
            lines.append(trained(ground, activation, start, rate, options))
            numbers = "  ".join(f"{name} {lines[-1][name]:.4f}" for name in ("factor", "loss", "unexplained", "l0", "silent"))
            bar.print(f"{ground.name} {activation:18} {start:8} {rate:g}  {numbers}")
    name = f"{ground.name}-M{options.M}-k{options.k}-{options.steps}"
    replace_text(options.out / f"{name}.json", json.dumps(lines, indent=1) + "\n")
    figure(lines, options.out / f"{name}.png")
    print(f"{options.out / name}.json is written")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
