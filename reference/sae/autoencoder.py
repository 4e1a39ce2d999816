"""SAE: a sparse autoencoder, forward and backward.

    shared = (x - b_dec) @ W_enc.T                x is read along each latent's encoder direction
    pre    = shared + b_enc                       pre-activation
    acts   = activation(pre)                      few of them are not zero
    recon  = acts @ W_dec + b_dec                 x is written as a sum of decoder directions

`params` is a dictionary of arrays:

    W_dec (M, D)   b_dec (D,)   b_enc (M,)        always
    W_enc (M, D)                                  untied only: a tied SAE has no W_enc of its own
    log_threshold (M,)                            jumprelu only
    r_mag (M,)   b_mag (M,)                       gated only; its gate's bias is b_enc

`config` is a dictionary: "activation" (a name), "k" and "bandwidth" where the activation takes them,
"subtract_b_dec" (True unless given) and "prefixes" ([M] unless given).
B stands for any number of leading dimensions.
"""

from typing import NamedTuple

import numpy as np

from .activations import jumprelu, jumprelu_backward, relu, relu_backward, threshold, threshold_backward
from .constraints import row_norms
from .gated import gated, gated_backward
from .inference import batch_topk_inference, budget_thresholds
from .selection import abs_topk, batch_budget_topk, batch_topk, budget_topk, selection_backward, topk


def encoder_weight(params):
    """W_enc (M, D).  [SAE-2] Tied means one array: a tied SAE encodes with W_dec itself."""
    return params.get("W_enc", params["W_dec"])


def encode(x, params, config, price=None, inference_threshold=None):
    """Samples to activations.

    x                    (B, D)
    price                (M,)  the budget rules only
    inference_threshold  a number: batch rules then choose sample by sample (see `inference.py`)
    returns shared, pre, acts, each (B, M)
    raises  ValueError that names the argument for wrong shapes and non-finite numbers

    [SAE-1] pre = (x - b_dec) @ W_enc.T + b_enc.
    [SAE-3] With "subtract_b_dec": False the encoder leaves b_dec out: pre = x @ W_enc.T + b_enc.
    [SAE-4] x may have any leading dimensions, also none at all; a batch of no samples encodes to none.
    """
    check(x, params if price is None else params | {"price": price})
    centred = x - params["b_dec"] if config.get("subtract_b_dec", True) else x   # (B, D)
    shared = centred @ encoder_weight(params).T             # (B, M)
    pre = shared + params["b_enc"]                          # (B, M)
    return shared, pre, activate(shared, pre, params, config, price, inference_threshold)


def activate(shared, pre, params, config, price=None, inference_threshold=None):
    """The activation that `config` names, on (B, M)."""
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
        return jumprelu(pre, threshold(params["log_threshold"]))
    if name == "gated":
        return gated(shared, params["b_enc"], params["r_mag"], params["b_mag"])
    if name in ("budget_topk", "batch_budget_topk"):
        rule = {"budget_topk": budget_topk, "batch_budget_topk": batch_budget_topk}[name]
        return rule(pre, k, price, row_norms(params["W_dec"]))
    if name in ("topk", "batch_topk", "abs_topk"):
        return {"topk": topk, "batch_topk": batch_topk, "abs_topk": abs_topk}[name](pre, k)
    raise ValueError(f"activation {name!r} is not known")


def decode(acts, params, prefixes=None):
    """Activations to reconstructions, one for each prefix of the latents.

        recons[g] = acts[:, :M_g] @ W_dec[:M_g] + b_dec

    acts      (B, M)
    prefixes  M_1 < ... < M_G = M; [M] unless given
    returns recons (G, B, D); recons[-1] is the reconstruction
    raises  ValueError for prefixes that do not increase up to M

    [SAE-5] recon = acts @ W_dec + b_dec.
    [SAE-6] A Matryoshka SAE chooses once, over all M latents; prefix g decodes what was chosen among the
            first M_g, with the same b_dec.
    [SAE-7] Prefixes are whole numbers that increase strictly from at least 1, and the last is M.
    Source: arXiv 2503.17547.
    """
    W_dec, b_dec, M = params["W_dec"], params["b_dec"], len(params["W_dec"])
    prefixes = [M] if prefixes is None else list(prefixes)
    if prefixes[-1:] != [M] or any(m >= n or n % 1 for m, n in zip([0, *prefixes], prefixes)):
        raise ValueError(f"prefixes must increase from at least 1 to M = {M}, got {prefixes}")
    return np.stack([acts[..., : int(m)] @ W_dec[: int(m)] + b_dec for m in prefixes])   # (G, B, D)


def decode_backward(d_recons, acts, params, prefixes=None):
    """Gradient of `decode`.

        d_acts[:, i] = sum over prefixes that contain i of  d_recons[g] @ W_dec[i]
        d_W_dec[i]   = sum over prefixes that contain i of  acts[:, i] @ d_recons[g]
        d_b_dec      = sum over prefixes and samples of     d_recons[g]

    d_recons  (G, B, D)
    returns d_acts (B, M), d_W_dec (M, D), d_b_dec (D,)
    """
    W_dec, (M, D) = params["W_dec"], params["W_dec"].shape
    d_acts, d_W_dec = np.zeros_like(acts), np.zeros_like(W_dec)
    for m, d_recon in zip([M] if prefixes is None else map(int, prefixes), d_recons):
        d_acts[..., :m] += d_recon @ W_dec[:m].T                                           # (B, M_g)
        d_W_dec[:m] += acts[..., :m].reshape(-1, m).T @ d_recon.reshape(-1, D)             # (M_g, D)
    return d_acts, d_W_dec, d_recons.reshape(-1, D).sum(0)


def activate_backward(d_acts, shared, pre, acts, params, config):
    """Gradient of `activate`: to shared, to pre, and to the activation's own parameters.

    d_acts, shared, pre, acts  (B, M)
    returns d_shared (B, M), d_pre (B, M), gradients by parameter name
    """
    nothing = np.zeros_like(pre)
    if config["activation"] == "gated":
        d_shared, d_r_mag, d_b_mag = gated_backward(d_acts, shared, params["b_enc"], params["r_mag"], params["b_mag"])
        return d_shared, nothing, {"r_mag": d_r_mag, "b_mag": d_b_mag}
    if config["activation"] == "jumprelu":
        log_threshold = params["log_threshold"]
        d_pre, d_theta = jumprelu_backward(d_acts, pre, threshold(log_threshold), config["bandwidth"])
        return nothing, d_pre, {"log_threshold": threshold_backward(d_theta, log_threshold)}
    if config["activation"] == "relu":
        return nothing, relu_backward(d_acts, pre), {}
    return nothing, selection_backward(d_acts, acts), {}


class Batch(NamedTuple):
    """Samples and what the SAE makes of them, station by station."""

    x: np.ndarray                  # (B, D)     the samples
    shared: np.ndarray             # (B, M)     read along each latent's encoder direction
    pre: np.ndarray                # (B, M)     pre-activations
    acts: np.ndarray               # (B, M)     activations
    recons: np.ndarray             # (G, B, D)  reconstructions, one for each prefix


def forward(x, params, config, price=None):
    """Encode and decode; what `backward` goes back through.

    x      (B, D)
    price  (M,)  the budget rules only
    returns Batch
    raises  ValueError as `encode` and `decode` do
    """
    shared, pre, acts = encode(x, params, config, price)    # (B, M) each
    return Batch(x, shared, pre, acts, decode(acts, params, config.get("prefixes")))


def backward(d_pre, d_acts, d_recons, batch, params, config):
    """Gradient of `forward`, from one cotangent for each output.

    d_pre, d_acts    (B, M)     gradient of the loss by pre and by acts, apart from what passes through recons
    d_recons         (G, B, D)  and by the reconstructions
    batch            Batch      what `forward` returned
    returns gradients by parameter name, and of "x"

    [SAE-8] A cotangent may be zero for all outputs but one: every path carries its own gradient, and the
            gradient of a sum of paths is the sum of their gradients.
    [SAE-9] Tied: the gradient of W_dec is the sum of its encoder's and its decoder's.
    [SAE-10] b_dec is used twice: added to the output, and (unless left out) subtracted from the input.
    """
    (M, D), (x, shared, pre, acts, _) = params["W_dec"].shape, batch
    d_from_recons, d_W_dec, d_b_dec = decode_backward(d_recons, acts, params, config.get("prefixes"))
    d_shared, d_pre_of_acts, grads = activate_backward(d_acts + d_from_recons, shared, pre, acts, params, config)
    d_pre = d_pre + d_pre_of_acts                           # (B, M)
    d_shared = d_shared + d_pre                             # (B, M)  pre = shared + b_enc

    subtract = config.get("subtract_b_dec", True)
    centred = x - params["b_dec"] if subtract else x        # (B, D)
    d_W_enc = d_shared.reshape(-1, M).T @ centred.reshape(-1, D)      # (M, D)
    d_x = d_shared @ encoder_weight(params)                 # (B, D)
    if subtract:
        d_b_dec = d_b_dec - d_x.reshape(-1, D).sum(0)       # (D,)

    grads |= {"b_enc": d_pre.reshape(-1, M).sum(0), "b_dec": d_b_dec, "x": d_x}
    if "W_enc" in params:
        return grads | {"W_enc": d_W_enc, "W_dec": d_W_dec}
    return grads | {"W_dec": d_W_enc + d_W_dec}


def check(x, params):
    """What a caller must get right; inside, everything may be assumed finite and of the right shape.

    [SAE-11] Non-finite x or parameters are the caller's error: encode, forward and a training step raise
             one ValueError that names the argument.
    [SAE-12] So are shapes that do not fit: weights are latent-major, (M, D), both of them; W_dec says what M and D are.
    """
    if np.ndim(params["W_dec"]) != 2:
        raise ValueError(f"W_dec has shape {np.shape(params['W_dec'])}, expected (M, D)")
    M, D = np.shape(params["W_dec"])
    shapes = {"W_dec": (M, D), "W_enc": (M, D), "b_dec": (D,)}
    for name, array in {"x": x, **params}.items():
        want = (*x.shape[:-1], D) if name == "x" else shapes.get(name, (M,))
        if np.shape(array) != want:
            raise ValueError(f"{name} has shape {np.shape(array)}, expected {want}")
        if not np.all(np.isfinite(array)):
            raise ValueError(f"{name} holds a number that is not finite")
