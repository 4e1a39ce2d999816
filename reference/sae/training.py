"""TRAIN: one whole step, in the order in which things happen.

    price, dead, learning rate     from what earlier batches left behind
    forward, objective, gradients  of this batch
    project, clip, Adam, renorm    the parameters move
    counters, frequency, threshold are brought up to date with this batch

Each stage is a function of arrays; `training_step` is their sequence. `config` holds what autoencoder.py and
objective.py read, and besides: "steps", "learning_rate", "warmup_steps", "decay_steps", "sparsity_warmup_steps",
"max_grad_norm" (None: do not clip), "dead_after", "priced" (False: every price is 1), "frequency_decay",
"min_frequency", "threshold_decay", "threshold_rate" (1 unless given), and what adam.py reads.
"""

from typing import NamedTuple

import numpy as np

from .adam import adam, adam_constants
from .autoencoder import forward
from .constraints import normalize_rows, project_gradient, project_thresholds, row_norms
from .frequency import running_mean, running_price
from .inference import running_threshold
from .objective import Given, objective, objective_backward
from .selection import density


class Moments(NamedTuple):
    """Adam's memory, arrays by parameter name."""

    first: dict                    # mean of gradients
    second: dict                   # mean of squared gradients


class Running(NamedTuple):
    """An exponential average over batches."""

    mean: np.ndarray | float
    batches: int                   # how many have entered it


class State(NamedTuple):
    """All that one step leaves to the next."""

    params: dict                   # arrays by name
    moments: Moments
    frequency: Running             # mean (M,), see frequency.running_mean
    threshold: Running             # mean a number, see inference.running_threshold
    tokens_since_fired: np.ndarray # (M,)
    steps_done: int


def initial_state(params):
    """The state before the first step: moments 0, nothing counted, every latent taken for alive."""
    zeros = {name: np.zeros_like(array) for name, array in params.items()}
    M = len(params["W_dec"])
    return State(params, Moments(zeros, zeros), Running(np.zeros(M), 0), Running(0.0, 0), np.zeros(M), 0)


def learning_rate(step, config):
    """The learning rate of a step: linear up, flat, linear down.

    step    counts from 0 to steps - 1
    returns a number from 0 to config["learning_rate"]

    [TRAIN-6] Warm-up: (step + 1) / warmup_steps of the full rate, so the first step already moves.
    [TRAIN-7] Decay: (steps - step) / decay_steps over the last decay_steps; the last step still moves.
              Where both apply the smaller counts; 0 steps of either means none.
    """
    up = (step + 1) / config["warmup_steps"] if config["warmup_steps"] else 1.0
    down = (config["steps"] - step) / config["decay_steps"] if config["decay_steps"] else 1.0
    return config["learning_rate"] * min(1.0, up, down)


def parameter_rate(name, rate, config):
    """The learning rate of one parameter.  name as in `params`, rate the step's; returns a number.

    [TRAIN-22] A jumprelu's thresholds, theta or log_threshold, move at threshold_rate times the learning rate, any other
               parameter at the rate itself. threshold_rate is above 0, and 1 unless given.
    Why: Adam moves a number by about its rate a step, whatever its unit; a threshold has further to go than a weight.
    """
    factor = config.get("threshold_rate", 1.0)
    if not factor > 0:
        raise ValueError(f"threshold_rate must be above 0, got {factor}")
    return rate * factor if name in ("theta", "log_threshold") else rate


def sparsity_warmth(step, config):
    """The factor on the sparsity coefficients, from 1 / sparsity_warmup_steps up to 1.

    step    counts from 0
    returns a number above 0, at most 1

    [TRAIN-8] l1, l0 and tanh warm up by (step + 1) / sparsity_warmup_steps; tie and aux do not.
    """
    return min(1.0, (step + 1) / config["sparsity_warmup_steps"]) if config["sparsity_warmup_steps"] else 1.0


def count_tokens(tokens_since_fired, acts):
    """Samples since each latent last fired.

    tokens_since_fired  (M,)
    acts                (B, M)
    returns tokens_since_fired (M,)

    [TRAIN-9] A latent that fires anywhere in the batch is at 0 after it; any other has waited B samples more.
    """
    rows = acts.reshape(-1, acts.shape[-1])                 # (B, M)
    return np.where((rows != 0).any(0), 0.0, tokens_since_fired + len(rows))      # (M,)


def is_dead(tokens_since_fired, dead_after):
    """Which latents are dead.  tokens_since_fired (M,), returns dead (M,).

    [TRAIN-10] Dead means that the count has reached dead_after: tokens_since_fired >= dead_after.
    """
    return tokens_since_fired >= dead_after                 # (M,)


def clip_gradients(grads, max_grad_norm):
    """Scale all gradients together so that their joint norm is at most max_grad_norm.

        grads <- grads · min(1, max_grad_norm / norm),    norm = sqrt(sum over all gradients of their squares)

    grads          by parameter name
    max_grad_norm  > 0, or None: do not clip
    returns grads

    [TRAIN-11] The norm is taken over all parameters at once; a smaller one is left exactly as it is.
    """
    norm = np.sqrt(sum((grad**2).sum() for grad in grads.values()))
    if max_grad_norm is None or norm <= max_grad_norm:
        return grads
    return {name: grad * (max_grad_norm / norm) for name, grad in grads.items()}


def batch_price(state, config):
    """What a firing costs in the coming batch, (M,): decided by earlier batches, or 1 if "priced" is False."""
    if not config["priced"]:
        return np.ones_like(state.frequency.mean)
    D = state.params["b_dec"].size
    return running_price(*state.frequency, config["frequency_decay"], D, config["min_frequency"])


def move(state, grads, config):
    """The parameters after one step: project, clip, Adam, renormalise, keep thresholds at 0 or above.

    state   State
    grads   by parameter name
    returns params, Moments
    """
    grads = grads | {"W_dec": project_gradient(grads["W_dec"], state.params["W_dec"])}
    grads = clip_gradients(grads, config["max_grad_norm"])
    rate, constants = learning_rate(state.steps_done, config), adam_constants(config)
    first, second = state.moments
    moved = {name: adam(param, grads[name], first[name], second[name], state.steps_done, parameter_rate(name, rate, config),
                        *constants) for name, param in state.params.items()}
    params, first, second = ({name: triple[i] for name, triple in moved.items()} for i in range(3))
    if "theta" in params:
        params["theta"] = project_thresholds(params["theta"])                     # (M,)
    return params | {"W_dec": normalize_rows(params["W_dec"])}, Moments(first, second)


def batch_threshold(state, acts, price, config):
    """The running threshold of a batch rule after this batch; unchanged for other activations."""
    kept = acts                                             # (B, M)
    if config["activation"] == "batch_budget_topk":
        kept = density(acts, price, row_norms(state.params["W_dec"]))             # (B, M)  by the rows that chose
    elif config["activation"] != "batch_topk":
        return state.threshold
    return Running(*running_threshold(*state.threshold, kept, config["threshold_decay"]))


def training_step(state, x, config):
    """One step on one batch.

    state   State
    x       (B, D), B >= 1
    returns State, terms (see `objective`)
    raises  ValueError as `forward` and `objective` do

    [TRAIN-13] The order: forward and loss; gradients; projection of the decoder's; clipping; Adam; decoder rows
               back to norm 1, thresholds back to 0; then the counters, the running frequency and the running threshold, from this batch.
    [TRAIN-14] A latent's death is judged with this batch counted: one that fires now is alive now.
    """
    params, price = state.params, batch_price(state, config)
    batch = forward(x, params, config, price)
    tokens = count_tokens(state.tokens_since_fired, batch.acts)                   # (M,)
    given = Given(price, is_dead(tokens, config["dead_after"]), sparsity_warmth(state.steps_done, config))
    terms = objective(batch, params, config, given)
    grads = objective_backward(batch, params, config, given)
    params, moments = move(state, grads, config)
    frequency = Running(*running_mean(*state.frequency, batch.acts, config["frequency_decay"]))
    threshold = batch_threshold(state, batch.acts, price, config)
    return State(params, moments, frequency, threshold, tokens, state.steps_done + 1), terms
