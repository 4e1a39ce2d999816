"""The bench's subjects of this package: `python -m sae_spec.torch_impl.program.bench.ours NAME FOLDER`."""

from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from ...training.config import Activation, SAEConfig, TrainingConfig
from ...training.module import SparseAutoencoder
from ...training.trainer import Trainer
from .worker import serve

Subject = tuple[Callable[[Tensor], Any], Callable[[Tensor], Tensor] | None, int]      # step, loss, floor: see worker.py

SUBJECTS = {
    "product": lambda weights, settings: product(weights),
    "topk": lambda weights, settings: trainer(weights, settings, "topk"),
    "batch_topk": lambda weights, settings: trainer(weights, settings, "batch_topk"),
    "topk bf16": lambda weights, settings: trainer(weights, settings, "topk", "bfloat16"),
    "batch_topk bf16": lambda weights, settings: trainer(weights, settings, "batch_topk", "bfloat16"),
    "encode topk": lambda weights, settings: encoder(weights, settings),
}


def product(weights: Mapping[str, Tensor]) -> Subject:
    """The encoder's product alone."""
    W = weights["W_enc"]
    return (lambda x: F.linear(x, W)), None, 0


def sae_with(weights: Mapping[str, Tensor], settings: Mapping[str, Any], activation: Activation) -> SparseAutoencoder:
    """An SAE with these weights."""
    M, D = weights["W_dec"].shape
    sae = SparseAutoencoder(SAEConfig(D=D, M=M, activation=activation, k=settings["k"]),
                            device=settings["device"])
    sae.load_state_dict({**sae.state_dict(), **weights})
    return sae


def trainer(weights: Mapping[str, Tensor], settings: Mapping[str, Any], activation: Activation,
            precision: Literal["float32", "bfloat16"] = "float32") -> Subject:
    """Whole training steps."""
    sae = sae_with(weights, settings, activation)
    training = TrainingConfig(steps=10**6, batch_size=settings["B"], dead_after=10**9, warmup_steps=0,
                              precision=precision)
    subject = Trainer(sae, training)
    floor = 3 * sum(param.numel() * param.element_size() for param in sae.parameters())

    def loss(x: Tensor) -> Tensor:
        with torch.no_grad():
            return (x - sae(x).recon).square().sum() / len(x)

    return subject.step, loss, floor


def encoder(weights: Mapping[str, Tensor], settings: Mapping[str, Any]) -> Subject:
    """Inference: samples to values and indices."""
    sae = sae_with(weights, settings, "topk").eval()

    def step(x: Tensor) -> None:
        with torch.no_grad():
            sae.encode_sparse(x, check_inputs=False)

    return step, None, 0


if __name__ == "__main__":
    serve(lambda name: (SUBJECTS[name], ""))
