"""python -m sae_spec.torch_impl.program.bench.scan: what candidate pairs and their counts cost, beside bare products.

    --M 65536 --D 768 --top 32 --block 4096 --repeats 1 --samples 2048
"""

import argparse
import time
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ...absorption.pairs import evidence
from ...absorption.scan import candidates, firing_floor, scan
from ...training.config import SAEConfig
from ...sae.constraints import normalize_rows
from ...absorption.detector import probability
from ...training.module import SparseAutoencoder
from .worker import OfProcess


def held(function: Callable[..., Any], *arguments: Any) -> float | None:
    """MiB that a call held at its peak, above what was there before; None where the system does not say."""
    memory = OfProcess()
    before = memory.now()
    memory.forget_peak()
    function(*arguments)
    peak = memory.peak()
    return None if before is None or peak is None else (peak - before) / 2**20


def bare(W: Tensor, block: int) -> None:
    """All of W W^T, block after block, into the same memory; nothing is done with it."""
    room = torch.empty(block * block, dtype=W.dtype)
    for i in range(0, len(W), block):
        for j in range(0, len(W), block):
            rows, columns = W[i : i + block], W[j : j + block]
            torch.mm(rows, columns.T, out=room[: len(rows) * len(columns)].view(len(rows), len(columns)))


def clock(function: Callable[..., Any], *arguments: Any) -> float:
    """Seconds that a call took."""
    began = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - began


def streamed(W: Tensor, index: Tensor, samples: int) -> tuple[float, float, float | None]:
    """Seconds of one pass over samples, to the probabilities, and of the encoder's product alone; MiB that the pass held."""
    sae = SparseAutoencoder(SAEConfig(D=W.shape[1], M=len(W), activation="topk", k=32)).eval()
    with torch.no_grad():
        sae.W_dec.copy_(W)
        sae.parameters_by_name()["W_enc"].copy_(W)
    rows = torch.randn(samples, W.shape[1], generator=torch.Generator().manual_seed(1))
    product = clock(lambda: [part @ W.T for part in rows.split(256)])
    floor = firing_floor(sae, rows)
    one_pass = lambda: probability(evidence(scan(sae, rows, index, floor), index, W))
    return clock(one_pass), product, held(one_pass)


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m sae_spec.torch_impl.program.bench.scan", description=__doc__)
    for name, default in (("M", 65_536), ("D", 768), ("top", 32), ("block", 4096), ("repeats", 1), ("samples", 2048)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args(argv)
    W = normalize_rows(torch.randn(options.M, options.D, generator=torch.Generator().manual_seed(0)))
    families = torch.arange(0, options.M - 8, 8)            # every eighth is a parent, the next its child
    W[families + 1] = normalize_rows(W[families + 1] + W[families])
    times = {"candidates": [], "bare product": []}
    for _ in range(options.repeats):                        # in turn: the machine may be shared
        times["candidates"].append(clock(candidates, W, options.top, options.block))
        times["bare product"].append(clock(bare, W, options.block))
    best = {name: min(seconds) for name, seconds in times.items()}
    ratio = best["candidates"] / best["bare product"]
    print(f"M = {options.M}, D = {options.D}, top {options.top}, {torch.get_num_threads()} threads: "
          f"candidates {best['candidates']:.1f} s, bare blocked product {best['bare product']:.1f} s, ratio {ratio:.2f}; "
          f"{told(held(candidates, W, options.top, options.block))} above the weights")
    taken, product, most = streamed(W, candidates(W, options.top, options.block), options.samples)
    print(f"one pass over {options.samples} samples, to the scores: {taken:.1f} s, the encoder's product alone {product:.1f} s; "
          f"{told(most)} above the weights")
    return 0


def told(mebibytes: float | None) -> str:
    """An amount of memory in words."""
    return "an unknown amount" if mebibytes is None else f"{mebibytes:.0f} MiB"


if __name__ == "__main__":
    raise SystemExit(main())
