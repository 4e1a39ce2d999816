"""python -m sae_spec.torch_impl.program.gpu_check: everything that needs a GPU, on the one that is here.

The kernels against the torch path, the suite on the device, each kernel's time against its floor. It uses the
packages that are installed and fetches nothing. `make gpu` runs it, then the bench.
"""

import os
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from statistics import median

NEEDED = ("torch", "triton", "numpy", "scipy", "safetensors", "pydantic", "pytest", "hypothesis", "jsonschema",
          "rich", "typer")


def main():
    """Returns the exit status: 0, 1 where something failed, 2 where it could not begin."""
    missing = [package for package in NEEDED if not find_spec(package)]
    if missing:
        print(f"error: {sys.executable} has no {', '.join(missing)}; nothing is fetched here", file=sys.stderr)
        return 2
    import sae_spec.spec_tests
    import torch
    import triton

    if not torch.cuda.is_available():
        print(f"error: torch {torch.__version__} finds no GPU here", file=sys.stderr)
        return 2
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, triton {triton.__version__}", flush=True)
    env = os.environ | {"SAE_SPEC_DEVICE": "cuda", "SAE_SPEC_KERNELS": "", "TRITON_INTERPRET": "0"}
    suite = Path(sae_spec.spec_tests.__file__).parent
    status = [subprocess.run([sys.executable, "-m", *words], env=env).returncode for words in (
        ["pytest", "-q", "-c", os.devnull, f"--rootdir={suite}", "--import-mode=importlib",
         "-p", "no:cacheprovider", suite / "ours" / "kernels" / "kernel_properties.py"],
        ["sae_spec.spec_tests", "--adapter", "torch_impl", "--effort", "quick"])]
    from ..kernels.triton.resources import SHAPES

    for shape in SHAPES:
        print(table(shape, measure(shape, "cuda")), flush=True)
    return 1 if any(status) else 0


def measure(shape, device):
    """{step: (median seconds of the kernel, of the torch path)} at a resources.Shape."""
    import torch

    from ..kernels import FORCED, select, sparse_products
    from ..kernels.triton import decode, gathered_dots, weight_gradient
    from ..kernels.triton import select as triton_select

    D, M, k, B, dtype = shape
    torch.manual_seed(0)
    pre, x, W = (torch.randn(size, dtype=dtype, device=device) for size in ((B, M), (B, D), (M, D)))
    values, indices = (selected.flatten() for selected in triton_select.select(pre, k))
    offsets = torch.arange(0, B * k + 1, k, device=device)
    by_latent = sparse_products.transpose(indices, offsets, M)
    steps = {"select": (triton_select, select, (pre, k)),
             "decode": (decode, sparse_products, (values, indices, offsets, W)),
             "gathered_dots": (gathered_dots, sparse_products, (x, indices, offsets, W)),
             "weight_gradient": (weight_gradient, sparse_products, (values, x, by_latent))}
    before = os.environ.get(FORCED)
    os.environ[FORCED] = "torch"                            # the plain names take the torch path
    try:
        return {step: tuple(seconds(getattr(file, step), args) for file in (kernel, plain))
                for step, (kernel, plain, args) in steps.items()}
    finally:
        os.environ.pop(FORCED) if before is None else os.environ.update({FORCED: before})


def seconds(function, args, runs=20):
    """Median time of a call, the device waited for; the first three, which compile, are not counted."""
    import torch

    wait = torch.cuda.synchronize if args[0].is_cuda else lambda: None
    times = []
    for _ in range(runs + 3):
        wait()
        start = time.perf_counter()
        function(*args)
        wait()
        times.append(time.perf_counter() - start)
    return median(times[3:])


def table(shape, measured):
    """What was measured beside the floors, as text."""
    from ..kernels.triton.resources import floors

    floor = floors(shape)
    lines = [str(shape), "  microseconds     floor   kernel   torch"]
    for step, (kernel, plain) in measured.items():
        lines.append(f"  {step:15s} {1e6 * floor[step].seconds:7.0f} {1e6 * kernel:8.0f} {1e6 * plain:7.0f}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
