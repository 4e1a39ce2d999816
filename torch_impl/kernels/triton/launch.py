"""What the Triton kernels share: block sizes from the shape, the launch, and what a kernel costs at least.

Block sizes follow from the shape by one rule and are never tuned at run time: the same shape gives the same
order of additions, hence the same bits.
"""

from typing import Any, NamedTuple

import torch
import triton
import triton.language as tl

BYTES_PER_SECOND, FLOPS_PER_SECOND = 3e12, 67e12            # H100; float32 without tensor cores
SLICE_BYTES = 32 * 2**20                                    # of an L2 cache of 50 MB (H100), 40 MB (A100)
WIDEST, NARROWEST = 512, 64                                 # columns a program reads at once
WARPS = 4


class Launch(NamedTuple):
    """A launch that was asked for on meta tensors: noted, so that it can be compiled without a GPU."""

    kernel: Any
    """the function under @triton.jit"""
    args: tuple
    constants: dict
    warps: int


class Floor(NamedTuple):
    """What a step cannot do without: every byte moved once, every multiplication and addition."""

    bytes: int
    flops: int

    @property
    def seconds(self) -> float:
        """On an H100."""
        return max(self.bytes / BYTES_PER_SECOND, self.flops / FLOPS_PER_SECOND)


noted: list[Launch] = []                                                  # the launches on meta tensors, oldest first


def launch(kernel: Any, grid: tuple[int, ...], *args: Any, warps: int = WARPS, **constants: Any) -> None:
    """Run a kernel on the device of its first argument, a tensor.

    raises  AssertionError for a tensor that is not contiguous or on another device: the kernel would read past it
    """
    for arg in args:
        if isinstance(arg, torch.Tensor):
            which = f"{kernel.__name__}: a tensor of shape {tuple(arg.shape)}"
            assert arg.is_contiguous(), f"{which} is not contiguous"
            assert arg.device == args[0].device, f"{which} is on {arg.device}, expected {args[0].device}"
    if args[0].is_meta:
        noted.append(Launch(kernel, args, constants, warps))
        return
    if 0 not in grid:                                       # nothing to do is no launch
        with torch.cuda.device_of(args[0]):
            kernel[grid](*args, num_warps=warps, **constants)


def block_width(table_rows: int, D: int, element_size: int) -> int:
    """How many of D columns a program reads at once: a power of two.

    Rows are gathered again and again from a table (table_rows, D). Programs that read the same columns run
    together, so a slice of the table that fits in L2 comes from memory once. Less padding is better, too.
    """
    def wasteful(width: int) -> bool:
        padded, padded_less = (triton.cdiv(D, block) * block for block in (width, width // 2))
        return padded_less < padded or table_rows * width * element_size > SLICE_BYTES

    width = min(WIDEST, triton.next_power_of_2(D))
    while width > NARROWEST and wasteful(width):
        width //= 2
    return width


def block_height(entries: int, segments: int, width: int, elements: int) -> int:
    """How many entries a program reads at once: a power of two, about as many as a segment has.

    elements  at most so many numbers in flight, each entry reading `width`
    """
    average = triton.cdiv(entries, max(segments, 1))
    return min(triton.next_power_of_2(max(average, 1)), max(elements // width, 1))


def wide(*tensors: torch.Tensor) -> torch.dtype:
    """The dtype in which products of these tensors are added up: at least float32."""
    dtype = torch.float32
    for tensor in tensors:
        dtype = torch.promote_types(dtype, tensor.dtype)
    return dtype


def in_triton(dtype: torch.dtype) -> Any:
    """torch's float32 or float64 as Triton's."""
    return {torch.float32: tl.float32, torch.float64: tl.float64}[dtype]
