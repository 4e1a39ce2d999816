"""SAE: tied, untied, gated, Matryoshka; dense from samples to reconstructions.

params  {name: tensor}, see linear.py
config  any mapping: "activation", "k", "bandwidth", "subtract_b_dec" (True), "prefixes" ([M])
B stands for any number of leading dimensions.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor

from ..sparse.entries import Matrix
from .activations import jumprelu, relu, thresholds
from .constraints import row_norms
from .gated import gated
from .inference import batch_topk_inference, budget_thresholds
from .linear import check, decode, pre_activations
from .selection import abs_topk, batch_budget_topk, batch_topk, budget_topk, topk

_BY_SIZE = {"topk": topk, "batch_topk": batch_topk, "abs_topk": abs_topk}
_BY_DENSITY = {"budget_topk": budget_topk, "batch_budget_topk": batch_budget_topk}
ACTIVATIONS = ("relu", "jumprelu", "gated", *_BY_SIZE, *_BY_DENSITY)


class Batch(NamedTuple):
    """Samples and what the SAE makes of them, in the order in which it is computed.

    pre and acts are both tensors, or both Entries where the step was sparse.
    """

    x: Tensor
    """(B, D) the samples"""
    shared: Tensor | None
    """(B, M) read along each latent's encoder direction; None where the step was sparse"""
    pre: Matrix
    """(B, M) pre-activations"""
    acts: Matrix
    """(B, M) activations"""
    recons: Tensor
    """(G, B, D) reconstructions, one for each prefix"""


def activate(shared: Tensor, pre: Tensor, params: Mapping[str, Tensor], config: Mapping[str, Any],
             price: Tensor | None = None, inference_threshold: float | Tensor | None = None,
             check_inputs: bool = True) -> Tensor:
    """The activation that config["activation"] names.

    shared, pre          (B, M)
    price                (M,)  needed by the budget rules
    inference_threshold  a number: the batch rules then judge each sample by itself
    check_inputs         False skips the checks of values, which wait for the device
    returns acts (B, M)
    raises  ValueError for an activation that is not known, or a price that is missing

    What the budget rules weigh with is constant (ACT-20).
    """
    name: str = config["activation"]
    k: Any = config.get("k")                                # the rules say what it must be
    if name in _BY_DENSITY:
        if price is None:
            raise ValueError(f"price is needed by {name}, got None")
        price, dec_norm = price.detach(), row_norms(params["W_dec"].detach())    # (M,), (M,)
        if name == "batch_budget_topk" and inference_threshold is not None:
            theta = budget_thresholds(inference_threshold, price, dec_norm, check_inputs)
            return jumprelu(pre, theta, check_inputs=False)
        return _BY_DENSITY[name](pre, k, price, dec_norm, check_inputs)
    if name == "batch_topk" and inference_threshold is not None:
        return batch_topk_inference(pre, inference_threshold, check_inputs)
    if name in _BY_SIZE:
        return _BY_SIZE[name](pre, k)
    if name == "jumprelu":
        return jumprelu(pre, thresholds(params, check_inputs), config.get("bandwidth"), check_inputs=False)
    if name == "gated":
        return gated(shared, params["b_enc"], params["r_mag"], params["b_mag"])
    if name == "relu":
        return relu(pre)
    raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {name!r}")


def encode(x: Tensor, params: Mapping[str, Tensor], config: Mapping[str, Any], price: Tensor | None = None,
           inference_threshold: float | Tensor | None = None,
           check_inputs: bool = True) -> tuple[Tensor, Tensor, Tensor]:
    """Samples to activations.

    x                                         (B, D)
    price, inference_threshold, check_inputs  as for `activate`; shapes are always checked
    returns shared, pre, acts, each (B, M) in x's dtype
    raises  ValueError that names the argument for wrong shapes and numbers that are not finite

    Everything up to the choice is computed in at least float32; each result is rounded once.
    """
    check(x, params if price is None else {**params, "price": price}, finite=check_inputs)
    shared, pre = pre_activations(x, params, config)        # (B, M) each
    acts = activate(shared, pre, params, config, price, inference_threshold, check_inputs)
    return shared.to(x.dtype), pre.to(x.dtype), acts.to(x.dtype)


def forward(x: Tensor, params: Mapping[str, Tensor], config: Mapping[str, Any], price: Tensor | None = None) -> Batch:
    """Samples to activations and back to samples.

    x (B, D), price (M,) where a budget rule needs it
    raises  ValueError as `encode` and `decode` do
    """
    shared, pre, acts = encode(x, params, config, price)    # (B, M) each
    return Batch(x, shared, pre, acts, decode(acts, params, config.get("prefixes")))
