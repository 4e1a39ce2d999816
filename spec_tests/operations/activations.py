"""ACT: activations by themselves, thresholds, and what batch rules do without a batch."""

import numpy as np

from sae_spec.spec_tests.operations.autograd import gradient_of
from sae_spec.spec_tests.operations.frequency import DECAY, WRONG_DECAY
from sae_spec.spec_tests.operations.mistakes import altered, no_count_of_latents, number, outside_0_to_m, values
from sae_spec.spec_tests.operations.record import Area, signature

ACT = Area("ACT", "Activations")

BY_SIZE = ("topk", "batch_topk", "abs_topk")
BY_DENSITY = ("budget_topk", "batch_budget_topk")
PRE, ACTS = {"pre": "(B, M)"}, {"acts": "(B, M)"}
D_ACTS = {"d_acts": "(B, M)  gradient of the loss by acts"}
THETA = {"theta": "(M,)  thresholds, at least 0"}
PRICED = {"price": "(M,)  at least 1", "dec_norm": "(M,)  norms of the decoder rows"}
GATED = {"shared": "(B, M)  pre without b_enc", "b_enc": "(M,)", "r_mag": "(M,)", "b_mag": "(M,)"}
K = {"k": "how many latents may be on, a whole number from 1 to M; of the budget rules the budget of a sample; of the batch rules "
          "and their calibration the mean of either, any number above 0 and at most M"}
BANDWIDTH = {"bandwidth": "width of the window about a threshold, above 0"}
WRONG_K = {"k": no_count_of_latents()}
WRONG_PRICE = {"price": number("a price below 1", 0.5)}
WRONG_THETA = {"theta": number("a negative threshold", -0.5)}
WRONG_BANDWIDTH = {"bandwidth": values("0 or negative", 0, -1)}


@ACT.operation("an activation by itself, or the step that counts active latents", turns_on="activation", variants={
    "relu": signature({}, PRE, ACTS),
    "topk | batch_topk | abs_topk": signature(K, PRE, ACTS, WRONG_K),
    "budget_topk | batch_budget_topk": signature(K, PRE | PRICED, ACTS, WRONG_K | WRONG_PRICE),
    "jumprelu | step": signature({}, PRE | THETA, ACTS, WRONG_THETA),
    "gated": signature({}, GATED, ACTS),
})
def activation(on, config, **i):
    name, k = config["activation"], config.get("k")
    if name == "gated":
        return {"acts": on.gated.gated(i["shared"], i["b_enc"], i["r_mag"], i["b_mag"])}
    if name in ("jumprelu", "step"):
        return {"acts": getattr(on.activations, name)(i["pre"], i["theta"])}
    if name in BY_DENSITY:
        return {"acts": getattr(on.selection, name)(i["pre"], k, i["price"], i["dec_norm"])}
    if name in BY_SIZE:
        return {"acts": getattr(on.selection, name)(i["pre"], k)}
    if name == "relu":
        return {"acts": on.activations.relu(i["pre"])}
    raise NotImplementedError(f"activation {name}")


@activation.on("torch_impl")
def activation_with_window(on, config, **i):
    """The same, but jumprelu and step are told the window of their gradient when they are computed."""
    name = config["activation"]
    if name in ("jumprelu", "step"):
        return {"acts": getattr(on.activations, name)(i["pre"], i["theta"], config.get("bandwidth"))}
    return activation.function(on, config, **i)


@ACT.operation("the gradient of an activation", turns_on="activation", variants={
    "relu": signature({}, PRE | D_ACTS, {"d_pre": "(B, M)"}),
    "topk | batch_topk | abs_topk": signature(K, PRE | D_ACTS, {"d_pre": "(B, M)"}),
    "budget_topk | batch_budget_topk": signature(K, PRE | PRICED | D_ACTS, {"d_pre": "(B, M)"}),
    "jumprelu | step": signature(BANDWIDTH, PRE | THETA | D_ACTS, {"d_pre": "(B, M)", "d_theta": "(M,)"}, WRONG_BANDWIDTH),
    "gated": signature({}, GATED | D_ACTS, {"d_shared": "(B, M)", "d_r_mag": "(M,)", "d_b_mag": "(M,)"}),
})
def activation_backward(on, config, d_acts, **i):
    name = config["activation"]
    if name == "gated":
        d_shared, d_r_mag, d_b_mag = on.gated.gated_backward(d_acts, i["shared"], i["b_enc"], i["r_mag"], i["b_mag"])
        return {"d_shared": d_shared, "d_r_mag": d_r_mag, "d_b_mag": d_b_mag}
    if name == "jumprelu":
        d_pre, d_theta = on.activations.jumprelu_backward(d_acts, i["pre"], i["theta"], config["bandwidth"])
        return {"d_pre": d_pre, "d_theta": d_theta}
    if name == "step":
        d_theta = on.activations.step_backward(d_acts, i["pre"], i["theta"], config["bandwidth"])
        return {"d_pre": np.zeros_like(i["pre"]), "d_theta": d_theta}
    if name == "relu":
        return {"d_pre": on.activations.relu_backward(d_acts, i["pre"])}
    return {"d_pre": on.selection.selection_backward(d_acts, activation(on, config, i)["acts"])}


@activation_backward.on("torch_impl")
def activation_by_autograd(on, config, d_acts, **inputs):
    learned = {"gated": ("shared", "r_mag", "b_mag"), "jumprelu": ("pre", "theta"), "step": ("pre", "theta")}
    by = learned.get(config["activation"], ("pre",))
    return gradient_of(activation, "acts", on, config, by, d_acts, inputs)


@ACT.operation("theta from the parameter that is trained", inputs={"log_threshold": "(M,)"}, outputs={"theta": "(M,)"})
def threshold(on, config, log_threshold):
    return {"theta": on.activations.threshold(log_threshold)}


@ACT.operation("the gradient by log_threshold", inputs={"log_threshold": "(M,)", "d_theta": "(M,)"},
               outputs={"d_log_threshold": "(M,)"})
def threshold_backward(on, config, log_threshold, d_theta):
    return {"d_log_threshold": on.activations.threshold_backward(d_theta, log_threshold)}


@threshold_backward.on("torch_impl")
def threshold_by_autograd(on, config, log_threshold, d_theta):
    return gradient_of(threshold, "theta", on, config, ["log_threshold"], d_theta, {"log_threshold": log_threshold})


@ACT.operation("one update of the running estimate of the smallest value that a batch rule keeps",
               DECAY,
               {"threshold": "state ()  the estimate so far", "seen": "()  from how many batches",
                "kept": "(B, M)  batch_topk: acts; batch_budget_topk: acts^2 · dec_norm^2 / price of the active entries, else 0"},
               {"threshold": "()", "seen": "()"}, WRONG_DECAY)
def running_threshold(on, config, threshold, seen, kept):
    threshold, seen = on.inference.running_threshold(threshold, int(seen), kept, config["decay"])
    return {"threshold": threshold, "seen": seen}


@ACT.operation("the threshold at which an average sample spends k, from samples that are all encoded alike",
               K,
               {"value": "(B, M)  batch_topk: pre; batch_budget_topk: acts^2 · dec_norm^2 / price of the positive entries, else 0",
                "price": "(M,)  at least 1; of batch_topk all 1"},
               {"threshold": "()"},
               {"k": outside_0_to_m(of="value"), "price": WRONG_PRICE["price"],
                "value": altered("no samples", lambda value: value[:0])})
def calibrated_threshold(on, config, value, price):
    return {"threshold": on.inference.calibrated_threshold(value, config["k"], price)}


@ACT.operation("batch_topk for one sample at a time", inputs=PRE | {"threshold": "state ()  the running estimate, at least 0"},
               outputs=ACTS, refused={"threshold": values("negative", -0.5)})
def batch_topk_inference(on, config, pre, threshold):
    return {"acts": on.inference.batch_topk_inference(pre, threshold)}


@ACT.operation("the thresholds of the jumprelu that does what batch_budget_topk does",
               inputs={"tau": "state ()  the running estimate, at least 0"} | PRICED, outputs={"theta": "(M,)"},
               refused={"tau": values("negative", -1)})
def budget_thresholds(on, config, tau, price, dec_norm):
    return {"theta": on.inference.budget_thresholds(tau, price, dec_norm)}
