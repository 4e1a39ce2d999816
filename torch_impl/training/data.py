"""Activations on disk, read in a shuffled order without holding them in memory.

A file is mapped, not loaded; a batch gathers its rows. Which rows those are is a function of the seed and the
step alone, so a resumed run sees exactly what an uninterrupted one would have seen.
"""

import hashlib
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from ..sae.constraints import times_power
from ..sae.initialization import geometric_median

FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)


def open_activations(path: str | PathLike[str], tensor: str | None = None) -> "Activations":
    """Activations from a file, mapped into memory, not read.

    path    a .npy file, or a .safetensors file
    tensor  .safetensors: which of its tensors; unless given the first that has two dimensions
    returns Activations
    raises  FileNotFoundError; ValueError that names the file for anything else that is wrong with it
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file")
    if path.suffix == ".safetensors":
        return Activations(_open_safetensors(path, tensor), str(path))
    if path.suffix != ".npy":
        raise ValueError(f"{path}: expected a .npy or a .safetensors file")
    if tensor is not None:
        raise ValueError(f"{path}: a .npy file has no named tensors, got {tensor!r}")
    return Activations(open_npy(path), str(path))


def open_npy(path: str | PathLike[str]) -> Tensor:
    """What a .npy file holds, mapped into memory, not read; the tensor may be written to, the file stays as it is.

    raises  FileNotFoundError; ValueError that names a file that holds anything but numbers
    """
    try:
        return torch.from_numpy(np.load(path, mmap_mode="c"))   # "c": torch wants memory that can be written to
    except FileNotFoundError:
        raise
    except (ValueError, TypeError, EOFError, OSError) as error:
        raise ValueError(f"{path}: not a .npy file of numbers ({_first_line(error)})") from None


def _open_safetensors(path: Path, tensor: str | None) -> Tensor:
    try:
        with safe_open(path, framework="pt") as file:
            shapes = {name: file.get_slice(name).get_shape() for name in file.keys()}
            flat = [name for name, shape in shapes.items() if len(shape) == 2]
            if tensor is None and not flat:
                raise ValueError(f"{path}: holds no tensor of two dimensions")
            if tensor is not None and tensor not in shapes:
                raise ValueError(f"{path}: holds no tensor {tensor!r}; it has {', '.join(shapes)}")
            return file.get_tensor(tensor or flat[0])
    except SafetensorError as error:
        raise ValueError(f"{path}: not a .safetensors file ({_first_line(error)})") from None


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__


class Activations:
    """Rows of activations and the order in which training sees them.

    rows  (N, D) tensor    name  str    N, D  int
    """

    def __init__(self, rows: Tensor, name: str = "activations") -> None:
        """
        rows  (N, D)  tensor of floats on the CPU, may be memory-mapped; N >= 1, D >= 1
        name  what to call it in error messages
        raises  ValueError for another shape or type, or when a sampled row is not finite
        """
        if rows.ndim != 2 or 0 in rows.shape:
            raise ValueError(f"{name}: expected rows of activations, shape (N, D), got {tuple(rows.shape)}")
        if rows.dtype not in FLOATS:
            raise ValueError(f"{name}: expected floating-point numbers, got {rows.dtype}")
        self.rows, self.name = rows, name
        self.N, self.D = rows.shape
        self._orders: dict[tuple[int, int], np.ndarray] = {}  # epoch's seed -> permutation; the latest two
        self.sample(1024)                                   # a wrong file shows here, not hours into a run

    def batch(self, step: int, batch_size: int, seed: int) -> Tensor:
        """The rows of one step.

        returns (batch_size, D) in the file's type

        The data is passed through again and again, each time in a new order; a batch may straddle two passes.
        """
        start = step * batch_size
        index = torch.empty(batch_size, dtype=torch.int64)
        filled = 0
        while filled < batch_size:
            epoch, place = divmod(start + filled, self.N)
            piece = self._order(seed, epoch)[place : place + batch_size - filled]
            index[filled : filled + len(piece)] = torch.from_numpy(piece)
            filled += len(piece)
        return self.rows[index.sort().values]               # sorted: the disk is read in one direction

    def batches(self, first: int, last: int, batch_size: int, seed: int) -> Iterator[Tensor]:
        """The rows (batch_size, D) of steps first .. last - 1, each gathered while the one before is being used."""
        with ThreadPoolExecutor(1) as ahead:
            coming = [ahead.submit(self.batch, first, batch_size, seed)] if first < last else []
            for step in range(first + 1, last + 1):
                ready = coming.pop().result()
                if step < last:
                    coming.append(ahead.submit(self.batch, step, batch_size, seed))
                yield ready

    def sample(self, count: int, seed: int = 0) -> Tensor:
        """At most `count` different rows, the same for the same seed; all of them where there are no more.

        returns (n, D), float32 or wider
        raises  ValueError when one of them is not finite
        """
        chosen = np.random.default_rng(seed).choice(self.N, min(count, self.N), replace=False, shuffle=False)
        index = torch.from_numpy(np.sort(chosen))
        rows = self.rows[index]
        rows = rows.to(torch.promote_types(rows.dtype, torch.float32))
        self._refuse(rows, index)
        return rows

    @contextmanager
    def saying_where(self, first: int = 0, last: int | None = None) -> Iterator[None]:
        """A ValueError from inside names the row and column of a number that is not finite, if rows[first:last] hold one.

        They are read a second time, and only then: a pass over all of a file for this alone would cost as much as its use.
        """
        try:
            yield
        except ValueError:
            last = self.N if last is None else min(last, self.N)
            step = max(1, 2**20 // self.D)
            for start in range(first, last, step):
                index = torch.arange(start, min(start + step, last))
                self._refuse(self.rows[start : start + len(index)], index)
            raise

    def _refuse(self, rows: Tensor, index: Tensor) -> None:
        """ValueError for a number of rows (n, D) that is not finite; index (n,) says which rows they are."""
        bad = (~torch.isfinite(rows)).nonzero()             # (.., 2)
        if len(bad):
            row, column = bad[0].tolist()
            raise ValueError(f"{self.name}: row {index[row]}, column {column} holds {rows[row, column]}, "
                             "a number that is not finite") from None

    def centre(self, kind: str, seed: int = 0, count: int = 65_536) -> Tensor:
        """Where b_dec starts, from a sample of `count` rows.

        kind  "mean", "geometric_median" or "zero"
        returns (D,), float32 or wider
        """
        if kind == "zero":
            return torch.zeros(self.D)
        rows = self.sample(count, seed)
        if kind == "mean":
            return rows.mean(0)
        exponent = math.frexp(float(rows.abs().max()))[1]   # squares of small rows would be 0
        return times_power(geometric_median(times_power(rows, -exponent)), exponent)

    def fingerprint(self) -> str:
        """A short name for the data's content: its shape, type and 64 of its rows."""
        digest = hashlib.sha256(f"{self.N} {self.D} {self.rows.dtype}".encode())
        digest.update(self.sample(64).numpy().tobytes())
        return digest.hexdigest()[:16]

    def _order(self, seed: int, epoch: int) -> np.ndarray:
        order = self._orders.get((seed, epoch))
        if order is None:                                   # asked by several threads: what is kept may change meanwhile
            order = np.random.default_rng([seed, epoch]).permutation(self.N)
            self._orders = dict([*self._orders.items(), ((seed, epoch), order)][-2:])
        return order
