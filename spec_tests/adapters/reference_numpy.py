"""The reference as an adapter: every operation, float64."""

import numpy as np

from sae_spec import reference
from sae_spec.reference.sae import activations, autoencoder, auxiliary, constraints, costs, frequency, gated
from sae_spec.reference.sae import inference, initialization, linear, objective, selection, training
from sae_spec.spec_tests.adapters.absorption_operations import operations

NAME, VERSION, DTYPES = "reference_numpy", reference.SPEC_VERSION, ["float64"]

PARAMETERS = ("W_enc", "W_dec", "b_enc", "b_dec", "log_threshold", "r_mag", "b_mag")
SELECTIONS = ("topk", "batch_topk", "abs_topk", "budget_topk", "batch_budget_topk")


def run(operation, config, inputs, dtype):
    """See `sae_spec.spec_tests.adapter`."""
    if operation not in RUN:
        raise NotImplementedError(operation)
    return RUN[operation](config, inputs)


def params_of(inputs):
    return {name: inputs[name] for name in PARAMETERS if name in inputs}


def gradients(grads):
    return {f"d_{name}": grad for name, grad in grads.items()}


def activation(config, i):
    name, k = config["activation"], config.get("k")
    if name == "gated":
        return {"acts": gated.gated(i["shared"], i["b_enc"], i["r_mag"], i["b_mag"])}
    if name in ("jumprelu", "step"):
        return {"acts": getattr(activations, name)(i["pre"], i["theta"])}
    if name in ("budget_topk", "batch_budget_topk"):
        return {"acts": getattr(selection, name)(i["pre"], k, i["price"], i["dec_norm"])}
    if name in SELECTIONS:
        return {"acts": getattr(selection, name)(i["pre"], k)}
    if name == "relu":
        return {"acts": activations.relu(i["pre"])}
    raise NotImplementedError(f"activation {name}")


def activation_backward(config, i):
    name, d_acts = config["activation"], i["d_acts"]
    if name == "gated":
        d_shared, d_r_mag, d_b_mag = gated.gated_backward(d_acts, i["shared"], i["b_enc"], i["r_mag"], i["b_mag"])
        return {"d_shared": d_shared, "d_r_mag": d_r_mag, "d_b_mag": d_b_mag}
    if name == "jumprelu":
        d_pre, d_theta = activations.jumprelu_backward(d_acts, i["pre"], i["theta"], config["bandwidth"])
        return {"d_pre": d_pre, "d_theta": d_theta}
    if name == "step":
        d_theta = activations.step_backward(d_acts, i["pre"], i["theta"], config["bandwidth"])
        return {"d_pre": np.zeros_like(i["pre"]), "d_theta": d_theta}
    if name == "relu":
        return {"d_pre": activations.relu_backward(d_acts, i["pre"])}
    return {"d_pre": selection.selection_backward(d_acts, activation(config, i)["acts"])}


def running_threshold(config, i):
    threshold, seen = inference.running_threshold(i["threshold"], int(i["seen"]), i["kept"], config["decay"])
    return {"threshold": threshold, "seen": seen}


def encode(config, i):
    level = i.get("inference_threshold")
    _, pre, acts = autoencoder.encode(i["x"], params_of(i), config, i.get("price"), level)
    return {"pre": pre, "acts": acts}


def backward(config, i):
    params = params_of(i)
    batch = autoencoder.forward(i["x"], params, config, i.get("price"))
    d_outputs = (i.get(f"d_{name}", np.zeros_like(getattr(batch, name))) for name in ("pre", "acts", "recons"))
    return gradients(autoencoder.backward(*d_outputs, batch, params, config))


def cost(config, i):
    return {"cost": COST[config["cost"]](config, i)}


COST = {
    "reconstruction": lambda c, i: costs.reconstruction(i["x"], i["recons"]),
    "l1": lambda c, i: costs.l1(i["acts"], i["W_dec"], i["price"]),
    "tanh": lambda c, i: costs.tanh(i["acts"], i["W_dec"], i["price"], c["tanh_scale"]),
    "l0": lambda c, i: costs.l0(i["pre"], i["theta"], i["price"]),
    "tie": lambda c, i: costs.tie(i["W_dec"] if c.get("tied") else i["W_enc"], i["W_dec"]),
    "aux": lambda c, i: auxiliary.aux(i["residual"], i["pre"], i["dead"] != 0, i["W_dec"], c["k_aux"]),
    "gate_reconstruction": lambda c, i: auxiliary.gate_reconstruction(i["x"], i["pre"], i["W_dec"], i["b_dec"]),
}


def cost_backward(config, i):
    name, d_cost = config["cost"], i["d_cost"]
    if name == "reconstruction":
        return {"d_recons": costs.reconstruction_backward(d_cost, i["x"], i["recons"])}
    if name == "l0":
        return {"d_theta": costs.l0_backward(d_cost, i["pre"], i["theta"], i["price"], config["bandwidth"])}
    if name == "tie":
        W_enc = i["W_dec"] if config.get("tied") else i["W_enc"]
        d_W_enc, d_W_dec = costs.tie_backward(d_cost, W_enc, i["W_dec"])
        return {"d_W_dec": d_W_dec} if config.get("tied") else {"d_W_enc": d_W_enc, "d_W_dec": d_W_dec}
    if name == "aux":
        d_pre, d_W_dec = auxiliary.aux_backward(d_cost, i["residual"], i["pre"], i["dead"] != 0, i["W_dec"], config["k_aux"])
        return {"d_pre": d_pre, "d_W_dec": d_W_dec}
    if name == "gate_reconstruction":
        return {"d_pre": auxiliary.gate_reconstruction_backward(d_cost, i["x"], i["pre"], i["W_dec"], i["b_dec"])}
    more = (config["tanh_scale"],) if name == "tanh" else ()
    d_acts, d_W_dec = getattr(costs, f"{name}_backward")(d_cost, i["acts"], i["W_dec"], i["price"], *more)
    return {"d_acts": d_acts, "d_W_dec": d_W_dec}


def run_objective(config, i):
    params, given = params_of(i), objective.Given(i["price"], i["dead"] != 0, config.get("warmth", 1.0))
    batch = autoencoder.forward(i["x"], params, config, i["price"])
    terms = objective.objective(batch, params, config, given)
    return terms | gradients(objective.objective_backward(batch, params, config, given))


def train(config, i):
    state, totals = training.initial_state(params_of(i)), []
    for x in i["batches"]:
        state, terms = training.training_step(state, x, config)
        totals.append(terms["total"])
    return state.params | {"total": np.array(totals)} | counters(state)


def counters(state):
    """What a State has counted and averaged, by the names of the operation `train`."""
    return {"tokens_since_fired": state.tokens_since_fired,
            "frequency_mean": state.frequency.mean, "frequency_batches": state.frequency.batches,
            "threshold": state.threshold.mean, "threshold_seen": state.threshold.batches}


def running_mean(config, i):
    mean, batches = frequency.running_mean(i["mean"], int(i["batches"]), i["acts"], config["decay"])
    return {"mean": mean, "batches": batches}


def count_tokens(config, i):
    tokens = training.count_tokens(i["tokens_since_fired"], i["acts"])
    return {"tokens_since_fired": tokens, "dead": training.is_dead(tokens, config["dead_after"])}


def adam(config, i):
    param, first, second = training.adam(i["param"], i["grad"], i["first"], i["second"],
                                         config["step"], config["learning_rate"])
    return {"param": param, "first": first, "second": second}


RUN = {
    "activation": activation,
    "activation_backward": activation_backward,
    "threshold": lambda c, i: {"theta": activations.threshold(i["log_threshold"])},
    "threshold_backward": lambda c, i: {"d_log_threshold": activations.threshold_backward(i["d_theta"], i["log_threshold"])},
    "running_threshold": running_threshold,
    "batch_topk_inference": lambda c, i: {"acts": inference.batch_topk_inference(i["pre"], i["threshold"])},
    "budget_thresholds": lambda c, i: {"theta": inference.budget_thresholds(i["tau"], i["price"], i["dec_norm"])},
    "encode": encode,
    "decode": lambda c, i: {"recons": linear.decode(i["acts"], i, c.get("prefixes"))},
    "backward": backward,
    "firing_counts": lambda c, i: {"counts": frequency.firing_counts(i["acts"])},
    "frequency": lambda c, i: {"frequency": frequency.frequency(i["counts"], i["samples"])},
    "running_mean": running_mean,
    "running_frequency": lambda c, i: {"frequency": frequency.running_frequency(i["mean"], i["batches"], c["decay"])},
    "price": lambda c, i: {"price": frequency.price(i["frequency"], c["D"], c["min_frequency"])},
    "running_price": lambda c, i: {
        "price": frequency.running_price(i["mean"], i["batches"], c["decay"], c["D"], c["min_frequency"])},
    "cost": cost,
    "cost_backward": cost_backward,
    "objective": run_objective,
    "train": train,
    "normalize_rows": lambda c, i: {"unit": constraints.normalize_rows(i["W"])},
    "project_gradient": lambda c, i: {"d_W": constraints.project_gradient(i["d_W"], i["W"])},
    "clip_gradients": lambda c, i: training.clip_gradients(i, c["max_grad_norm"]),
    "adam": adam,
    "learning_rate": lambda c, i: {"rate": training.learning_rate(c["step"], c)},
    "sparsity_warmth": lambda c, i: {"warmth": training.sparsity_warmth(c["step"], c)},
    "count_tokens": count_tokens,
    "initial_parameters": lambda c, i: initialization.initial_parameters(i["normals"], i["b_dec"], c),
    "geometric_median": lambda c, i: {"centre": initialization.geometric_median(i["data"])},
} | operations("reference", np)
