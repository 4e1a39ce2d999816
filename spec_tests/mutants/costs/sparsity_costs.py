"""Mutants of COST: l1, tanh and l0."""

import numpy as np

from sae_spec.reference.sae import autoencoder, costs
from sae_spec.reference.sae.activations import relu
from sae_spec.spec_tests.mutants import mutant
from sae_spec.spec_tests.mutants.costs.costs import also


# ---------------------------------------------------------------- l1 and tanh

@mutant("l1: without the decoder's norms", clause="COST-4", target="costs.l1",
        seen_in=("dictionary_learning 0.1.0",), where="Standard", convention=True)
def without_norms(right, acts, W_dec, price):
    return (price * np.abs(acts)).sum() / costs.batch_size(acts)


@mutant("l1: without the price", clause="COST-4", target="costs.l1")
def without_price(right, acts, W_dec, price):
    return right(acts, W_dec, np.ones_like(price))


@mutant("l1: signed", clause="COST-4", target="costs.l1",
        seen_in=("dictionary_learning 0.1.0",), where="Standard", convention=True)
def signed(right, acts, W_dec, price):
    return (price * acts * costs.row_norms(W_dec)).sum() / costs.batch_size(acts)


@mutant("l1: summed over the batch", clause="COST-4", target="costs.l1",
        seen_in=("overcomplete 0.3.0",), convention=True)
def l1_of_batch(right, acts, *more):
    return right(acts, *more) * costs.batch_size(acts)


@mutant("l1: mean over latents", clause="COST-4", target="costs.l1")
def l1_mean(right, acts, *more):
    return right(acts, *more) / acts.shape[-1]


@mutant("l1: the norms are detached", clause="COST-4", target="costs.l1_backward")
def detached_norms(right, *arguments):
    d_acts, d_W_dec = right(*arguments)
    return d_acts, 0 * d_W_dec


@mutant("l1: the gradient without the price", clause="COST-4", target="costs.l1_backward")
def unpriced_gradient(right, d_cost, acts, W_dec, price):
    return right(d_cost, acts, W_dec, np.ones_like(price))


@mutant("l1: the derivative at 0 is 1", clause="COST-5", target="costs.l1_backward")
def slope_at_zero(right, d_cost, acts, W_dec, price):
    _, d_W_dec = right(d_cost, acts, W_dec, price)
    return right(d_cost, np.where(acts == 0, 1.0, acts), W_dec, price)[0], d_W_dec


@mutant("l1: a zero row divides by its norm", clause="COST-5", target="costs.normalize_rows")
def zero_over_zero(right, W):
    with np.errstate(invalid="ignore"):
        return W / costs.row_norms(W)[:, np.newaxis]


@mutant("tanh: the derivative at 0 is the scale", clause="COST-5", target="costs.tanh_backward",
        seen_in=("SAELens 6.54.12",), convention=True)
def tanh_slope_at_zero(right, d_cost, acts, W_dec, price, scale):
    d_acts, d_W_dec = right(d_cost, acts, W_dec, price, scale)
    at_zero = price * scale * costs.row_norms(W_dec) * d_cost / costs.batch_size(acts)
    return np.where(acts == 0, at_zero, d_acts), d_W_dec


@mutant("tanh: the price inside", clause="COST-6", target="costs.tanh")
def price_inside(right, acts, W_dec, price, scale):
    return right(price * acts, W_dec, np.ones_like(price), scale)


@mutant("tanh: the scale outside", clause="COST-6", target="costs.tanh")
def scale_outside(right, acts, W_dec, price, scale):
    return scale * right(acts, W_dec, price, 1.0)


@mutant("tanh: without the decoder's norms", clause="COST-6", target="costs.tanh")
def tanh_of_acts(right, acts, W_dec, price, scale):
    return (price * np.tanh(scale * np.abs(acts))).sum() / costs.batch_size(acts)


@mutant("tanh: signed", clause="COST-6", target="costs.tanh")
def signed_tanh(right, acts, W_dec, price, scale):
    return (price * np.tanh(scale * acts * costs.row_norms(W_dec))).sum() / costs.batch_size(acts)


@mutant("tanh: any scale", clause="COST-6", target="costs.tanh")
def any_scale(right, acts, W_dec, price, scale):
    return (price * np.tanh(scale * np.abs(acts) * costs.row_norms(W_dec))).sum() / costs.batch_size(acts)


@mutant("tanh: the gradient lacks the scale", clause="COST-6", target="costs.tanh_backward")
def unscaled_gradient(right, d_cost, acts, W_dec, price, scale):
    return tuple(d / scale for d in right(d_cost, acts, W_dec, price, scale))


@mutant("tanh: the norms are detached", clause="COST-6", target="costs.tanh_backward")
def tanh_detached_norms(right, *arguments):
    d_acts, d_W_dec = right(*arguments)
    return d_acts, 0 * d_W_dec


# ---------------------------------------------------------------- l0

@mutant("l0: on at equality", clause="COST-7", target="costs.l0")
def on_at_equality(right, pre, theta, price):
    return (price * (pre >= theta)).sum() / costs.batch_size(pre)


@mutant("l0: without the price", clause="COST-7", target="costs.l0")
def l0_without_price(right, pre, theta, price):
    return right(pre, theta, np.ones_like(price))


@mutant("l0: a fraction of the latents", clause="COST-7", target="costs.l0",
        seen_in=("overcomplete 0.3.0",), convention=True)
def fraction(right, pre, *more):
    return right(pre, *more) / pre.shape[-1]


@mutant("l0: the batch mean's square distance from a target of 1", clause="COST-7", target="costs.l0",
        seen_in=("dictionary_learning 0.1.0",), convention=True)
def from_target(right, *arguments):
    return (right(*arguments) - 1) ** 2


@mutant("l0: each sample's square distance from a target of 1", clause="COST-7", target="costs.l0",
        seen_in=("SAELens 6.54.12",), where="jumprelu_sparsity_loss_mode quadratic", convention=True)
def from_target_each(right, pre, theta, price):
    return (((price * (pre > theta)).sum(-1) - 1) ** 2).sum() / costs.batch_size(pre)


@mutant("l0: counts what is positive, whatever the threshold", clause="COST-7", target="costs.l0")
def counts_positive(right, pre, theta, price):
    return right(pre, 0 * theta, price)


@mutant("l0: the window on what jumprelu lets through", clause="COST-8", target="costs.l0_backward",
        seen_in=("dictionary_learning 0.1.0",))
def after_the_jump(right, d_cost, pre, theta, *more):
    return right(d_cost, np.where(pre > theta, pre, 0.0), theta, *more)


@mutant("l0: the window on relu", clause="COST-8", target="costs.l0_backward", seen_in=("BatchTopK", "matryoshka_sae"))
def after_relu(right, d_cost, pre, *more):
    return right(d_cost, relu(pre), *more)


@mutant("l0: divided by the bandwidth twice", clause="COST-8", target="costs.l0_backward",
        seen_in=("overcomplete 0.3.0",))
def divided_by_bandwidth(right, d_cost, pre, theta, price, bandwidth):
    return right(d_cost, pre, theta, price, bandwidth) / bandwidth


@mutant("l0: its gradient is not priced", clause="COST-8", target="costs.l0_backward")
def l0_gradient_without_price(right, d_cost, pre, theta, price, bandwidth):
    return right(d_cost, pre, theta, np.ones_like(price), bandwidth)


@mutant("l0: pre feels it too", clause="COST-8", target="objective.objective_backward",
        seen_in=("SAELens 6.54.12",), where="jumprelu_ste_to_input", convention=True)
def to_the_input(right, batch, params, config, given):
    grads = right(batch, params, config, given)
    factor = config.get("l0_coefficient", 0.0)
    if config["activation"] != "jumprelu" or not factor:
        return grads
    near = np.abs(batch.pre - np.exp(params["log_threshold"])) < config["bandwidth"] / 2
    d_pre = factor * given.price / config["bandwidth"] / costs.batch_size(batch.x) * near
    return also(grads, autoencoder.backward(d_pre, 0 * batch.acts, 0 * batch.recons, batch, params, config))
