"""Production as an adapter: functions by autograd, whole steps by the Trainer."""

import os

import torch

from sae_spec.spec_tests.operations import OPERATIONS, run_operation
from sae_spec.spec_tests.operations.roads import road
from sae_spec.torch_impl.kernels.precision import widen

NAME, VERSION, DTYPES = "torch_impl", "0.1.0", ["float64", "float32", "float16", "bfloat16"]
DEVICE = os.environ.get("SAE_SPEC_DEVICE", "cpu")        # "cuda": the same suite on the GPU
ON = road("torch_impl", torch)


def run(operation, config, inputs, dtype):
    """See `sae_spec.spec_tests.core.adapter`."""
    record = OPERATIONS.get(operation)
    state = record.state() if record else ()
    outputs = run_operation(ON, operation, config, tensors(inputs, getattr(torch, dtype), state))
    return {name: as_numpy(value) for name, value in outputs.items()}


def tensors(inputs, dtype, state):
    """Inputs as tensors: rounded to `dtype`, running estimates then widened."""
    rounded = {name: torch.as_tensor(array, device=DEVICE).to(dtype) for name, array in inputs.items()}
    return {name: widen(tensor) if name in state else tensor for name, tensor in rounded.items()}


def as_numpy(value):
    """A float64 array of a tensor or a number."""
    value = value if torch.is_tensor(value) else torch.tensor(value, dtype=torch.float64)
    return value.detach().double().cpu().numpy()
