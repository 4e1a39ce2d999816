"""ACT, first part: activations that look at one pre-activation at a time.

relu, jumprelu and the step that counts active latents, each directly above its gradient.
Activations that choose among latents are in `selection.py`.
B stands for any number of leading dimensions.
"""

import numpy as np


def relu(pre):
    """Pass positive pre-activations, set the rest to 0.

        acts[b, i] = max(pre[b, i], 0)

    pre     (B, M)  pre-activations
    returns acts (B, M)

    [ACT-1] At pre == 0 the latent is off and the derivative is 0.
    """
    return np.maximum(pre, 0.0)                             # (B, M)


def relu_backward(d_acts, pre):
    """Gradient of `relu`.

        d_pre[b, i] = d_acts[b, i]  where pre[b, i] > 0, else 0

    d_acts, pre  (B, M)
    returns d_pre (B, M)
    """
    return np.where(pre > 0, d_acts, 0.0)                   # (B, M)


def threshold(log_threshold):
    """The threshold a JumpReLU latent compares with, where its logarithm is what is trained.

        theta[i] = exp(log_threshold[i])

    log_threshold  (M,)  any real number
    returns theta (M,), > 0

    [ACT-2] Where the logarithm is trained, theta = exp(log_threshold), so a threshold is always positive.
    """
    return np.exp(log_threshold)                            # (M,)


def threshold_backward(d_theta, log_threshold):
    """Gradient of `threshold`: the chain rule's factor theta, which is easily lost.

        d_log_threshold[i] = theta[i] · d_theta[i]

    d_theta, log_threshold  (M,)
    returns d_log_threshold (M,)

    [ACT-3] The gradient of log_threshold is theta times the gradient of theta.
    """
    return np.exp(log_threshold) * d_theta                  # (M,)


def thresholds(params):
    """The thresholds of a JumpReLU, from whichever parameter is trained.

    params  with "theta" (M,), the thresholds themselves, or "log_threshold" (M,), their logarithms
    returns theta (M,)

    [ACT-26] A jumprelu's trained parameter is theta itself, at least 0; one that has log_threshold in its place trains the
             logarithm. Adam moves a parameter by about the learning rate a step whatever its scale, so a logarithm
             hardly leaves its start [THEORY-9].
    """
    return threshold(params["log_threshold"]) if "log_threshold" in params else params["theta"]   # (M,)


def thresholds_backward(d_theta, params):
    """Gradient of `thresholds`, by the name of the parameter that is trained.

    d_theta  (M,)
    returns {name: gradient (M,)}
    """
    if "log_threshold" in params:
        return {"log_threshold": threshold_backward(d_theta, params["log_threshold"])}
    return {"theta": d_theta}


def jumprelu(pre, theta):
    """Pass a pre-activation through unchanged where it clears its latent's threshold.

        acts[b, i] = pre[b, i]  if pre[b, i] > theta[i]  else 0

    pre     (B, M)  pre-activations
    theta   (M,)    thresholds, >= 0
    returns acts (B, M)
    raises  ValueError for a negative threshold

    [ACT-7] At pre == theta the latent is off.
    Source: arXiv 2407.14435, eq. 4. Libraries differ at equality; most agree with this.
    """
    if np.any(theta < 0):
        raise ValueError("theta must not be negative")
    on = pre > theta                                        # (B, M)
    return np.where(on, pre, 0.0)                           # (B, M)


def jumprelu_backward(d_acts, pre, theta, bandwidth):
    """Gradient of `jumprelu`; the threshold's is a straight-through estimate.

        d_pre[b, i] = d_acts[b, i]                                    where pre > theta
        d_theta[i]  = -sum_b (theta[i] / bandwidth) · d_acts[b, i]    where |pre - theta| < bandwidth / 2, else 0

    What is trained gets one factor more (`threshold_backward`); a cost that counts latents adds `step_backward`.

    d_acts, pre  (B, M)
    theta        (M,)
    bandwidth    width of the window, > 0, in units of pre
    returns d_pre (B, M), d_theta (M,)
    raises  ValueError for a bandwidth that is not positive

    [ACT-8] The window is open and lies on the raw pre-activation (no relu before it), also below the threshold,
            where the activation itself is 0: that is how a silent latent's threshold can fall.
    [ACT-9] Nothing flows to pre through the window.
    Source: arXiv 2407.14435, eq. 11.
    """
    if not bandwidth > 0:
        raise ValueError(f"bandwidth must be positive, got {bandwidth}")
    on = pre > theta                                        # (B, M)
    near = np.abs(pre - theta) < bandwidth / 2              # (B, M)
    d_pre = np.where(on, d_acts, 0.0)                       # (B, M)
    d_thetas = np.where(near, -theta / bandwidth * d_acts, 0.0)                   # (B, M)
    return d_pre, d_thetas.reshape(-1, len(theta)).sum(0)   # (B, M), (M,)


def step(pre, theta):
    """1 where a latent is on: what an L0 cost sums.

        on[b, i] = 1  if pre[b, i] > theta[i]  else 0

    pre     (B, M)  pre-activations
    theta   (M,)    thresholds, >= 0
    returns on (B, M)
    raises  ValueError for a negative threshold

    [ACT-10] The step agrees with jumprelu: at pre == theta it is 0.
    """
    if np.any(theta < 0):
        raise ValueError("theta must not be negative")
    return np.where(pre > theta, 1.0, 0.0)                  # (B, M)


def step_backward(d_on, pre, theta, bandwidth):
    """Gradient of `step`, a straight-through estimate: a rectangle of area 1 about the threshold.

        d_theta[i] = -sum_b (1 / bandwidth) · d_on[b, i]    where |pre - theta| < bandwidth / 2

    d_on, pre  (B, M)
    theta      (M,)
    bandwidth  width of the window, > 0, in units of pre
    returns d_theta (M,)
    raises  ValueError for a bandwidth that is not positive

    [ACT-11] The step's window is open, lies on the raw pre-activation on both sides of the
             threshold, and passes nothing to pre.
    Source: arXiv 2407.14435, eq. 12.
    """
    if not bandwidth > 0:
        raise ValueError(f"bandwidth must be positive, got {bandwidth}")
    near = np.abs(pre - theta) < bandwidth / 2              # (B, M)
    d_thetas = np.where(near, -1.0 / bandwidth * d_on, 0.0) # (B, M)
    return d_thetas.reshape(-1, len(theta)).sum(0)          # (M,)
