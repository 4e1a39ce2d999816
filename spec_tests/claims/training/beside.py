"""Beside SAELens, step for step: the same batches, sizes and schedule, rows that neither has seen.

    make bench-peers
    python -m sae_spec.spec_tests.claims.training.beside [--M 1024] [--steps 400] [--out build/beside]

Both train topk and batch_topk with their own defaults otherwise, at several rates; each is judged in eval mode.
"""

import argparse
import json
import subprocess
from pathlib import Path

import numpy as np
import torch
from rich.progress import track

from sae_spec.spec_tests.claims.training import grounds
from sae_spec.torch_impl import SAEConfig, TrainingConfig
from sae_spec.torch_impl.sae.training import learning_rate
from sae_spec.torch_impl.training.atomic import replace_text

ACTIVATIONS, RATES = ("topk", "batch_topk"), (3e-4, 1e-3, 3e-3)


def ours(ground, options):
    """Our runs, a line each."""
    work = [(activation, rate) for activation in ACTIVATIONS for rate in RATES]
    for activation, rate in track(work, "ours"):
        sae = grounds.train(ground, SAEConfig(D=ground.train.shape[1], M=options.M, k=options.k, activation=activation),
                            TrainingConfig(steps=options.steps, batch_size=options.B, learning_rate=rate))
        numbers = grounds.judge(sae, ground.held_out)
        yield {"library": "ours", "activation": activation, "rate": rate, "unexplained": numbers["unexplained"], "l0": numbers["l0"]}


def theirs(ground, options):
    """The lines that `peers.py` writes in its own environment."""
    config = TrainingConfig(steps=options.steps, batch_size=options.B, learning_rate=1.0).model_dump()
    settings = {"activations": ACTIVATIONS, "rates": RATES, "M": options.M, "k": options.k, "B": options.B,
                "schedule": [learning_rate(step, config) for step in range(options.steps)]}
    replace_text(options.out / "settings.json", json.dumps(settings))
    for name in ("train", "held_out"):
        np.save(options.out / f"{name}.npy", getattr(ground, name).numpy())
    script = Path(__file__).with_name("peers.py")
    with subprocess.Popen([options.peers, script, options.out], stdout=subprocess.PIPE, text=True) as process:
        for line in process.stdout:
            yield json.loads(line)
    if process.returncode:
        raise SystemExit(f"{options.peers} {script} ended with {process.returncode}")


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m sae_spec.spec_tests.claims.training.beside", description=__doc__)
    parser.add_argument("--peers", type=Path, default=Path(".peers/bin/python"), help="the Python of the peers' environment")
    for name, default in (("M", 1024), ("k", 32), ("B", 256), ("steps", 400)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--out", type=Path, default=Path("build/beside"))
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    if not options.peers.exists():
        parser.error(f"{options.peers}: no such file; `make bench-peers` makes it")
    ground, lines = grounds.embeddings(), []
    for runs in (ours, theirs):
        for line in runs(ground, options):
            lines.append(line)
            print("{library:8} {activation:11} {rate:g}  unexplained {unexplained:.4f}  l0 {l0:.2f}".format(**line), flush=True)
    replace_text(options.out / "beside.json", json.dumps(lines, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
