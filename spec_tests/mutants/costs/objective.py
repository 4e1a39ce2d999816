"""Mutants of COST: coefficients, the terms of a gated SAE, the total."""

import numpy as np

from sae_spec.reference.sae import autoencoder, costs, objective
from sae_spec.spec_tests.mutants import mutant
from sae_spec.spec_tests.mutants.costs.costs import also, total


@mutant("coefficient: a negative one is a reward", clause="COST-17", target="objective.coefficient")
def reward(right, config, term, warmth=1.0):
    factor = config.get(f"{term}_coefficient", 0.0)
    return factor if factor < 0 else right(config, term, warmth)


@mutant("coefficient: infinity is a number", clause="COST-17", target="objective.coefficient")
def infinity_is_a_number(right, config, term, *arguments):
    name = f"{term}_coefficient"
    return right(config | {name: 1e300} if config.get(name) == float("inf") else config, term, *arguments)


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


# ---------------------------------------------------------------- what sparsity costs a threshold


def thresholds_by(slopes, right, batch, params, config, given):
    """The gradients, but l1 and tanh reach jumprelu's thresholds as the reconstruction does: by `slopes` (B, M) of acts."""
    grads = right(batch, params, config, given)
    if config["activation"] != "jumprelu":
        return grads
    without = right(batch, params, config | {"l1_coefficient": 0.0, "tanh_coefficient": 0.0}, given)
    theta, bandwidth = np.exp(params["log_threshold"]), config["bandwidth"]
    near = np.abs(batch.pre - theta) < bandwidth / 2
    d_theta = -(near * theta / bandwidth * slopes).reshape(-1, len(theta)).sum(0)
    return grads | {"log_threshold": without["log_threshold"] + theta * d_theta}


@mutant("threshold: l1 and tanh are felt above it alone", clause="COST-21", target="objective.objective_backward")
def felt_above_alone(right, batch, params, config, given):
    slopes, _ = objective.activation_costs_backward(batch.acts, params, config, given)
    return thresholds_by(slopes, right, batch, params, config, given)


@mutant("threshold: below it l1 and tanh are felt by their slope at 0", clause="COST-21", target="objective.objective_backward",
        seen_in=("SAELens 6.54.12", "Language-Model-SAEs"), where="jumprelu with the tanh loss")
def felt_by_the_slope_at_0(right, batch, params, config, given):
    barely = np.where(batch.acts == 0, 1e-300, batch.acts)                        # the slope of |acts| is 1 there
    slopes, _ = objective.activation_costs_backward(barely, params, config, given)
    return thresholds_by(slopes, right, batch, params, config, given)


@mutant("threshold: l1 and tanh are not felt", clause="COST-21", target="objective.threshold_heights")
def not_felt(right, theta, params, config, given):
    return right(theta, params, config | {"l1_coefficient": 0.0, "tanh_coefficient": 0.0}, given)


@mutant("threshold: charged without the price", clause="COST-21", target="objective.threshold_heights")
def charged_without_price(right, theta, params, config, given):
    return right(theta, params, config, given._replace(price=np.ones_like(given.price)))


@mutant("threshold: charged without the decoder row's norm", clause="COST-21", target="objective.threshold_heights")
def charged_without_norm(right, theta, params, config, given):
    return right(theta, params | {"W_dec": np.eye(*params["W_dec"].shape)[:, :1] ** 0}, config, given)
