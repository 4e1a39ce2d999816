"""Beside SAELens, step for step: the same batches, sizes and schedule, rows that neither has seen, in turn.

    make bench-peers
    python -m sae_spec.spec_tests.claims.training.beside [--ground hidden] [--seeds 3] [--also NAME=VALUE] [--record]

Both train topk, batch_topk and jumprelu with their own defaults otherwise, on word embeddings of MiniLM and on hidden states of its
layer 3. After each run of ours comes the same one of SAELens, in a process of its own (`peers.py`). The first seed, of
parameters and batches, tries every rate, the others a library's best.

What is compared is the share of the variance unexplained at the same L0, k, in eval mode. topk has it. batch_topk is given the
threshold at which so many are on in rows of the training data: ours does this whenever it saves, SAELens keeps a running one. jumprelu
has a coefficient, which is aimed at an L0 above k and one below, as often as AIMS says; the share at k lies on the line
between the two nearest in log L0, and where none comes near, the rate does not count.
"""

import argparse
import json
import math
import subprocess
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch

from sae_spec.spec_tests.claims import keep
from sae_spec.spec_tests.claims.training import grounds, start
from sae_spec.spec_tests.docs import measured
from sae_spec.torch_impl import SAEConfig, TrainingConfig
from sae_spec.torch_impl.sae.training import learning_rate
from sae_spec.torch_impl.training.atomic import replace_text
from sae_spec.torch_impl.training.calibration import SAMPLES, set_threshold

RATES = (1e-3, 3e-3, 1e-2)
GROUNDS = ("embeddings", "hidden")
ACTIVATIONS = ("topk", "batch_topk", "jumprelu")
LIBRARIES = ("ours", "SAELens")
AIMS = ((1.1, 1.1, 1 / 1.1), (1.1, 1 / 1.1))      # times k, one run each: of the first seed, which has no coefficient to go by, and others
START, NEAR = 2.0, math.log(1.25)                 # the first coefficient; how far from k a log L0 may lie


def ours(ground, request, more, options):
    """What an SAE of ours makes of rows it has not seen; more  fields of TrainingConfig that differ from the defaults."""
    activation = request["activation"]
    jumprelu = activation == "jumprelu"
    architecture = SAEConfig(D=ground.train.shape[1], M=options.M, k=None if jumprelu else options.k, activation=activation)
    training = TrainingConfig(steps=options.steps, batch_size=options.B, learning_rate=request["rate"],
                              l0_coefficient=request["coefficient"], **more)
    sae = grounds.train(ground, architecture, training, seed=request["seed"])
    if activation == "batch_topk":
        set_threshold(sae, [ground.train[:SAMPLES]])
    return grounds.judge(sae, ground.held_out)


@contextmanager
def peer(found, options):
    """A function of a request, answered by `peers.py` in its own environment, which reads the grounds from files."""
    config = TrainingConfig(steps=options.steps, batch_size=options.B, learning_rate=1.0).model_dump()
    settings = {"M": options.M, "k": options.k, "B": options.B, "calibration": SAMPLES,
                "schedule": [learning_rate(step, config) for step in range(options.steps)]}
    replace_text(options.out / "settings.json", json.dumps(settings))
    for ground in found:
        for name in ("train", "held_out"):
            np.save(options.out / f"{ground.name}-{name}.npy", getattr(ground, name).numpy())
    script = Path(__file__).with_name("peers.py")
    with subprocess.Popen([options.peers, script, options.out], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        def ask(request):
            print(json.dumps(request), file=process.stdin, flush=True)
            if not (answer := process.stdout.readline()):
                raise SystemExit(f"{options.peers} {script} ended with {process.wait()}")
            return json.loads(answer)

        yield ask                                           # then its stdin is closed, and it ends


def tried(ground, activation, libraries, run, options):
    """The lines of one activation; run(library, ground, request) returns the numbers of one."""
    lines, turns = [], [dict.fromkeys(libraries, rate) for rate in RATES]
    for seed in range(options.seeds):
        for rates in turns:
            for aim in AIMS[min(seed, 1)] if activation == "jumprelu" else (1,):
                for library, rate in rates.items():
                    before = [line for line in lines if (line["library"], line["rate"]) == (library, rate)]
                    coefficient = aimed(before, aim * options.k) if activation == "jumprelu" else 0.0
                    request = {"ground": ground.name, "activation": activation, "rate": rate, "seed": seed, "coefficient": coefficient}
                    lines.append({"library": library, **request, **run(library, ground, request)})
                    print("{ground:11} {activation:11} {library:8} {rate:g}  seed {seed}  coefficient {coefficient:.3g}  "
                          "unexplained {unexplained:.4f}  l0 {l0:.2f}".format(**lines[-1]), flush=True)
        turns = [{library: rate for library in libraries if (rate := best_rate(lines, library, options.k))}]
    return lines


def log_l0(line):
    return math.log(max(line["l0"], 1e-3))


def aimed(lines, l0):
    """The coefficient for which earlier lines promise this L0: a power law through the two that come nearest."""
    near = sorted(lines, key=lambda line: abs(log_l0(line) - math.log(l0)))[:2]
    if not near:
        return START
    slope, (one, other) = -1.0, (near[0], near[-1])
    if (apart := math.log(one["coefficient"] / other["coefficient"])):
        slope = min(-0.5, max(-2.0, (log_l0(one) - log_l0(other)) / apart))       # a slope of noise would lead far away
    return one["coefficient"] * math.exp((math.log(l0) - log_l0(one)) / slope)


def at(lines, k):
    """The share unexplained at L0 = k, from the lines of one library, rate and seed; None where L0 comes nowhere near."""
    near = sorted(lines, key=lambda line: abs(log_l0(line) - math.log(k)))[:2]
    if not near or abs(log_l0(near[0]) - math.log(k)) > NEAR:
        return None
    one, other = near[0], near[-1]
    apart = log_l0(other) - log_l0(one)
    slope = (other["unexplained"] - one["unexplained"]) / apart if apart else 0.0
    return one["unexplained"] + slope * (math.log(k) - log_l0(one))


def of(lines, k, library, rate, seed):
    """`at`, of some lines."""
    return at([line for line in lines if (line["library"], line["rate"], line["seed"]) == (library, rate, seed)], k)


def best_rate(lines, library, k):
    """The rate that leaves the least unexplained on the first seed; None where none has an L0 near k."""
    shares = {rate: share for rate in {line["rate"] for line in lines} if (share := of(lines, k, library, rate, 0)) is not None}
    return min(shares, key=shares.get, default=None)


def summary(lines, options):
    """Each library's best rate and its share unexplained, seed by seed, and who explains more: who does so on every seed."""
    found = {}
    for library in dict.fromkeys((*LIBRARIES, *(line["library"] for line in lines))):
        rate = best_rate(lines, library, options.k)
        found[library] = {"rate": rate, "unexplained": [of(lines, options.k, library, rate, seed) for seed in range(options.seeds)]}
    pairs = list(zip(*(found[library]["unexplained"] for library in LIBRARIES)))
    for who, other in ((0, 1), (1, 0)):
        if all(pair[who] is not None and (pair[other] is None or pair[who] < pair[other]) for pair in pairs):
            return found | {"explains more": LIBRARIES[who]}
    return found | {"explains more": None}


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m sae_spec.spec_tests.claims.training.beside", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ground", action="append", choices=GROUNDS, help="only this one")
    parser.add_argument("--activation", action="append", choices=ACTIVATIONS, help="only this one; may be repeated")
    parser.add_argument("--also", action="append", metavar="NAME=VALUE", default=[], help="ours with a field of TrainingConfig, too")
    parser.add_argument("--peers", type=Path, default=Path(".peers/torch/bin/python"), help="the Python of the peers' environment")
    for name, default in (("M", 1024), ("k", 32), ("B", 256), ("steps", 400), ("seeds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--out", type=Path, default=Path("build/beside"))
    parser.add_argument("--record", action="store_true", help="keep what was found for MEASURED.md")
    options = parser.parse_args(argv)
    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    if not options.peers.exists():
        parser.error(f"{options.peers}: no such file; `make bench-peers` makes it")
    variants = {text: dict([start.setting(text)]) for text in options.also}
    found, lines, results = [grounds.named(name, options.peers, options.out) for name in options.ground or GROUNDS], [], {}
    with peer(found, options) as ask:
        def run(library, ground, request):
            return ask(request) if library == "SAELens" else ours(ground, request, variants.get(library, {}), options)

        for ground in found:
            for activation in options.activation or ACTIVATIONS:
                lines += (own := tried(ground, activation, (*LIBRARIES, *variants), run, options))
                results.setdefault(ground.name, {})[activation] = summary(own, options)
    settings = {name: getattr(options, name) for name in ("M", "k", "B", "steps", "seeds")}
    replace_text(options.out / "beside.json", json.dumps({**settings, "lines": lines}, indent=1) + "\n")
    keep(json.dumps({**settings, "grounds": results}, indent=1) + "\n", options.out / "summary.json",
         "beside.json" if options.record else None)
    print(measured.beside(options.out / "summary.json"))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
