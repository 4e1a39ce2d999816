"""Mutants of TRAIN: schedules, dead latents, clipping, Adam."""

import numpy as np

from sae_spec.spec_tests.mutants import mutant

TINY = np.finfo(np.float64).eps


# ---------------------------------------------------------------- schedules

@mutant("learning rate: 0 at the first step", clause="TRAIN-6", target="training.learning_rate",
        seen_in=("dictionary_learning 0.1.0",), convention=True)
def starts_at_zero(right, step, config):
    return config["learning_rate"] * min(right(step, config) / config["learning_rate"],
                                         step / config["warmup_steps"] if config["warmup_steps"] else 1.0)


@mutant("learning rate: warm-up takes a step more", clause="TRAIN-6", target="training.learning_rate")
def a_step_more(right, step, config):
    return right(step, config | {"warmup_steps": config["warmup_steps"] and config["warmup_steps"] + 1})


@mutant("learning rate: no warm-up", clause="TRAIN-6", target="training.learning_rate",
        seen_in=("BatchTopK",), convention=True)
def no_warmup(right, step, config):
    return right(step, config | {"warmup_steps": 0})


@mutant("learning rate: 0 at the last step", clause="TRAIN-7", target="training.learning_rate")
def ends_at_zero(right, step, config):
    return right(step, config | {"steps": config["steps"] - 1})


@mutant("learning rate: decay begins a step late", clause="TRAIN-7", target="training.learning_rate")
def decays_late(right, step, config):
    return right(step, config | {"steps": config["steps"] + 1})


@mutant("learning rate: no decay", clause="TRAIN-7", target="training.learning_rate",
        seen_in=("BatchTopK",), convention=True)
def no_decay(right, step, config):
    return right(step, config | {"decay_steps": 0})


@mutant("learning rate: warm-up times decay", clause="TRAIN-7", target="training.learning_rate")
def product_of_both(right, step, config):
    up, down = right(step, config | {"decay_steps": 0}), right(step, config | {"warmup_steps": 0})
    return up * down / config["learning_rate"]


@mutant("sparsity warm-up: 0 at the first step", clause="TRAIN-8", target="training.sparsity_warmth",
        seen_in=("dictionary_learning 0.1.0",), convention=True)
def no_sparsity_at_first(right, step, config):
    return right(step - 1, config) if config["sparsity_warmup_steps"] else 1.0


@mutant("sparsity warm-up: none", clause="TRAIN-8", target="training.sparsity_warmth",
        seen_in=("BatchTopK",), convention=True)
def no_sparsity_warmup(right, step, config):
    return 1.0


@mutant("sparsity warm-up: of tie and aux too", clause="TRAIN-8", target="objective.objective")
def all_terms_warm_up(right, batch, params, config, given):
    cooled = {name: config.get(name, 0.0) * given.warmth for name in ("tie_coefficient", "aux_coefficient")}
    return right(batch, params, config | cooled, given)


@mutant("sparsity warm-up: of l1 alone", clause="TRAIN-8", target="objective.coefficient")
def only_l1_warms_up(right, config, term, warmth=1.0):
    return right(config, term, warmth if term == "l1" else 1.0)


# ---------------------------------------------------------------- dead latents

@mutant("dead latents: batches counted, not samples", clause="TRAIN-9", target="training.count_tokens",
        seen_in=("SAELens 6.54.12", "openai/sparse_autoencoder", "BatchTopK"), convention=True)
def batches_counted(right, tokens_since_fired, acts):
    return np.where(right(tokens_since_fired, acts) == 0, 0.0, tokens_since_fired + 1)


@mutant("dead latents: an index among the top k fires, even with value 0", clause="TRAIN-9", target="training.count_tokens",
        seen_in=("dictionary_learning 0.1.0", "sparsify 1.3.3"), where="TopK")
def chosen_zeros_fire(right, tokens_since_fired, acts):
    rows = acts.reshape(-1, acts.shape[-1])
    k = max(1, (rows != 0).sum(-1).max(initial=0))          # what the activation must have been asked for
    chosen = np.argsort(-np.abs(rows), axis=-1, kind="stable")[:, :k]
    return np.where(np.isin(np.arange(rows.shape[-1]), chosen), 0.0, tokens_since_fired + len(rows))


@mutant("dead latents: only positive activations fire", clause="TRAIN-9", target="training.count_tokens",
        seen_in=("dictionary_learning 0.1.0", "Language-Model-SAEs", "BatchTopK"), convention=True)
def negative_is_silent(right, tokens_since_fired, acts):
    return right(tokens_since_fired, np.maximum(acts, 0.0))


@mutant("dead latents: only activations above 1e-3 fire", clause="TRAIN-9", target="training.count_tokens",
        seen_in=("openai/sparse_autoencoder",), convention=True)
def quiet_is_silent(right, tokens_since_fired, acts):
    return right(tokens_since_fired, np.where(np.abs(acts) > 1e-3, acts, 0.0))


@mutant("dead latents: 1 right after firing", clause="TRAIN-9", target="training.count_tokens",
        seen_in=("openai/sparse_autoencoder",), convention=True)
def one_after_firing(right, tokens_since_fired, acts):
    return np.maximum(right(tokens_since_fired, acts), 1.0)


@mutant("dead latents: counted from the last row that fired", clause="TRAIN-9", target="training.count_tokens")
def rows_since_fired(right, tokens_since_fired, acts):
    for row in acts.reshape(-1, 1, acts.shape[-1]):
        tokens_since_fired = right(tokens_since_fired, row)
    return tokens_since_fired


@mutant("dead latents: strictly longer than dead_after", clause="TRAIN-10", target="training.is_dead",
        seen_in=("SAELens 6.54.12", "sparsify 1.3.3", "openai/sparse_autoencoder"), convention=True)
def strictly_longer(right, tokens_since_fired, dead_after):
    return tokens_since_fired > dead_after


@mutant("dead latents: whoever is not on now", clause="TRAIN-10", target="training.is_dead",
        seen_in=("overcomplete 0.3.0",), convention=True)
def whoever_is_silent(right, tokens_since_fired, dead_after):
    return tokens_since_fired > 0


# ---------------------------------------------------------------- clipping and Adam

@mutant("clipping: each parameter by itself", clause="TRAIN-11", target="training.clip_gradients")
def each_by_itself(right, grads, max_grad_norm):
    return {name: right({name: grad}, max_grad_norm)[name] for name, grad in grads.items()}


@mutant("clipping: each number by itself", clause="TRAIN-11", target="training.clip_gradients")
def each_number(right, grads, max_grad_norm):
    return grads if max_grad_norm is None else {n: np.clip(g, -max_grad_norm, max_grad_norm) for n, g in grads.items()}


@mutant("clipping: small gradients are scaled up", clause="TRAIN-11", target="training.clip_gradients")
def always_scaled(right, grads, max_grad_norm):
    if max_grad_norm is None:
        return grads
    norm = np.sqrt(sum((grad**2).sum() for grad in grads.values()))
    return {name: grad * max_grad_norm / max(norm, TINY) for name, grad in grads.items()}


@mutant("clipping: 1e-6 added to the norm", clause="TRAIN-11", target="training.clip_gradients",
        seen_in=("SAELens 6.54.12", "dictionary_learning 0.1.0", "BatchTopK"),
        where="torch.nn.utils.clip_grad_norm_", convention=True)
def epsilon_in_the_joint_norm(right, grads, max_grad_norm):
    if max_grad_norm is None:
        return grads
    norm = np.sqrt(sum((grad**2).sum() for grad in grads.values()))
    return {name: grad * min(1.0, max_grad_norm / (norm + 1e-6)) for name, grad in grads.items()}


@mutant("clipping: the squared norm is compared", clause="TRAIN-11", target="training.clip_gradients")
def squared_norm(right, grads, max_grad_norm):
    return grads if max_grad_norm is None else right(grads, max_grad_norm**0.5)


def other_constants(name, *, beta1=0.9, beta2=0.999, epsilon=1e-8, **seen):
    """Adam with other constants."""
    @mutant(f"adam: {name}", clause="TRAIN-12", target="adam.adam", **seen)
    def wrong(right, param, grad, first, second, step, rate, *constants):
        return right(param, grad, first, second, step, rate, beta1, beta2, epsilon)


other_constants("betas 0 and 0.999", beta1=0.0,
                seen_in=("dictionary_learning 0.1.0",), where="JumpReLU and Gated", convention=True)
other_constants("betas 0.9 and 0.99", beta2=0.99, seen_in=("BatchTopK",), convention=True)
other_constants("epsilon 6.25e-10", epsilon=6.25e-10, seen_in=("openai/sparse_autoencoder",), convention=True)


def constant(name):
    """What adam_constants makes wrongly of a configuration, declared as a mutant."""
    return mutant(f"adam: {name}", clause="TRAIN-16", target="adam.adam_constants")


@constant("beta1 stays .9")
def beta1_fixed(right, config):
    return 0.9, *right(config)[1:]


@constant("beta2 stays .999")
def beta2_fixed(right, config):
    beta1, _, epsilon = right(config)
    return beta1, 0.999, epsilon


@constant("epsilon stays 1e-8")
def epsilon_fixed(right, config):
    return *right(config)[:2], 1e-8


@constant("betas exchanged")
def betas_exchanged(right, config):
    beta1, beta2, epsilon = right(config)
    return (beta2, beta1, epsilon) if {"adam_beta1", "adam_beta2"} & set(config) else (beta1, beta2, epsilon)


@constant("a beta is brought into its range")
def betas_clipped(right, config):
    return right(config | {name: np.clip(config[name], 0, 0.9999) for name in ("adam_beta1", "adam_beta2") if name in config})


@constant("an epsilon of 0 is fine")
def epsilon_zero(right, config):
    return right(config) if config.get("adam_epsilon", 1) > 0 else (*right(config | {"adam_epsilon": 1})[:2], 0.0)


@constant("beta2 is .95 unless given")
def another_usual(right, config):
    return right({"adam_beta2": 0.95} | config)


def other_direction(name, direction):
    """Adam that moves along `direction`, a function of both moments and t, the number of steps with this one."""
    @mutant(f"adam: {name}", clause="TRAIN-12", target="adam.adam")
    def wrong(right, param, grad, first, second, step, rate, *constants):
        _, first, second = right(param, grad, first, second, step, rate, *constants)
        with np.errstate(all="ignore"):
            return param - rate * direction(first, second, step + 1), first, second


EPSILON = 1e-8


def first_hat(first, t):
    """The first moment, bias-corrected."""
    return first / (1 - 0.9**t)


def second_hat(second, t):
    """The second moment, bias-corrected."""
    return second / (1 - 0.999**t)


other_direction("epsilon inside the root", lambda m, v, t: first_hat(m, t) / np.sqrt(second_hat(v, t) + EPSILON))
other_direction("epsilon before the bias correction",
                lambda m, v, t: first_hat(m, t) / ((np.sqrt(v) + EPSILON) / np.sqrt(1 - 0.999**t)))
other_direction("no epsilon", lambda m, v, t: first_hat(m, t) / np.where(v == 0, 1, np.sqrt(second_hat(v, t))))
other_direction("no bias correction", lambda m, v, t: m / (np.sqrt(v) + EPSILON))
other_direction("first moment not bias-corrected", lambda m, v, t: m / (np.sqrt(second_hat(v, t)) + EPSILON))
other_direction("second moment not bias-corrected", lambda m, v, t: first_hat(m, t) / (np.sqrt(v) + EPSILON))
other_direction("bias correction a step ahead",
                lambda m, v, t: first_hat(m, t + 1) / (np.sqrt(second_hat(v, t + 1)) + EPSILON))
