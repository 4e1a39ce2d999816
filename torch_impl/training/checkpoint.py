"""A run on disk: written so that a crash at any moment leaves the last good checkpoint in place.

    run/config.json              format, version, both configurations, which data, and what it was multiplied by for training
    run/sae.safetensors          parameters and running estimates, for data as it is: all that `load_sae` needs
    run/trainer.<step>.safetensors   Adam's moments after that step, and of the parameters those that folding changed, unfolded
    run/metrics.jsonl            one line per logged step

A file is written under another name, forced to the disk, and renamed. sae.safetensors carries its step and
comes last: it is what makes a checkpoint the current one, so the two files never disagree.
"""

import json
import math
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import torch
from safetensors.torch import save_file
from torch import Tensor

from .atomic import replace_file, replace_text
from .config import SAEConfig, TrainingConfig
from .module import SparseAutoencoder
from .scale import folded, put
from .sae_file import CheckpointError, check_tensors, filled, read_tensors

FORMAT, VERSION = "sae-spec run", 1
MOMENTS = ("first_moment", "second_moment")
UNFOLDED = "scaled."                                        # in front of a parameter's name: as it is in training
Moments = Mapping[str, Mapping[str, Tensor]]                # {"first_moment": {parameter name: tensor}, "second_moment": ...}
Folder = str | PathLike[str]
Device = torch.device | str | None


class Checkpoint(NamedTuple):
    """The current state of a run."""

    sae: SparseAutoencoder
    training: TrainingConfig
    moments: Moments
    steps_done: int
    scale: float


def start(run_folder: Folder, sae_config: SAEConfig, training_config: TrainingConfig, data: str, scale: float = 1.0) -> None:
    """Take an empty or new folder for a run.

    data    text that identifies the data
    scale   what the data is multiplied by for training
    raises  CheckpointError for a folder that holds anything
    """
    folder = Path(run_folder)
    if folder.exists() and not folder.is_dir():
        raise CheckpointError(f"{folder}: is a file, not a folder")
    if (folder / "config.json").exists():
        raise CheckpointError(f"{folder}: holds another run; go on with it, Trainer.resume(run_folder), or choose another folder")
    if folder.exists() and any(folder.iterdir()):
        raise CheckpointError(f"{folder}: is not empty; choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    content = {"format": FORMAT, "version": VERSION, "sae": sae_config.model_dump(),
               "training": training_config.model_dump(), "data": data, "scale": scale}
    replace_text(folder / "config.json", json.dumps(content, indent=2) + "\n")


def save(run_folder: Folder, sae: SparseAutoencoder, moments: Moments, steps_done: int, scale: float = 1.0) -> None:
    """Make this the run's current checkpoint.

    sae      an SAE of data · scale
    moments  {"first_moment": {parameter name: tensor}, "second_moment": ...}
    raises   OSError; the last good checkpoint then stays
    """
    folder, about = Path(run_folder), {"steps_done": str(steps_done)}
    flat = {f"{kind}.{name}": moment for kind in MOMENTS for name, moment in moments[kind].items()}
    state = sae.state_dict()
    of_data = folded(sae, scale) if scale != 1 else {}
    flat |= {UNFOLDED + name: state[name] for name in of_data}                   # division rounds: it cannot be undone
    trainer_file = folder / f"trainer.{steps_done}.safetensors"
    replace_file(trainer_file, lambda path: save_file(flat, path, about))
    replace_file(folder / "sae.safetensors", lambda path: save_file(state | of_data, path, about))
    for old in folder.glob("trainer.*.safetensors"):
        if old != trainer_file:
            old.unlink()


def load(run_folder: Folder, device: Device = None) -> Checkpoint:
    """The whole state of a run, to go on with.

    raises  CheckpointError that names the file and the field
    """
    folder = Path(run_folder)
    _, training, _, scale = read_config(folder)
    sae, steps_done = _load_sae(folder, device)
    params, path = sae.parameters_by_name(), folder / f"trainer.{steps_done}.safetensors"
    tensors, about = read_tensors(path)
    unfolded = folded(sae, scale) if scale != 1 else {}     # their names
    expected = {f"{kind}.{name}": param for kind in MOMENTS for name, param in params.items()}
    check_tensors(tensors, expected | {UNFOLDED + name: tensor for name, tensor in unfolded.items()}, path)
    if (step := _steps_done(about, path)) != steps_done:
        raise CheckpointError(f"{path}: steps_done is {step}, expected {steps_done}")
    moments = {kind: {name: tensors[f"{kind}.{name}"].clone() for name in params} for kind in MOMENTS}
    put(sae, {name: tensors[UNFOLDED + name] for name in unfolded})
    return Checkpoint(sae, training, moments, steps_done, scale)


def load_sae(run_folder: Folder, device: Device = None) -> SparseAutoencoder:
    """The SAE of a run, in eval mode.

    run_folder  what `sae-spec train --out` or `Trainer.fit` wrote
    device      where to; the CPU unless given
    raises      CheckpointError that names the file and the field
    """
    return _load_sae(Path(run_folder), device)[0].eval()


def read_json(path: Path) -> Any:
    """What a JSON file holds; raises CheckpointError that names it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file") from None
    except ValueError as error:
        raise CheckpointError(f"{path}: not JSON ({error})") from None


def read_config(run_folder: Folder) -> tuple[SAEConfig, TrainingConfig, str, float]:
    """(SAEConfig, TrainingConfig, data identity, scale) of a run; raises CheckpointError.

    A run that was begun before there was a scale goes on as it began: without one, and with thresholds at the learning rate.
    """
    path = Path(run_folder) / "config.json"
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file; {run_folder} holds no run")
    content = read_json(path)
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        raise CheckpointError(f"{path}: format is not {FORMAT!r}")
    if content.get("version") != VERSION:
        raise CheckpointError(f"{path}: version is {content.get('version')!r}, this program reads {VERSION}")
    if missing := {"sae", "training", "data"} - content.keys():
        raise CheckpointError(f"{path}: {sorted(missing)[0]} is missing")
    if "scale" not in content and isinstance(content["training"], dict):
        content["training"] = {"normalize_activations": False, "threshold_rate": 1.0} | content["training"]
    scale = content.get("scale", 1.0)
    if type(scale) not in (int, float) or not 0 < scale < math.inf:
        raise CheckpointError(f"{path}: scale is {scale!r}, expected a number above 0")
    try:
        return (SAEConfig.model_validate_json(json.dumps(content["sae"])),
                TrainingConfig.model_validate_json(json.dumps(content["training"])), content["data"], float(scale))
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from None


def _load_sae(folder: Path, device: Device) -> tuple[SparseAutoencoder, int]:
    config, path = read_config(folder)[0], folder / "sae.safetensors"
    tensors, about = read_tensors(path)
    sae = filled(config, tensors, path)
    return sae.to(device), _steps_done(about, path)


def _steps_done(about: Mapping[str, str], path: Path) -> int:
    """The number of steps that a file's metadata give."""
    text = about.get("steps_done", "")
    if not text.isdecimal():
        raise CheckpointError(f"{path}: steps_done is missing")
    return int(text)
