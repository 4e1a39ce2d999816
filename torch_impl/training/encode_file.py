"""A pass over a file of activations: what every sample's active latents are, in bounded memory.

The result is a .safetensors file of three tensors, a sparse (N, M) matrix as in CSR:

    values (nnz,) float32    indices (nnz,) int32    offsets (N + 1,) int64
    sample n owns values[offsets[n] : offsets[n + 1]] and the latents indices[offsets[n] : offsets[n + 1]]
"""

import json
import shutil
import tempfile
from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..kernels.chunks import rows_at_once
from .atomic import replace_file
from .data import Activations
from .module import SparseAutoencoder
from .progress import progress_bar

DTYPES = {"values": (torch.float32, "F32"), "indices": (torch.int32, "I32"), "offsets": (torch.int64, "I64")}


@torch.no_grad()
def encode_file(sae: SparseAutoencoder, data: Activations, out: str | PathLike[str], progress: bool = True) -> int:
    """Encode all rows of `data`, in their order, into the file `out`.

    sae       SparseAutoencoder, in eval mode unless the batch rules are to choose over each batch
    data      Activations, rows (N, D)
    out       path of the .safetensors file to write; it appears whole or not at all
    progress  False: no progress bar
    returns the number of activations that are not 0
    raises  ValueError for an `out` that cannot be such a file, for rows of another D, or that are not finite
    """
    out = checked(out)
    out.parent.mkdir(parents=True, exist_ok=True)
    device, total = sae.W_dec.device, 0
    batch = rows_at_once(data.N, sae.config.M, device)
    with tempfile.TemporaryDirectory(dir=out.parent) as folder:
        parts = {name: Path(folder) / name for name in DTYPES}
        append(parts["offsets"], torch.zeros(1, dtype=torch.int64))
        with progress_bar(progress) as bar:
            task = bar.add_task("encoding", total=data.N)
            for first in range(0, data.N, batch):
                rows = data.rows[first : first + batch]
                with data.saying_where(first, first + batch):
                    active = sae.entries(rows.to(device))
                append(parts["values"], active.values.to(torch.float32))
                append(parts["indices"], active.places.indices.to(torch.int32))
                append(parts["offsets"], active.places.offsets[1:] + total)
                total += len(active.values)
                bar.advance(task, len(rows))
        replace_file(out, lambda path: assemble(path, parts, {"M": str(sae.config.M)}))
    return total


def checked(out: str | PathLike[str]) -> Path:
    """The path of a file that `encode_file` can write; ValueError before anything is computed where it can not."""
    out = Path(out)
    if out.is_dir():
        raise ValueError(f"{out}: is a folder; give the name of a .safetensors file")
    if out.suffix != ".safetensors":
        raise ValueError(f"{out}: what is written is a .safetensors file, and its name must end so")
    return out


def append(path: Path, tensor: Tensor) -> None:
    """Add a tensor's raw bytes to a file."""
    with open(path, "ab") as file:
        file.write(tensor.cpu().numpy().tobytes())


def assemble(path: Path, parts: Mapping[str, Path], about: Mapping[str, str]) -> None:
    """A .safetensors file from the raw bytes of its tensors, copied piece by piece: none need fit in memory."""
    header: dict[str, Any] = {"__metadata__": about}
    at = 0
    for name, part in parts.items():
        dtype, code = DTYPES[name]
        size = part.stat().st_size
        header[name] = {"dtype": code, "shape": [size // dtype.itemsize], "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)                         # the data that follows stands on a multiple of 8
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for part in parts.values():
            with open(part, "rb") as source:
                shutil.copyfileobj(source, file, 2**20)
