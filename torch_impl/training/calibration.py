"""What a batch rule does once there is no batch: its threshold, read off samples, and numbers that show it in eval mode.

The running threshold lags behind parameters that move. At every checkpoint it is replaced by one that is calibrated on
some samples, and on others it is measured how the SAE then does in eval mode. Which samples these are does not depend on how
a run was stopped and resumed.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ..kernels.product import products
from ..sae.constraints import row_norms
from ..sae.frequency import firing_counts
from ..sae.inference import Contenders
from ..sae.linear import check, decode, encoder_weight
from ..sae.selection import density
from .data import Activations
from .module import SparseAutoencoder

if TYPE_CHECKING:
    from .trainer import BatchSource

SAMPLES = 8192                                              # the mean L0 of so many is known to about 1 %


@torch.no_grad()
def calibrated(sae: SparseAutoencoder, samples: Iterable[Tensor]) -> Tensor:
    """The threshold at which `samples` spend k on average, one chunk of pre-activations in memory at a time.

    sae      of a batch rule
    samples  batches (B, D), at least one sample in all
    returns a 0-d tensor
    raises  ValueError for no samples, a wrong D, or numbers that are not finite
    """
    params, k = sae.parameters_by_name(), sae.config.k
    assert k is not None, "a batch rule has a k"
    x = torch.cat([batch.reshape(-1, sae.config.D).to(sae.W_dec) for batch in samples] or [sae.W_dec[:0]])
    check(x, params)
    by_density = sae.config.activation == "batch_budget_topk"
    price, norms = (sae.price, row_norms(sae.W_dec)) if by_density else (torch.ones_like(sae.price), None)
    contenders = Contenders(len(x), k, price)
    for _, pre in products(x - sae.b_dec if sae.config.subtract_b_dec else x, encoder_weight(params), sae.b_enc):
        contenders.see(pre if norms is None else density(pre.relu(), price, norms))
    return contenders.threshold()


def set_threshold(sae: SparseAutoencoder, samples: Iterable[Tensor]) -> None:
    """Replace the running threshold of a batch rule by a calibrated one; arguments and errors as for `calibrated`."""
    sae.threshold.copy_(calibrated(sae, samples))
    sae.threshold_seen.clamp_(min=1)


@torch.no_grad()
def measured(sae: SparseAutoencoder, samples: Iterable[Tensor]) -> dict[str, float | None]:
    """How an SAE does in eval mode.

    samples  batches (B, D), at least one, in the unit in which the SAE was trained
    returns dict of numbers
        eval_active        mean number of latents that are on in a sample
        eval_price_spent   mean price of the latents that are on in a sample
        eval_unexplained   fraction of the samples' variance that is not reconstructed; None if they have none
        threshold          what stands in for the batch
    """
    x, was_training = torch.cat([batch.reshape(-1, sae.config.D) for batch in samples]).to(sae.W_dec), sae.training
    acts = sae.eval().entries(x)                            # (N, M)
    sae.train(was_training)
    counts = firing_counts(acts)                            # (M,)
    error = ((x - decode(acts, sae.parameters_by_name())[-1]) ** 2).sum()
    variance = ((x - x.mean(0)) ** 2).sum()
    numbers = {"eval_active": counts.sum() / len(x), "eval_price_spent": counts.to(sae.price) @ sae.price / len(x),
               "eval_unexplained": error / variance, "threshold": sae.threshold}
    return {name: float(number) for name, number in numbers.items()} | ({} if variance > 0 else {"eval_unexplained": None})


def two_samples(data: "BatchSource", steps_done: int, batch_size: int, seed: int) -> tuple[list[Tensor], list[Tensor]]:
    """Samples to calibrate on, and samples to measure with, each a list of batches.

    Rows from all over the data where it can draw them; else both times the latest batches, and few of those early in a run.
    """
    if isinstance(data, Activations):
        return [data.sample(SAMPLES, seed + 1)], [data.sample(SAMPLES, seed + 2)]
    latest = max(0, steps_done - -(-SAMPLES // batch_size))
    batches = list(data.batches(latest, steps_done, batch_size, seed))
    return batches, batches
