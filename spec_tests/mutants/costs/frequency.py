"""Mutants of FREQ."""

from unittest.mock import patch

import numpy as np

from sae_spec.reference.sae import training
from sae_spec.reference.sae.autoencoder import forward
from sae_spec.spec_tests.mutants import mutant

# ---------------------------------------------------------------- firing


@mutant("firing: only positive activations fire", clause="FREQ-1", target="frequency.firing_counts",
        seen_in=("dictionary_learning 0.1.0", "Language-Model-SAEs", "BatchTopK"), convention=True)
def only_positive_fires(right, acts):
    return right(np.maximum(acts, 0.0))


@mutant("firing: only above 1e-3", clause="FREQ-1", target="frequency.firing_counts",
        seen_in=("openai/sparse_autoencoder",), convention=True)
def only_loud_fires(right, acts):
    return right(np.where(np.abs(acts) > 1e-3, acts, 0.0))


@mutant("firing: only above 1e-12", clause="FREQ-1", target="frequency.firing_counts")
def whispers_are_silence(right, acts):
    return right(np.where(np.abs(acts) > 1e-12, acts, 0.0))


@mutant("firing: the activations are summed, not counted", clause="FREQ-1", target="frequency.firing_counts")
def mass_not_count(right, acts):
    return np.abs(acts).reshape(-1, acts.shape[-1]).sum(0)


@mutant("frequency: of the firings, not of the samples", clause="FREQ-2", target="frequency.frequency")
def share_of_firings(right, counts, samples):
    right(counts, samples)
    return counts / np.maximum(counts.sum(), 1.0)


@mutant("frequency: one sample too few", clause="FREQ-2", target="frequency.frequency")
def one_sample_less(right, counts, samples):
    right(counts, samples)
    return counts / np.maximum(samples - 1, 1)


@mutant("frequency: 0 over no samples", clause="FREQ-2", target="frequency.frequency")
def silent_without_samples(right, counts, samples):
    return counts / np.maximum(samples, 1)


# ---------------------------------------------------------------- the running average

@mutant("running mean: a large batch weighs more", clause="FREQ-3", target="frequency.running_mean")
def weighted_by_size(right, mean, batches, acts, decay):
    return right(mean, batches, acts, decay ** (acts.size // acts.shape[-1]))


@mutant("running mean: decay and its complement exchanged", clause="FREQ-3", target="frequency.running_mean")
def weights_exchanged(right, mean, batches, acts, decay):
    right(mean, batches, acts, decay)
    return right(mean, batches, acts, 1 - decay if decay else 0.0)


@mutant("running mean: decay unchecked", clause="FREQ-3", target="frequency.running_mean")
def decay_unchecked(right, mean, batches, acts, decay):
    return right(mean, batches, acts, min(max(decay, 0.0), 0.5))


@mutant("running mean: an empty batch decays it", clause="FREQ-4", target="frequency.running_mean")
def empty_decays(right, mean, batches, acts, decay):
    return right(mean, batches, acts, decay) if acts.size else (decay * mean, batches)


@mutant("running mean: an empty batch is counted", clause="FREQ-4", target="frequency.running_mean")
def empty_counts(right, mean, batches, acts, decay):
    return right(mean, batches, acts, decay)[0], batches + 1


@mutant("running frequency: still biased towards 0", clause="FREQ-5", target="frequency.running_frequency")
def still_biased(right, mean, batches, decay):
    right(mean, batches, decay)
    return mean


@mutant("running frequency: debiased by one batch too many", clause="FREQ-5", target="frequency.running_frequency")
def debiased_off_by_one(right, mean, batches, decay):
    right(mean, batches, decay)
    return mean / (1 - decay ** (batches + 1))


@mutant("running frequency: 0 before the first batch", clause="FREQ-5", target="frequency.running_frequency")
def zero_before_the_first(right, mean, batches, decay):
    return right(mean, batches, decay) if batches else mean


# ---------------------------------------------------------------- the price

@mutant("price: natural logarithm", clause="FREQ-6", target="frequency.price")
def natural_logarithm(right, frequency, D, min_frequency):
    return right(frequency, D, min_frequency) * np.log(D)


@mutant("price: base 2 whatever D", clause="FREQ-6", target="frequency.price")
def base_two(right, frequency, D, min_frequency):
    right(frequency, D, min_frequency)
    return right(frequency, 2, min_frequency)


@mutant("price: a common latent is free", clause="FREQ-6", target="frequency.price")
def common_is_free(right, frequency, D, min_frequency):
    right(frequency, D, min_frequency)
    return -np.log(np.maximum(frequency, min_frequency)) / np.log(D)


@mutant("price: 1 is added, not the least", clause="FREQ-6", target="frequency.price")
def one_is_added(right, frequency, D, min_frequency):
    right(frequency, D, min_frequency)
    return 1 - np.log(np.maximum(frequency, min_frequency)) / np.log(D)


@mutant("price: the frequency, not its inverse", clause="FREQ-6", target="frequency.price")
def not_inverted(right, frequency, D, min_frequency):
    right(frequency, D, min_frequency)
    return np.maximum(1.0, np.log(np.maximum(frequency, min_frequency)) / np.log(D))


@mutant("price: no floor under the frequency", clause="FREQ-7", target="frequency.price")
def no_floor(right, frequency, D, min_frequency):
    right(frequency, D, min_frequency)
    with np.errstate(divide="ignore"):
        return np.maximum(1.0, -np.log(frequency) / np.log(D))


@mutant("price: no floor below 1e-6", clause="FREQ-7", target="frequency.price")
def floor_of_a_millionth(right, frequency, D, min_frequency):
    return right(frequency, D, max(min_frequency, 1e-6) if min_frequency > 0 else min_frequency)


@mutant("price: the floor is added", clause="FREQ-7", target="frequency.price")
def floor_is_added(right, frequency, D, min_frequency):
    return right(np.minimum(frequency + min_frequency, 1.0), D, min_frequency)


@mutant("price: the floor replaces zeros only", clause="FREQ-7", target="frequency.price")
def floor_for_zeros_only(right, frequency, D, min_frequency):
    floored = np.where(frequency == 0, min_frequency, frequency)
    return right(floored, D, min(min_frequency, floored.min()))


@mutant("price: a latent whose frequency is not known costs 1", clause="FREQ-7", target="frequency.price")
def unknown_costs_one(right, frequency, D, min_frequency):
    return np.where(frequency < min_frequency, 1.0, right(frequency, D, min_frequency))


@mutant("price: D = 1 accepted", clause="FREQ-8", target="frequency.price")
def any_dimension(right, frequency, D, min_frequency):
    return right(frequency, max(D, 2), min_frequency)


@mutant("price: floor of 0 accepted", clause="FREQ-8", target="frequency.price")
def floor_of_zero(right, frequency, D, min_frequency):
    return right(frequency, D, min_frequency if min_frequency > 0 else 1e-6)


@mutant("price: floor above 1 accepted", clause="FREQ-8", target="frequency.price")
def floor_above_one(right, frequency, D, min_frequency):
    return right(frequency, D, min(min_frequency, 1.0))


@mutant("price: floor of 1 refused", clause="FREQ-8", target="frequency.price")
def floor_of_one_refused(right, frequency, D, min_frequency):
    if min_frequency == 1:
        raise ValueError("min_frequency must be below 1")
    return right(frequency, D, min_frequency)


# ---------------------------------------------------------------- the price in the objective's gradient

def gradient_at_another_price(name, other):
    """The terms are right, their gradient is taken at `other(price, params)`."""
    @mutant(name, clause="FREQ-9", target="objective.objective_backward")
    def wrong(right, batch, params, config, given):
        price = other(given.price, params["b_dec"].size)
        return right(batch, params, config, given._replace(price=price))


gradient_at_another_price("priced gradient: the price is forgotten", lambda price, D: np.ones_like(price))
gradient_at_another_price("priced gradient: the price enters twice", lambda price, D: price**2)
# d (f · price(f)) / d f with price = -ln f / ln D: what comes out if the price is not detached
gradient_at_another_price("priced gradient: the price is differentiated",
                          lambda price, D: np.where(price > 1, price - 1 / np.log(D), price))


@mutant("running price: the floor's before the first batch", clause="FREQ-10", target="frequency.running_price")
def dead_before_the_first(right, mean, batches, decay, D, min_frequency):
    return right(mean, max(batches, 1), decay, D, min_frequency)


@mutant("running price: 1 after the first batch too", clause="FREQ-10", target="frequency.running_price")
def one_for_too_long(right, mean, batches, decay, D, min_frequency):
    return right(mean, 0 if batches == 1 else batches, decay, D, min_frequency)


@mutant("training: a batch takes part in its own price", clause="FREQ-11", target="training.training_step")
def prices_itself(right, state, x, config):
    acts = forward(x, state.params, config, training.batch_price(state, config)).acts
    own = training.Running(*training.running_mean(*state.frequency, acts, config["frequency_decay"]))
    price = training.batch_price(state._replace(frequency=own), config)
    with patch.object(training, "batch_price", lambda *_: price):
        return right(state, x, config)


@mutant("training: the price is from the last batch alone", clause="FREQ-11", target="frequency.running_mean")
def priced_by_the_last_batch(right, mean, batches, acts, decay):
    return right(0 * mean, 0, acts, decay) if acts.size else (mean, batches)
