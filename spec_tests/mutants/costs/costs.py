"""Mutants of COST: what every cost shares, reconstruction and tie."""

import numpy as np

from sae_spec.reference.sae import costs
from sae_spec.spec_tests.mutants import mutant


def total(terms):
    """The terms with their sum put right."""
    return terms | {"total": sum(value for name, value in terms.items() if name != "total")}


def also(grads, more):
    """Gradients with another path's added."""
    return {name: grads[name] + more.get(name, 0) for name in grads}


# ---------------------------------------------------------------- reconstruction

@mutant("every cost: of an empty batch it is 0", clause="COST-1", target="costs.batch_size")
def at_least_one(right, rows):
    return max(rows.size // rows.shape[-1], 1)


@mutant("reconstruction: mean over all elements", clause="COST-2", target="costs.reconstruction",
        seen_in=("overcomplete 0.3.0", "BatchTopK", "matryoshka_sae"), convention=True)
def mean_of_all(right, x, recons):
    return right(x, recons) / x.shape[-1]


@mutant("reconstruction: summed over the batch", clause="COST-2", target="costs.reconstruction")
def sum_over_batch(right, x, recons):
    return right(x, recons) * costs.batch_size(x)


@mutant("reconstruction: fraction of variance unexplained", clause="COST-2", target="costs.reconstruction",
        seen_in=("sparsify 1.3.3",), convention=True)
def unexplained(right, x, recons):
    rows = x.reshape(-1, x.shape[-1])
    variance = ((rows - rows.mean(0)) ** 2).sum() / costs.batch_size(x)
    return right(x, recons) / (variance or 1.0)


@mutant("reconstruction: relative to the sample's square", clause="COST-2", target="costs.reconstruction",
        seen_in=("openai/sparse_autoencoder",), convention=True)
def relative(right, x, recons):
    square = (x**2).sum(-1)
    return (((x - recons) ** 2).sum(-1) / np.where(square == 0, 1.0, square)).sum() / costs.batch_size(x)


@mutant("reconstruction: the norm, not its square", clause="COST-2", target="costs.reconstruction",
        seen_in=("dictionary_learning 0.1.0",), where="l2_loss as Standard reports it", convention=True)
def not_squared(right, x, recons):
    return np.sqrt(((x - recons) ** 2).sum(-1)).sum() / costs.batch_size(x)


@mutant("reconstruction: the mean over the first dimension only", clause="COST-2", target="costs.reconstruction")
def first_dimension(right, x, recons):
    return right(x, recons) * costs.batch_size(x) / len(x)


@mutant("reconstruction: the gradient lacks its 2", clause="COST-2", target="costs.reconstruction_backward")
def half_gradient(right, *arguments):
    return right(*arguments) / 2


@mutant("reconstruction: d_cost is taken for 1", clause="COST-2", target="costs.reconstruction_backward")
def d_cost_ignored(right, d_cost, x, recons):
    return right(1.0, x, recons)


@mutant("matryoshka: mean over prefixes", clause="COST-3", target="costs.reconstruction")
def mean_of_prefixes(right, x, recons):
    return right(x, recons) / len(recons)


@mutant("matryoshka: mean over prefixes, each with weight 1 / G", clause="COST-3", target="costs.reconstruction",
        seen_in=("dictionary_learning 0.1.0",), convention=True)
def divided_twice(right, x, recons):
    return right(x, recons) / len(recons) ** 2


@mutant("matryoshka: b_dec alone counts as a prefix", clause="COST-3", target="objective.objective",
        seen_in=("matryoshka_sae",), convention=True)
def empty_prefix(right, batch, params, config, given):
    terms = right(batch, params, config, given)
    if "prefixes" in config:
        nothing = costs.reconstruction(batch.x, np.broadcast_to(params["b_dec"], (1, *batch.x.shape)))
        terms["reconstruction"] = (terms["reconstruction"] + nothing) / (len(batch.recons) + 1)
    return total(terms)


@mutant("matryoshka: only the last prefix is charged", clause="COST-3", target="costs.reconstruction")
def last_only(right, x, recons):
    return right(x, recons[-1:])


# ---------------------------------------------------------------- tie

@mutant("tie: squared distance", clause="COST-9", target="costs.tie")
def distance(right, W_enc, W_dec):
    return 0.0 if W_enc is None else ((W_enc - W_dec) ** 2).sum(-1).mean() / 2


@mutant("tie: an inner product instead of a cosine", clause="COST-9", target="costs.tie")
def inner_product(right, W_enc, W_dec):
    return 0.0 if W_enc is None else (1 - (W_enc * W_dec).sum(-1)).mean()


@mutant("tie: summed over latents", clause="COST-9", target="costs.tie")
def tie_sum(right, W_enc, W_dec):
    return right(W_enc, W_dec) * len(W_dec)


@mutant("tie: the line, not the direction", clause="COST-9", target="costs.tie")
def line(right, W_enc, W_dec):
    cos = (costs.normalize_rows(W_enc) * costs.normalize_rows(W_dec)).sum(-1)
    return 0.0 if W_enc is None else (1 - np.abs(cos)).mean()


@mutant("tie: one cosine of the whole matrices", clause="COST-9", target="costs.tie")
def whole_matrices(right, W_enc, W_dec):
    return right(W_enc.reshape(1, -1), W_dec.reshape(1, -1)) if W_enc is not None else 0.0


@mutant("tie: the norms are constants", clause="COST-9", target="costs.tie_backward")
def constant_norms(right, d_cost, W_enc, W_dec):
    d_W_enc, d_W_dec = right(d_cost, W_enc, W_dec)
    cos = (costs.normalize_rows(W_enc) * costs.normalize_rows(W_dec)).sum(-1, keepdims=True) * d_cost / len(W_dec)
    norm_e, norm_d = costs.row_norms(W_enc)[:, np.newaxis], costs.row_norms(W_dec)[:, np.newaxis]
    along = lambda W, norm: cos * costs.normalize_rows(W) / np.where(norm == 0, 1.0, norm)
    return d_W_enc - along(W_enc, norm_e), d_W_dec - along(W_dec, norm_d)


@mutant("tie: only the encoder moves", clause="COST-9", target="costs.tie_backward")
def encoder_only(right, *arguments):
    d_W_enc, d_W_dec = right(*arguments)
    return d_W_enc, 0 * d_W_dec


@mutant("tie: a tied SAE is computed like any other", clause="COST-10", target="costs.tie")
def computed(right, W_enc, W_dec):
    return right(W_dec if W_enc is None else W_enc, W_dec)


@mutant("tie: a tied SAE's gradient is computed like any other", clause="COST-10", target="costs.tie_backward")
def computed_gradient(right, d_cost, W_enc, W_dec):
    return right(d_cost, W_dec if W_enc is None else W_enc, W_dec)


@mutant("tie: equal weights count as tied", clause="COST-10", target="costs.tie")
def equal_is_tied(right, W_enc, W_dec):
    return 0.0 if W_enc is None or np.array_equal(W_enc, W_dec) else right(W_enc, W_dec)


@mutant("tie: a zero row has cosine 1", clause="COST-11", target="costs.tie")
def zero_is_parallel(right, W_enc, W_dec):
    zero = (costs.row_norms(W_enc) == 0) | (costs.row_norms(W_dec) == 0)
    return right(W_enc, W_dec) - (0 if W_enc is None else zero.mean())


@mutant("tie: a zero row is NaN", clause="COST-11", target="costs.normalize_rows")
def zero_is_nan(right, W):
    with np.errstate(invalid="ignore"):
        return W / costs.row_norms(W)[:, np.newaxis]


@mutant("tie: a zero row's norm is taken for 1", clause="COST-11", target="costs.tie_backward")
def zero_row_learns(right, d_cost, W_enc, W_dec):
    d_W_enc, d_W_dec = right(d_cost, W_enc, W_dec)
    pull = lambda W, other: np.where((W == 0).all(-1, keepdims=True), -costs.normalize_rows(other), 0) * d_cost / len(W)
    return (d_W_enc, d_W_dec) if W_enc is None else (d_W_enc + pull(W_enc, W_dec), d_W_dec + pull(W_dec, W_enc))
