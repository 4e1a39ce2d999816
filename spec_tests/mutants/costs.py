"""Mutants of COST."""

import numpy as np

from sae_spec.reference.sae import autoencoder, auxiliary, costs, linear
from sae_spec.reference.sae.activations import relu
from sae_spec.spec_tests.mutants import mutant


def total(terms):
    """The terms with their sum put right."""
    return terms | {"total": sum(value for name, value in terms.items() if name != "total")}


def also(grads, more):
    """Gradients with another path's added."""
    return {name: grads[name] + more.get(name, 0) for name in grads}


# ---------------------------------------------------------------- reduction


@mutant("every cost: of an empty batch it is 0", clause="COST-1", target="costs.batch_size")
def at_least_one(right, rows):
    return max(rows.size // rows.shape[-1], 1)


@mutant("reconstruction: mean over all elements", clause="COST-2", target="costs.reconstruction",
        seen_in="overcomplete 0.3.0, BatchTopK script")
def mean_of_all(right, x, recons):
    return right(x, recons) / x.shape[-1]


@mutant("reconstruction: summed over the batch", clause="COST-2", target="costs.reconstruction")
def sum_over_batch(right, x, recons):
    return right(x, recons) * costs.batch_size(x)


@mutant("reconstruction: fraction of variance unexplained", clause="COST-2", target="costs.reconstruction",
        seen_in="sparsify 1.3.3")
def unexplained(right, x, recons):
    rows = x.reshape(-1, x.shape[-1])
    variance = ((rows - rows.mean(0)) ** 2).sum() / costs.batch_size(x)
    return right(x, recons) / (variance or 1.0)


@mutant("reconstruction: relative to the sample's square", clause="COST-2", target="costs.reconstruction",
        seen_in="openai/sparse_autoencoder")
def relative(right, x, recons):
    square = (x**2).sum(-1)
    return (((x - recons) ** 2).sum(-1) / np.where(square == 0, 1.0, square)).sum() / costs.batch_size(x)


@mutant("reconstruction: the norm, not its square", clause="COST-2", target="costs.reconstruction",
        seen_in="dictionary_learning")
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
        seen_in="dictionary_learning")
def divided_twice(right, x, recons):
    return right(x, recons) / len(recons) ** 2


@mutant("matryoshka: b_dec alone counts as a prefix", clause="COST-3", target="objective.objective",
        seen_in="matryoshka_sae script")
def empty_prefix(right, batch, params, config, given):
    terms = right(batch, params, config, given)
    if "prefixes" in config:
        nothing = costs.reconstruction(batch.x, np.broadcast_to(params["b_dec"], (1, *batch.x.shape)))
        terms["reconstruction"] = (terms["reconstruction"] + nothing) / (len(batch.recons) + 1)
    return total(terms)


@mutant("matryoshka: only the last prefix is charged", clause="COST-3", target="costs.reconstruction")
def last_only(right, x, recons):
    return right(x, recons[-1:])


# ---------------------------------------------------------------- l1 and tanh


@mutant("l1: without the decoder's norms", clause="COST-4", target="costs.l1", seen_in="dictionary_learning")
def without_norms(right, acts, W_dec, price):
    return (price * np.abs(acts)).sum() / costs.batch_size(acts)


@mutant("l1: without the price", clause="COST-4", target="costs.l1")
def without_price(right, acts, W_dec, price):
    return right(acts, W_dec, np.ones_like(price))


@mutant("l1: signed", clause="COST-4", target="costs.l1", seen_in="dictionary_learning")
def signed(right, acts, W_dec, price):
    return (price * acts * costs.row_norms(W_dec)).sum() / costs.batch_size(acts)


@mutant("l1: summed over the batch", clause="COST-4", target="costs.l1", seen_in="overcomplete 0.3.0")
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


@mutant("tanh: the derivative at 0 is the scale", clause="COST-5", target="costs.tanh_backward", seen_in="SAELens 6.54.12")
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


@mutant("l0: a fraction of the latents", clause="COST-7", target="costs.l0", seen_in="overcomplete 0.3.0")
def fraction(right, pre, *more):
    return right(pre, *more) / pre.shape[-1]


@mutant("l0: the batch mean's square distance from a target of 1", clause="COST-7", target="costs.l0",
        seen_in="dictionary_learning")
def from_target(right, *arguments):
    return (right(*arguments) - 1) ** 2


@mutant("l0: each sample's square distance from a target of 1", clause="COST-7", target="costs.l0",
        seen_in="SAELens 6.54.12")
def from_target_each(right, pre, theta, price):
    return (((price * (pre > theta)).sum(-1) - 1) ** 2).sum() / costs.batch_size(pre)


@mutant("l0: counts what is positive, whatever the threshold", clause="COST-7", target="costs.l0")
def counts_positive(right, pre, theta, price):
    return right(pre, 0 * theta, price)


@mutant("l0: the window on what jumprelu lets through", clause="COST-8", target="costs.l0_backward",
        seen_in="dictionary_learning")
def after_the_jump(right, d_cost, pre, theta, *more):
    return right(d_cost, np.where(pre > theta, pre, 0.0), theta, *more)


@mutant("l0: the window on relu", clause="COST-8", target="costs.l0_backward", seen_in="BatchTopK script")
def after_relu(right, d_cost, pre, *more):
    return right(d_cost, relu(pre), *more)


@mutant("l0: divided by the bandwidth twice", clause="COST-8", target="costs.l0_backward", seen_in="overcomplete 0.3.0")
def divided_by_bandwidth(right, d_cost, pre, theta, price, bandwidth):
    return right(d_cost, pre, theta, price, bandwidth) / bandwidth


@mutant("l0: its gradient is not priced", clause="COST-8", target="costs.l0_backward")
def l0_gradient_without_price(right, d_cost, pre, theta, price, bandwidth):
    return right(d_cost, pre, theta, np.ones_like(price), bandwidth)


@mutant("l0: pre feels it too", clause="COST-8", target="objective.objective_backward",
        seen_in="SAELens 6.54.12 (jumprelu_ste_to_input)")
def to_the_input(right, batch, params, config, given):
    grads = right(batch, params, config, given)
    factor = config.get("l0_coefficient", 0.0)
    if config["activation"] != "jumprelu" or not factor:
        return grads
    near = np.abs(batch.pre - np.exp(params["log_threshold"])) < config["bandwidth"] / 2
    d_pre = factor * given.price / config["bandwidth"] / costs.batch_size(batch.x) * near
    return also(grads, autoencoder.backward(d_pre, 0 * batch.acts, 0 * batch.recons, batch, params, config))


# ---------------------------------------------------------------- tie


@mutant("tie: squared distance", clause="COST-9", target="costs.tie")
def distance(right, W_enc, W_dec):
    return 0.0 if W_enc is W_dec else ((W_enc - W_dec) ** 2).sum(-1).mean() / 2


@mutant("tie: an inner product instead of a cosine", clause="COST-9", target="costs.tie")
def inner_product(right, W_enc, W_dec):
    return 0.0 if W_enc is W_dec else (1 - (W_enc * W_dec).sum(-1)).mean()


@mutant("tie: summed over latents", clause="COST-9", target="costs.tie")
def tie_sum(right, W_enc, W_dec):
    return right(W_enc, W_dec) * len(W_dec)


@mutant("tie: the line, not the direction", clause="COST-9", target="costs.tie")
def line(right, W_enc, W_dec):
    cos = (costs.normalize_rows(W_enc) * costs.normalize_rows(W_dec)).sum(-1)
    return 0.0 if W_enc is W_dec else (1 - np.abs(cos)).mean()


@mutant("tie: one cosine of the whole matrices", clause="COST-9", target="costs.tie")
def whole_matrices(right, W_enc, W_dec):
    return right(W_enc.reshape(1, -1), W_dec.reshape(1, -1)) if W_enc is not W_dec else 0.0


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
    return right(W_enc.copy(), W_dec)


@mutant("tie: a tied SAE's gradient is computed like any other", clause="COST-10", target="costs.tie_backward")
def computed_gradient(right, d_cost, W_enc, W_dec):
    return right(d_cost, W_enc.copy(), W_dec)


@mutant("tie: a zero row has cosine 1", clause="COST-11", target="costs.tie")
def zero_is_parallel(right, W_enc, W_dec):
    zero = (costs.row_norms(W_enc) == 0) | (costs.row_norms(W_dec) == 0)
    return right(W_enc, W_dec) - (0 if W_enc is W_dec else zero.mean())


@mutant("tie: a zero row is NaN", clause="COST-11", target="costs.normalize_rows")
def zero_is_nan(right, W):
    return zero_over_zero(right, W)


@mutant("tie: a zero row's norm is taken for 1", clause="COST-11", target="costs.tie_backward")
def zero_row_learns(right, d_cost, W_enc, W_dec):
    d_W_enc, d_W_dec = right(d_cost, W_enc, W_dec)
    pull = lambda W, other: np.where((W == 0).all(-1, keepdims=True), -costs.normalize_rows(other), 0) * d_cost / len(W)
    return (d_W_enc, d_W_dec) if W_enc is W_dec else (d_W_enc + pull(W_enc, W_dec), d_W_dec + pull(W_dec, W_enc))


# ---------------------------------------------------------------- aux


def chosen(pre, dead, k_aux, rank=relu):
    """Which of the dead latents are among the k_aux that rank highest."""
    score = np.where(dead, rank(pre), -np.inf)
    order = np.argsort(-score, axis=-1, kind="stable")[..., : int(k_aux)]
    among = np.zeros(pre.shape, bool)
    np.put_along_axis(among, order, True, axis=-1)
    return among & (dead != 0)


def variance(residual):
    rows = residual.reshape(-1, residual.shape[-1])
    return ((rows - rows.mean(0)) ** 2).sum() / len(rows)


@mutant("aux: negative pre-activations speak too", clause="COST-12", target="auxiliary.aux_acts", seen_in="SAELens 6.54.12")
def without_relu(right, pre, dead, k_aux):
    right(pre, dead, k_aux)
    return np.where(chosen(pre, dead, k_aux, rank=lambda z: z), pre, 0.0)


@mutant("aux: less for few dead latents", clause="COST-12", target="auxiliary.aux",
        seen_in="SAELens 6.54.12, sparsify 1.3.3")
def scaled_by_dead(right, residual, pre, dead, *more):
    return right(residual, pre, dead, *more) * min(dead.sum() / max(residual.shape[-1] // 2, 1), 1.0)


@mutant("aux: over the residual's variance, NaN to 0", clause="COST-12", target="auxiliary.aux",
        seen_in="dictionary_learning, sparsify 1.3.3, openai/sparse_autoencoder")
def over_variance(right, residual, *more):
    return right(residual, *more) / variance(residual) if variance(residual) else 0.0


@mutant("aux: mean over all elements", clause="COST-12", target="auxiliary.aux",
        seen_in="BatchTopK script, overcomplete 0.3.0")
def aux_mean(right, residual, *more):
    return right(residual, *more) / residual.shape[-1]


@mutant("aux: b_dec in its reconstruction", clause="COST-12", target="objective.objective",
        seen_in="sparsify 1.3.0, SAELens 6.18.0")
def aux_with_b_dec(right, batch, params, config, given):
    terms, dead = right(batch, params, config, given), given.dead
    if "aux" in terms and np.any(dead):
        residual, W_dec = batch.x - batch.recons[-1] - params["b_dec"], params["W_dec"]
        terms["aux"] = config["aux_coefficient"] * auxiliary.aux(residual, batch.pre, dead, W_dec, config["k_aux"])
    return total(terms)


@mutant("aux: whoever is silent, dead or not", clause="COST-12", target="auxiliary.aux_acts", seen_in="overcomplete 0.3.0")
def not_only_the_dead(right, pre, dead, k_aux):
    return right(pre, np.ones_like(dead), k_aux)


@mutant("aux: k_aux over all latents, the dead among them", clause="COST-12", target="auxiliary.aux_acts")
def ranked_with_the_living(right, pre, dead, k_aux):
    return np.where(dead, right(pre, np.ones_like(dead), k_aux), 0.0)


@mutant("aux: k_aux is half of D, whatever was asked", clause="COST-12", target="auxiliary.aux",
        seen_in="SAELens 6.54.12, dictionary_learning, sparsify 1.3.3")
def half_of_D(right, residual, pre, dead, W_dec, k_aux):
    return right(residual, pre, dead, W_dec, max(W_dec.shape[1] // 2, 1))


@mutant("aux: any k_aux", clause="COST-12", target="auxiliary.aux_acts")
def any_k_aux(right, pre, dead, k_aux):
    return right(pre, dead, k_aux) if k_aux >= 1 else 0 * pre


@mutant("aux: with no dead latent, the residual's square", clause="COST-13", target="auxiliary.aux")
def residual_square(right, residual, pre, dead, *more):
    return right(residual, pre, dead, *more) if np.any(dead) else costs.reconstruction(residual, 0 * residual[np.newaxis])


@mutant("aux: with no dead latent, not a number", clause="COST-13", target="auxiliary.aux")
def mean_of_none(right, residual, pre, dead, *more):
    return right(residual, pre, dead, *more) if np.any(dead) else np.nan


@mutant("aux: the residual is not detached", clause="COST-14", target="objective.objective_backward",
        seen_in="BatchTopK script, overcomplete 0.3.0, Language-Model-SAEs")
def live_residual(right, batch, params, config, given):
    grads, d_hat = right(batch, params, config, given), hat_gradient(batch, params, config, given.dead)
    if d_hat is None:
        return grads
    d_recons = np.zeros_like(batch.recons)
    d_recons[-1] = d_hat
    return also(grads, autoencoder.backward(0 * batch.pre, 0 * batch.acts, d_recons, batch, params, config))


@mutant("aux: b_dec learns from it", clause="COST-14", target="objective.objective_backward",
        seen_in="openai/sparse_autoencoder")
def pre_bias_learns(right, batch, params, config, given):
    grads, d_hat = right(batch, params, config, given), hat_gradient(batch, params, config, given.dead)
    return grads if d_hat is None else also(grads, {"b_dec": d_hat.reshape(-1, d_hat.shape[-1]).sum(0)})


def hat_gradient(batch, params, config, dead):
    """The gradient by the auxiliary reconstruction, which is the residual's too; None where nothing is charged."""
    factor = config.get("aux_coefficient", 0.0)
    if not factor or not np.any(dead):
        return None
    hat = auxiliary.aux_acts(batch.pre, dead, config["k_aux"]) @ params["W_dec"]
    return costs.reconstruction_backward(factor, batch.x - batch.recons[-1], hat[np.newaxis])[0]


@mutant("aux: living latents learn from it", clause="COST-14", target="auxiliary.aux_backward")
def the_living_learn(right, d_cost, residual, pre, dead, W_dec, k_aux):
    d_pre, d_W_dec = right(d_cost, residual, pre, dead, W_dec, k_aux)
    return np.where(dead, d_pre, d_pre.sum(-1, keepdims=True)), d_W_dec


@mutant("aux: the encoder learns nothing from it", clause="COST-15", target="auxiliary.aux_backward",
        seen_in="sparsify 1.3.3")
def deaf_encoder(right, *arguments):
    d_pre, d_W_dec = right(*arguments)
    return 0 * d_pre, d_W_dec


@mutant("aux: a zero among the k_aux learns", clause="COST-15", target="auxiliary.aux_backward")
def zeros_learn(right, d_cost, residual, pre, dead, W_dec, k_aux):
    d_pre, d_W_dec = right(d_cost, residual, pre, dead, W_dec, k_aux)
    hat = auxiliary.aux_acts(pre, dead, k_aux) @ W_dec
    d_hat = costs.reconstruction_backward(d_cost, residual, hat[np.newaxis])[0]
    return np.where(chosen(pre, dead, k_aux), d_hat @ W_dec.T, d_pre), d_W_dec


@mutant("aux: the decoder learns nothing from it", clause="COST-15", target="auxiliary.aux_backward")
def deaf_decoder(right, *arguments):
    d_pre, d_W_dec = right(*arguments)
    return d_pre, 0 * d_W_dec


# ---------------------------------------------------------------- gated


@mutant("gate_reconstruction: the decoder is not detached", clause="COST-16", target="objective.objective_backward",
        seen_in="SAELens 6.54.12")
def live_decoder(right, batch, params, config, given):
    grads = right(batch, params, config, given)
    if config["activation"] != "gated":
        return grads
    open_gate = relu(batch.pre)
    d_recon = costs.reconstruction_backward(1.0, batch.x, (open_gate @ params["W_dec"] + params["b_dec"])[np.newaxis])
    _, d_W_dec, d_b_dec = linear.decode_backward(d_recon, open_gate, params)
    return also(grads, {"W_dec": d_W_dec, "b_dec": d_b_dec})


@mutant("gate_reconstruction: without b_dec", clause="COST-16", target="auxiliary.gate_reconstruction")
def gate_without_b_dec(right, x, pre, W_dec, b_dec):
    return right(x, pre, W_dec, 0 * b_dec)


@mutant("gate_reconstruction: pre without relu", clause="COST-16", target="auxiliary.gate_reconstruction")
def gate_without_relu(right, x, pre, W_dec, b_dec):
    return costs.reconstruction(x, (pre @ W_dec + b_dec)[np.newaxis])


@mutant("gate_reconstruction: gradient to closed gates", clause="COST-16", target="auxiliary.gate_reconstruction_backward")
def closed_gates_learn(right, d_cost, x, pre, W_dec, b_dec):
    recon = (relu(pre) @ W_dec + b_dec)[np.newaxis]
    return costs.reconstruction_backward(d_cost, x, recon)[0] @ W_dec.T


@mutant("gate_reconstruction: no gradient", clause="COST-16", target="auxiliary.gate_reconstruction_backward")
def gate_learns_nothing(right, *arguments):
    return 0 * right(*arguments)


# ---------------------------------------------------------------- objective


@mutant("coefficient: a negative one is a reward", clause="COST-17", target="objective.coefficient")
def reward(right, config, term, warmth=1.0):
    factor = config.get(f"{term}_coefficient", 0.0)
    return factor if factor < 0 else right(config, term, warmth)


@mutant("coefficient: a negative one counts as 0", clause="COST-17", target="objective.coefficient")
def at_least_zero(right, config, term, warmth=1.0):
    name = f"{term}_coefficient"
    return right(config | {name: max(config.get(name, 0.0), 0.0)}, term, warmth)


@mutant("terms: tie and aux warm up too", clause="COST-18", target="objective.objective")
def all_warm_up(right, batch, params, config, given):
    slower = {name: config[name] * given.warmth for name in ("tie_coefficient", "aux_coefficient") if name in config}
    return right(batch, params, config | slower, given)


@mutant("coefficient: nothing warms up", clause="COST-18", target="objective.coefficient")
def nothing_warms_up(right, config, term, warmth=1.0):
    return right(config, term)


@mutant("terms: reported before their coefficients", clause="COST-18", target="objective.objective")
def bare_terms(right, batch, params, config, given):
    terms = right(batch, params, config, given)
    sparsity = ("l1", "l0", "tanh")
    factor = lambda name: config.get(f"{name}_coefficient", 1.0) * (given.warmth if name in sparsity else 1.0)
    return {name: value / factor(name) for name, value in terms.items()}


for forgotten in ("l1", "tie", "aux"):
    @mutant(f"terms: the total forgets {forgotten}", clause="COST-18", target="objective.objective")
    def forgets(right, *arguments, forgotten=forgotten):
        terms = right(*arguments)
        return terms | {"total": terms["total"] - terms.get(forgotten, 0.0)}


@mutant("gradient: the total's without tie", clause="COST-18", target="objective.objective_backward")
def gradient_without_tie(right, batch, params, config, given):
    return right(batch, params, config | {"tie_coefficient": 0.0}, given)


@mutant("gradient: the total's is not warmed up", clause="COST-18", target="objective.objective_backward")
def gradient_not_warmed(right, batch, params, config, given):
    return right(batch, params, config, given._replace(warmth=1.0))


@mutant("gated: l1 and tanh fall on acts", clause="COST-19", target="objective.objective")
def charged_on_acts(right, batch, params, config, given):
    terms = right(batch, params, config, given)
    if config["activation"] == "gated":
        plain = right(batch, params, config | {"activation": "relu"}, given)
        terms |= {name: plain[name] for name in ("l1", "tanh") if name in terms}
    return total(terms)


@mutant("gated: the gradient of l1 and tanh goes through acts", clause="COST-19", target="objective.objective_backward")
def gradient_through_acts(right, batch, params, config, given):
    factor = config.get("l1_coefficient", 0.0) * given.warmth
    if config["activation"] != "gated" or not factor:
        return right(batch, params, config, given)
    grads = right(batch, params, config | {"l1_coefficient": 0.0}, given)
    d_acts, d_W_dec = costs.l1_backward(factor, batch.acts, params["W_dec"], given.price)
    more = autoencoder.backward(0 * batch.pre, d_acts, 0 * batch.recons, batch, params, config)
    return also(also(grads, more), {"W_dec": d_W_dec})


@mutant("gated: gate_reconstruction is not charged", clause="COST-19", target="objective.objective")
def gate_for_free(right, *arguments):
    terms = right(*arguments)
    return total(terms | {"gate_reconstruction": 0.0}) if "gate_reconstruction" in terms else terms


@mutant("gated: gate_reconstruction is charged with aux's coefficient", clause="COST-19", target="objective.objective")
def gate_with_a_coefficient(right, batch, params, config, given):
    terms = right(batch, params, config, given)
    if "gate_reconstruction" in terms:
        terms["gate_reconstruction"] *= config.get("aux_coefficient", 0.03125)
    return total(terms)


@mutant("l0: elsewhere than in jumprelu it is ignored", clause="COST-20", target="objective.objective")
def l0_ignored(right, batch, params, config, given):
    ignored = {} if config["activation"] == "jumprelu" else {"l0_coefficient": 0.0}
    return right(batch, params, config | ignored, given)


@mutant("l0: elsewhere than in jumprelu the threshold is 0", clause="COST-20", target="objective.objective")
def l0_at_zero(right, batch, params, config, given):
    if config["activation"] == "jumprelu" or not config.get("l0_coefficient"):
        return right(batch, params, config, given)
    terms = right(batch, params, config | {"l0_coefficient": 0.0}, given)
    cost = costs.l0(batch.pre, np.zeros(batch.pre.shape[-1]), given.price)
    return total(terms | {"l0": given.warmth * config["l0_coefficient"] * cost})
