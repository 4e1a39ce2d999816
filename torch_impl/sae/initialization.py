"""TRAIN: the parameters before the first step. Randomness comes from outside."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..kernels.precision import widen
from . import default_encoder_scale
from .constraints import normalize_rows


def initial_parameters(normals: Tensor, b_dec: Tensor, config: Mapping[str, Any]) -> dict[str, Tensor]:
    """The parameters before the first step.

    normals  (M, D)  standard-normal draws, which become the decoder's directions
    b_dec    (D,)  the data's centre
    config   "tied", "activation"; untied "initial_encoder_scale" > 0 (default_encoder_scale); for jumprelu "initial_threshold" > 0 and
             "threshold_parameter" ("theta")
    returns params {name: tensor} typed like normals; thresholds at least float32
    raises  ValueError for a scale or a threshold that is not positive, or a threshold_parameter that is unknown

    Clauses: TRAIN-3, TRAIN-4, TRAIN-17.
    """
    W_dec = normalize_rows(normals)                         # (M, D)
    zeros = normals.new_zeros(len(normals))                 # (M,)
    params = {"W_dec": W_dec, "b_enc": zeros, "b_dec": b_dec.to(W_dec, copy=True)}
    if not config.get("tied", False):
        params["W_enc"] = W_dec.mul(encoder_scale(config))
    if config["activation"] == "jumprelu":
        theta = config["initial_threshold"]
        if not theta > 0:
            raise ValueError(f"initial_threshold must be positive, got {theta}")
        name = config.get("threshold_parameter", "theta")
        start = {"theta": lambda: theta, "log_threshold": lambda: math.log(theta)}
        if name not in start:
            raise ValueError(f"threshold_parameter must be theta or log_threshold, got {name!r}")
        params[name] = torch.full_like(widen(zeros), start[name]())
    if config["activation"] == "gated":
        params |= {"r_mag": zeros.clone(), "b_mag": zeros.clone()}
    return params


def encoder_scale(config: Mapping[str, Any]) -> float:
    """Length of the encoder's rows before the first step, "initial_encoder_scale"; ValueError unless positive.

    Clauses: TRAIN-17.
    """
    length = config.get("initial_encoder_scale", default_encoder_scale(config["activation"]))
    if not length > 0:
        raise ValueError(f"initial_encoder_scale must be positive, got {length}")
    return length


def geometric_median(data: Tensor, iterations: int = 64) -> Tensor:
    """The point (D,) whose distances to data (B, D) have the least sum, by softened Weiszfeld steps from the mean.

    raises  ValueError for no samples

    Clauses: TRAIN-5.
    """
    if len(data) == 0:
        raise ValueError("data must hold at least one sample")
    wide = widen(data)
    mean = centre = wide.mean(0)                            # (D,)
    soft = 1e-6 * torch.linalg.vector_norm(wide - mean, dim=-1).mean()
    for _ in range(iterations):
        distance = torch.linalg.vector_norm(wide - centre, dim=-1)                # (B,)
        weight = 1 / torch.hypot(distance, soft)            # (B,)
        centre = (weight.unsqueeze(-1) * wide).sum(0) / weight.sum()
    return torch.where(soft == 0, mean, centre).to(data.dtype)
