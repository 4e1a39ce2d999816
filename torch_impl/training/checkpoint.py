"""A run on disk: written so that a crash at any moment leaves the last good checkpoint in place.

    run/config.json              format, version, both configurations, and which data
    run/sae.safetensors          parameters and running estimates: all that `load_sae` needs
    run/trainer.<step>.safetensors   Adam's moments after that step
    run/metrics.jsonl            one line per logged step

A file is written under another name, forced to the disk, and renamed. sae.safetensors carries its step and
comes last: it is what makes a checkpoint the current one, so the two files never disagree.
"""

import json
from pathlib import Path
from typing import NamedTuple

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from .atomic import replace_file
from .config import SAEConfig, TrainingConfig
from .module import SparseAutoencoder

FORMAT, VERSION = "sae-spec run", 1
MOMENTS = ("first_moment", "second_moment")


class CheckpointError(ValueError):
    """A run folder that cannot be used; the message names the file and the field."""


class Checkpoint(NamedTuple):
    """The current state of a run."""

    sae: SparseAutoencoder
    training: TrainingConfig
    moments: dict                  # {"first_moment": {parameter name: tensor}, "second_moment": ...}
    steps_done: int


def start(run_folder, sae_config, training_config, data):
    """Take an empty or new folder for a run.

    data    text that identifies the data
    raises  CheckpointError for a folder that holds anything
    """
    folder = Path(run_folder)
    if folder.exists() and not folder.is_dir():
        raise CheckpointError(f"{folder}: is a file, not a folder")
    if (folder / "config.json").exists():
        raise CheckpointError(f"{folder}: holds another run; resume it (--resume) or choose another folder")
    if folder.exists() and any(folder.iterdir()):
        raise CheckpointError(f"{folder}: is not empty; choose another folder")
    folder.mkdir(parents=True, exist_ok=True)
    content = {"format": FORMAT, "version": VERSION, "sae": sae_config.model_dump(),
               "training": training_config.model_dump(), "data": data}
    text = json.dumps(content, indent=2) + "\n"
    replace_file(folder / "config.json", lambda path: path.write_text(text, encoding="utf-8"))


def save(run_folder, sae, moments, steps_done):
    """Make this the run's current checkpoint.

    moments  {"first_moment": {parameter name: tensor}, "second_moment": ...}
    """
    folder, about = Path(run_folder), {"steps_done": str(steps_done)}
    flat = {f"{kind}.{name}": moment for kind in MOMENTS for name, moment in moments[kind].items()}
    trainer_file = folder / f"trainer.{steps_done}.safetensors"
    replace_file(trainer_file, lambda path: save_file(flat, path, about))
    replace_file(folder / "sae.safetensors", lambda path: save_file(sae.state_dict(), path, about))
    for old in folder.glob("trainer.*.safetensors"):
        if old != trainer_file:
            old.unlink()


def load(run_folder, device=None):
    """The whole state of a run, to go on with.

    returns Checkpoint
    raises  CheckpointError that names the file and the field
    """
    folder = Path(run_folder)
    training = read_config(folder)[1]
    sae, steps_done = _load_sae(folder, device)
    params = sae.parameters_by_name()
    want = {f"{kind}.{name}": param for kind in MOMENTS for name, param in params.items()}
    path = folder / f"trainer.{steps_done}.safetensors"
    tensors, about = _read(path, want)
    if about != steps_done:
        raise CheckpointError(f"{path}: steps_done is {about}, expected {steps_done}")
    moments = {kind: {name: tensors[f"{kind}.{name}"].clone() for name in params} for kind in MOMENTS}
    return Checkpoint(sae, training, moments, steps_done)


def load_sae(run_folder, device=None):
    """The SAE of a run, in eval mode.

    run_folder  what `sae-spec train --out` wrote
    device      where to; the CPU unless given
    returns SparseAutoencoder
    raises  CheckpointError that names the file and the field
    """
    return _load_sae(Path(run_folder), device)[0].eval()


def read_json(path):
    """What a JSON file holds; raises CheckpointError that names it."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path}: no such file") from None
    except ValueError as error:
        raise CheckpointError(f"{path}: not JSON ({error})") from None


def read_config(run_folder):
    """(SAEConfig, TrainingConfig, data identity) of a run; raises CheckpointError."""
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
    try:
        return (SAEConfig.model_validate_json(json.dumps(content["sae"])),
                TrainingConfig.model_validate_json(json.dumps(content["training"])), content["data"])
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from None


def _load_sae(folder, device):
    config = read_config(folder)[0]
    path = folder / "sae.safetensors"
    sae = SparseAutoencoder(config)
    tensors, steps_done = _read(path, sae.state_dict())
    sae.to(tensors["W_dec"].dtype).load_state_dict(tensors)
    return sae.to(device), steps_done


def _read(path, want):
    """All tensors of a file and its steps_done; names, shapes and kinds of number must be those of `want`."""
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    try:
        with safe_open(path, framework="pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}
            steps_done = (file.metadata() or {}).get("steps_done", "")
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: truncated or not a .safetensors file ({error})") from None
    for name in sorted(want.keys() ^ tensors.keys()):
        raise CheckpointError(f"{path}: {name} is {'missing' if name in want else 'not expected'}")
    for name, tensor in tensors.items():
        if tensor.shape != want[name].shape:
            raise CheckpointError(f"{path}: {name} has shape {tuple(tensor.shape)}, "
                                  f"expected {tuple(want[name].shape)}")
        if tensor.is_floating_point() != want[name].is_floating_point():
            raise CheckpointError(f"{path}: {name} is of type {tensor.dtype}")
        if not tensor.isfinite().all():
            raise CheckpointError(f"{path}: {name} holds a number that is not finite")
    if not steps_done.isdecimal():
        raise CheckpointError(f"{path}: steps_done is missing")
    return tensors, int(steps_done)
