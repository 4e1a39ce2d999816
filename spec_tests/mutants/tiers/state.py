"""Mutants that leave traces: in what they were given, in what they returned before, in what they answer next."""

import numpy as np

from sae_spec.spec_tests.mutants import mutant

MEMORY = {}         # what a mutant remembers from one call to the next


@mutant("relu: in place", clause="SAE-16", target="activations.relu")
def relu_in_place(right, pre):
    return np.maximum(pre, 0.0, out=pre)


@mutant("relu: pre itself where all of it is positive", clause="SAE-16", target="activations.relu")
def relu_of_nothing_to_do(right, pre):
    return pre if np.all(pre > 0) else right(pre)


@mutant("decode: into one buffer for every call of a size", clause="SAE-16", target="linear.decode")
def one_buffer(right, *arguments):
    recons = right(*arguments)
    buffer = MEMORY.setdefault(("buffer", recons.shape), np.zeros(recons.shape))
    buffer[...] = recons
    return buffer


@mutant("encode: b_dec is taken off x in place", clause="SAE-16", target="linear.pre_activations")
def centred_in_place(right, x, params, config):
    if config.get("subtract_b_dec", True):
        x -= params["b_dec"]
        return right(x, params, config | {"subtract_b_dec": False})
    return right(x, params, config)


@mutant("encode: with the weights of the call before, if they fit", clause="SAE-16", target="linear.encoder_weight")
def weights_of_before(right, params):
    weight = right(params)
    before, MEMORY["weights"] = MEMORY.get("weights", weight), weight.copy()
    return before if before.shape == weight.shape else weight


@mutant("train: a second run goes on counting steps where the first one ended", clause="SAE-16", target="training.initial_state")
def steps_go_on(right, params):
    MEMORY["runs"] = MEMORY.get("runs", -1) + 1
    return right(params)._replace(steps_done=MEMORY["runs"])


@mutant("rows: read as they lie in memory", clause="SAE-16", target="constraints.normalize_rows")
def as_it_lies(right, W):
    base = W if W.base is None else W.base
    return right(base.ravel()[: W.size].reshape(W.shape) if W.base is not None else W)
