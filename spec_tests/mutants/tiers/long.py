"""Mutants that short runs cannot see: they are right for some steps, and then stop following."""

import numpy as np

from sae_spec.spec_tests.mutants import mutant
from sae_spec.spec_tests.mutants.training.training import EPSILON, first_hat, second_hat


def late_adam(name, direction, after=100):
    """Adam that moves along `direction`, a function of both moments and t, from the step after so many on."""
    @mutant(f"adam: {name}", clause="TRAIN-12", target="adam.adam")
    def wrong(right, param, grad, first, second, step, rate, *more):
        moved, first, second = right(param, grad, first, second, step, rate, *more)
        return (moved if step < after else param - rate * direction(first, second, step + 1)), first, second


late_adam("no bias correction after 100 steps", lambda m, v, t: m / (np.sqrt(v) + EPSILON))
late_adam("the second moment's bias is forgotten after 100 steps", lambda m, v, t: first_hat(m, t) / (np.sqrt(v) + EPSILON))
late_adam("the second moment's bias is forgotten after 1000 steps", lambda m, v, t: m / (np.sqrt(v) + EPSILON), after=1000)
late_adam("bias correction stays at that of step 100",
          lambda m, v, t: first_hat(m, 100) / (np.sqrt(second_hat(v, 100)) + EPSILON))


@mutant("adam: moments are no longer updated after 100 steps", clause="TRAIN-12", target="adam.adam")
def moments_rest(right, param, grad, first, second, step, *more):
    moved, *after = right(param, grad, first, second, step, *more)
    return (moved, *after) if step < 100 else (moved, first, second)


@mutant("learning rate: frozen after step 40", clause="TRAIN-6", target="training.learning_rate")
def frozen(right, step, config):
    return right(min(step, 40), config)


@mutant("learning rate: warm-up takes at most 100 steps", clause="TRAIN-6", target="training.learning_rate")
def warm_by_100(right, step, config):
    return right(step, config | {"warmup_steps": min(config["warmup_steps"], 100)})


@mutant("learning rate: decay takes at most 100 steps", clause="TRAIN-7", target="training.learning_rate")
def decays_late(right, step, config):
    return right(step, config | {"decay_steps": min(config["decay_steps"], 100)})


@mutant("sparsity warm-up: frozen after step 40", clause="TRAIN-8", target="training.sparsity_warmth")
def sparsity_frozen(right, step, config):
    return right(min(step, 40), config)


@mutant("counters: stop at 255", clause="TRAIN-9", target="training.count_tokens")
def one_byte(right, tokens_since_fired, acts):
    return np.minimum(right(tokens_since_fired, acts), 255)


@mutant("counters: begin anew at 32768", clause="TRAIN-9", target="training.count_tokens")
def two_bytes(right, tokens_since_fired, acts):
    return right(tokens_since_fired, acts) % 32768


@mutant("frequency: the data set is cut off at 10000 samples", clause="FREQ-2", target="frequency.frequency")
def few_samples(right, counts, samples):
    return right(counts, min(samples, 10000))


@mutant("running frequency: the average rests after 100 batches", clause="FREQ-3", target="frequency.running_mean")
def average_rests(right, mean, batches, acts, decay):
    after, batches_after = right(mean, batches, acts, decay)
    return (after if batches < 100 else mean), batches_after


@mutant("running frequency: the bias is forgotten after 100 batches", clause="FREQ-5", target="frequency.running_frequency")
def bias_forgotten(right, mean, batches, decay):
    return right(mean, batches, decay) if batches < 100 else mean


@mutant("running price: the frequency of batch 100 for ever", clause="FREQ-10", target="frequency.running_price")
def bias_of_batch_100(right, mean, batches, *more):
    return right(mean, min(batches, 100), *more)
