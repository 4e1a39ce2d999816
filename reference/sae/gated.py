"""SAE, the gated activation: whether a latent is on and how strongly are decided apart.

    shared, pre = pre_activations(x)              linear.py
    gate   = 1[pre > 0]                           is the latent on?
    mag    = exp(r_mag) · shared + b_mag          how strongly, if it is
    acts   = gate · relu(mag)

One encoder serves both: the magnitude has a scale and a bias of its own, no second matrix.
B stands for any number of leading dimensions.
Source: arXiv 2404.16014, section 3.2 (its b_gate is our b_enc).
"""

import numpy as np

from .activations import relu, relu_backward


def gated(shared, b_enc, r_mag, b_mag):
    """Pass the magnitude where the gate is open.

        acts[b, i] = relu(exp(r_mag[i]) · shared[b, i] + b_mag[i])  if shared[b, i] + b_enc[i] > 0  else 0

    shared               (B, M)
    b_enc, r_mag, b_mag  (M,)
    returns acts (B, M)

    [SAE-13] The gate is 1[pre > 0]: closed at 0. The magnitude is relu(exp(r_mag) · shared + b_mag).
    """
    gate = shared + b_enc > 0                               # (B, M)
    mag = np.exp(r_mag) * shared + b_mag                    # (B, M)
    return np.where(gate, relu(mag), 0.0)                   # (B, M)


def gated_backward(d_acts, shared, b_enc, r_mag, b_mag):
    """Gradient of `gated`.

        d_mag    = d_acts         where the gate is open and mag > 0, else 0
        d_shared = d_mag · exp(r_mag)
        d_r_mag  = sum_b d_mag · exp(r_mag) · shared
        d_b_mag  = sum_b d_mag

    d_acts, shared       (B, M)
    b_enc, r_mag, b_mag  (M,)
    returns d_shared (B, M), d_r_mag (M,), d_b_mag (M,)

    [SAE-14] The gate gets no gradient from acts; what trains it are the costs on relu(pre) (auxiliary.py, objective.py).
    """
    scale = np.exp(r_mag)                                   # (M,)
    gate = shared + b_enc > 0                               # (B, M)
    mag = scale * shared + b_mag                            # (B, M)
    d_mag = np.where(gate, relu_backward(d_acts, mag), 0.0) # (B, M)
    d_shared = d_mag * scale                                # (B, M)
    M = len(r_mag)
    return d_shared, (d_shared * shared).reshape(-1, M).sum(0), d_mag.reshape(-1, M).sum(0)
