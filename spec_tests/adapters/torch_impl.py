"""Production as an adapter: functions by autograd, whole steps by the Trainer."""

import os

import torch

from sae_spec.spec_tests.adapters.absorption_operations import operations
from sae_spec.torch_impl import SAEConfig, SparseAutoencoder, Trainer, TrainingConfig
from sae_spec.torch_impl.sae import activations, autoencoder, auxiliary, constraints, costs, frequency, gated
from sae_spec.torch_impl.sae import inference, initialization, linear, objective, selection, sparse_autoencoder, training
from sae_spec.torch_impl import kernels
from sae_spec.torch_impl.kernels.precision import widen

NAME, VERSION, DTYPES = "torch_impl", "0.1.0", ["float64", "float32", "float16", "bfloat16"]
DEVICE = os.environ.get("SAE_SPEC_DEVICE", "cpu")        # "cuda": the same suite on the GPU

PARAMETERS = ("W_enc", "W_dec", "b_enc", "b_dec", "log_threshold", "r_mag", "b_mag")
SELECTIONS = ("topk", "batch_topk", "abs_topk", "budget_topk", "batch_budget_topk")
# What production keeps in at least float32, whatever the dtype of the data: counters and running estimates.
STATE = ("mean", "counts", "frequency", "threshold", "tokens_since_fired", "first", "second", "tau", "inference_threshold")


def run(operation, config, inputs, dtype):
    """See `sae_spec.spec_tests.adapter`."""
    if operation not in RUN:
        raise NotImplementedError(operation)
    outputs = RUN[operation](config, tensors(inputs, getattr(torch, dtype)))
    return {name: as_numpy(value) for name, value in outputs.items()}


def as_numpy(value):
    value = value if torch.is_tensor(value) else torch.tensor(value, dtype=torch.float64)
    return value.detach().double().cpu().numpy()


def tensors(inputs, dtype):
    """Inputs as tensors: rounded to `dtype`, those of the running state then widened."""
    found = {name: torch.as_tensor(array, device=DEVICE).to(dtype) for name, array in inputs.items()}
    return {name: widen(tensor) if name in STATE else tensor for name, tensor in found.items()}


def gradients(outputs, cotangents, inputs):
    """{"d_" + name: gradient of <outputs, cotangents> by it}; zero where nothing depends on it."""
    pairs = [(out, cotangent) for out, cotangent in zip(outputs, cotangents) if out.requires_grad]
    if not pairs:
        return {f"d_{name}": torch.zeros_like(tensor) for name, tensor in inputs.items()}
    found = torch.autograd.grad([out for out, _ in pairs], list(inputs.values()), [c.to(out.dtype) for out, c in pairs],
                                allow_unused=True, materialize_grads=True)
    return {f"d_{name}": grad for name, grad in zip(inputs, found)}


def leaves(inputs, names):
    """The named inputs, asked for their gradient; the dictionary is changed to hold them."""
    for name in names:
        if name in inputs:
            inputs[name] = inputs[name].requires_grad_()
    return {name: inputs[name] for name in names if name in inputs}


def params_of(i):
    return {name: i[name] for name in PARAMETERS if name in i}


def activation(config, i):
    name, k = config["activation"], config.get("k")
    if name == "gated":
        return {"acts": gated.gated(i["shared"], i["b_enc"], i["r_mag"], i["b_mag"])}
    if name in ("jumprelu", "step"):
        return {"acts": getattr(activations, name)(i["pre"], i["theta"], config.get("bandwidth"))}
    if name in ("budget_topk", "batch_budget_topk"):
        return {"acts": getattr(selection, name)(i["pre"], k, i["price"], i["dec_norm"])}
    if name in SELECTIONS:
        return {"acts": getattr(selection, name)(i["pre"], k)}
    if name == "relu":
        return {"acts": activations.relu(i["pre"])}
    raise NotImplementedError(f"activation {name}")


def activation_backward(config, i):
    asked = {"gated": ("shared", "r_mag", "b_mag"), "jumprelu": ("pre", "theta"), "step": ("pre", "theta")}
    learned = leaves(i, asked.get(config["activation"], ("pre",)))
    return gradients([activation(config, i)["acts"]], [i["d_acts"]], learned)


def threshold_backward(config, i):
    learned = leaves(i, ["log_threshold"])
    return gradients([activations.threshold(i["log_threshold"])], [i["d_theta"]], learned)


def running_threshold(config, i):
    threshold, seen = inference.running_threshold(i["threshold"], int(i["seen"]), i["kept"], config["decay"])
    return {"threshold": threshold, "seen": seen}


def forward(config, i, params):
    """Batch: dense, or with SAE_SPEC_KERNELS=torch or interpreter pre and acts as Entries."""
    road = autoencoder if kernels.forced() in ("", "dense") else sparse_autoencoder
    shared, pre, acts = road.encode(i["x"], params, config, i.get("price"), i.get("inference_threshold"))
    return autoencoder.Batch(i["x"], shared, pre, acts, linear.decode(acts, params, config.get("prefixes")))


def forward_dense(config, i, params):
    """{"pre", "acts", "recons"} as tensors, whichever way they were computed."""
    _, _, pre, acts, recons = forward(config, i, params)
    if not torch.is_tensor(acts):
        everywhere = {"activation": "abs_topk", "k": len(params["W_dec"])}      # chooses every place
        pre = forward(config | everywhere, i, params).pre
        pre, acts = (entries.dense().view(*i["x"].shape[:-1], entries.places.M) for entries in (pre, acts))
        recons = recons.view(len(recons), *i["x"].shape)
    return {"pre": pre, "acts": acts, "recons": recons}


def encode(config, i):
    found = forward_dense(config, i, params_of(i))
    return {"pre": found["pre"], "acts": found["acts"]}


def backward(config, i):
    learned = leaves(i, ("x", *PARAMETERS))
    outputs = forward_dense(config, i, params_of(i))
    given = [name for name in outputs if f"d_{name}" in i]
    return gradients([outputs[name] for name in given], [i[f"d_{name}"] for name in given], learned)


def cost(config, i):
    return {"cost": COST[config["cost"]](config, i)}


COST = {
    "reconstruction": lambda c, i: costs.reconstruction(i["x"], i["recons"]),
    "l1": lambda c, i: costs.l1(i["acts"], i["W_dec"], i["price"]),
    "tanh": lambda c, i: costs.tanh(i["acts"], i["W_dec"], i["price"], c["tanh_scale"]),
    "l0": lambda c, i: costs.l0(i["pre"], i["theta"], i["price"], c.get("bandwidth")),
    "tie": lambda c, i: costs.tie(i["W_dec"] if c.get("tied") else i["W_enc"], i["W_dec"]),
    "aux": lambda c, i: auxiliary.aux(i["residual"], i["pre"], i["dead"] != 0, i["W_dec"], c["k_aux"]),
    "gate_reconstruction": lambda c, i: auxiliary.gate_reconstruction(i["x"], i["pre"], i["W_dec"], i["b_dec"]),
}
LEARNED = {"reconstruction": ["recons"], "l1": ["acts", "W_dec"], "tanh": ["acts", "W_dec"], "l0": ["theta"],
           "tie": ["W_enc", "W_dec"], "aux": ["pre", "W_dec"], "gate_reconstruction": ["pre"]}


def cost_backward(config, i):
    learned = leaves(i, LEARNED[config["cost"]])
    return gradients([cost(config, i)["cost"]], [i["d_cost"]], learned)


def run_objective(config, i):
    learned = leaves(i, PARAMETERS)
    params, given = params_of(i), objective.Given(i["price"], i["dead"] != 0, config.get("warmth", 1.0))
    terms = objective.objective(forward(config, i, params), params, config, given)
    return terms | gradients([terms["total"]], [torch.ones_like(terms["total"])], learned)


def train(config, i):
    """Half precision: inputs are rounded to it, parameters and moments live in float32."""
    M, D = i["W_dec"].shape
    of_sae = {key: value for key, value in config.items() if key in SAEConfig.model_fields}
    of_training = {key: value for key, value in config.items() if key in TrainingConfig.model_fields}
    params = {name: widen(tensor) for name, tensor in params_of(i).items()}
    dtype = params["W_dec"].dtype
    sae = SparseAutoencoder(SAEConfig(D=D, M=M, **of_sae | {"tied": "W_enc" not in params}), dtype=dtype, device=DEVICE)
    linear.check(i["batches"], params)
    with torch.no_grad():
        for name, param in sae.named_parameters():
            param.copy_(params[name])
    trainer = Trainer(sae, TrainingConfig(**of_training))
    totals = [trainer.step(x)["total"] for x in i["batches"]]
    counters = ("tokens_since_fired", "frequency_mean", "frequency_batches", "threshold", "threshold_seen")
    return sae.parameters_by_name() | {"total": torch.stack(totals)} | {name: getattr(sae, name) for name in counters}


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
    "threshold_backward": threshold_backward,
    "running_threshold": running_threshold,
    "batch_topk_inference": lambda c, i: {"acts": inference.batch_topk_inference(i["pre"], i["threshold"])},
    "budget_thresholds": lambda c, i: {"theta": inference.budget_thresholds(i["tau"], i["price"], i["dec_norm"])},
    "encode": encode,
    "decode": lambda c, i: {"recons": linear.decode(i["acts"], i, c.get("prefixes"))},
    "backward": backward,
    "firing_counts": lambda c, i: {"counts": frequency.firing_counts(i["acts"])},
    "frequency": lambda c, i: {"frequency": frequency.frequency(i["counts"], float(i["samples"]))},
    "running_mean": running_mean,
    "running_frequency": lambda c, i: {"frequency": frequency.running_frequency(i["mean"], int(i["batches"]), c["decay"])},
    "price": lambda c, i: {"price": frequency.price(i["frequency"], c["D"], c["min_frequency"])},
    "running_price": lambda c, i: {
        "price": frequency.running_price(i["mean"], int(i["batches"]), c["decay"], c["D"], c["min_frequency"])},
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
} | operations("torch_impl", torch)
