"""Mutants of SAE: encode, decode, and what is refused."""

import numpy as np

from sae_spec.reference.sae.activations import relu
from sae_spec.reference.sae.constraints import normalize_rows
from sae_spec.reference.sae.selection import topk
from sae_spec.spec_tests.mutants import mutant
from sae_spec.spec_tests.mutants.sae.backward import without_the_last


# ---------------------------------------------------------------- encode

@mutant("encode: b_enc left out", clause="SAE-1", target="autoencoder.encode", seen_in=("BatchTopK",))
def without_b_enc(right, x, params, *more):
    return right(x, params | {"b_enc": 0 * params["b_enc"]}, *more)


@mutant("encode: b_dec left out unless asked for", clause="SAE-1", target="autoencoder.encode")
def without_b_dec(right, x, params, config, *more):
    return right(x, params, {"subtract_b_dec": False} | config, *more)


@mutant("encode: b_dec added", clause="SAE-1", target="autoencoder.encode")
def b_dec_added(right, x, params, *more):
    return right(x, params | {"b_dec": -params["b_dec"]}, *more)


@mutant("encode: along the decoder, untied too", clause="SAE-1", target="linear.encoder_weight")
def always_tied(right, params):
    return params["W_dec"]


@mutant("tied: encodes along rows of norm 1", clause="SAE-2", target="linear.encoder_weight")
def tied_to_directions(right, params):
    return params.get("W_enc", normalize_rows(params["W_dec"]))


@mutant("tied: the other way round, encoder rows reversed", clause="SAE-2", target="linear.encoder_weight")
def tied_backwards(right, params):
    return params.get("W_enc", -params["W_dec"])


@mutant("encode: b_dec cannot be left out", clause="SAE-3", target="autoencoder.encode")
def always_centred(right, x, params, config, *more):
    return right(x, params, config | {"subtract_b_dec": True}, *more)


@mutant("encode: an empty batch is an error", clause="SAE-4", target="autoencoder.encode")
def at_least_one_sample(right, x, *more):
    if x.size == 0:
        raise ValueError("x is empty")
    return right(x, *more)


@mutant("encode: leading dimensions come back as one", clause="SAE-4", target="autoencoder.encode")
def flattened(right, x, *more):
    return right(x.reshape(-1, x.shape[-1]), *more)


@mutant("encode: batch rules choose within the last dimensions", clause="SAE-4", target="autoencoder.activate")
def batch_is_second_to_last(right, shared, pre, *more):
    if pre.ndim < 3 or pre.size == 0:
        return right(shared, pre, *more)
    return np.stack([batch_is_second_to_last(right, s, p, *more) for s, p in zip(shared, pre)])


@mutant("backward: thresholds sum over the first dimension only", clause="SAE-4", target="activations.jumprelu_backward",
        seen_in=("SAELens 6.54.12",))
def summed_over_first(right, d_acts, pre, theta, bandwidth):
    d_pre, _ = right(d_acts, pre, theta, bandwidth)
    near = np.abs(pre - theta) < bandwidth / 2
    return d_pre, np.where(near, -theta / bandwidth * d_acts, 0.0).sum(0)


# ---------------------------------------------------------------- decode

@mutant("decode: b_dec left out", clause="SAE-5", target="linear.decode")
def bare_decode(right, acts, params, prefixes=None):
    return right(acts, {"W_dec": params["W_dec"], "b_dec": 0 * params["b_dec"]}, prefixes)


@mutant("decode: through rows of norm 1", clause="SAE-5", target="linear.decode",
        seen_in=("overcomplete 0.3.0",), convention=True)
def unit_decode(right, acts, params, prefixes=None):
    return right(acts, {"W_dec": normalize_rows(params["W_dec"]), "b_dec": params["b_dec"]}, prefixes)


@mutant("decode: negative activations are dropped", clause="SAE-5", target="linear.decode")
def positive_decode(right, acts, *more):
    return right(relu(acts), *more)


@mutant("decode: the last entry is lost", clause="SAE-5", target="linear.decode")
def last_entry_lost(right, acts, *more):
    return right(without_the_last(acts), *more)


@mutant("matryoshka: blocks instead of prefixes", clause="SAE-6", target="linear.decode")
def blocks(right, acts, params, prefixes=None):
    recons = right(acts, params, prefixes)
    shorter = np.concatenate([np.broadcast_to(params["b_dec"], recons[:1].shape), recons[:-1]])
    return recons - shorter + params["b_dec"]


@mutant("matryoshka: b_dec in the last prefix only", clause="SAE-6", target="linear.decode")
def b_dec_last(right, acts, params, prefixes=None):
    recons = right(acts, params, prefixes)
    recons[:-1] -= params["b_dec"]
    return recons


@mutant("matryoshka: every prefix chooses for itself", clause="SAE-6", target="objective.objective",
        seen_in=("SAELens 6.16.2",))
def separate_choices(right, batch, params, config, given):
    if config["activation"] == "topk" and "prefixes" in config:
        choices = {m: topk(batch.pre[..., :m], min(config["k"], m)) for m in config["prefixes"]}
        recons = np.stack([acts @ params["W_dec"][:m] for m, acts in choices.items()]) + params["b_dec"]
        batch = batch._replace(recons=recons)
    return right(batch, params, config, given)


@mutant("prefixes: M is appended where it is missing", clause="SAE-7", target="linear.decode",
        seen_in=("SAELens 6.54.12",), convention=True)
def completed(right, acts, params, prefixes=None):
    M = len(params["W_dec"])
    return right(acts, params, prefixes + [M] if prefixes and prefixes[-1] < M else prefixes)


@mutant("prefixes: sorted first", clause="SAE-7", target="linear.decode")
def tidied(right, acts, params, prefixes=None):
    return right(acts, params, sorted(set(prefixes)) if prefixes else None)


@mutant("prefixes: an empty one is allowed", clause="SAE-7", target="linear.decode")
def from_zero(right, acts, params, prefixes=None):
    if prefixes and prefixes[0] == 0 and len(prefixes) > 1:
        rest = right(acts, params, prefixes[1:])
        return np.concatenate([np.broadcast_to(params["b_dec"], rest[:1].shape), rest])
    return right(acts, params, prefixes)


@mutant("prefixes: cut off at M", clause="SAE-7", target="linear.decode")
def cut_off(right, acts, params, prefixes=None):
    return right(acts, params, prefixes and [min(m, len(params["W_dec"])) for m in prefixes])


# ---------------------------------------------------------------- check

def shapes_only(right, x, params):
    return right(np.zeros(x.shape), {name: np.zeros(np.shape(array)) for name, array in params.items()})


@mutant("check: nothing need be finite", clause="SAE-11", target="linear.check")
def not_checked(right, x, params):
    return shapes_only(right, x, params)


@mutant("check: infinity is let through", clause="SAE-11", target="linear.check")
def nan_only(right, x, params):
    tame = lambda array: np.where(np.isinf(array), 0.0, array)
    return right(tame(x), {name: tame(array) for name, array in params.items()})


@mutant("check: parameters are trusted", clause="SAE-11", target="linear.check")
def x_only(right, x, params):
    return right(x, {name: np.zeros(np.shape(array)) for name, array in params.items()})


@mutant("check: x is trusted", clause="SAE-11", target="linear.check")
def params_only(right, x, params):
    return right(np.zeros(x.shape), params)


@mutant("check: numbers that are not finite become 0", clause="SAE-11", target="autoencoder.encode")
def zeroed(right, x, params, *more):
    tame = lambda array: np.nan_to_num(array, posinf=0.0, neginf=0.0)
    return right(tame(x), {name: tame(array) for name, array in params.items()}, *more)


@mutant("check: the error does not say which array", clause="SAE-11", target="linear.check")
def anonymous(right, x, params):
    try:
        right(x, params)
    except ValueError:
        raise ValueError("bad input") from None


@mutant("check: shapes may broadcast", clause="SAE-12", target="linear.check")
def broadcast(right, x, params):
    if not all(np.all(np.isfinite(array)) for array in (x, *params.values())):
        right(x, params)


@mutant("check: of a decoder with more axes the first of each is taken", clause="SAE-12", target="linear.check")
def first_of_every_axis(right, x, params):
    W_dec = params["W_dec"]
    return right(x, params | {"W_dec": W_dec.reshape(*W_dec.shape[:2], -1)[..., 0]} if np.ndim(W_dec) > 2 else params)


@mutant("encode: W_enc may be (D, M) as well", clause="SAE-12", target="autoencoder.encode")
def turned_round(right, x, params, *more):
    if "W_enc" in params and np.shape(params["W_enc"]) != params["W_dec"].shape == np.shape(params["W_enc"].T):
        params = params | {"W_enc": params["W_enc"].T}
    return right(x, params, *more)
