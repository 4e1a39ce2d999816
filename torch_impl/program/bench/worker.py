"""One subject of the bench in a process of its own: takes a step when asked and says how long it took.

It speaks JSON lines on stdin and stdout: {"do": "step"} -> {"seconds": 0.4}. It imports numpy and torch alone, so
that it runs in a peer's environment, where this package is not installed.

A subject is a function (weights, settings) -> (step, loss, floor):
    weights   {"W_enc" (M, D), "W_dec" (M, D), "b_enc" (M,), "b_dec" (D,)}, torch tensors
    settings  {"k", "B", "batches", "threads", "device"}
    step      step(x (B, D)): everything that the subject does in one step
    loss      loss(x) before any step, in units of sum_D mean_B (x - recon)^2; or None where there is none
    floor     bytes of gradients and optimizer state, which no implementation can do without
"""

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

import numpy as np


def serve(subjects: Callable[[str], tuple[Callable[..., Any], str]]) -> None:
    """Answer until stdin ends: python -m ... NAME FOLDER, FOLDER as `session.py` wrote it.

    subjects  from a name to (the subject's function, its version)
    """
    channel = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)                                           # whatever a library prints is not the protocol
    name, folder = sys.argv[1], Path(sys.argv[2])

    import torch

    settings = json.loads((folder / "settings.json").read_text())
    torch.set_num_threads(settings["threads"])
    read = lambda array: torch.from_numpy(np.load(folder / f"{array}.npy")).to(settings["device"])
    weights = {array: read(array) for array in ("W_enc", "W_dec", "b_enc", "b_dec")}
    batches = [read(f"x{i}") for i in range(settings["batches"])]
    memory, wait = (OfGPU(), torch.cuda.synchronize) if settings["device"] == "cuda" else (OfProcess(), lambda: None)
    prepare, version = subjects(name)
    step, loss, floor = prepare(weights, settings)
    del weights
    value = None if loss is None else float(loss(batches[0]))
    before, done = memory.now(), 0
    memory.forget_peak()
    answer(channel, {"version": version, "loss": value})
    for line in sys.stdin:
        if json.loads(line)["do"] == "memory":
            peak = memory.peak()
            answer(channel, {"bytes": None if before is None or peak is None else peak - before - floor})
            continue
        wait()
        start = time.perf_counter()
        step(batches[done % len(batches)])
        wait()                                              # a GPU is told what to do, and does it later
        answer(channel, {"seconds": time.perf_counter() - start})
        done += 1


def answer(channel: TextIO, content: dict[str, Any]) -> None:
    """One line of JSON."""
    channel.write(json.dumps(content) + "\n")
    channel.flush()


class OfProcess:
    """This process's memory in bytes, without the pages of files that it has mapped (the code of libraries is read when used).

    None where the system does not tell.
    """

    def now(self) -> int | None:
        return self._without_files("VmRSS")

    def peak(self) -> int | None:
        return self._without_files("VmHWM")

    def forget_peak(self) -> None:
        """From here on the peak counts anew; where that is not allowed it counts from the start."""
        try:
            Path("/proc/self/clear_refs").write_text("5")
        except OSError:
            pass

    def _without_files(self, name: str) -> int | None:
        whole, files = self._field(name), self._field("RssFile")
        return None if whole is None or files is None else whole - files

    def _field(self, name: str) -> int | None:
        try:
            lines = Path("/proc/self/status").read_text().splitlines()
        except OSError:
            return None
        return next((int(line.split()[1]) * 1024 for line in lines if line.startswith(name)), None)


class OfGPU:
    """What this process's tensors hold of the GPU's memory, in bytes."""

    def __init__(self) -> None:
        from torch import cuda

        self.now, self.peak, self.forget_peak = cuda.memory_allocated, cuda.max_memory_allocated, cuda.reset_peak_memory_stats
