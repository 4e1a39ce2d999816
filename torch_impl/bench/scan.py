"""python -m sae_spec.torch_impl.bench.scan: what candidate pairs cost, beside the bare blocked product.

    --M 65536 --D 768 --top 32 --block 4096 --repeats 1
"""

import argparse
import sys
import time

import torch

from ..absorption_scan import candidates
from ..constraints import normalize_rows


def peak():
    """Most memory this process ever held, in bytes; None where the system does not say."""
    try:
        import resource
    except ImportError:                                     # not a POSIX system
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def bare(W, block):
    """All of W W^T, block after block, into the same memory; nothing is done with it."""
    room = torch.empty(block * block, dtype=W.dtype)
    for i in range(0, len(W), block):
        for j in range(0, len(W), block):
            rows, columns = W[i : i + block], W[j : j + block]
            torch.mm(rows, columns.T, out=room[: len(rows) * len(columns)].view(len(rows), len(columns)))


def clock(function, *arguments):
    began = time.perf_counter()
    function(*arguments)
    return time.perf_counter() - began


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m sae_spec.torch_impl.bench.scan", description=__doc__)
    for name, default in (("M", 65_536), ("D", 768), ("top", 32), ("block", 4096), ("repeats", 1)):
        parser.add_argument(f"--{name}", type=int, default=default)
    options = parser.parse_args(argv)
    W = normalize_rows(torch.randn(options.M, options.D, generator=torch.Generator().manual_seed(0)))
    families = torch.arange(0, options.M - 8, 8)            # every eighth is a parent, the next its child
    W[families + 1] = normalize_rows(W[families + 1] + W[families])
    before = peak()
    times = {"candidates": [], "bare product": []}
    for _ in range(options.repeats):                        # in turn: the machine may be shared
        times["candidates"].append(clock(candidates, W, options.top, options.block))
        after = peak()
        times["bare product"].append(clock(bare, W, options.block))
    best = {name: min(found) for name, found in times.items()}
    ratio = best["candidates"] / best["bare product"]
    print(f"M = {options.M}, D = {options.D}, top {options.top}, {torch.get_num_threads()} threads: "
          f"candidates {best['candidates']:.1f} s, bare blocked product {best['bare product']:.1f} s, "
          f"ratio {ratio:.2f}"
          + (f"; {(after - before) / 2**20:.0f} MiB above the weights" if before else ""))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
