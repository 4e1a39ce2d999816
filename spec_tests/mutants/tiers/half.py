"""Mutants that only half precision has: what is stored in 8 or 11 bits is also summed, multiplied or compared in them."""

import numpy as np

from sae_spec.spec_tests.mutants import mutant

BITS = {"bfloat16": 8, "float16": 11}


def rounded(array, dtype="bfloat16"):
    """Numbers with as many significant bits as the dtype holds; its range does not matter here."""
    mantissa, exponent = np.frexp(array)
    return np.ldexp(np.round(mantissa * 2.0 ** BITS[dtype]), exponent - BITS[dtype])


def summed(terms, dtype="bfloat16"):
    """The sum over the first axis of terms, each and every sum so far rounded."""
    total = np.zeros(terms.shape[1:])
    for term in terms:
        total = rounded(total + rounded(term, dtype), dtype)
    return total


def product(a, W, dtype="bfloat16"):
    """a @ W.T for a (..., D) and W (M, D), in half precision throughout."""
    return summed(np.moveaxis(a[..., np.newaxis, :] * W, -1, 0), dtype)


for half in BITS:
    @mutant(f"encode: summed in {half}", clause="SAE-15", target="linear.pre_activations", dtype=half)
    def encoded_in_half(right, x, params, config, half=half):
        centred = x - params["b_dec"] if config.get("subtract_b_dec", True) else x
        shared = product(centred, params.get("W_enc", params["W_dec"]), half)
        return shared, rounded(shared + params["b_enc"], half)

    @mutant(f"decode: summed in {half}", clause="SAE-15", target="linear.decode", dtype=half)
    def decoded_in_half(right, acts, params, prefixes=None, half=half):
        right(acts, params, prefixes)
        sums = [product(acts[..., :m], params["W_dec"][:m].T, half) for m in prefixes or [len(params["W_dec"])]]
        return np.stack([rounded(total + params["b_dec"], half) for total in sums])

    @mutant(f"activate: ranked and compared in {half}", clause="SAE-15", target="autoencoder.activate", dtype=half)
    def chosen_in_half(right, shared, pre, *more, half=half):
        return right(rounded(shared, half), rounded(pre, half), *more)

    @mutant(f"reconstruction: summed in {half}", clause="SAE-15", target="costs.reconstruction", dtype=half)
    def charged_in_half(right, x, recons, half=half):
        right(x, recons)
        return summed((x - recons).ravel() ** 2, half) / (x.size // x.shape[-1])

    @mutant(f"backward: the decoder's gradient summed in {half}", clause="SAE-15", target="linear.decode_backward", dtype=half)
    def gradient_in_half(right, d_recons, acts, params, prefixes=None, half=half):
        d_acts, d_W_dec, d_b_dec = right(d_recons, acts, params, prefixes)
        if prefixes is None:
            by_sample = acts.reshape(-1, acts.shape[-1])[:, :, np.newaxis] * d_recons.reshape(-1, 1, d_recons.shape[-1])
            d_W_dec = summed(by_sample, half)
        return d_acts, d_W_dec, d_b_dec


@mutant("encode: b_dec is taken off in bfloat16", clause="SAE-15", target="linear.pre_activations", dtype="bfloat16")
def centred_in_half(right, x, params, config):
    return right(rounded(x - params["b_dec"]), params | {"b_dec": 0 * params["b_dec"]}, config)


@mutant("firing counts: kept in bfloat16", clause="FREQ-1", target="frequency.firing_counts", dtype="bfloat16")
def counted_in_half(right, acts):
    return rounded(right(acts))


@mutant("counters: kept in bfloat16", clause="TRAIN-9", target="training.count_tokens", dtype="bfloat16")
def waits_in_half(right, *arguments):
    return rounded(right(*arguments))
