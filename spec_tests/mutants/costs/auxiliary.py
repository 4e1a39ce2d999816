"""Mutants of COST: aux and gate_reconstruction."""

import numpy as np

from sae_spec.reference.sae import autoencoder, auxiliary, costs, linear
from sae_spec.reference.sae.activations import relu
from sae_spec.spec_tests.mutants import mutant
from sae_spec.spec_tests.mutants.costs.costs import also, total


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


@mutant("aux: negative pre-activations speak too", clause="COST-12", target="auxiliary.aux_acts",
        seen_in=("SAELens 6.54.12",), convention=True)
def without_relu(right, pre, dead, k_aux):
    right(pre, dead, k_aux)
    return np.where(chosen(pre, dead, k_aux, rank=lambda z: z), pre, 0.0)


@mutant("aux: less for few dead latents", clause="COST-12", target="auxiliary.aux",
        seen_in=("SAELens 6.54.12", "sparsify 1.3.3"), convention=True)
def scaled_by_dead(right, residual, pre, dead, *more):
    return right(residual, pre, dead, *more) * min(dead.sum() / max(residual.shape[-1] // 2, 1), 1.0)


@mutant("aux: over the residual's variance, NaN to 0", clause="COST-12", target="auxiliary.aux",
        seen_in=("dictionary_learning 0.1.0", "sparsify 1.3.3", "openai/sparse_autoencoder"), convention=True)
def over_variance(right, residual, *more):
    return right(residual, *more) / variance(residual) if variance(residual) else 0.0


@mutant("aux: mean over all elements", clause="COST-12", target="auxiliary.aux",
        seen_in=("BatchTopK", "matryoshka_sae", "overcomplete 0.3.0"), convention=True)
def aux_mean(right, residual, *more):
    return right(residual, *more) / residual.shape[-1]


@mutant("aux: b_dec in its reconstruction", clause="COST-12", target="objective.objective",
        seen_in=("sparsify 1.3.0", "SAELens 6.18.0"))
def aux_with_b_dec(right, batch, params, config, given):
    terms, dead = right(batch, params, config, given), given.dead
    if "aux" in terms and np.any(dead):
        residual, W_dec = batch.x - batch.recons[-1] - params["b_dec"], params["W_dec"]
        terms["aux"] = config["aux_coefficient"] * auxiliary.aux(residual, batch.pre, dead, W_dec, config["k_aux"])
    return total(terms)


@mutant("aux: whoever is silent, dead or not", clause="COST-12", target="auxiliary.aux_acts",
        seen_in=("overcomplete 0.3.0",), convention=True)
def not_only_the_dead(right, pre, dead, k_aux):
    return right(pre, np.ones_like(dead), k_aux)


@mutant("aux: k_aux over all latents, the dead among them", clause="COST-12", target="auxiliary.aux_acts")
def ranked_with_the_living(right, pre, dead, k_aux):
    return np.where(dead, right(pre, np.ones_like(dead), k_aux), 0.0)


@mutant("aux: k_aux is half of D, whatever was asked", clause="COST-12", target="auxiliary.aux",
        seen_in=("SAELens 6.54.12", "dictionary_learning 0.1.0", "sparsify 1.3.3"), convention=True)
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
        seen_in=("BatchTopK", "overcomplete 0.3.0", "Language-Model-SAEs"))
def live_residual(right, batch, params, config, given):
    grads, d_hat = right(batch, params, config, given), hat_gradient(batch, params, config, given.dead)
    if d_hat is None:
        return grads
    d_recons = np.zeros_like(batch.recons)
    d_recons[-1] = d_hat
    return also(grads, autoencoder.backward(0 * batch.pre, 0 * batch.acts, d_recons, batch, params, config))


@mutant("aux: b_dec learns from it", clause="COST-14", target="objective.objective_backward",
        seen_in=("openai/sparse_autoencoder",))
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
        seen_in=("sparsify 1.3.3",))
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


# ---------------------------------------------------------------- gate_reconstruction

@mutant("gate_reconstruction: the decoder is not detached", clause="COST-16", target="objective.objective_backward",
        seen_in=("SAELens 6.54.12",))
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
