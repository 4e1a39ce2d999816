"""The Triton kernels where there is no GPU: run by Triton's interpreter, and compiled for three GPUs.

What this cannot show: speed, and races between threads, which the interpreter runs one after the other.
`make gpu` repeats it all on a GPU.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("torch")
if sys.platform != "linux":
    pytest.skip("Triton has no build for this system: there is no compiler to test its kernels with, and torch's own functions, "
                "which all other tests run, take their place", allow_module_level=True)

from sae_spec.spec_tests.core.cases import golden_cases  # noqa: E402
from sae_spec.torch_impl.kernels.triton import resources  # noqa: E402

HERE = Path(__file__).parent
INTERPRETED = {"SAE_SPEC_KERNELS": "interpreter", "TRITON_INTERPRET": "1"}      # read while Triton is imported
HALF_OR_SINGLE = [word for dtype in ("float32", "bfloat16", "float16") for word in ("--dtype", dtype)]
RUNS = {case.config["activation"]: case.id for case in golden_cases() if case.id.startswith("training-run-")}     # one of each
TINY = resources.Shape(1, 20000, 1, 3, resources.torch.float16)                 # sizes of 1 are compiled in


def interpreted(*words):
    """Run Python in a process of its own whose kernels are interpreted; everything it runs must pass."""
    done = subprocess.run([sys.executable, *words], capture_output=True, text=True, env=os.environ | INTERPRETED)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-2000:]
    assert " passed" in done.stdout and " skipped" not in done.stdout, done.stdout[-1000:]



@pytest.mark.long
def test_kernels_equal_the_torch_path():
    """See kernel_properties.py."""
    interpreted("-m", "pytest", "-c", os.devnull, f"--rootdir={HERE.parents[1]}", "--import-mode=importlib", "-p", "no:cacheprovider",
                "-W", "error", "-q", "--effort", "quick", str(HERE / "kernel_properties.py"))



@pytest.mark.long
def test_production_agrees_with_the_reference_through_the_kernels():
    interpreted("-m", "sae_spec.spec_tests", "--adapter", "torch_impl", "--effort", "quick", *HALF_OR_SINGLE,
                "-k", "test_agreement")


@pytest.mark.long(begins_first=True)
def test_golden_cases_hold_through_the_kernels():
    """Without the two cases of 8192 latents: blocks are a CPU's way, and what is interpreted takes minutes for so many."""
    interpreted("-m", "sae_spec.spec_tests", "--adapter", "torch_impl", *HALF_OR_SINGLE,
                "-k", "test_golden_case and not training- and not sparse-by-blocks-")


@pytest.mark.long(begins_first=True)
def test_whole_runs_hold_through_the_kernels():
    """The golden cases that take longest, and first, so that no core waits for another at the end.

    In float32: of a run in half precision weights and moments are float32 too, and what kernels read in a half type, the other golden
    cases have them read. A run for each activation, as the others take the same kernels through the same sizes. `make gpu` runs
    all of them in every type.
    """
    interpreted("-m", "sae_spec.spec_tests", "--adapter", "torch_impl", "--dtype", "float32",
                "-k", f"test_golden_case and training- and (not training-run- or {' or '.join(RUNS.values())})")


@pytest.mark.parametrize("target", resources.TARGETS)
@pytest.mark.parametrize("shape", [*resources.SHAPES, TINY], ids=lambda shape: f"M{shape.M}")
def test_kernels_fit_the_gpu(shape, target):
    """Compiled ahead of time: nothing spilled, and several programs to a multiprocessor, or it waits for memory."""
    usages = [resources.usage(launch, target) for launch in resources.launches(shape)]
    print(resources.table(target, shape, usages))
    expected = {"tile_kernel", "count_kernel", "write_kernel", "segment_kernel", "dots_kernel", "latent_kernel"}
    assert expected - {u.kernel for u in usages} <= ({"count_kernel", "write_kernel"} if shape is TINY else set())
    for u in usages:
        assert u.stack == 0, f"{u.kernel} spills {u.stack} bytes a thread"
        assert u.registers <= 255 and u.shared <= resources.SHARED_LIMIT[target] // 4 and u.resident >= 2, u


@pytest.mark.parametrize("shape", resources.SHAPES, ids=lambda shape: f"M{shape.M}")
def test_floors_are_of_the_size_that_was_worked_out_by_hand(shape):
    """To a tenth: what each step must move, W or its gradient foremost; never the (B, M) matrix after selection."""
    D, M, k, B, dtype = shape
    size, dense = dtype.itemsize, D * M
    by_hand = {"select": B * M * size, "decode": dense * size + B * D * 4, "gathered_dots": dense * size + B * D * size,
               "weight_gradient": dense * 4 + B * D * size}
    for step, floor in resources.floors(shape).items():
        assert floor.bytes == pytest.approx(by_hand[step], rel=0.1)
        assert floor.seconds == floor.bytes / 3e12, "all are bound by memory"
