"""Mutants of ACT, first part: relu, thresholds, jumprelu, the step."""

import numpy as np

from sae_spec.spec_tests.mutants import mutant


# ---------------------------------------------------------------- relu and the parameter of a threshold

@mutant("relu: derivative 1 at 0", clause="ACT-1", target="activations.relu_backward")
def relu_derivative_one_at_zero(right, d_acts, pre):
    return np.where(pre >= 0, d_acts, 0.0)


@mutant("relu: derivative 1/2 at 0", clause="ACT-1", target="activations.relu_backward")
def relu_derivative_half_at_zero(right, d_acts, pre):
    return d_acts * np.heaviside(pre, 0.5)


@mutant("relu: leaks below 0", clause="ACT-1", target="activations.relu")
def leaky(right, pre):
    return np.where(pre > 0, pre, pre / 8)


@mutant("threshold: the parameter is theta itself", clause="ACT-2", target="activations.threshold",
        seen_in=("SAELens 6.54.12", "dictionary_learning 0.1.0"), convention=True)
def raw_parameter(right, log_threshold):
    return log_threshold


@mutant("threshold: softplus", clause="ACT-2", target="activations.threshold")
def softplus(right, log_threshold):
    return np.log1p(np.exp(log_threshold))


@mutant("threshold: a power of 2", clause="ACT-2", target="activations.threshold")
def power_of_two(right, log_threshold):
    return np.exp2(log_threshold)


@mutant("threshold_backward: factor theta lost", clause="ACT-3", target="activations.threshold_backward",
        seen_in=("BatchTopK", "matryoshka_sae"))
def chain_rule_lost(right, d_theta, log_threshold):
    return d_theta


@mutant("threshold_backward: divided by theta", clause="ACT-3", target="activations.threshold_backward")
def chain_rule_upside_down(right, d_theta, log_threshold):
    return d_theta / np.exp(log_threshold)


# ---------------------------------------------------------------- jumprelu and the step, forward

@mutant("jumprelu: on at equality", clause="ACT-7", target="activations.jumprelu",
        seen_in=("overcomplete 0.3.0",), convention=True)
def on_at_equality(right, pre, theta):
    return np.where(pre >= theta, pre, 0.0)


@mutant("jumprelu: shifted down by theta", clause="ACT-7", target="activations.jumprelu")
def shifted(right, pre, theta):
    return np.maximum(pre - theta, 0.0)


@mutant("jumprelu: a negative threshold lets negative activations pass", clause="ACT-7", target="activations.jumprelu",
        seen_in=("dictionary_learning 0.1.0",))
def jumprelu_unchecked(right, pre, theta):
    return np.where(pre > theta, pre, 0.0)


@mutant("jumprelu: compares pre times the decoder's norm", clause="ACT-7", target="autoencoder.activate",
        seen_in=("Language-Model-SAEs",), where="sparsity_include_decoder_norm", convention=True)
def compares_scaled(right, shared, pre, params, config, price=None, inference_threshold=None):
    if config["activation"] != "jumprelu":
        return right(shared, pre, params, config, price, inference_threshold)
    norm = np.linalg.norm(params["W_dec"], axis=1)
    return np.where(pre * norm > np.exp(params["log_threshold"]), pre, 0.0)


@mutant("step: on at equality", clause="ACT-10", target="activations.step")
def step_on_at_equality(right, pre, theta):
    return np.where(pre >= theta, 1.0, 0.0)


@mutant("step: a negative threshold passes where another is none", clause="ACT-10", target="activations.step")
def one_negative_passes(right, pre, theta):
    return np.where(pre > theta, 1.0, 0.0) if np.any(theta >= 0) else right(pre, theta)


@mutant("step: 1/2 at equality", clause="ACT-10", target="activations.step")
def step_half_at_equality(right, pre, theta):
    return np.heaviside(pre - theta, 0.5)


@mutant("step: off at equality where jumprelu is on", clause="ACT-10", target="activations.jumprelu",
        seen_in=("overcomplete 0.3.0",))
def step_disagrees_with_jumprelu(right, pre, theta):
    return np.where(pre >= theta, pre, 0.0)


# ---------------------------------------------------------------- straight-through windows

def counted(near, cotangent, theta, bandwidth):
    """The gradient of a step's thresholds when the entries that are `near` count."""
    return -(near * cotangent).reshape(-1, len(theta)).sum(0) / bandwidth


def declare_window(mistake, near, *, of_jumprelu=None, of_step=None):
    """The same mistake in both windows; `of_jumprelu` and `of_step` say which public projects make it there."""
    @mutant(f"jumprelu: {mistake}", clause="ACT-8", target="activations.jumprelu_backward", **of_jumprelu or {})
    def wrong_jumprelu(right, d_acts, pre, theta, bandwidth):
        d_pre, _ = right(d_acts, pre, theta, bandwidth)
        return d_pre, theta * counted(near(pre, theta, bandwidth), d_acts, theta, bandwidth)

    @mutant(f"step: {mistake}", clause="ACT-11", target="activations.step_backward", **of_step or {})
    def wrong_step(right, d_on, pre, theta, bandwidth):
        right(d_on, pre, theta, bandwidth)                  # it refuses what the right one refuses
        return counted(near(pre, theta, bandwidth), d_on, theta, bandwidth)


closed = {"seen_in": ("overcomplete 0.3.0",), "convention": True}
after_relu = {"seen_in": ("BatchTopK", "matryoshka_sae")}
declare_window("closed window", lambda pre, theta, bandwidth: abs(pre - theta) <= bandwidth / 2,
               of_jumprelu=closed, of_step=closed)
declare_window("window twice as wide", lambda pre, theta, bandwidth: abs(pre - theta) < bandwidth)
declare_window("window on acts, not pre",
               lambda pre, theta, bandwidth: abs(np.where(pre > theta, pre, 0) - theta) < bandwidth / 2,
               of_step={"seen_in": ("dictionary_learning 0.1.0",)})
declare_window("window on relu(pre)", lambda pre, theta, bandwidth: abs(np.maximum(pre, 0) - theta) < bandwidth / 2,
               of_jumprelu=after_relu, of_step=after_relu)
declare_window("window above the threshold only",
               lambda pre, theta, bandwidth: (pre > theta) & (pre - theta < bandwidth / 2),
               of_jumprelu={"seen_in": ("Language-Model-SAEs",), "where": "Triton decode"})
declare_window("window only where pre > 0",
               lambda pre, theta, bandwidth: (pre > 0) & (abs(pre - theta) < bandwidth / 2),
               of_jumprelu={"seen_in": ("Language-Model-SAEs",), "convention": True})


@mutant("jumprelu: divided by bandwidth twice", clause="ACT-8", target="activations.jumprelu_backward",
        seen_in=("overcomplete 0.3.0",))
def jumprelu_bandwidth_twice(right, d_acts, pre, theta, bandwidth):
    d_pre, d_theta = right(d_acts, pre, theta, bandwidth)
    return d_pre, d_theta / bandwidth


@mutant("jumprelu: not divided by bandwidth", clause="ACT-8", target="activations.jumprelu_backward")
def jumprelu_bandwidth_never(right, d_acts, pre, theta, bandwidth):
    d_pre, d_theta = right(d_acts, pre, theta, bandwidth)
    return d_pre, d_theta * bandwidth


@mutant("jumprelu: factor theta missing", clause="ACT-8", target="activations.jumprelu_backward")
def jumprelu_without_theta(right, d_acts, pre, theta, bandwidth):
    d_pre, _ = right(d_acts, pre, theta, bandwidth)
    return d_pre, counted(abs(pre - theta) < bandwidth / 2, d_acts, theta, bandwidth)


@mutant("jumprelu: threshold gradient averaged over the batch", clause="ACT-8", target="activations.jumprelu_backward")
def jumprelu_batch_mean(right, d_acts, pre, theta, bandwidth):
    d_pre, d_theta = right(d_acts, pre, theta, bandwidth)
    return d_pre, d_theta / max(1, pre.size // len(theta))


@mutant("jumprelu: a latent silent in the whole batch keeps its threshold", clause="ACT-8",
        target="activations.jumprelu_backward")
def silent_latent_is_stuck(right, d_acts, pre, theta, bandwidth):
    d_pre, d_theta = right(d_acts, pre, theta, bandwidth)
    return d_pre, np.where((pre > theta).reshape(-1, len(theta)).any(0), d_theta, 0.0)


@mutant("jumprelu: straight through to pre as well", clause="ACT-9", target="activations.jumprelu_backward",
        seen_in=("SAELens 6.54.12",), where="jumprelu_ste_to_input", convention=True)
def straight_through_to_pre(right, d_acts, pre, theta, bandwidth):
    d_pre, d_theta = right(d_acts, pre, theta, bandwidth)
    return d_pre + (abs(pre - theta) < bandwidth / 2) * theta / bandwidth * d_acts, d_theta


@mutant("jumprelu: the window opens the gate of pre", clause="ACT-9", target="activations.jumprelu_backward")
def window_opens_gate(right, d_acts, pre, theta, bandwidth):
    d_pre, d_theta = right(d_acts, pre, theta, bandwidth)
    return np.where(abs(pre - theta) < bandwidth / 2, d_acts, d_pre), d_theta


@mutant("jumprelu: gradient to pre at equality", clause="ACT-9", target="activations.jumprelu_backward",
        seen_in=("overcomplete 0.3.0",), convention=True)
def gradient_at_equality(right, d_acts, pre, theta, bandwidth):
    return np.where(pre >= theta, d_acts, 0.0), right(d_acts, pre, theta, bandwidth)[1]


@mutant("step: divided by bandwidth twice", clause="ACT-11", target="activations.step_backward",
        seen_in=("overcomplete 0.3.0",))
def step_bandwidth_twice(right, d_on, pre, theta, bandwidth):
    return right(d_on, pre, theta, bandwidth) / bandwidth


@mutant("step: jumprelu's factor theta", clause="ACT-11", target="activations.step_backward")
def step_with_theta(right, d_on, pre, theta, bandwidth):
    return right(d_on, pre, theta, bandwidth) * theta


# ---------------------------------------------------------------- what is trained

@mutant("thresholds: theta is taken for its logarithm", clause="ACT-26", target="activations.thresholds",
        seen_in=("overcomplete 0.3.0", "Language-Model-SAEs", "BatchTopK", "matryoshka_sae"), convention=True)
def always_a_logarithm(right, params):
    return np.exp(params.get("log_threshold", params.get("theta")))


@mutant("thresholds: the logarithm is taken for theta", clause="ACT-26", target="activations.thresholds")
def never_a_logarithm(right, params):
    return np.abs(params.get("log_threshold", params.get("theta")))


@mutant("thresholds: the gradient of theta itself has theta's factor", clause="ACT-26", target="activations.thresholds_backward")
def chain_rule_twice(right, d_theta, params):
    return right(params.get("theta", 1.0) * d_theta, params)
