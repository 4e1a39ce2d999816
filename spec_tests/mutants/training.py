"""Mutants of TRAIN."""

import inspect
import sys
import textwrap

import numpy as np

from sae_spec.reference.sae import constraints, initialization, training
from sae_spec.spec_tests.mutants import mutant

TINY = np.finfo(np.float64).eps


def edited(right, *pairs, **names):
    """The function `right` with pieces of its text, (old, new) each, replaced; `names` are known to it besides.

    A piece that is not there is an error while this module is imported, so that no edit can fail unnoticed and
    pass for a mutant that was killed.
    """
    text = textwrap.dedent(inspect.getsource(right))
    for old, new in pairs:
        if text.count(old) != 1:
            raise ValueError(f"{right.__name__} does not hold exactly once: {old}")
        text = text.replace(old, new)
    scope = vars(sys.modules[right.__module__]) | names
    exec(text, scope)
    return scope[right.__name__]


def edited_mutant(name, right, *pairs, clause, seen_in="", **names):
    """A mutant made by editing the text of a function of the reference."""
    changed, module = edited(right, *pairs, **names), right.__module__.rsplit(".", 1)[-1]

    @mutant(name, clause=clause, target=f"{module}.{right.__name__}", seen_in=seen_in)
    def wrong(right, *arguments):
        with np.errstate(all="ignore"):
            return changed(*arguments)


# ---------------------------------------------------------------- rows of norm 1

def norms(W):
    return np.sqrt((W**2).sum(-1, keepdims=True))


@mutant("normalize rows: a zero row becomes NaN", clause="TRAIN-1", target="constraints.normalize_rows",
        seen_in="dictionary_learning")
def zero_row_is_nan(right, W):
    with np.errstate(invalid="ignore"):
        return W / norms(W)


@mutant("normalize rows: epsilon added to the norm", clause="TRAIN-1", target="constraints.normalize_rows",
        seen_in="dictionary_learning")
def epsilon_in_the_norm(right, W):
    return W / (norms(W) + TINY)


@mutant("normalize rows: short rows left short", clause="TRAIN-1", target="constraints.normalize_rows")
def short_rows_stay(right, W):
    return W / np.maximum(norms(W), 1.0)


@mutant("normalize rows: columns instead", clause="TRAIN-1", target="constraints.normalize_rows")
def columns_instead(right, W):
    return right(W.T).T


@mutant("normalize rows: one norm for the whole matrix", clause="TRAIN-1", target="constraints.normalize_rows")
def one_norm_for_all(right, W):
    return right(W.reshape(1, -1)).reshape(W.shape)


@mutant("projection: rows assumed to have norm 1", clause="TRAIN-2", target="constraints.project_gradient",
        seen_in="sparsify 1.3.3")
def unit_rows_assumed(right, d_W, W):
    return d_W - (d_W * W).sum(-1, keepdims=True) * W


@mutant("projection: divided by the norm once", clause="TRAIN-2", target="constraints.project_gradient")
def divided_once(right, d_W, W):
    return d_W - (d_W * W).sum(-1, keepdims=True) * W / np.maximum(norms(W), TINY)


@mutant("projection: 1e-6 added to the norm", clause="TRAIN-2", target="constraints.project_gradient",
        seen_in="dictionary_learning")
def epsilon_in_the_projection(right, d_W, W):
    unit = W / (norms(W) + 1e-6)
    return d_W - (d_W * unit).sum(-1, keepdims=True) * unit


@mutant("projection: a zero row's gradient becomes NaN", clause="TRAIN-2", target="constraints.project_gradient",
        seen_in="dictionary_learning")
def zero_row_gradient_is_nan(right, d_W, W):
    return np.where(norms(W) == 0, np.nan, right(d_W, W))


@mutant("projection: a zero row's gradient is dropped", clause="TRAIN-2", target="constraints.project_gradient")
def zero_row_gradient_is_dropped(right, d_W, W):
    return np.where(norms(W) == 0, 0.0, right(d_W, W))


@mutant("projection: keeps what it should take", clause="TRAIN-2", target="constraints.project_gradient")
def the_other_component(right, d_W, W):
    return d_W - right(d_W, W)


# ---------------------------------------------------------------- the start

@mutant("initial decoder: norm 0.1", clause="TRAIN-3", target="initialization.initial_parameters",
        seen_in="SAELens 6.54.12, dictionary_learning")
def norm_of_a_tenth(right, normals, b_dec, config):
    return {name: value * 0.1 if name.startswith("W_") else value for name, value in right(normals, b_dec, config).items()}


@mutant("initial decoder: the draws as they are", clause="TRAIN-3", target="initialization.initial_parameters")
def not_on_the_sphere(right, normals, b_dec, config):
    return {name: normals if name.startswith("W_") else value for name, value in right(normals, b_dec, config).items()}


@mutant("initial encoder: the draws, not the decoder", clause="TRAIN-3", target="initialization.initial_parameters",
        seen_in="sparsify 1.3.3, openai/sparse_autoencoder")
def encoder_of_its_own(right, normals, b_dec, config):
    return {name: normals if name == "W_enc" else value for name, value in right(normals, b_dec, config).items()}


def other_start(name, parameter, other, seen_in=""):
    """One parameter starts elsewhere."""
    @mutant(name, clause="TRAIN-4", target="initialization.initial_parameters", seen_in=seen_in)
    def wrong(right, normals, b_dec, config):
        params = right(normals, b_dec, config)
        return params | {parameter: other(params[parameter])} if parameter in params else params


other_start("initial log_threshold: the threshold itself", "log_threshold", np.exp, "SAELens 6.54.12, dictionary_learning")
other_start("initial log_threshold: base 2", "log_threshold", lambda value: value / np.log(2))
other_start("initial b_enc: not 0", "b_enc", lambda value: value + 0.1, "dictionary_learning")
other_start("initial r_mag: 1", "r_mag", lambda value: value + 1)
other_start("initial b_mag: 1", "b_mag", lambda value: value + 1)


@mutant("initial threshold: 0 accepted", clause="TRAIN-4", target="initialization.initial_parameters")
def any_threshold(right, normals, b_dec, config):
    return right(normals, b_dec, config | {"initial_threshold": max(config.get("initial_threshold", 1), 1e-3)})


@mutant("geometric median: the mean", clause="TRAIN-5", target="initialization.geometric_median", seen_in="sparsify 1.3.3")
def the_mean(right, data, iterations=64):
    return right(data, 0)


@mutant("geometric median: the median of each coordinate", clause="TRAIN-5", target="initialization.geometric_median")
def coordinate_median(right, data, iterations=64):
    right(data)
    return np.median(data, 0)


edited_mutant("geometric median: not softened", initialization.geometric_median, ("soft = 1e-6 * ", "soft = 1e-300 * "),
              clause="TRAIN-5", seen_in="dictionary_learning, Language-Model-SAEs")
edited_mutant("geometric median: softened whatever the scale", initialization.geometric_median, ("+ soft**2", "+ 1e-12"),
              clause="TRAIN-5")


@mutant("geometric median: four steps", clause="TRAIN-5", target="initialization.geometric_median")
def four_steps(right, data, iterations=64):
    return right(data, 4)


@mutant("geometric median: of nothing is NaN", clause="TRAIN-5", target="initialization.geometric_median")
def median_of_nothing(right, data, iterations=64):
    return right(data) if len(data) else np.full(data.shape[-1], np.nan)


# ---------------------------------------------------------------- schedules

@mutant("learning rate: 0 at the first step", clause="TRAIN-6", target="training.learning_rate",
        seen_in="dictionary_learning")
def starts_at_zero(right, step, config):
    return config["learning_rate"] * min(right(step, config) / config["learning_rate"],
                                         step / config["warmup_steps"] if config["warmup_steps"] else 1.0)


@mutant("learning rate: warm-up takes a step more", clause="TRAIN-6", target="training.learning_rate")
def a_step_more(right, step, config):
    return right(step, config | {"warmup_steps": config["warmup_steps"] and config["warmup_steps"] + 1})


@mutant("learning rate: no warm-up", clause="TRAIN-6", target="training.learning_rate", seen_in="BatchTopK script")
def no_warmup(right, step, config):
    return right(step, config | {"warmup_steps": 0})


@mutant("learning rate: 0 at the last step", clause="TRAIN-7", target="training.learning_rate")
def ends_at_zero(right, step, config):
    return right(step, config | {"steps": config["steps"] - 1})


@mutant("learning rate: decay begins a step late", clause="TRAIN-7", target="training.learning_rate")
def decays_late(right, step, config):
    return right(step, config | {"steps": config["steps"] + 1})


@mutant("learning rate: no decay", clause="TRAIN-7", target="training.learning_rate", seen_in="BatchTopK script")
def no_decay(right, step, config):
    return right(step, config | {"decay_steps": 0})


@mutant("learning rate: warm-up times decay", clause="TRAIN-7", target="training.learning_rate")
def product_of_both(right, step, config):
    up, down = right(step, config | {"decay_steps": 0}), right(step, config | {"warmup_steps": 0})
    return up * down / config["learning_rate"]


@mutant("sparsity warm-up: 0 at the first step", clause="TRAIN-8", target="training.sparsity_warmth",
        seen_in="dictionary_learning")
def no_sparsity_at_first(right, step, config):
    return right(step - 1, config) if config["sparsity_warmup_steps"] else 1.0


@mutant("sparsity warm-up: none", clause="TRAIN-8", target="training.sparsity_warmth", seen_in="BatchTopK script")
def no_sparsity_warmup(right, step, config):
    return 1.0


@mutant("sparsity warm-up: of tie and aux too", clause="TRAIN-8", target="objective.objective")
def all_terms_warm_up(right, batch, params, config, given):
    cooled = {name: config.get(name, 0.0) * given.warmth for name in ("tie_coefficient", "aux_coefficient")}
    return right(batch, params, config | cooled, given)


@mutant("sparsity warm-up: of l1 alone", clause="TRAIN-8", target="objective.coefficient")
def only_l1_warms_up(right, config, term, warmth=1.0):
    return right(config, term, warmth if term == "l1" else 1.0)


# ---------------------------------------------------------------- the dead

@mutant("dead latents: batches counted, not samples", clause="TRAIN-9", target="training.count_tokens",
        seen_in="SAELens 6.54.12, openai/sparse_autoencoder, BatchTopK script")
def batches_counted(right, tokens_since_fired, acts):
    return np.where(right(tokens_since_fired, acts) == 0, 0.0, tokens_since_fired + 1)


@mutant("dead latents: an index among the top k fires, even with value 0", clause="TRAIN-9", target="training.count_tokens",
        seen_in="dictionary_learning, sparsify 1.3.3")
def chosen_zeros_fire(right, tokens_since_fired, acts):
    rows = acts.reshape(-1, acts.shape[-1])
    k = max(1, (rows != 0).sum(-1).max(initial=0))          # what the activation must have been asked for
    chosen = np.argsort(-np.abs(rows), axis=-1, kind="stable")[:, :k]
    return np.where(np.isin(np.arange(rows.shape[-1]), chosen), 0.0, tokens_since_fired + len(rows))


@mutant("dead latents: only positive activations fire", clause="TRAIN-9", target="training.count_tokens",
        seen_in="dictionary_learning, Language-Model-SAEs, BatchTopK script")
def negative_is_silent(right, tokens_since_fired, acts):
    return right(tokens_since_fired, np.maximum(acts, 0.0))


@mutant("dead latents: only activations above 1e-3 fire", clause="TRAIN-9", target="training.count_tokens",
        seen_in="openai/sparse_autoencoder")
def quiet_is_silent(right, tokens_since_fired, acts):
    return right(tokens_since_fired, np.where(np.abs(acts) > 1e-3, acts, 0.0))


@mutant("dead latents: 1 right after firing", clause="TRAIN-9", target="training.count_tokens",
        seen_in="openai/sparse_autoencoder")
def one_after_firing(right, tokens_since_fired, acts):
    return np.maximum(right(tokens_since_fired, acts), 1.0)


@mutant("dead latents: counted from the last row that fired", clause="TRAIN-9", target="training.count_tokens")
def rows_since_fired(right, tokens_since_fired, acts):
    for row in acts.reshape(-1, 1, acts.shape[-1]):
        tokens_since_fired = right(tokens_since_fired, row)
    return tokens_since_fired


@mutant("dead latents: strictly longer than dead_after", clause="TRAIN-10", target="training.is_dead",
        seen_in="SAELens 6.54.12, sparsify 1.3.3, openai/sparse_autoencoder")
def strictly_longer(right, tokens_since_fired, dead_after):
    return tokens_since_fired > dead_after


@mutant("dead latents: whoever is not on now", clause="TRAIN-10", target="training.is_dead", seen_in="overcomplete 0.3.0")
def whoever_is_silent(right, tokens_since_fired, dead_after):
    return tokens_since_fired > 0


# ---------------------------------------------------------------- the move

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
        seen_in="SAELens 6.54.12, dictionary_learning, BatchTopK script: torch.nn.utils.clip_grad_norm_")
def epsilon_in_the_joint_norm(right, grads, max_grad_norm):
    if max_grad_norm is None:
        return grads
    norm = np.sqrt(sum((grad**2).sum() for grad in grads.values()))
    return {name: grad * min(1.0, max_grad_norm / (norm + 1e-6)) for name, grad in grads.items()}


@mutant("clipping: the squared norm is compared", clause="TRAIN-11", target="training.clip_gradients")
def squared_norm(right, grads, max_grad_norm):
    return grads if max_grad_norm is None else right(grads, max_grad_norm**0.5)


def other_adam(name, *pairs, seen_in=""):
    """Adam with pieces of its text replaced."""
    edited_mutant(f"adam: {name}", training.adam, *pairs, clause="TRAIN-12", seen_in=seen_in)


ROOT = "(np.sqrt(second_hat) + epsilon)"
FIRST_HAT, SECOND_HAT = "first / (1 - beta1 ** (step + 1))", "second / (1 - beta2 ** (step + 1))"
other_adam("epsilon inside the root", (ROOT, "np.sqrt(second_hat + epsilon)"))
other_adam("epsilon before the bias correction",
           (ROOT, "((np.sqrt(second) + epsilon) / np.sqrt(1 - beta2 ** (step + 1)))"))
other_adam("no epsilon", (ROOT, "np.where(second_hat == 0, 1, np.sqrt(second_hat))"))
other_adam("no bias correction", (FIRST_HAT, "first"), (SECOND_HAT, "second"))
other_adam("first moment not bias-corrected", (FIRST_HAT, "first"))
other_adam("second moment not bias-corrected", (SECOND_HAT, "second"))
other_adam("bias correction a step ahead", (FIRST_HAT, FIRST_HAT.replace("1)", "2)")),
           (SECOND_HAT, SECOND_HAT.replace("1)", "2)")))
other_adam("betas 0 and 0.999", ("beta1=0.9,", "beta1=0.0,"), seen_in="dictionary_learning")
other_adam("betas 0.9 and 0.99", ("beta2=0.999,", "beta2=0.99,"), seen_in="BatchTopK script")
other_adam("epsilon 6.25e-10", ("epsilon=1e-8", "epsilon=6.25e-10"), seen_in="openai/sparse_autoencoder")


# ---------------------------------------------------------------- the order of a step

def other_step(name, function, *pairs, clause="TRAIN-13", seen_in="", **names):
    """A step one of whose functions has pieces of its text replaced."""
    edited_mutant(f"step: {name}", function, *pairs, clause=clause, seen_in=seen_in, **names)


PROJECT = '    grads = grads | {"W_dec": project_gradient(grads["W_dec"], state.params["W_dec"])}\n'
CLIP = '    grads = clip_gradients(grads, config["max_grad_norm"])\n'
MOVE = "move(state, grads, config)"
BEGIN = "    params, price = state.params, batch_price(state, config)\n"
RENORM = (' | {"W_dec": normalize_rows(params["W_dec"])}', "")
RENORM_ENCODER = ("return params | {", 'return params | {n: normalize_rows(params[n]) for n in params if n == "W_enc"} | {')
DEATH = 'is_dead(tokens, config["dead_after"])'
DENSITY = 'density(acts, price, row_norms(state.params["W_dec"]))'

never_renormalised = edited(training.move, RENORM)


def with_unit_rows(state):
    return state._replace(params=state.params | {"W_dec": constraints.normalize_rows(state.params["W_dec"])})


other_step("no projection", training.move, (PROJECT, ""), seen_in="SAELens 6.54.12, overcomplete 0.3.0")
other_step("clipped before projected", training.move, (PROJECT + CLIP, CLIP + PROJECT), seen_in="BatchTopK script")
other_step("no clipping", training.move, (CLIP, ""), seen_in="sparsify 1.3.3, dictionary_learning")
other_step("never renormalised", training.move, RENORM, seen_in="SAELens 6.54.12, Language-Model-SAEs")
other_step("the encoder is renormalised too", training.move, RENORM_ENCODER)
other_step("renormalised before Adam, not after", training.training_step,
           (MOVE, "never_renormalised(with_unit_rows(state), grads, config)"), never_renormalised=never_renormalised,
           with_unit_rows=with_unit_rows, seen_in="BatchTopK script, openai/sparse_autoencoder")
other_step("renormalised before the forward, not after", training.training_step,
           (BEGIN, "    state = with_unit_rows(state)\n" + BEGIN), (MOVE, "never_renormalised(state, grads, config)"),
           never_renormalised=never_renormalised, with_unit_rows=with_unit_rows,
           seen_in="sparsify 1.3.3, overcomplete 0.3.0")
other_step("renormalised before the forward and after", training.training_step,
           (BEGIN, "    state = with_unit_rows(state)\n" + BEGIN), with_unit_rows=with_unit_rows)
other_step("threshold from the pre-activations", training.training_step,
           ("batch_threshold(state, batch.acts, ", "batch_threshold(state, batch.pre, "))
other_step("threshold from the density in both batch rules", training.batch_threshold,
           ('== "batch_budget_topk"', '!= "topk"'))
other_step("threshold from the activations in both batch rules", training.batch_threshold, (DENSITY, "acts"))
other_step("threshold from the decoder after the step", training.training_step,
           ("batch_threshold(state, ", "batch_threshold(state._replace(params=params), "))
other_step("threshold follows every activation", training.batch_threshold,
           ("        return state.threshold\n", "        pass\n"))
other_step("frequency of the pre-activations", training.training_step,
           ("*state.frequency, batch.acts,", "*state.frequency, batch.pre,"))
other_step("the counter of the dead starts anew", training.training_step, ("threshold, tokens,", "threshold, 0 * tokens,"))
other_step("moments forgotten", training.training_step,
           ("State(params, moments,", "State(params, state.moments,"))
other_step("death judged before the batch", training.training_step,
           (DEATH, DEATH.replace("tokens", "state.tokens_since_fired")), clause="TRAIN-14",
           seen_in="SAELens 6.54.12, sparsify 1.3.3")
other_step("whoever was dead before stays dead", training.training_step,
           (DEATH, DEATH.replace("tokens", "np.maximum(tokens, state.tokens_since_fired)")), clause="TRAIN-14")
