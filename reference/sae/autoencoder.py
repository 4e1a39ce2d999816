"""SAE: a sparse autoencoder, forward and backward.

    shared, pre = pre_activations(x)              linear.py
    acts        = activation(pre)                 few of them are not zero
    recons      = decode(acts)                    linear.py

`params` is a dictionary of arrays (see `linear.py`); a tied SAE is one without W_enc. `config` is a dictionary:
"activation" (relu, jumprelu, gated, topk, batch_topk, abs_topk, budget_topk or batch_budget_topk), "k" and "bandwidth"
where the activation takes them, "subtract_b_dec" (True unless given) and "prefixes" ([M] unless given).
B stands for any number of leading dimensions.
"""

from typing import NamedTuple

import numpy as np

from .activations import jumprelu, jumprelu_backward, relu, relu_backward, thresholds, thresholds_backward
from .constraints import row_norms
from .gated import gated, gated_backward
from .inference import batch_topk_inference, budget_thresholds
from .linear import check, decode, decode_backward, pre_activations, pre_activations_backward
from .selection import abs_topk, batch_budget_topk, batch_topk, budget_topk, selection_backward, topk


class Batch(NamedTuple):
    """Samples and what the SAE makes of them, in the order in which it is computed."""

    x: np.ndarray                  # (B, D)     the samples
    shared: np.ndarray             # (B, M)     read along each latent's encoder direction
    pre: np.ndarray                # (B, M)     pre-activations
    acts: np.ndarray               # (B, M)     activations
    recons: np.ndarray             # (G, B, D)  reconstructions, one for each prefix


def activate(shared, pre, params, config, price=None, inference_threshold=None):
    """The activation that config["activation"] names.

    shared, pre          (B, M)
    price                (M,)  needed by the budget rules
    inference_threshold  a number: the batch rules then judge each sample by itself (see `inference.py`)
    returns acts (B, M)
    raises  ValueError for an activation that is not known, or a price that is missing
    """
    name, k = config["activation"], config.get("k")
    if "budget" in name and price is None:
        raise ValueError(f"price is needed by {name}")
    if inference_threshold is not None:
        if name == "batch_topk":
            return batch_topk_inference(pre, inference_threshold)
        if name == "batch_budget_topk":
            return jumprelu(pre, budget_thresholds(inference_threshold, price, row_norms(params["W_dec"])))
    if name == "relu":
        return relu(pre)
    if name == "jumprelu":
        return jumprelu(pre, thresholds(params))
    if name == "gated":
        return gated(shared, params["b_enc"], params["r_mag"], params["b_mag"])
    if name in ("budget_topk", "batch_budget_topk"):
        rule = {"budget_topk": budget_topk, "batch_budget_topk": batch_budget_topk}[name]
        return rule(pre, k, price, row_norms(params["W_dec"]))
    if name in ("topk", "batch_topk", "abs_topk"):
        return {"topk": topk, "batch_topk": batch_topk, "abs_topk": abs_topk}[name](pre, k)
    raise ValueError(f"activation {name!r} is not known")


def activate_backward(d_acts, shared, pre, acts, params, config):
    """Gradient of `activate`: to shared, to pre, and to the activation's own parameters.

    d_acts, shared, pre, acts  (B, M)
    returns d_shared (B, M), d_pre (B, M), gradients by parameter name
    """
    nothing = np.zeros_like(pre)                            # (B, M)
    if config["activation"] == "gated":
        d_shared, d_r_mag, d_b_mag = gated_backward(d_acts, shared, params["b_enc"], params["r_mag"], params["b_mag"])
        return d_shared, nothing, {"r_mag": d_r_mag, "b_mag": d_b_mag}
    if config["activation"] == "jumprelu":
        d_pre, d_theta = jumprelu_backward(d_acts, pre, thresholds(params), config["bandwidth"])
        return nothing, d_pre, thresholds_backward(d_theta, params)
    if config["activation"] == "relu":
        return nothing, relu_backward(d_acts, pre), {}
    return nothing, selection_backward(d_acts, acts), {}


def encode(x, params, config, price=None, inference_threshold=None):
    """Samples to activations.

    x                           (B, D)
    price, inference_threshold  as for `activate`
    returns shared, pre, acts, each (B, M)
    raises  ValueError that names the argument for wrong shapes and non-finite numbers
    """
    check(x, params if price is None else params | {"price": price})
    shared, pre = pre_activations(x, params, config)        # (B, M) each
    return shared, pre, activate(shared, pre, params, config, price, inference_threshold)


def forward(x, params, config, price=None):
    """Samples to activations and back to samples, as in training.

    x       (B, D)
    price   (M,)  needed by the budget rules
    returns Batch
    raises  ValueError as `encode` and `decode` do
    """
    shared, pre, acts = encode(x, params, config, price)    # (B, M) each
    return Batch(x, shared, pre, acts, decode(acts, params, config.get("prefixes")))


def backward(d_pre, d_acts, d_recons, batch, params, config):
    """Gradient of `forward`, from one cotangent for each output.

    d_pre, d_acts  (B, M)     the loss's gradient by pre and by acts, where it uses them directly
    d_recons       (G, B, D)  and by the reconstructions
    batch          Batch, from `forward`
    returns gradients by parameter name, and of "x"

    [SAE-8] A cotangent may be zero for all outputs but one: every path carries its own gradient, and the
            gradient of a sum of paths is the sum of their gradients.
    [SAE-9] Tied: the gradient of W_dec is the sum of its encoder's and its decoder's.
    [SAE-10] b_dec is used twice: added to the output, and (unless left out) subtracted from the input.
    """
    x, shared, pre, acts, _ = batch
    d_from_recons, d_W_dec, d_b_dec_out = decode_backward(d_recons, acts, params, config.get("prefixes"))
    d_shared, d_from_acts, grads = activate_backward(d_acts + d_from_recons, shared, pre, acts, params, config)
    d_W_enc, d_b_enc, d_b_dec_in, d_x = pre_activations_backward(d_shared, d_pre + d_from_acts, x, params, config)
    grads |= {"b_enc": d_b_enc, "b_dec": d_b_dec_out + d_b_dec_in, "x": d_x}
    if "W_enc" in params:
        return grads | {"W_enc": d_W_enc, "W_dec": d_W_dec}
    return grads | {"W_dec": d_W_enc + d_W_dec}
