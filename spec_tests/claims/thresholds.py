"""python -m sae_spec.spec_tests.claims.thresholds: does a batch rule spend k on a sample alone, wherever training stops?

Sixty sparse features in 16 dimensions, 64 latents, k = 4, the default rate of a run of 4000 steps. Wherever training might stop, what a
sample of unseen data pays in eval mode is measured twice: by the running threshold, and by the one that a checkpoint calibrates.
One line for each activation and batch size; "calibrated" must be within 5 % of k.
"""

import numpy as np
import torch

from sae_spec.torch_impl import Activations, SAEConfig, SparseAutoencoder, Trainer, TrainingConfig
from sae_spec.torch_impl.training import calibration

RULES, BATCH_SIZES, STOPS = ("batch_topk", "batch_budget_topk"), (8, 32, 128, 2048), (50, 300, 1500, 4000)
K, D, M, FEATURES, SEEN, UNSEEN = 4, 16, 64, 60, 200_000, 50_000


def samples(seed, n):
    """(n, D) float32: each feature is on in 6 %, by .5 to 1.5, with a little noise."""
    directions = np.random.default_rng(7).normal(size=(FEATURES, D))
    rng = np.random.default_rng(seed)
    magnitudes = (rng.random((n, FEATURES)) < 0.06) * rng.uniform(0.5, 1.5, (n, FEATURES))
    x = magnitudes @ (directions / np.linalg.norm(directions, axis=1, keepdims=True)) + 0.02 * rng.normal(size=(n, D))
    return torch.tensor(x, dtype=torch.float32)


def spent(rule, batch_size, seen, unseen):
    """What a sample pays, (stops, 2): by the running threshold and by the calibrated one; and how many latents are on, (stops,)."""
    data, readings, active = Activations(seen), [], []
    trainer = Trainer(SparseAutoencoder(SAEConfig(D=D, M=M, activation=rule, k=K)),
                      TrainingConfig(steps=STOPS[-1], batch_size=batch_size))
    for step, x in enumerate(data.batches(0, STOPS[-1], batch_size, 0), 1):
        trainer.sae.train()
        trainer.step(x)
        if step in STOPS:
            running = calibration.measured(trainer.sae, [unseen])
            calibration.set_threshold(trainer.sae, calibration.two_samples(data, step, batch_size, 0)[0])
            calibrated = calibration.measured(trainer.sae, [unseen])
            readings.append([numbers["eval_price_spent"] for numbers in (running, calibrated)])
            active.append(calibrated["eval_active"])
    return np.array(readings), np.array(active)


def main():
    """Prints the table; returns 1 where a calibrated threshold is off by more than 5 %."""
    torch.set_num_threads(1)
    seen, unseen, worst = samples(0, SEEN), samples(1, UNSEEN), np.zeros(2)
    print(f"a sample pays in eval mode (k = {K}): running -> calibrated (latents on), after {STOPS} steps")
    for rule in RULES:
        for batch_size in BATCH_SIZES:
            readings, active = spent(rule, batch_size, seen, unseen)
            cells = [f"{running:.2f} -> {calibrated:.2f} ({on:.2f})" for (running, calibrated), on in zip(readings, active)]
            print(f"{rule:18} B {batch_size:5}  {'   '.join(cells)}", flush=True)
            worst = np.maximum(worst, np.abs(readings / K - 1).max(0))
    print(f"furthest from k: running {worst[0]:.1%}, calibrated {worst[1]:.1%}")
    return int(worst[1] > 0.05)


if __name__ == "__main__":
    raise SystemExit(main())
