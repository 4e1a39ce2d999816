"""Mutants of SAE: the gradients of every parameter and of x."""

import numpy as np

from sae_spec.spec_tests.mutants import mutant


@mutant("backward: nothing through pre", clause="SAE-8", target="autoencoder.backward", seen_in=("sparsify 1.3.3",))
def pre_dropped(right, d_pre, *more):
    return right(0 * d_pre, *more)


@mutant("backward: nothing through acts", clause="SAE-8", target="autoencoder.backward")
def acts_dropped(right, d_pre, d_acts, *more):
    return right(d_pre, 0 * d_acts, *more)


@mutant("backward: only the last prefix's reconstruction", clause="SAE-8", target="linear.decode_backward")
def last_prefix(right, d_recons, acts, params, prefixes=None):
    last = np.zeros_like(d_recons)
    last[-1] = d_recons[-1]
    return right(last, acts, params, prefixes)


@mutant("backward: the decoder tells silent latents nothing", clause="SAE-8", target="linear.decode_backward",
        seen_in=("Language-Model-SAEs",), where="Triton decode")
def deaf_to_silent(right, d_recons, acts, params, prefixes=None):
    d_acts, d_W_dec, d_b_dec = right(d_recons, acts, params, prefixes)
    return np.where(acts != 0, d_acts, 0.0), d_W_dec, d_b_dec


@mutant("backward: pre listens only where the latent is on", clause="SAE-8", target="autoencoder.backward")
def pre_masked(right, d_pre, d_acts, d_recons, batch, params, config):
    return right(np.where(batch.acts != 0, d_pre, 0.0), d_acts, d_recons, batch, params, config)


@mutant("backward: x gets no gradient", clause="SAE-8", target="autoencoder.backward")
def x_is_data(right, *arguments):
    grads = right(*arguments)
    return grads | {"x": 0 * grads["x"]}


def without_the_last(array):
    """The array without the last of its numbers that is not 0."""
    array = array.copy()
    array.flat[np.flatnonzero(array)[-1:]] = 0
    return array


@mutant("backward: the decoder's rows do not hear the last entry", clause="SAE-8", target="linear.decode_backward")
def rows_miss_the_last(right, d_recons, acts, params, prefixes=None):
    d_acts, _, d_b_dec = right(d_recons, acts, params, prefixes)
    return d_acts, right(d_recons, without_the_last(acts), params, prefixes)[1], d_b_dec


@mutant("backward: the encoder's rows and biases do not hear the last entry", clause="SAE-8", target="linear.pre_activations_backward")
def encoder_misses_the_last(right, d_shared, d_pre, x, params, config):
    few = right(d_shared, without_the_last(d_pre), x, params, config)
    return *few[:2], *right(d_shared, d_pre, x, params, config)[2:]


@mutant("tied: the encoder's gradient is lost", clause="SAE-9", target="autoencoder.backward")
def decoder_path_only(right, d_pre, d_acts, d_recons, batch, params, config):
    as_untied = right(d_pre, d_acts, d_recons, batch, {"W_enc": params["W_dec"]} | params, config)
    return as_untied if "W_enc" in params else {name: grad for name, grad in as_untied.items() if name != "W_enc"}


@mutant("tied: the decoder's gradient is lost", clause="SAE-9", target="autoencoder.backward")
def encoder_path_only(right, d_pre, d_acts, d_recons, batch, params, config):
    as_untied = right(d_pre, d_acts, d_recons, batch, {"W_enc": params["W_dec"]} | params, config)
    return as_untied if "W_enc" in params else as_untied | {"W_dec": as_untied["W_enc"]}


@mutant("tied: the two gradients are averaged", clause="SAE-9", target="autoencoder.backward")
def averaged_paths(right, d_pre, d_acts, d_recons, batch, params, config):
    grads = right(d_pre, d_acts, d_recons, batch, params, config)
    return grads if "W_enc" in params else grads | {"W_dec": grads["W_dec"] / 2}


@mutant("b_dec: the encoder's use has no gradient", clause="SAE-10", target="autoencoder.backward")
def encoder_forgets_b_dec(right, d_pre, d_acts, d_recons, batch, params, config):
    grads = right(d_pre, d_acts, d_recons, batch, params, config)
    return grads | {"b_dec": d_recons.reshape(-1, params["b_dec"].size).sum(0)}


@mutant("b_dec: the decoder's use has no gradient", clause="SAE-10", target="linear.decode_backward")
def decoder_forgets_b_dec(right, *arguments):
    d_acts, d_W_dec, d_b_dec = right(*arguments)
    return d_acts, d_W_dec, 0 * d_b_dec


@mutant("b_dec: left out of the encoder, it still gets the encoder's gradient", clause="SAE-10",
        target="autoencoder.backward")
def left_out_and_still_there(right, *arguments):
    *more, config = arguments
    return right(*arguments) | {"b_dec": right(*more, config | {"subtract_b_dec": True})["b_dec"]}
