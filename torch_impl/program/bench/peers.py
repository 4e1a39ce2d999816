"""The bench's subjects of other libraries: each library's own training step, driven from outside.

Runs as a script in the peers' environment (`make bench-peers`), where this package is not installed.
TopK, no dead latents, and what each library always does: SAELens and dictionary_learning clip gradients to
norm 1; dictionary_learning and sparsify keep decoder rows at norm 1, SAELens lets them go.
"""

# pyright: reportMissingImports=false
# The libraries are in the peers' environment, not in this one.

import os
from collections.abc import Callable
from importlib.metadata import version
from typing import Any


def sae_lens(weights: dict, settings: dict) -> tuple:
    """TopK of SAELens; arguments and result as in worker.py."""
    import torch
    from sae_lens import TopKTrainingSAE, TopKTrainingSAEConfig
    from sae_lens.saes.sae import TrainStepInput

    M, D = weights["W_dec"].shape
    sae = TopKTrainingSAE(TopKTrainingSAEConfig(d_in=D, d_sae=M, k=settings["k"], dtype="float32",
                                                rescale_acts_by_decoder_norm=False, apply_b_dec_to_input=True,
                                                device=settings["device"]))
    sae.load_state_dict({**weights, "W_enc": weights["W_enc"].T.contiguous()})
    optimizer = torch.optim.Adam(sae.parameters(), lr=3e-4)

    def forward(x):
        alive = torch.zeros(M, dtype=torch.bool, device=x.device)
        return sae.training_forward_pass(TrainStepInput(sae_in=x, coefficients={}, dead_neuron_mask=alive,
                                                        n_training_steps=0, is_logging_step=False)).loss

    def step(x):
        forward(x).backward()
        torch.nn.utils.clip_grad_norm_(sae.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()

    return step, without_gradient(forward), floor_of(sae)


def dictionary_learning(weights: dict, settings: dict) -> tuple:
    """TopK of dictionary_learning; arguments and result as in worker.py."""
    from dictionary_learning.trainers.top_k import TopKTrainer

    M, D = weights["W_dec"].shape
    trainer = TopKTrainer(steps=10**6, activation_dim=D, dict_size=M, k=settings["k"], layer=0, lm_name="none",
                          device=settings["device"], warmup_steps=1, decay_start=None)
    sae, steps = trainer.ae, iter(range(1, 10**6))          # step 0 would move b_dec to a median first
    sae.load_state_dict({**sae.state_dict(), "encoder.weight": weights["W_enc"], "encoder.bias": weights["b_enc"],
                         "decoder.weight": weights["W_dec"].T.contiguous(), "b_dec": weights["b_dec"]})
    loss = without_gradient(lambda x: trainer.loss(x, step=1))
    return (lambda x: trainer.update(next(steps), x)), loss, floor_of(sae)


def sparsify(weights: dict, settings: dict) -> tuple:
    """TopK of sparsify; arguments and result as in worker.py."""
    if settings["device"] == "cpu":
        os.environ["SPARSIFY_DISABLE_TRITON"] = "1"
    import torch
    from sparsify import SparseCoder, SparseCoderConfig

    M, D = weights["W_dec"].shape
    coder = SparseCoder(D, SparseCoderConfig(num_latents=M, k=settings["k"], activation="topk"),
                        device=settings["device"], dtype=torch.float32)
    coder.load_state_dict({"encoder.weight": weights["W_enc"], "encoder.bias": weights["b_enc"],
                           "W_dec": weights["W_dec"], "b_dec": weights["b_dec"]})
    optimizer = torch.optim.Adam(coder.parameters(), lr=3e-4, fused=True)

    def step(x):
        coder(x).fvu.backward()
        coder.remove_gradient_parallel_to_decoder_directions()
        optimizer.step()
        optimizer.zero_grad()
        coder.set_decoder_norm_to_unit_norm()

    def loss(x):                                            # a fraction of the variance there, a sum here
        return coder(x).fvu * (x - x.mean(0)).square().sum() / len(x)

    return step, without_gradient(loss), floor_of(coder)


def without_gradient(function: Callable[..., Any]) -> Callable[..., Any]:
    """The same function, under no_grad."""
    import torch

    def quiet(x):
        with torch.no_grad():
            return function(x)

    return quiet


def floor_of(module: Any) -> int:
    """Bytes of gradients and Adam's two moments."""
    return 3 * sum(param.numel() * param.element_size() for param in module.parameters())


SUBJECTS = {
    "SAELens topk": (sae_lens, "sae-lens"),
    "dictionary_learning topk": (dictionary_learning, "dictionary-learning"),
    "sparsify topk": (sparsify, "eai-sparsify"),
}


def subject(name: str) -> tuple[Callable[..., Any], str]:
    """A subject's function and the version of its library."""
    function, package = SUBJECTS[name]
    return function, version(package)


if __name__ == "__main__":
    from worker import serve                                # a script: its own folder is on the path

    serve(subject)
