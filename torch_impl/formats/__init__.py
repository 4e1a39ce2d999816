"""SAEs that others trained. `load_any` is the one door; each library's format has a file of its own.

`saelens_synthetic.load_synthetic` reads no SAE but the world that one was trained on.
"""

from os import PathLike
from pathlib import Path

import torch

from ..training.checkpoint import load_sae
from ..training.module import SparseAutoencoder
from ..training.sae_file import load
from .saelens import WEIGHTS, load_saelens


def load_any(path: str | PathLike[str], device: torch.device | str | None = None) -> SparseAutoencoder:
    """An SAE of any kind that can be read, in eval mode.

    path    a file that `save` wrote, a run's folder, or the folder of a SAELens checkpoint
    device  where to; the CPU unless given
    raises  CheckpointError that names the file and the field
    """
    path = Path(path)
    if path.is_file():
        return load(path, device)
    return load_saelens(path, device) if (path / WEIGHTS).exists() else load_sae(path, device)
