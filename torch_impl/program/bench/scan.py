"""python -m sae_spec.torch_impl.program.bench.scan: what it costs to find absorption at scale, beside bare products.

    --quick          small sizes
    --record FILE    keep what was measured; MEASURED.md shows torch_impl/program/bench/measured_scan.json
    --rounds 3 --M 65536 --D 768 ...         any of the SIZES

    candidates        of M latents, beside the blocked product of their decoder rows with each other
    evidence          of M · top pairs, to the probabilities, beside the same product
    find_absorption   from an SAE of `stream_M` latents and its samples to the report, beside the encoder's product of these samples

All take turns, so that a busy machine hits all; a ratio is of one round.
"""

import argparse
import ctypes
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ...absorption.detector import probability
from ...absorption.find import find_absorption
from ...absorption.pairs import evidence
from ...absorption.scan import candidates, firing_floor, scan
from ...kernels.chunks import forget
from ...sae.constraints import normalize_rows
from ...training.atomic import replace_text
from ...training.config import SAEConfig
from ...training.module import SparseAutoencoder
from .record import short
from .session import machine
from .worker import OfProcess

SIZES = {"M": 65_536, "D": 768, "top": 32, "block": 4096, "stream_M": 4096, "k": 32, "samples": 50_000, "rounds": 3}
QUICK = {"M": 8192, "block": 1024, "stream_M": 1024, "samples": 4096}
BATCH = 1024                     # find_absorption's
COUNTED = 1024                   # samples behind the evidence, whose time does not depend on them
UNITS = {"product of decoder rows": "product of decoder rows", "candidates": "product of decoder rows",
         "evidence": "product of decoder rows", "encoder's product": "encoder's product", "find_absorption": "encoder's product"}


class Taken(NamedTuple):
    """What one call took."""

    seconds: float
    cpu: float
    """seconds of processor time, of all threads: what a busy machine does not lengthen"""
    peak: int | None
    """bytes at its peak above what was there before; None where the system does not say"""


def measure(function: Callable[[], Any]) -> Taken:
    give_back_memory()
    memory = OfProcess()
    before = memory.now()
    memory.forget_peak()
    began, cpu = time.perf_counter(), time.process_time()
    function()
    seconds, cpu, peak = time.perf_counter() - began, time.process_time() - cpu, memory.peak()
    return Taken(seconds, cpu, None if before is None or peak is None else peak - before)


def give_back_memory() -> None:
    """So that what earlier calls left behind is not there already: our scratch, and what the C library keeps where it says how."""
    forget()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def bare(W: Tensor, block: int) -> None:
    """All of W W^T, block after block, into the same memory; nothing is done with it."""
    room = torch.empty(block * block, dtype=W.dtype)
    for i in range(0, len(W), block):
        for j in range(0, len(W), block):
            rows, columns = W[i : i + block], W[j : j + block]
            torch.mm(rows, columns.T, out=room[: len(rows) * len(columns)].view(len(rows), len(columns)))


def encoder_products(rows: Tensor, W_enc: Tensor) -> None:
    """rows W_enc^T, a batch at a time, into the same memory."""
    room = torch.empty(BATCH, len(W_enc))
    for batch in rows.split(BATCH):
        torch.mm(batch, W_enc.T, out=room[: len(batch)])


def absorbing(M: int, D: int, k: int) -> tuple[SparseAutoencoder, Tensor]:
    """An SAE of M latents, and the features (M, D) behind them: every eighth is absorbed into the next."""
    features = normalize_rows(torch.randn(M, D, generator=torch.Generator().manual_seed(0)))
    sae, parent = SparseAutoencoder(SAEConfig(D=D, M=M, activation="topk", k=k)).eval(), torch.arange(0, M - 1, 8)
    with torch.no_grad():
        for name in ("W_enc", "W_dec"):
            sae.parameters_by_name()[name].copy_(features)
        sae.parameters_by_name()["W_enc"][parent] -= features[parent + 1]
        sae.W_dec[parent + 1] = normalize_rows(features[parent + 1] + features[parent])
    return sae, features


def draw(features: Tensor, samples: int, on: int = 16) -> Tensor:
    """Sums (samples, D) of `on` features each, with noise; a child comes with its parent."""
    generator = torch.Generator().manual_seed(1)
    rows = torch.randn(samples, features.shape[1], generator=generator) * 0.01
    for _ in range(on):
        which = torch.randint(len(features), (samples,), generator=generator)
        rows += (0.5 + torch.rand(samples, 1, generator=generator)) * features[which]
        child = which % 8 == 1
        rows[child] += features[which[child] - 1]
    return rows


def subjects(sizes: Mapping[str, int]) -> dict[str, Callable[[], Any]]:
    """What is measured, by its name in UNITS."""
    M, D, top, k, block = (sizes[name] for name in ("M", "D", "top", "k", "block"))
    wide, of_wide = absorbing(M, D, k)
    W, few = wide.W_dec.detach(), draw(of_wide, COUNTED)
    index = candidates(W, top, block)
    counts = scan(wide, few, index, firing_floor(wide, few))
    sae, of_sae = absorbing(sizes["stream_M"], D, k)
    rows, W_enc = draw(of_sae, sizes["samples"]), sae.W_enc.detach()
    functions = (lambda: bare(W, block), lambda: candidates(W, top, block), lambda: probability(evidence(counts, index, W)),
                 lambda: encoder_products(rows, W_enc), lambda: find_absorption(sae, rows, top))
    return dict(zip(UNITS, functions))


def run(sizes: Mapping[str, int], tell: Callable[[str], object]) -> dict[str, Any]:
    """Measure: a document {"settings", "machine", "load", "subjects"}; tell is called with a line as things move on."""
    tell("building the SAEs")
    measured, load = subjects(sizes), [os.getloadavg()[0]]
    taken: dict[str, list[Taken]] = {name: [] for name in measured}
    for turn in range(sizes["rounds"]):
        for name, function in measured.items():
            taken[name].append(measure(function))
            tell(f"round {turn + 1}: {name} {taken[name][-1].seconds:.1f} s")
    settings = dict(sizes) | {"device": "cpu", "threads": torch.get_num_threads()}
    return {"settings": settings, "machine": machine(settings), "load": short([*load, os.getloadavg()[0]]),
            "subjects": {name: summary(taken[name], taken[unit]) for name, unit in UNITS.items()}}


def summary(taken: Sequence[Taken], unit: Sequence[Taken]) -> dict[str, Any]:
    """Of seconds, of processor time and of the ratios within a round [median, least, most]; and the largest peak."""
    columns = {"seconds": [one.seconds for one in taken], "cpu": [one.cpu for one in taken],
               "ratio": [one.seconds / other.seconds for one, other in zip(taken, unit)],
               "cpu_ratio": [one.cpu / other.cpu for one, other in zip(taken, unit)]}
    peaks = [one.peak for one in taken if one.peak is not None]
    return {name: short([median(column), min(column), max(column)]) for name, column in columns.items()} | {
        "peak_bytes": max(peaks, default=None)}


def lines(document: Mapping[str, Any]) -> list[str]:
    """What was found, for people."""
    found = []
    for name, measured in document["subjects"].items():
        (seconds, *_), (cpu, *_), ratio, cpu_ratio, peak = (measured[key] for key in ("seconds", "cpu", "ratio", "cpu_ratio", "peak_bytes"))
        memory = "an unknown amount" if peak is None else f"{peak / 2**20:.0f} MiB"
        found.append(f"{name:24} {seconds:7.2f} s, {spread(ratio)} of {UNITS[name]}; processor {cpu:.2f} s, {spread(cpu_ratio)}; {memory}")
    before, after = document["load"]
    return [*found, f"{document['settings']['threads']} threads, {document['machine']['cores']} cores, load {before} before, {after} after"]


def spread(of: Sequence[float]) -> str:
    """A median and its range."""
    return "{:.2f} ({:.2f} to {:.2f})".format(*of)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m sae_spec.torch_impl.program.bench.scan", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--record", type=Path)
    for name in SIZES:
        parser.add_argument(f"--{name}", type=int)
    options = parser.parse_args(argv)
    given = {name: getattr(options, name) for name in SIZES if getattr(options, name) is not None}
    found = run(SIZES | (QUICK if options.quick else {}) | given, print)
    print("\n".join(lines(found)))
    if options.record:
        replace_text(options.record, json.dumps(found, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
