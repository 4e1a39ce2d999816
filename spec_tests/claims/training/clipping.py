"""Clipping: should all gradients together be held to a norm, and does everyone gain by it?

    python -m sae_spec.spec_tests.claims.training.clipping [--ground hidden] [--seeds 2] [--out build/clipping]

Every activation is trained on the same batches with and without it, untied and tied, from production's own start, and judged as in
`start.py`: the loss on rows that it has not seen, each at its best rate. What is printed is the loss with clipping over that
without it. `hidden` needs `make bench-peers`.
"""

import argparse
import json
from pathlib import Path

import torch
from rich.progress import Progress

from sae_spec.spec_tests.claims import MEASURED
from sae_spec.spec_tests.claims.training import grounds, start
from sae_spec.spec_tests.docs import measured
from sae_spec.torch_impl import SAEConfig, TrainingConfig
from sae_spec.torch_impl.sae import CHOOSING_RULES
from sae_spec.torch_impl.training.atomic import replace_text

NORMS = (None, 1.0)
RATES = (1e-3, 3e-3)
KINDS = (*((activation, False) for activation in start.ACTIVATIONS), ("relu", True), ("topk", True))
GROUNDS = ("embeddings", "hidden", "zipf", "tree")


def trained(ground, activation, tied, norm, rate, seed, options):
    """One line of the result."""
    costs = start.COSTS.get(activation, {})
    k = options.k if ground.true_l0 == 0 else max(1, round(ground.true_l0))       # of a world as many as are truly on
    architecture = SAEConfig(D=ground.train.shape[1], M=options.M if ground.true_l0 == 0 else 2 * ground.features,
                             activation=activation, tied=tied, k=k if activation in CHOOSING_RULES else None)
    training = TrainingConfig(steps=options.steps, batch_size=options.B, learning_rate=rate, max_grad_norm=norm, **costs)
    sae = grounds.train(ground, architecture, training, seed=seed)
    line = {"ground": ground.name, "activation": activation, "tied": tied, "norm": norm, "rate": rate, "seed": seed}
    line |= grounds.judge(sae, ground.held_out)
    return line | {"loss": line["unexplained"] + start.charge(sae, ground.held_out, costs)}


def ratios(lines):
    """{ground: {kind: [the loss with clipping over that without, each at its best rate, of each seed]}}"""
    best, found = {}, {}
    for line in lines:
        kind = f"tied {line['activation']}" if line["tied"] else line["activation"]
        key = line["ground"], kind, line["seed"], line["norm"]
        best[key] = min(best.get(key, float("inf")), line["loss"])
    for ground, kind, seed, norm in best:
        if norm is None:
            ratio = best[ground, kind, seed, NORMS[1]] / best[ground, kind, seed, None]
            found.setdefault(ground, {}).setdefault(kind, []).append(ratio)
    return found


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m sae_spec.spec_tests.claims.training.clipping", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ground", action="append", choices=GROUNDS, help="only this one; may be repeated")
    parser.add_argument("--peers", type=Path, default=Path(".peers/torch/bin/python"), help="the Python of the peers' environment")
    for name, default in (("M", 1024), ("k", 32), ("B", 256), ("steps", 400), ("seeds", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--out", type=Path, default=Path("build/clipping"))
    parser.add_argument("--record", action="store_true", help="keep what was found, ground by ground, for MEASURED.md")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    found = [grounds.named(name, options.peers, options.out) for name in options.ground or GROUNDS]
    work = [(*kind, norm, rate, seed) for kind in KINDS for norm in NORMS for rate in RATES for seed in range(options.seeds)]
    lines = []
    with Progress() as bar:
        for ground in found:
            for one in bar.track(work, description=ground.name):
                lines.append(trained(ground, *one, options))
    settings = {name: getattr(options, name) for name in ("M", "k", "B", "steps", "seeds")}
    replace_text(options.out / "clipping.json", json.dumps({**settings, "lines": lines}, indent=1) + "\n")
    for path in [options.out / "summary.json", *([MEASURED / "clipping.json"] if options.record else [])]:
        kept = json.loads(path.read_text()) if path.exists() else {}
        now = {ground: settings | {"ratios": found} for ground, found in ratios(lines).items()}
        replace_text(path, json.dumps(kept | now, indent=1) + "\n")
    print(measured.clipping(options.out / "summary.json"))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
