"""JumpReLU's sparsity knob: does l0_coefficient set how many latents are on, and how far does it reach?

    python -m sae_spec.spec_tests.claims.training.knob [--ground tree] [--max_grad_norm inf] [--out build/knob]

Under Adam a threshold moves by about the rate a step, whatever the coefficient, so at the rate of the weights, 3e-4, it gets no
further than .8 in 3,000 steps, where activations of data of mean squared norm D are several times that; and a window of .05 feels
nothing of them. `--initial_threshold .01 --bandwidth .05 --threshold_rate 1` is what that gives; the defaults rest on this experiment.

Where they do not reach: in worlds without noise, tree and hierarchy, the pre-activations of a trained latent lie near 0 or near the
feature's magnitude, and a threshold between them has no sample in its window, whatever the coefficient. Latents that write one
feature together then stay. And where all features have one magnitude a, half of them are the best answer at no
coefficient: below a^2 each is worth its cost, above it none. CHANGES.md has the numbers.

On every world the coefficient is tried on a grid of powers of 4, many SAEs side by side on the same batches, and then
between those that bracket each target: half the true number of features in a sample, all of them, twice as many, and D/2. A coefficient
of 0 says how many are on when nothing is charged: what lies above that no coefficient reaches.
"""

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from sae_spec.spec_tests.claims import MEASURED, fleet
from sae_spec.spec_tests.claims.training import grounds
from sae_spec.torch_impl import TrainingConfig
from sae_spec.torch_impl.training.atomic import replace_text

GRID = tuple(4.0**power for power in range(-4, 4))
BEYOND = 256.0          # how much further down than the grid a target is looked for
CLOSE = 0.05            # how near to its target L0 must be, as a share


def sweep(ground, coefficients, options):
    """[{"coefficient", "l0", "unexplained", "silent"}] of jumprelus that differ by their coefficient alone."""
    S = len(coefficients)
    training = {"steps": options.steps, "batch_size": options.B, "learning_rate": options.rate,
                "l0_coefficient": torch.tensor(coefficients)}
    training |= {name: getattr(TrainingConfig(steps=options.steps), name) for name in ("warmup_steps", "decay_steps", "max_grad_norm")}
    architecture = {"activation": "jumprelu", "initial_encoder_scale": options.scale}
    architecture |= {name: getattr(options, name) for name in ("initial_threshold", "bandwidth") if getattr(options, name)}
    training |= {name: getattr(options, name) for name in ("threshold_rate", "max_grad_norm") if getattr(options, name)}
    normals = np.broadcast_to(np.random.default_rng(1).normal(size=(options.M, ground.train.shape[1])),
                              (S, options.M, ground.train.shape[1]))
    data = ground.train[: options.rows].numpy()
    found = fleet.train_on(np.broadcast_to(data, (S, *data.shape)), options.M, architecture, training, normals)
    return [{"coefficient": c, **judged(params, ground.held_out.double().numpy())} for c, params in zip(coefficients, found)]


def judged(params, x):
    """What a jumprelu with these parameters does with rows x (N, D)."""
    pre = (x - params["b_dec"]) @ params["W_enc"].T + params["b_enc"]             # (N, M)
    acts = np.where(pre > params["theta"], pre, 0.0)
    error = ((x - params["b_dec"] - acts @ params["W_dec"]) ** 2).sum()
    return {"l0": float((acts != 0).sum(-1).mean()), "unexplained": float(error / ((x - x.mean(0)) ** 2).sum()),
            "silent": float((acts == 0).all(0).mean()), "theta": float(np.median(params["theta"]))}


def targets(ground, M):
    """{name: L0}, as far as M latents have it."""
    D, true = ground.train.shape[1], ground.true_l0 or 16.0
    wanted = {"half the true L0": true / 2, "the true L0": true, "twice the true L0": 2 * true, "D / 2": D / 2}
    return {name: l0 for name, l0 in wanted.items() if l0 <= min(D, M) / 2}


def aimed(ground, lines, options, rounds):
    """{target: its nearest line}; each round tries four coefficients in every bracket."""
    lines = list(lines)
    for _ in range(rounds):
        missed = [want for want in targets(ground, options.M).values() if abs(nearest(lines, want)["l0"] / want - 1) > CLOSE]
        more = sorted({c for want in missed for c in between(lines, want)})
        if not more:
            break
        lines += sweep(ground, more, options)
    return {name: {"wanted": want, **nearest(lines, want)} for name, want in targets(ground, options.M).items()}


def nearest(lines, want):
    return min(lines, key=lambda line: abs(line["l0"] - want))


def between(lines, want):
    """Four coefficients between the largest that leaves too many on and the smallest that leaves too few."""
    above = max((line["coefficient"] for line in lines if line["l0"] > want), default=None)
    below = min((line["coefficient"] for line in lines if line["l0"] <= want), default=None)
    if above is None and below is not None:
        above = below / BEYOND                  # the grid's smallest charges too much already
    if above is None or below is None or above >= below:
        return []
    return np.geomspace(above, below, 6)[1:-1].tolist()


def falls(lines):
    """Whether L0 falls wherever the coefficient rises; below one latent in a hundred samples all are alike."""
    l0 = np.array([line["l0"] for line in sorted(lines, key=lambda line: line["coefficient"])])
    return bool((np.diff(l0) <= 0.01).all())


def record(results, options):
    """Add what was found, with and without clipping apart, to what is kept."""
    path = MEASURED / "knob.json"
    kept = json.loads(path.read_text()) if path.exists() else {}
    norm = options.max_grad_norm or TrainingConfig(steps=options.steps).max_grad_norm
    for ground, result in results.items():
        kept[f"{ground}, {'not clipped' if norm == float('inf') else f'clipped to {norm:g}'}"] = {
            **{name: getattr(options, name) for name in ("steps", "B", "rows", "rounds")}, **result}
    replace_text(path, json.dumps(kept, indent=1) + "\n")


def figure(results, path):
    """L0 by coefficient, a world a line."""
    from matplotlib.figure import Figure

    axes = (drawn := Figure(figsize=(8, 5), layout="constrained")).subplots()
    for name, result in results.items():
        axes.loglog([line["coefficient"] for line in result["lines"]], [max(line["l0"], 1e-2) for line in result["lines"]],
                    marker="o", label=name)
    axes.set(xlabel="l0_coefficient", ylabel="latents on in an unseen sample")
    axes.legend()
    drawn.savefig(path)


def parser_of():
    """The command's words."""
    parser = argparse.ArgumentParser(prog="python -m sae_spec.spec_tests.claims.training.knob", description=__doc__)
    parser.add_argument("--ground", action="append", choices=["embeddings", *grounds.WORLDS], help="may be repeated")
    for name, default in (("M", None), ("B", 128), ("steps", 3000), ("rows", 8_000), ("rounds", 2)):
        parser.add_argument(f"--{name}", type=int, default=default)
    for name, default in (("rate", 3e-4), ("scale", 1.0), ("initial_threshold", None), ("bandwidth", None), ("threshold_rate", None),
                          ("max_grad_norm", None)):
        parser.add_argument(f"--{name}", type=float, default=default)
    parser.add_argument("--out", type=Path, default=Path("build/knob"))
    parser.add_argument("--record", action="store_true", help="keep what was found, ground by ground, for MEASURED.md")
    return parser


def defaults():
    """The experiment's sizes where nothing else was asked."""
    return parser_of().parse_args([])


def main(argv=None):
    options = parser_of().parse_args(argv)
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    asked = options.M
    results = {}
    for name in options.ground or grounds.WORLDS:
        ground = grounds.named(name)
        options.M = asked or 2 * ground.features or 768
        free, *lines = sweep(ground, (0.0, *GRID), options)
        results[name] = {"M": options.M, "true l0": ground.true_l0, "free": free["l0"], "falls": falls(lines), "lines": lines,
                         "targets": aimed(ground, lines, options, options.rounds)}
        print(f"{name} (true {ground.true_l0:.2f}, free {free['l0']:.2f}): "
              + "  ".join(f"{line['coefficient']:.3g}: {line['l0']:.2f}" for line in lines))
        for target, hit in results[name]["targets"].items():
            print(f"    {target}: wanted {hit['wanted']:.2f}, got {hit['l0']:.2f}, unexplained {hit['unexplained']:.3f}")
    replace_text(options.out / "knob.json", json.dumps(results, indent=1) + "\n")
    if options.record:
        record(results, options)
    figure(results, options.out / "knob.png")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
