"""TRAIN, the start: where the parameters are before the first step.

Randomness comes from outside: the caller draws `normals` from a seeded generator, everything else is a function.
"""

import numpy as np

from .constraints import normalize_rows


def initial_parameters(normals, b_dec, config):
    """Decoder rows at random, and the encoder's a fraction of them.

        W_dec[i] = normals[i] / ||normals[i]||
        W_enc[i] = initial_encoder_scale · W_dec[i]

    normals  (M, D)  independent standard-normal draws
    b_dec    (D,)    the data's centre: its mean or its geometric median
    config   "tied" (False unless given), "activation"; where it is not tied "initial_encoder_scale", see below; and for
             jumprelu "initial_threshold" and "threshold_parameter", "theta" (unless given) or "log_threshold"
    returns params, see `linear.py`
    raises  ValueError for an initial_encoder_scale or initial_threshold that is not positive, or a
            threshold_parameter that is neither

    [TRAIN-3] Decoder rows are uniform on the unit sphere (normal draws over their norm); untied, W_enc starts
              in the same directions.
    [TRAIN-17] Untied, W_enc starts at initial_encoder_scale times W_dec: 1/8 unless given, for jumprelu and gated 1. A
               tied SAE reads with its unit decoder rows themselves, and has no such scale.
    Why: activations that start small grow in the directions that the data ask for; those that start large must first be
    unlearned. Where a threshold or a gate must learn to be sparse it is the other way round: rows that start
    short grow until all latents together explain the sample, and thresholds come too late.
    [TRAIN-4] b_enc, r_mag and b_mag start at 0, theta at initial_threshold, or in its place log_threshold at
              ln(initial_threshold).
    """
    M = len(normals)
    W_dec = normalize_rows(normals)                         # (M, D)
    params = {"W_dec": W_dec, "b_enc": np.zeros(M), "b_dec": np.array(b_dec)}
    if not config.get("tied", False):
        params["W_enc"] = encoder_scale(config) * W_dec     # (M, D)
    if config["activation"] == "jumprelu":
        if not config["initial_threshold"] > 0:
            raise ValueError(f"initial_threshold must be positive, got {config['initial_threshold']}")
        theta = np.full(M, float(config["initial_threshold"]))                    # (M,)
        name = config.get("threshold_parameter", "theta")
        if name not in ("theta", "log_threshold"):
            raise ValueError(f"threshold_parameter must be theta or log_threshold, got {name!r}")
        params[name] = theta if name == "theta" else np.log(theta)
    if config["activation"] == "gated":
        params |= {"r_mag": np.zeros(M), "b_mag": np.zeros(M)}
    return params


def encoder_scale(config):
    """By how much W_enc is shorter than W_dec before the first step: above 0, or no latent would ever be on."""
    scale = config.get("initial_encoder_scale", 1.0 if config["activation"] in ("jumprelu", "gated") else 1 / 8)
    if not scale > 0:
        raise ValueError(f"initial_encoder_scale must be positive, got {scale}")
    return scale


def geometric_median(data, iterations=64):
    """The point whose distances to the data have the smallest sum: a centre that outliers hardly move.

        centre <- sum_b w_b data[b] / sum_b w_b,    w_b = 1 / sqrt(||data[b] - centre||^2 + soft^2)

    data        (B, D)
    iterations  how many Weiszfeld steps, from the mean
    returns centre (D,)
    raises  ValueError for no data

    [TRAIN-5] The geometric median is `iterations` (64) Weiszfeld steps from the mean, softened by 1e-6 times
              the mean distance from the mean, so that a sample at the centre divides by nothing near 0; when all
              samples coincide it is their common point.
    """
    if len(data) == 0:
        raise ValueError("data must hold at least one sample")
    centre = data.mean(0)                                   # (D,)
    soft = 1e-6 * np.sqrt(((data - centre) ** 2).sum(-1)).mean()
    if soft == 0:
        return centre
    for _ in range(iterations):
        weight = 1 / np.sqrt(((data - centre) ** 2).sum(-1) + soft**2)            # (B,)
        centre = (weight[:, np.newaxis] * data).sum(0) / weight.sum()             # (D,)
    return centre
