"""Mutants of TRAIN: the order of a step.

A step is a sequence of functions, so a mutant leaves one out, moves one, or hands it something else: by what it gives
the right step, by what it makes of the step's result, or by a function that `training` calls under its name.
"""

from unittest.mock import patch

from sae_spec.reference.sae import training
from sae_spec.reference.sae.autoencoder import forward
from sae_spec.reference.sae.constraints import normalize_rows
from sae_spec.reference.sae.selection import density
from sae_spec.spec_tests.mutants import mutant


def of_step(name, target, *, clause="TRAIN-13", **seen):
    return mutant(f"step: {name}", clause=clause, target=f"training.{target}", **seen)


def unchanged(rows, *_):
    """In the place of a function that changes its first argument."""
    return rows


def with_unit_rows(state):
    return state._replace(params=state.params | {"W_dec": normalize_rows(state.params["W_dec"])})


def forward_of(state, x, config):
    """The batch as the step sees it, and its price."""
    price = training.batch_price(state, config)
    return forward(x, state.params, config, price), price


# ---------------------------------------------------------------- project, clip, move, renormalise

@of_step("no projection", "move", seen_in=("SAELens 6.54.12", "overcomplete 0.3.0"), convention=True)
def no_projection(right, state, grads, config):
    with patch.object(training, "project_gradient", unchanged):
        return right(state, grads, config)


@of_step("clipped before projected", "move", seen_in=("BatchTopK",), convention=True)
def clipped_first(right, state, grads, config):
    return right(state, training.clip_gradients(grads, config["max_grad_norm"]), config | {"max_grad_norm": None})


@of_step("no clipping", "move", seen_in=("sparsify 1.3.3", "dictionary_learning 0.1.0"), convention=True)
def no_clipping(right, state, grads, config):
    return right(state, grads, config | {"max_grad_norm": None})


@of_step("never renormalised", "move", seen_in=("SAELens 6.54.12", "Language-Model-SAEs"), convention=True)
def never_renormalised(right, state, grads, config):
    with patch.object(training, "normalize_rows", unchanged):
        return right(state, grads, config)


@of_step("the encoder is renormalised too", "move")
def encoder_renormalised(right, state, grads, config):
    params, moments = right(state, grads, config)
    return params | {name: normalize_rows(params[name]) for name in params if name == "W_enc"}, moments


@of_step("renormalised before Adam, not after", "move",
         seen_in=("BatchTopK", "openai/sparse_autoencoder"), convention=True)
def renormalised_before_adam(right, state, grads, config):
    return never_renormalised(right, with_unit_rows(state), grads, config)


@of_step("renormalised before the forward, not after", "training_step",
         seen_in=("sparsify 1.3.3", "overcomplete 0.3.0"), convention=True)
def renormalised_before_the_forward(right, state, x, config):
    with patch.object(training, "normalize_rows", unchanged):
        return right(with_unit_rows(state), x, config)


@of_step("renormalised before the forward and after", "training_step")
def renormalised_twice(right, state, x, config):
    return right(with_unit_rows(state), x, config)


@of_step("moments forgotten", "training_step")
def moments_forgotten(right, state, x, config):
    after, terms = right(state, x, config)
    return after._replace(moments=state.moments), terms


# ---------------------------------------------------------------- the running threshold and frequency

@of_step("threshold from the pre-activations", "training_step")
def threshold_from_pre(right, state, x, config):
    batch, price = forward_of(state, x, config)
    after, terms = right(state, x, config)
    return after._replace(threshold=training.batch_threshold(state, batch.pre, price, config)), terms


@of_step("threshold from the density in both batch rules", "batch_threshold")
def threshold_from_density(right, state, acts, price, config):
    if config["activation"] == "batch_topk":
        acts = density(acts, price, training.row_norms(state.params["W_dec"]))
    return right(state, acts, price, config)


@of_step("threshold from the activations in both batch rules", "batch_threshold")
def threshold_from_acts(right, state, acts, price, config):
    is_batch_rule = config["activation"].startswith("batch_")
    return right(state, acts, price, config | {"activation": "batch_topk"} if is_batch_rule else config)


@of_step("threshold follows every activation", "batch_threshold")
def threshold_of_every_activation(right, state, acts, price, config):
    is_batch_rule = config["activation"].startswith("batch_")
    return right(state, acts, price, config if is_batch_rule else config | {"activation": "batch_topk"})


@of_step("threshold from the decoder after the step", "training_step")
def threshold_from_the_new_decoder(right, state, x, config):
    batch, price = forward_of(state, x, config)
    after, terms = right(state, x, config)
    moved = state._replace(params=after.params)
    return after._replace(threshold=training.batch_threshold(moved, batch.acts, price, config)), terms


@of_step("frequency of the pre-activations", "training_step")
def frequency_of_pre(right, state, x, config):
    batch, _ = forward_of(state, x, config)
    after, terms = right(state, x, config)
    running = training.running_mean(*state.frequency, batch.pre, config["frequency_decay"])
    return after._replace(frequency=training.Running(*running)), terms


# ---------------------------------------------------------------- dead latents

@of_step("the counter of the dead starts anew", "training_step")
def counter_starts_anew(right, state, x, config):
    after, terms = right(state, x, config)
    return after._replace(tokens_since_fired=0 * after.tokens_since_fired), terms


@of_step("death judged before the batch", "training_step", clause="TRAIN-14",
         seen_in=("SAELens 6.54.12", "sparsify 1.3.3"), convention=True)
def judged_before_the_batch(right, state, x, config):
    dead = training.is_dead(state.tokens_since_fired, config["dead_after"])
    with patch.object(training, "is_dead", lambda tokens, dead_after: dead):
        return right(state, x, config)


@of_step("whoever was dead before stays dead", "training_step", clause="TRAIN-14")
def stays_dead(right, state, x, config):
    before, is_dead = training.is_dead(state.tokens_since_fired, config["dead_after"]), training.is_dead
    with patch.object(training, "is_dead", lambda tokens, dead_after: before | is_dead(tokens, dead_after)):
        return right(state, x, config)
