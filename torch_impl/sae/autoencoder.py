"""SAE: encode and decode; tied, untied, gated, Matryoshka.

params  {name: tensor}: W_dec (M, D), b_dec (D,), b_enc (M,); untied: W_enc (M, D);
        jumprelu: log_threshold (M,); gated: r_mag, b_mag (M,)
config  any mapping: "activation", "k", "bandwidth", "subtract_b_dec" (True), "prefixes" ([M])
"""

from itertools import accumulate, pairwise

import torch

from .activations import jumprelu, relu, threshold
from .constraints import row_norms
from .gated import gated
from .inference import batch_topk_inference, budget_thresholds
from ..kernels.product import product
from ..kernels.precision import widen
from .selection import abs_topk, batch_budget_topk, batch_topk, budget_topk, topk

BY_SIZE = {"topk": topk, "batch_topk": batch_topk, "abs_topk": abs_topk}
BY_DENSITY = {"budget_topk": budget_topk, "batch_budget_topk": batch_budget_topk}
ACTIVATIONS = ("relu", "jumprelu", "gated", *BY_SIZE, *BY_DENSITY)


def encoder_weight(params):
    """W_enc (M, D); a tied SAE's is W_dec itself.  Clauses: SAE-2, SAE-9."""
    return params["W_enc"] if "W_enc" in params else params["W_dec"]


def encode(x, params, config, price=None, inference_threshold=None, check_inputs=True):
    """Samples x (B, D) to shared, pre, acts, each (B, M) in x's dtype.

    price                (M,)  the budget rules only
    inference_threshold  a number: the batch rules then choose sample by sample
    check_inputs         False skips the checks of values, which wait for the device; shapes always are

    Everything up to the choice is computed in at least float32; each result is rounded once.
    Clauses: SAE-1, SAE-3, SAE-4, SAE-8, SAE-10.
    """
    check(x, params if price is None else {**params, "price": price}, finite=check_inputs)
    centred, b_dec, b_enc = widen(x, params["b_dec"], params["b_enc"])
    if config.get("subtract_b_dec", True):
        centred = centred - b_dec                           # (B, D)
    shared = product(centred, encoder_weight(params))       # (B, M)
    pre = shared + b_enc                                    # (B, M)
    acts = activate(shared, pre, params, config, price, inference_threshold, check_inputs)
    return shared.to(x.dtype), pre.to(x.dtype), acts.to(x.dtype)


def activate(shared, pre, params, config, price=None, inference_threshold=None, check_inputs=True):
    """The activation that `config` names, on (B, M)."""
    name, k = config["activation"], config.get("k")
    if name in BY_DENSITY:
        return _activate_by_density(pre, params["W_dec"], name, k, price, inference_threshold, check_inputs)
    if name == "batch_topk" and inference_threshold is not None:
        return batch_topk_inference(pre, inference_threshold, check_inputs)
    if name in BY_SIZE:
        return BY_SIZE[name](pre, k)
    if name == "jumprelu":
        return jumprelu(pre, threshold(params["log_threshold"]), config.get("bandwidth"), check_inputs=False)
    if name == "gated":
        return gated(shared, params["b_enc"], params["r_mag"], params["b_mag"])
    if name == "relu":
        return relu(pre)
    raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {name!r}")


def _activate_by_density(pre, W_dec, name, k, price, inference_threshold, check_inputs):
    """The frequency-aware rules; what they weigh with is constant (ACT-20)."""
    if price is None:
        raise ValueError(f"price is needed by {name}, got None")
    price, dec_norm = price.detach(), row_norms(W_dec.detach())                   # (M,), (M,)
    if name == "batch_budget_topk" and inference_threshold is not None:
        theta = budget_thresholds(inference_threshold, price, dec_norm, check_inputs)
        return jumprelu(pre, theta, check_inputs=False)
    return BY_DENSITY[name](pre, k, price, dec_norm, check_inputs)


def decode(acts, params, prefixes=None):
    """Activations (B, M) to reconstructions (G, B, D) in acts' dtype, one for each prefix of the latents.

    Each slice between two prefixes is multiplied once; a prefix's reconstruction is the sum so far.
    Clauses: SAE-5, SAE-6, SAE-7.
    """
    wide, W_dec, b_dec = widen(acts, params["W_dec"], params["b_dec"])
    prefixes = check_prefixes([len(W_dec)] if prefixes is None else prefixes, len(W_dec))
    slices = (wide[..., m:n] @ W_dec[m:n] for m, n in pairwise([0, *prefixes]))   # (B, D) each
    _, *recons = accumulate(slices, initial=b_dec)
    return torch.stack(recons).to(acts.dtype)


def check_prefixes(prefixes, M):
    """The prefixes as ints, or a ValueError.  Clauses: SAE-7."""
    whole = all(m == int(m) for m in prefixes)
    if not whole or list(prefixes[-1:]) != [M] or any(m >= n for m, n in pairwise([0, *prefixes])):
        raise ValueError(f"prefixes must increase from at least 1 to M = {M}, got {prefixes}")
    return [int(m) for m in prefixes]


def check(x, params, finite=True):
    """Shapes that fit and, unless told otherwise, finite numbers.  Clauses: SAE-11, SAE-12."""
    W_dec = params["W_dec"]
    if W_dec.dim() != 2:
        raise ValueError(f"W_dec has shape {tuple(W_dec.shape)}, expected (M, D)")
    M, D = W_dec.shape
    shapes = {"x": (*x.shape[:-1], D), "W_dec": (M, D), "W_enc": (M, D), "b_dec": (D,)}
    tensors = {"x": x, **params}
    for name, tensor in tensors.items():
        want = shapes.get(name, (M,))
        if tensor.shape != want:
            raise ValueError(f"{name} has shape {tuple(tensor.shape)}, expected {want}")
    if finite and not torch.compiler.is_compiling():
        check_finite(tensors)


def check_finite(tensors):
    """ValueError for the first tensor that is not finite; waits for the device once.  Clauses: SAE-11.

    A sum is finite only if every number is: one quick pass. One that merely overflowed is looked at closely.
    """
    totals = torch.stack([widen(tensor).sum().double() for tensor in tensors.values()])
    for (name, tensor), good in zip(tensors.items(), totals.isfinite().tolist()):
        if not good and not tensor.isfinite().all():
            raise ValueError(f"{name} holds a number that is not finite")
