"""SAE, the linear part: how a latent reads a sample and how it writes one.

    shared = (x - b_dec) @ W_enc.T                x is read along each latent's encoder direction; shared, because the
                                                  gated activation makes two numbers of it, all others only pre
    pre    = shared + b_enc                       pre-activation
    recon  = acts @ W_dec + b_dec                 x is written as a sum of decoder directions

Between pre and acts stands an activation, which makes most latents silent (see `autoencoder.py`).

`params` is a dictionary of arrays:

    W_dec (M, D)   b_dec (D,)   b_enc (M,)        always
    W_enc (M, D)                                  untied only: a tied SAE has no W_enc of its own
    theta (M,) or log_threshold (M,)              jumprelu only: thresholds, or their logarithms
    r_mag (M,)   b_mag (M,)                       gated only; its gate's bias is b_enc

`config` is a dictionary; this file reads "subtract_b_dec" (True unless given).
B stands for any number of leading dimensions.

[SAE-15] In half precision products, sums, ranking and comparisons are computed in float32 at least, from the rounded inputs,
         and each result is rounded once; float64 is computed and ranked in float64.
[SAE-16] A call leaves no trace: what it is given stays as it was, what it returns is an array of its own, however its inputs
         lie in memory, and the same call gives the same answer whatever was asked in between.
"""

import numpy as np


def encoder_weight(params):
    """The matrix that reads, (M, D): W_enc, or W_dec where a tied SAE has no other."""
    return params.get("W_enc", params["W_dec"])             # (M, D)


def pre_activations(x, params, config):
    """Read each sample along each latent's encoder direction.

        shared = (x - b_dec) @ W_enc.T
        pre    = shared + b_enc

    x       (B, D)
    returns shared, pre, each (B, M)

    [SAE-1] pre = (x - b_dec) @ W_enc.T + b_enc.
    [SAE-2] Tied means one array: a tied SAE encodes with W_dec itself.
    [SAE-3] With "subtract_b_dec": False the encoder leaves b_dec out: pre = x @ W_enc.T + b_enc.
    [SAE-4] x may have any leading dimensions, also none at all; a batch of no samples encodes to none.
    """
    centred = x - params["b_dec"] if config.get("subtract_b_dec", True) else x   # (B, D)
    shared = centred @ encoder_weight(params).T             # (B, M)
    return shared, shared + params["b_enc"]                 # (B, M), (B, M)


def pre_activations_backward(d_shared, d_pre, x, params, config):
    """Gradient of `pre_activations`, with d = d_shared + d_pre, since pre contains shared.

        d_W_enc[i] = sum_b d[b, i] · (x[b] - b_dec)
        d_b_enc    = sum_b d_pre
        d_x        = d @ W_enc
        d_b_dec    = -sum_b d_x                   0 if the encoder leaves b_dec out

    d_shared, d_pre  (B, M)
    x                (B, D)
    returns d_W_enc (M, D), d_b_enc (M,), d_b_dec (D,), d_x (B, D)
    """
    M, D = params["W_dec"].shape
    subtract = config.get("subtract_b_dec", True)
    centred = x - params["b_dec"] if subtract else x        # (B, D)
    d = d_shared + d_pre                                    # (B, M)
    d_W_enc = d.reshape(-1, M).T @ centred.reshape(-1, D)   # (M, D)
    d_b_enc = d_pre.reshape(-1, M).sum(0)                   # (M,)
    d_x = d @ encoder_weight(params)                        # (B, D)
    d_b_dec = -d_x.reshape(-1, D).sum(0) if subtract else np.zeros(D)             # (D,)
    return d_W_enc, d_b_enc, d_b_dec, d_x


def decode(acts, params, prefixes=None):
    """Activations to reconstructions, one for each prefix of the latents.

        recons[g] = acts[:, :M_g] @ W_dec[:M_g] + b_dec

    A Matryoshka SAE must also do with its first M_g latents alone, for several M_g; any other has the one prefix M.

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
    acts      (B, M)
    returns d_acts (B, M), d_W_dec (M, D), d_b_dec (D,)
    """
    W_dec, (M, D) = params["W_dec"], params["W_dec"].shape
    d_acts, d_W_dec = np.zeros_like(acts), np.zeros_like(W_dec)
    for m, d_recon in zip([M] if prefixes is None else map(int, prefixes), d_recons):
        d_acts[..., :m] += d_recon @ W_dec[:m].T                                           # (B, M_g)
        d_W_dec[:m] += acts[..., :m].reshape(-1, m).T @ d_recon.reshape(-1, D)             # (M_g, D)
    return d_acts, d_W_dec, d_recons.reshape(-1, D).sum(0)


def check(x, params):
    """Refuse what no SAE can be given; the functions that are called afterwards assume that it fits and is finite.

    x       (B, D)
    params  and whatever else has one entry for each latent, such as "price"
    raises  ValueError that names the argument

    [SAE-11] Non-finite x or parameters are the caller's error: encode, forward and a training step raise
             one ValueError that names the argument.
    [SAE-12] Shapes that do not fit are the caller's error too: weights are latent-major, (M, D), both of them; W_dec says what M and D are.
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
