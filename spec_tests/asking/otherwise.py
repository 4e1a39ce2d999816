"""The same question put another way, for an implementation that does not have the operation by itself.

A library may have no activation apart from its encoder: with the identity as W_enc and no biases the encoder *is* the
activation. Each way here gives the same numbers, exactly: it multiplies by 0 and by powers of two, and no more.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

# Powers of two whose squares are 0: float16 has none whose products are not.
UNSEEN = {"float64": 2.0**-600, "float32": 2.0**-80, "bfloat16": 2.0**-80}


class Way(NamedTuple):
    """Another operation to ask, and how its outputs answer what was asked."""

    how: str                # for the report
    operation: str
    config: dict
    inputs: dict
    read: Callable          # their outputs -> ours


def otherwise(operation, config, inputs, dtype):
    """Another Way to ask this, or None."""
    if operation in ("activation", "activation_backward"):
        return through_the_encoder(operation, config, inputs) if config.get("activation") != "step" else None
    if operation == "batch_topk_inference":
        x, threshold = inputs["pre"], inputs["threshold"]
        return Way("batch_topk_inference as encode, with the identity as W_enc", "encode", {"activation": "batch_topk", "k": 1},
                   identity(x) | {"inference_threshold": threshold}, lambda theirs: {"acts": theirs["acts"]})
    if operation == "running_threshold" and "seen" in inputs:
        return without_seen(config, inputs)
    if operation in ("cost", "cost_backward") and config.get("cost") == "gate_reconstruction" and "pre" in inputs and dtype in UNSEEN:
        return gate_from_x(operation, config, inputs, UNSEEN[dtype])
    return None


def identity(x):
    """The parameters of an encoder of which `pre` is x (B, M)."""
    M = x.shape[-1]
    return {"x": x, "W_enc": np.eye(M), "W_dec": np.eye(M), "b_enc": np.zeros(M), "b_dec": np.zeros(M)}


def through_the_encoder(operation, config, inputs):
    """An activation as encode, its gradient as backward by acts."""
    arrays = dict(inputs)
    pre = "shared" if config.get("activation") == "gated" else "pre"
    if pre not in arrays:
        return None
    given = identity(arrays.pop(pre))
    if "dec_norm" in arrays:
        given["W_dec"] = np.diag(arrays.pop("dec_norm"))
    how = f"{operation} as {'encode' if operation == 'activation' else 'backward'}, with the identity as W_enc"
    if operation == "activation":
        return Way(how, "encode", config, given | arrays, lambda theirs: {"acts": theirs["acts"]})
    own = {"gated": ("d_r_mag", "d_b_mag"), "jumprelu": ("d_theta",)}.get(config["activation"], ())
    return Way(how, "backward", config, given | arrays,
               lambda theirs: {f"d_{pre}": theirs["d_x"]} | {name: theirs[name] for name in own})


def without_seen(config, inputs):
    """A running threshold of which nobody counted the batches: before the first there is none. The count is ours then."""
    seen = float(inputs["seen"])
    given = {name: array for name, array in inputs.items() if name != "seen" and (seen or name != "threshold")}
    after = seen + bool(np.any(inputs["kept"] > 0))
    return Way("running_threshold without seen", "running_threshold", config, given,
               lambda theirs: {"threshold": theirs["threshold"] if after else inputs["threshold"], "seen": np.array(after)})


def gate_from_x(operation, config, inputs, unseen):
    """A gate's reconstruction from x and the encoder: pre is carried by one more dimension for each sample, of which x has
    `unseen`, so little that its square is 0.
    """
    x, pre, W_dec = (np.atleast_2d(inputs[name]) for name in ("x", "pre", "W_dec"))
    if x.ndim != 2 or not len(x):
        return None
    (B, D), M = x.shape, len(W_dec)
    given = {"x": np.concatenate([x, unseen * np.eye(B)], 1), "b_dec": np.concatenate([inputs["b_dec"], np.zeros(B)]),
             "W_enc": np.concatenate([np.zeros((M, D)), pre.T / unseen], 1), "b_enc": np.zeros(M),
             "W_dec": np.concatenate([W_dec, np.zeros((M, B))], 1)}
    more = {"d_cost": inputs["d_cost"]} if "d_cost" in inputs else {}
    read = {"cost": lambda theirs: {"cost": theirs["cost"]},
            "cost_backward": lambda theirs: {"d_pre": (theirs["d_W_enc"][:, D:].T / unseen).reshape(inputs["pre"].shape)}}
    return Way(f"{operation} gate_reconstruction from x, without pre", operation, config, given | more, read[operation])
