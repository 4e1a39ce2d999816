"""One SAE in one file: `save` and `load`; and the check of tensors that a run's checkpoint uses too.

The file is a .safetensors file: the tensors are those of `state_dict`, parameters and running estimates, and its metadata
hold the configuration:

    {"format": "sae-spec sae", "version": "1", "config": the fields of SAEConfig as JSON}

So weights and configuration cannot be parted, and any reader of .safetensors can open it.
"""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from .atomic import replace_file
from .config import SAEConfig
from .module import SparseAutoencoder

FORMAT, VERSION = "sae-spec sae", "1"


class CheckpointError(ValueError):
    """A file or folder that cannot be used as an SAE or a run; the message names the file and the field."""


def save(sae: SparseAutoencoder, path: str | PathLike[str]) -> None:
    """Write an SAE to one .safetensors file, its configuration inside; it appears whole or not at all.

    path    the file; one that is there is replaced, folders on the way to it are made
    raises  OSError
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    about = {"format": FORMAT, "version": VERSION, "config": sae.config.model_dump_json()}
    tensors = {name: tensor.contiguous() for name, tensor in sae.state_dict().items()}
    replace_file(path, lambda unfinished: save_file(tensors, unfinished, about))


def load(path: str | PathLike[str], device: torch.device | str | None = None) -> SparseAutoencoder:
    """The SAE in a file that `save` wrote, in eval mode, in the precision in which it was saved.

    device  where to; the CPU unless given
    raises  CheckpointError that names the file and the field; a run's folder is for `load_sae`
    """
    path = Path(path)
    if path.is_dir():
        raise CheckpointError(f"{path}: is a folder; load_sae reads a run")
    tensors, about = read_tensors(path)
    if about.get("format") != FORMAT:
        raise CheckpointError(f"{path}: format is {about.get('format')!r}, expected {FORMAT!r} (what `save` writes)")
    if about.get("version") != VERSION:
        raise CheckpointError(f"{path}: version is {about.get('version')!r}, this program reads {VERSION!r}")
    try:
        config = SAEConfig.model_validate_json(about.get("config", ""))
    except ValueError as error:
        raise CheckpointError(f"{path}: config: {error}") from None
    return filled(config, tensors, path).to(device).eval()


def filled(config: SAEConfig, tensors: Mapping[str, Tensor], path: Path) -> SparseAutoencoder:
    """An SAE with these tensors, in their precision. A jumprelu saved before thresholds were trained themselves has
    log_threshold among them, and no word of it in its configuration.

    path    what to call them in the message
    raises  CheckpointError
    """
    if config.activation == "jumprelu" and "log_threshold" in tensors:
        config = config.model_copy(update={"threshold_parameter": "log_threshold"})
    sae = SparseAutoencoder(config)
    check_tensors(tensors, sae.state_dict(), path)
    sae.to(tensors["W_dec"].dtype).load_state_dict(tensors)
    return sae


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """All tensors of a .safetensors file, and its metadata.

    raises  CheckpointError that names the file
    """
    if not path.is_file():
        raise CheckpointError(f"{path}: no such file")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: truncated or not a .safetensors file ({error})") from None


def check_tensors(tensors: Mapping[str, Tensor], expected: Mapping[str, Tensor], path: Path) -> None:
    """Refuse tensors whose names, shapes and kinds of number are not the expected ones, or that are not finite.

    raises  CheckpointError that names `path` and the tensor
    """
    for name in tensors.keys() - expected.keys():
        raise CheckpointError(f"{path}: {name} is not expected")
    check_shapes(tensors, {name: tuple(tensor.shape) for name, tensor in expected.items()}, path)
    for name, tensor in tensors.items():
        if tensor.is_floating_point() != expected[name].is_floating_point():
            raise CheckpointError(f"{path}: {name} is of type {tensor.dtype}")


def check_shapes(tensors: Mapping[str, Tensor], expected: Mapping[str, tuple[int, ...]], path: Path) -> None:
    """Refuse tensors of which an expected one is missing, has another shape, or is not finite; there may be more.

    raises  CheckpointError that names `path` and the tensor
    """
    for name, shape in expected.items():
        if name not in tensors:
            raise CheckpointError(f"{path}: {name} is missing")
        if tuple(tensors[name].shape) != shape:
            raise CheckpointError(f"{path}: {name} has shape {tuple(tensors[name].shape)}, expected {shape}")
        if not tensors[name].isfinite().all():
            raise CheckpointError(f"{path}: {name} holds a number that is not finite")
