"""All subjects side by side: the same weights and batches, steps taken in turn, so that a busy machine hits all."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import numpy as np
import torch

from ...kernels.screen import has_bfloat16
from . import peers

OURS = ("product", "topk", "batch_topk", "topk bf16", "batch_topk bf16", "encode topk")
REFERENCE = "product"
AGREE = 1e-3                                                # relative difference of losses that are one number
SAME_LOSS = ("topk", *peers.SUBJECTS)


class Subject:
    """A worker process, and what was measured of it.

    seconds  of each step that counts      error  why it died, or None
    about    its first answer              peak   bytes, see worker.py; None where the system does not tell
    """

    def __init__(self, name: str, command: Sequence[str], folder: Path | str) -> None:
        self.name = name
        self.seconds: list[float] = []
        self.error: str | None = None
        self.about: dict[str, Any] = {}
        self.peak: int | None = None
        self.process = subprocess.Popen([*command, name, str(folder)], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)

    def read(self) -> dict[str, Any] | None:
        """The worker's next answer; None when it has died, and then `error` says why."""
        assert self.process.stdout and self.process.stderr
        line = self.process.stdout.readline()
        if line:
            return json.loads(line)
        self.error = (self.process.stderr.read().strip().splitlines() or ["it ended without a word"])[-1]
        return None

    def ask(self, what: str) -> dict[str, Any] | None:
        """Send {"do": what}; the answer as from `read`."""
        assert self.process.stdin
        self.process.stdin.write(json.dumps({"do": what}) + "\n")
        self.process.stdin.flush()
        return self.read()

    def stop(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()


def write_problem(folder: Path, D: int, M: int, k: int, B: int, device: str, threads: int, seed: int = 0,
                  batches: int = 4) -> dict[str, Any]:
    """Files in folder: weights as at the start of training, and batches that are sums of a few of 4096 directions, with noise."""
    rng = np.random.default_rng(seed)
    W = rng.standard_normal((M, D), dtype=np.float32)
    W /= np.linalg.norm(W, axis=1, keepdims=True)
    directions = rng.standard_normal((4096, D), dtype=np.float32) / np.float32(D**0.5)
    zeros = {"b_enc": np.zeros(M, np.float32), "b_dec": np.zeros(D, np.float32)}
    for name, array in {"W_enc": W, "W_dec": W, **zeros}.items():
        np.save(folder / f"{name}.npy", array)
    for i in range(batches):
        strengths = rng.exponential(size=(B, 4096)) * (rng.random((B, 4096)) < 20 / 4096)
        noise = rng.standard_normal((B, D), dtype=np.float32) * np.float32(0.1 / D**0.5)
        np.save(folder / f"x{i}.npy", strengths.astype(np.float32) @ directions + noise)
    settings = {"D": D, "M": M, "k": k, "B": B, "batches": batches, "device": device, "threads": threads}
    (folder / "settings.json").write_text(json.dumps(settings))
    return settings


def run(D: int, M: int, k: int, B: int, rounds: int, device: str, python_of_peers: Path | None,
        tell: Callable[[str], object], warmup: int = 2) -> dict[str, Any]:
    """Measure.

    D, M, k, B       the shape: dimension, latents, latents on per sample, samples a step
    rounds           steps of each subject that are timed
    device           "cpu" or "cuda"
    python_of_peers  the interpreter of the peers' environment, or None
    tell             called with a line of text as things move on
    returns a document: {"settings", "machine", "subjects": {name: ...}, "losses_agree"}
    """
    threads = torch.get_num_threads()
    commands = {name: [sys.executable, "-m", f"{__package__}.ours"] for name in OURS}
    if python_of_peers:
        commands |= {name: [str(python_of_peers), peers.__file__] for name in peers.SUBJECTS}
    with tempfile.TemporaryDirectory() as folder:
        settings = write_problem(Path(folder), D, M, k, B, device, threads)
        subjects: list[Subject] = []
        try:
            for name, command in commands.items():
                tell(f"starting {name}")
                subjects.append(subject := Subject(name, command, folder))
                subject.about = subject.read() or {}
            for turn in range(warmup + rounds):
                tell(f"round {turn + 1} of {warmup + rounds}" + (" (not counted)" if turn < warmup else ""))
                for subject in running(subjects):
                    if (answer := subject.ask("step")) and turn >= warmup:
                        subject.seconds.append(answer["seconds"])
            for subject in running(subjects):
                if answer := subject.ask("memory"):
                    subject.peak = answer["bytes"]
        finally:
            for subject in subjects:
                subject.stop()
    return document(settings, subjects, rounds)


def running(subjects: Sequence[Subject]) -> list[Subject]:
    """Those that have not died."""
    return [subject for subject in subjects if not subject.error]


def document(settings: Mapping[str, Any], subjects: Sequence[Subject], rounds: int) -> dict[str, Any]:
    """What was measured, as plain values; ratios are of steps of the same round."""
    well = {subject.name: subject for subject in running(subjects)}
    floor = well[REFERENCE].seconds
    measured: dict[str, dict[str, Any]] = {subject.name: {"error": subject.error} for subject in subjects if subject.error}
    for name, subject in well.items():
        ratios = [mine / product for mine, product in zip(subject.seconds, floor)]
        first, _, third = quantiles(subject.seconds, n=4) if len(subject.seconds) > 1 else subject.seconds * 3
        measured[name] = subject.about | {
            "seconds": subject.seconds, "median": median(subject.seconds), "quartiles": [first, third],
            "ratio": median(subject.seconds) / median(floor), "paired_ratio": median(ratios),
            "peak_bytes": subject.peak}
    losses = [measured[name]["loss"] for name in SAME_LOSS if measured.get(name, {}).get("loss") is not None]
    agree = max(losses) - min(losses) <= AGREE * max(losses) if losses else None
    return {"settings": settings, "rounds": rounds, "machine": machine(settings), "losses_agree": agree,
            "subjects": {subject.name: measured[subject.name] for subject in subjects}}


def machine(settings: Mapping[str, Any]) -> dict[str, Any]:
    """What ratios depend on."""
    about = {"torch": torch.__version__}
    if settings["device"] == "cuda":
        return about | {"device": torch.cuda.get_device_name()}
    instructions = torch.backends.cpu.get_cpu_capability() + (" with bfloat16" if has_bfloat16() else "")
    return about | {"device": f"CPU, {instructions}", "cores": os.cpu_count(), "threads": settings["threads"]}
