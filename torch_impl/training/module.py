"""`SparseAutoencoder`: the spec's functions as one nn.Module, parameters and running estimates included."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

import torch
from torch import Tensor, nn

from ..sae import BATCH_RULES, THRESHOLDS, sparse_autoencoder
from ..sae.autoencoder import encode
from ..sae.initialization import initial_parameters
from ..sae.linear import decode
from ..sparse.entries import Entries
from .config import SAEConfig

HALF = (torch.float16, torch.bfloat16)


class Output(NamedTuple):
    """What `SparseAutoencoder.forward` returns. B: any number of leading dimensions of x."""

    pre: Tensor
    """(B, M) pre-activations"""
    acts: Tensor
    """(B, M) activations; few of them are not zero"""
    recon: Tensor
    """(B, D) the reconstruction by all latents"""
    recons: Tensor
    """(G, B, D) the reconstruction by each Matryoshka prefix; the last is recon, G = 1 without prefixes"""


class SparseAutoencoder(nn.Module):
    """A sparse autoencoder.

    Parameters (the keys of `state_dict` are the spec's names)
        W_dec (M, D)   b_dec (D,)   b_enc (M,)      always
        W_enc (M, D)                                untied only
        theta (M,) or log_threshold (M,)            jumprelu only, see SAEConfig.threshold_parameter
        r_mag (M,)   b_mag (M,)                     gated only

    Running estimates (buffers, which a Trainer keeps up to date)
        tokens_since_fired (M,) int64               samples since each latent last fired
        frequency_mean (M,)   frequency_batches     the running firing frequency, see frequency.running_mean
        price (M,)                                  what one firing costs the next batch; 1 unless priced
        threshold   threshold_seen                  batch rules: what stands in for the batch at inference; in a checkpoint calibrated

    `.to(torch.bfloat16)` and `.half()` cast the parameters only, and of those no thresholds: in half precision the
    estimates would stop moving, and a threshold be another one. `threshold` is always float64: that of a budget rule is a
    square, and of data around 1e-20 float32 has none.

    In train mode the batch rules (batch_topk, batch_budget_topk) choose over the batch; in eval mode each
    sample is encoded on its own, by the threshold.
    """

    config: SAEConfig
    W_dec: nn.Parameter
    b_dec: nn.Parameter
    b_enc: nn.Parameter
    W_enc: nn.Parameter                                     # this one and those that follow are not in every SAE: see above
    theta: nn.Parameter
    log_threshold: nn.Parameter
    r_mag: nn.Parameter
    b_mag: nn.Parameter
    tokens_since_fired: Tensor
    frequency_mean: Tensor
    frequency_batches: Tensor
    price: Tensor
    threshold: Tensor
    threshold_seen: Tensor

    def __init__(self, config: SAEConfig, seed: int | torch.Generator = 0, b_dec: Tensor | None = None,
                 dtype: torch.dtype = torch.float32, device: torch.device | str | None = None) -> None:
        """
        config  SAEConfig
        seed    a number or a CPU torch.Generator; the directions drawn are the same on every device
        b_dec   (D,)  the data's centre (see `Activations.centre`); 0 unless given
        dtype   of parameters and estimates: torch.float32 or torch.float64
        device  where to; the CPU unless given
        raises  ValueError for a b_dec of the wrong shape or another dtype
        """
        super().__init__()
        if dtype not in (torch.float32, torch.float64):
            raise ValueError(f"dtype must be torch.float32 or torch.float64, got {dtype}")
        self.config = config
        self.mapping = config.model_dump()                  # what the functions read
        generator = seed if isinstance(seed, torch.Generator) else torch.Generator().manual_seed(seed)
        b_dec = torch.zeros(config.D) if b_dec is None else b_dec.detach().cpu()
        if b_dec.shape != (config.D,):
            raise ValueError(f"b_dec has shape {tuple(b_dec.shape)}, expected {(config.D,)}")
        normals = torch.randn(config.M, config.D, generator=generator, dtype=torch.float32)
        for name, tensor in initial_parameters(normals.to(dtype), b_dec.to(dtype), self.mapping).items():
            self.register_parameter(name, nn.Parameter(tensor))
        estimates = {
            "tokens_since_fired": torch.zeros(config.M, dtype=torch.int64),
            "frequency_mean": torch.zeros(config.M, dtype=dtype),
            "frequency_batches": torch.zeros((), dtype=torch.int64),
            "price": torch.ones(config.M, dtype=dtype),
            "threshold": torch.zeros((), dtype=torch.float64),
            "threshold_seen": torch.zeros((), dtype=torch.int64),
        }
        for name, tensor in estimates.items():
            self.register_buffer(name, tensor)
        self.to(device)

    def encode(self, x: Tensor, check_inputs: bool = True) -> Tensor:
        """Samples to activations.

        x             (B, D); taken in the parameters' type
        check_inputs  False: leave out the checks that make a GPU wait (finite numbers, an observed threshold)
        returns acts (B, M)
        raises  ValueError that names the argument
        """
        return self._encode(x, check_inputs)[1]

    def encode_sparse(self, x: Tensor, check_inputs: bool = True) -> tuple[Tensor, Tensor]:
        """Samples to the activations that are not 0, with no dense (B, M) beyond a chunk of samples.

        x             as for `encode`, and so are the errors
        returns values (B, K), indices (B, K) int64: the latents that are on in each sample; K is the largest
                number of them in a sample, and a sample with fewer fills up with value 0 at latent 0.
                Scattered into zeros (adding, for the fill) they are what `encode` returns
        """
        values, indices = self.entries(x, check_inputs).padded()
        shape = (*x.shape[:-1], values.shape[1])
        return values.view(shape), indices.view(shape)

    def entries(self, x: Tensor, check_inputs: bool = True) -> Entries:
        """`encode` as a sparse matrix, (B, M) with B the number of all samples of x: see sparse/entries.py."""
        x = x.to(self.W_dec.dtype)
        *_, acts = sparse_autoencoder.encode(x, self.parameters_by_name(), self.mapping, self.price,
                                             self._inference_threshold(check_inputs), check_inputs)
        return acts.nonzero()

    def decode(self, acts: Tensor) -> Tensor:
        """Activations (B, M) to the reconstruction (B, D) by all latents."""
        return decode(acts, self.parameters_by_name())[-1]

    def forward(self, x: Tensor, check_inputs: bool = True) -> Output:
        """Samples to everything: see `Output`.  Arguments and errors as for `encode`."""
        pre, acts = self._encode(x, check_inputs)
        recons = decode(acts, self.parameters_by_name(), self.mapping["prefixes"])
        return Output(pre, acts, recons[-1], recons)

    if TYPE_CHECKING:                                       # nn.Module's says Any
        def __call__(self, x: Tensor, check_inputs: bool = True) -> Output: ...

    def parameters_by_name(self) -> dict[str, nn.Parameter]:
        """{name: parameter}, the `params` of the functions."""
        return dict(self.named_parameters())

    def extra_repr(self) -> str:
        chosen = self.config.model_dump(exclude_defaults=True)
        return ", ".join(f"{name}={value}" for name, value in chosen.items())

    def _encode(self, x: Tensor, check_inputs: bool) -> tuple[Tensor, Tensor]:
        _, pre, acts = encode(x.to(self.W_dec.dtype), self.parameters_by_name(), self.mapping, self.price,
                              self._inference_threshold(check_inputs), check_inputs)
        return pre, acts

    def _inference_threshold(self, check_inputs: bool) -> Tensor | None:
        """The running threshold where a batch rule must do without a batch, else None."""
        if self.training or self.config.activation not in BATCH_RULES:
            return None
        if check_inputs and not self.threshold_seen:
            raise ValueError(f"threshold was never observed; {self.config.activation} must be trained before "
                             "it encodes in eval mode (in train mode it chooses over the batch)")
        return self.threshold

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Any:
        """Every cast and move of a module passes through here; what is kept wide moves, but is not cast to half."""
        threshold = self.threshold
        wide = {id(tensor) for tensor in (*self.buffers(), *(self.parameters_by_name().get(name) for name in THRESHOLDS))}

        def careful(tensor: Tensor) -> Tensor:
            result = fn(tensor)
            if id(tensor) == id(threshold):
                return tensor.to(result.device)
            return tensor.to(result.device) if id(tensor) in wide and result.dtype in HALF else result

        return super()._apply(careful, recurse)
