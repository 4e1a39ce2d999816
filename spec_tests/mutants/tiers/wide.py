"""Mutants that small inputs cannot see: they are right up to a size, and forget what lies beyond it.

Blocks of 32 samples, 64 or 128 latents, 64 dimensions or 4 columns are what vectorised code works in; its remainder is
what such code gets wrong.
"""

import numpy as np

from sae_spec.spec_tests.mutants import mutant
from sae_spec.spec_tests.mutants.costs.costs import total

SAMPLES, LATENTS, DIMENSIONS, COLUMNS = 32, 128, 64, 4


def head(array, count, axis=-1):
    """The array with 0 in all places after the first `count` of an axis."""
    index = np.arange(np.shape(array)[axis]) < count
    return array * np.moveaxis(index.reshape(-1, *[1] * (np.ndim(array) - 1)), 0, axis)


def first_samples(array):
    """The first samples only, where there is more than one dimension of them as well."""
    rows = array.reshape(-1, array.shape[-1])
    return head(rows, SAMPLES, 0).reshape(array.shape)


# ---------------------------------------------------------------- activations

def first_latents_choose(name, clause, target):
    """An activation that never looks at the latents after the first 128."""
    @mutant(name, clause=clause, target=target)
    def wrong(right, pre, *more):
        return right(head(pre, LATENTS), *more)


for rule, clause in (("relu", "ACT-1"), ("jumprelu", "ACT-7")):
    first_latents_choose(f"{rule}: of 128 latents", clause, f"activations.{rule}")
for rule, clause in (("topk", "ACT-4"), ("abs_topk", "ACT-13"), ("budget_topk", "ACT-14")):
    first_latents_choose(f"{rule}: chooses among 128 latents", clause, f"selection.{rule}")


@mutant("topk: of equals beyond 128 latents the highest index goes first", clause="ACT-5", target="selection.topk")
def late_ties(right, pre, k):
    if pre.shape[-1] <= LATENTS:
        return right(pre, k)
    return right(pre[..., ::-1].copy(), k)[..., ::-1]


for rule, clause in (("batch_topk", "ACT-12"), ("batch_budget_topk", "ACT-18")):
    @mutant(f"{rule}: chooses among 32 samples", clause=clause, target=f"selection.{rule}")
    def first_samples_choose(right, pre, *more):
        return right(first_samples(pre), *more)


@mutant("jumprelu: the threshold hears 32 samples", clause="ACT-8", target="activations.jumprelu_backward")
def threshold_hears_few(right, d_acts, pre, theta, bandwidth):
    d_pre, _ = right(d_acts, pre, theta, bandwidth)
    return d_pre, right(first_samples(d_acts), pre, theta, bandwidth)[1]


@mutant("step: the threshold hears 32 samples", clause="ACT-11", target="activations.step_backward")
def step_hears_few(right, d_on, *more):
    return right(first_samples(d_on), *more)


# ---------------------------------------------------------------- autoencoder

@mutant("encode: reads 64 dimensions", clause="SAE-1", target="linear.pre_activations")
def reads_few(right, x, params, config):
    return right(head(x, DIMENSIONS), params | {"b_dec": head(params["b_dec"], DIMENSIONS)}, config)


@mutant("encode: biases of 128 latents", clause="SAE-1", target="linear.pre_activations")
def few_biases(right, x, params, config):
    return right(x, params | {"b_enc": head(params["b_enc"], LATENTS)}, config)


@mutant("decode: writes 64 latents", clause="SAE-5", target="linear.decode")
def writes_few(right, acts, *more):
    return right(head(acts, LATENTS // 2), *more)


@mutant("decode: into 64 dimensions", clause="SAE-5", target="linear.decode")
def writes_into_few(right, *arguments):
    return head(right(*arguments), DIMENSIONS)


@mutant("matryoshka: prefixes end at 128 latents", clause="SAE-6", target="linear.decode")
def short_prefixes(right, acts, params, prefixes=None):
    return right(acts, params, prefixes) if prefixes is None else right(head(acts, LATENTS), params, prefixes)


@mutant("backward: the decoder hears 32 samples", clause="SAE-8", target="linear.decode_backward")
def decoder_hears_few(right, d_recons, acts, params, prefixes=None):
    d_acts, _, d_b_dec = right(d_recons, acts, params, prefixes)
    return d_acts, right(d_recons, first_samples(acts), params, prefixes)[1], d_b_dec


@mutant("backward: the encoder hears 32 samples", clause="SAE-8", target="linear.pre_activations_backward")
def encoder_hears_few(right, d_shared, d_pre, x, params, config):
    few = right(first_samples(d_shared), first_samples(d_pre), x, params, config)
    return *few[:3], right(d_shared, d_pre, x, params, config)[3]


@mutant("backward: x hears 64 latents", clause="SAE-8", target="linear.pre_activations_backward")
def x_hears_few(right, d_shared, d_pre, *more):
    few = right(head(d_shared, LATENTS // 2), head(d_pre, LATENTS // 2), *more)
    return *right(d_shared, d_pre, *more)[:3], few[3]


@mutant("gated: magnitudes of 128 latents", clause="SAE-13", target="gated.gated")
def few_magnitudes(right, shared, b_enc, r_mag, b_mag):
    return right(shared, b_enc, r_mag, head(b_mag, LATENTS))


# ---------------------------------------------------------------- frequencies and costs

@mutant("firing counts: of 32 samples", clause="FREQ-1", target="frequency.firing_counts")
def counts_few(right, acts):
    return right(first_samples(acts))


@mutant("price: dear after 128 latents", clause="FREQ-6", target="frequency.price")
def dear_after_few(right, frequency, *more):
    return right(head(frequency, LATENTS), *more)


@mutant("reconstruction: of 4 dimensions", clause="COST-2", target="costs.reconstruction")
def few_dimensions(right, x, recons):
    return right(head(x, COLUMNS), head(recons, COLUMNS))


@mutant("reconstruction: the gradient of 64 dimensions", clause="COST-2", target="costs.reconstruction_backward")
def few_dimensions_backward(right, *arguments):
    return head(right(*arguments), DIMENSIONS)


for name, clause in (("l1", "COST-4"), ("tanh", "COST-6")):
    @mutant(f"{name}: the norm of 4 columns", clause=clause, target=f"costs.{name}")
    def norm_of_few(right, acts, W_dec, *more):
        return right(acts, head(W_dec, COLUMNS), *more)

    @mutant(f"{name}: of 128 latents", clause=clause, target=f"costs.{name}")
    def charges_few(right, acts, *more):
        return right(head(acts, LATENTS), *more)


@mutant("l0: of 128 latents", clause="COST-7", target="costs.l0")
def counts_few_latents(right, pre, theta, price):
    return right(pre, theta, head(price, LATENTS))


@mutant("tie: the cosine of 4 columns", clause="COST-9", target="costs.tie")
def cosine_of_few(right, W_enc, W_dec):
    return right(W_enc, W_dec) if W_enc is W_dec else right(head(W_enc, COLUMNS), head(W_dec, COLUMNS))


@mutant("tie: of 128 latents", clause="COST-9", target="costs.tie")
def tie_of_few(right, W_enc, W_dec):
    return right(W_enc, W_dec) if W_enc is W_dec else right(W_enc[:LATENTS], W_dec[:LATENTS])


@mutant("aux: the dead among 128 latents", clause="COST-12", target="auxiliary.aux")
def few_dead(right, residual, pre, dead, *more):
    return right(residual, pre, dead & (np.arange(len(dead)) < LATENTS), *more)


@mutant("gated: the gate's reconstruction from 128 latents", clause="COST-16", target="auxiliary.gate_reconstruction")
def few_gates(right, x, pre, *more):
    return right(x, head(pre, LATENTS), *more)


@mutant("terms: l1 of an SAE with more than 128 latents is forgotten", clause="COST-18", target="objective.objective")
def large_for_free(right, batch, *more):
    terms = right(batch, *more)
    return total({name: value for name, value in terms.items() if name != "l1" or batch.acts.shape[-1] <= LATENTS})


# ---------------------------------------------------------------- training

@mutant("rows: the norm of 4 columns", clause="TRAIN-1", target="constraints.row_norms")
def few_columns(right, W):
    return right(head(W, COLUMNS))


@mutant("rows: 128 of them are normalized", clause="TRAIN-1", target="constraints.normalize_rows")
def few_rows(right, W):
    return np.concatenate([right(W[:LATENTS]), W[LATENTS:]])


@mutant("projection: along 4 columns", clause="TRAIN-2", target="constraints.project_gradient")
def projects_few(right, d_W, W):
    return right(d_W, head(W, COLUMNS))


@mutant("counters: of 32 samples", clause="TRAIN-9", target="training.count_tokens")
def waits_for_few(right, tokens_since_fired, acts):
    return right(tokens_since_fired, first_samples(acts))


@mutant("clipping: the norm of 64 columns", clause="TRAIN-11", target="training.clip_gradients")
def clips_by_few(right, grads, max_grad_norm):
    norm = np.sqrt(sum((head(grad, DIMENSIONS) ** 2).sum() for grad in grads.values()))
    if max_grad_norm is None or norm <= max_grad_norm:
        return grads
    return {name: grad * (max_grad_norm / norm) for name, grad in grads.items()}


@mutant("adam: moves 64 columns", clause="TRAIN-12", target="adam.adam")
def moves_few(right, param, grad, *more):
    moved, first, second = right(param, grad, *more)
    return param + head(moved - param, DIMENSIONS), first, second
