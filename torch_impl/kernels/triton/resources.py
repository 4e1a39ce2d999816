"""python -m sae_spec.torch_impl.kernels.triton.resources: what the Triton kernels use of a GPU, and their floors.

Needs no GPU. The kernels' functions are called on meta tensors of the bench's shapes, which notes their
launches; each is compiled for the target, and registers, shared memory and stack are read from the machine code.
"""

import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

import torch
import triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from . import decode, gathered_dots, launch as launching, select, weight_gradient
from ..sparse_products import Transposed

TARGETS = {80: "A100", 90: "H100", 100: "B200"}             # compute capability times 10
SHARED_LIMIT = {80: 163 * 1024, 90: 227 * 1024, 100: 227 * 1024}    # bytes a program can have
REGISTERS, THREADS, PROGRAMS = 65536, 2048, 32              # of a multiprocessor, on all three
POINTERS = {torch.float64: "*fp64", torch.float32: "*fp32", torch.float16: "*fp16", torch.bfloat16: "*bf16",
            torch.int64: "*i64", torch.int32: "*i32", torch.int16: "*i16"}


class Shape(NamedTuple):
    """One size of the bench."""

    D: int
    M: int
    k: int
    B: int
    dtype: torch.dtype

    def __str__(self):
        return f"D={self.D} M={self.M} k={self.k} B={self.B} {str(self.dtype).removeprefix('torch.')}"


SHAPES = (Shape(768, 12288, 32, 2048, torch.float32), Shape(4096, 131072, 64, 8192, torch.bfloat16))


class Usage(NamedTuple):
    """What one compiled kernel uses."""

    kernel: str
    warps: int
    registers: int                                          # a thread
    shared: int                                             # bytes a program
    stack: int                                              # bytes a thread; what is spilled lies there

    @property
    def resident(self) -> int:
        """Programs that a multiprocessor holds at once; registers are handed out by eights."""
        threads, registers = 32 * self.warps, triton.cdiv(self.registers, 8) * 8
        shared = SHARED_LIMIT[80] // max(self.shared, 1)
        return min(REGISTERS // (registers * threads), THREADS // threads, PROGRAMS, shared)


def launches(shape: Shape) -> list[launching.Launch]:
    """All launches of one sparse step of that shape, topk and batch_topk, each variant once."""
    D, M, k, B, dtype = shape
    nnz = B * k
    entries = torch.empty(nnz, dtype=torch.int64, device="meta")
    offsets, by_latent = entries.new_empty(B + 1), Transposed(entries, entries, entries.new_empty(M + 1))
    pre, x, W = (torch.empty(size, dtype=dtype, device="meta") for size in ((B, M), (B, D), (M, D)))
    values = torch.empty(nnz, dtype=dtype, device="meta")
    launching.noted.clear()
    select.select(pre, k)
    select.select(pre.view(1, -1), nnz)
    decode.decode(values, entries, offsets, W)
    gathered_dots.gathered_dots(x, entries, offsets, W)
    weight_gradient.weight_gradient(values, x, by_latent)
    variants = {(*source(launch)[1:], launch.warps): launch for launch in launching.noted}
    launching.noted.clear()
    return list(variants.values())


def source(launch: launching.Launch) -> tuple[ASTSource, str, str, str, str]:
    """(ASTSource, and as text what makes it different from another), with the guarantees a real launch gives.

    Tensors start at a multiple of 16 bytes; a whole number that is one is known as such, and a 1 is a constant.
    """
    signature, constants, attributes = {}, dict(launch.constants), {}
    for at, name in enumerate(launch.kernel.arg_names):
        arg = launch.args[at] if at < len(launch.args) else None
        if isinstance(arg, torch.Tensor):
            signature[name] = POINTERS[arg.dtype]
        elif arg is not None and arg != 1:
            signature[name] = "i32" if abs(arg) < 2**31 else "i64"
        else:
            signature[name] = "constexpr"
            constants.setdefault(name, arg)
        if isinstance(arg, torch.Tensor) or (arg is not None and arg % 16 == 0):
            attributes[at,] = [["tt.divisibility", 16]]
    described = (launch.kernel.__name__, str(signature), str(constants), str(attributes))
    return ASTSource(launch.kernel, signature, constants, attributes), *described


def usage(launch: launching.Launch, target: int) -> Usage:
    """Compile one launch for a target, a key of TARGETS, and read what the machine code uses."""
    from triton import knobs                                # the older versions that can run the kernels have none

    compiled = triton.compile(source(launch)[0], target=GPUTarget("cuda", target, 32),
                              options={"num_warps": launch.warps})
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "kernel.cubin"
        path.write_bytes(compiled.asm["cubin"])
        told = subprocess.run([knobs.nvidia.cuobjdump.path, "--dump-resource-usage", path],
                              capture_output=True, text=True, check=True).stdout
    words = dict(word.split(":") for word in told.split() if word.count(":") == 1 and not word.endswith(":"))
    shared, stack = compiled.metadata.shared + int(words["SHARED"]), int(words["STACK"]) + int(words["LOCAL"])
    return Usage(launch.kernel.__name__, launch.warps, int(words["REG"]), shared, stack)


def floors(shape: Shape) -> dict[str, launching.Floor]:
    """{step: Floor} at that shape."""
    D, M, k, B, dtype = shape
    nnz, size = B * k, dtype.itemsize
    return {"select": select.floor(B, k, M, size), "decode": decode.floor(B, nnz, D, M, size),
            "gathered_dots": gathered_dots.floor(B, nnz, D, M, size),
            "weight_gradient": weight_gradient.floor(B, nnz, D, M, size)}


def table(target: int, shape: Shape, usages: list[Usage]) -> str:
    """The usages on one target as text."""
    rows = [("kernel", "warps", "registers", "shared", "stack", "resident"), *((*u, u.resident) for u in usages)]
    lines = [f"  {row[0]:15s}" + "".join(f"{cell:>11}" for cell in row[1:]) for row in rows]
    return "\n".join([f"sm_{target} ({TARGETS[target]}), {shape}", *lines])


def main() -> int:
    """Print everything; returns the exit status 0."""
    for shape in SHAPES:
        compiled = launches(shape)
        for target in TARGETS:
            print(table(target, shape, [usage(launch, target) for launch in compiled]))
        print("floors on an H100")
        for step, floor in floors(shape).items():
            mega, giga, micro = floor.bytes / 1e6, floor.flops / 1e9, 1e6 * floor.seconds
            print(f"  {step:15s} {mega:9.1f} MB {giga:8.1f} GFLOP {micro:8.0f} us")
    return 0


if __name__ == "__main__":
    sys.exit(main())
