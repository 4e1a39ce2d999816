"""SAELens 6.54.12 as an adapter: its training SAEs, asked for encode, decode, losses and gradients; runs through `serve.py`.

Gradients come from autograd through its own forward pass. TopK's family is asked with rescale_acts_by_decoder_norm=False,
which chooses latents by pre-activation alone. Of a gated SAE it returns the magnitudes' pre-activation; the gate's is put
together here, from its process_sae_in, W_enc and b_gate.
"""

import warnings

import torch
from sae_lens import saes
from sae_lens.saes.abstopk_sae import AbsTopKTrainingSAE, AbsTopKTrainingSAEConfig
from sae_lens.saes.jumprelu_sae import Step
from sae_lens.saes.sae import TrainStepInput
from sae_lens.training.activation_scaler import ActivationScaler
from sae_lens.training.optim import CoefficientScheduler, get_lr_scheduler

NAME, VERSION, DTYPES = "SAELens", "6.54.12", ["float64"]
CLASSES = {"relu": (saes.StandardTrainingSAE, saes.StandardTrainingSAEConfig),
           "topk": (saes.TopKTrainingSAE, saes.TopKTrainingSAEConfig),
           "abs_topk": (AbsTopKTrainingSAE, AbsTopKTrainingSAEConfig),
           "batch_topk": (saes.BatchTopKTrainingSAE, saes.BatchTopKTrainingSAEConfig),
           "matryoshka": (saes.MatryoshkaBatchTopKTrainingSAE, saes.MatryoshkaBatchTopKTrainingSAEConfig),
           "jumprelu": (saes.JumpReLUTrainingSAE, saes.JumpReLUTrainingSAEConfig),
           "gated": (saes.GatedTrainingSAE, saes.GatedTrainingSAEConfig)}
COSTS = {"l1": "relu", "tanh": "jumprelu", "l0": "jumprelu", "aux": "topk", "gate_reconstruction": "gated"}
LOSSES = {"l1": "l1_loss", "l0": "l0_loss", "tanh": "l0_loss", "aux": "auxiliary_reconstruction_loss",
          "gate_reconstruction": "auxiliary_reconstruction_loss"}
warnings.filterwarnings("ignore", message="WARNING: You have only set one matryoshka level")


def run(operation, config, inputs, dtype):
    given = {name: torch.tensor(array, dtype=getattr(torch, dtype)) for name, array in inputs.items()}
    if operation not in OPERATIONS:
        raise NotImplementedError(f"no {operation} that can be called by itself")
    if "price" in given and (given["price"] != 1).any():
        raise NotImplementedError("prices of firing")
    outputs = OPERATIONS[operation](config, given)
    return {name: value.detach().double().numpy() if torch.is_tensor(value) else value for name, value in outputs.items()}


def build(config, i, **more):
    """A training SAE of theirs with the weights of `i`, and {our name: its parameter}."""
    kind, (M, D) = config["activation"], i["W_dec"].shape
    if kind not in CLASSES or "W_enc" not in i:
        raise NotImplementedError(kind if kind not in CLASSES else "tied weights")
    if (prefixes := config.get("prefixes") or [M]) != [M]:
        if kind != "batch_topk":
            raise NotImplementedError("prefixes of other than batch_topk")
        kind, more = "matryoshka", more | {"matryoshka_widths": list(prefixes)}
    if "k" in config:
        more |= {"k": config["k"], "rescale_acts_by_decoder_norm": False}
    if kind == "jumprelu":
        more["jumprelu_bandwidth"] = config.get("bandwidth", 0.05)
    make, settings = CLASSES[kind]
    sae = make(settings(d_in=D, d_sae=M, dtype=str(i["W_dec"].dtype).removeprefix("torch."),
                        apply_b_dec_to_input=config.get("subtract_b_dec", True), **more))
    names = {"theta": "threshold", "b_enc": "b_gate" if kind == "gated" else "b_enc"}
    theirs = {name: names.get(name, name) for name in ("W_enc", "W_dec", "b_enc", "b_dec", "theta", "r_mag", "b_mag") if name in i}
    state = {theirs[name]: i[name].T if name == "W_enc" else i[name] for name in theirs}
    if "log_threshold" in i:
        raise NotImplementedError("a threshold that is trained by its logarithm")
    sae.load_state_dict(sae.state_dict() | state)
    return sae, {name: getattr(sae, word) for name, word in theirs.items()}


def gradients(leaves):
    """By our names; their encoder is the other way round."""
    found = {name: torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for name, leaf in leaves.items()}
    return {f"d_{name}": grad.T if name == "W_enc" else grad for name, grad in found.items()}


def encoded(sae, config, x):
    acts, pre = sae.encode_with_hidden_pre(x)
    return acts, sae.process_sae_in(x) @ sae.W_enc + sae.b_gate if config["activation"] == "gated" else pre


def encode(config, i):
    sae, _ = build(config, i)
    acts, pre = encoded(sae, config, i["x"])
    if "inference_threshold" in i:                          # they save it as a JumpReLU SAE
        sae.topk_threshold.fill_(i["inference_threshold"].item())
        state = dict(sae.state_dict())
        sae.process_state_dict_for_saving_inference(state)
        kept = ("d_in", "d_sae", "dtype", "apply_b_dec_to_input")
        saved = saes.JumpReLUSAE(saes.JumpReLUSAEConfig(**{name: getattr(sae.cfg, name) for name in kept}))
        saved.load_state_dict(state)
        acts = saved.encode(i["x"])
    return {"pre": pre, "acts": acts}


def levels(sae, acts):
    """One reconstruction for each prefix."""
    if not isinstance(sae, saes.MatryoshkaBatchTopKTrainingSAE):
        return sae.decode(acts)[None]
    return torch.stack([recon for _, recon in sae._iterable_decode(acts, include_outer_loss=True)])


def decode(config, i):
    sae, _ = build(config | {"activation": "batch_topk", "k": 1}, i | {"W_enc": torch.zeros_like(i["W_dec"])})
    return {"recons": levels(sae, i["acts"])}


def backward(config, i):
    sae, parameters = build(config, i)
    leaves = parameters | {"x": i["x"].requires_grad_()}
    acts, pre = encoded(sae, config, i["x"])
    pairs = {"d_acts": acts, "d_pre": pre} | ({"d_recons": levels(sae, acts)} if "d_recons" in i else {})
    sum(((i[name] * value).sum() for name, value in pairs.items() if name in i), 0 * acts.sum()).backward()
    return gradients(leaves)


def step_input(x, i, **coefficients):
    dead = i["dead"].bool() if "dead" in i else None
    return TrainStepInput(sae_in=x, coefficients=coefficients, dead_neuron_mask=dead, n_training_steps=0, is_logging_step=False)


def options(name, config, D):
    """How the loss of that name is asked for."""
    if name == "aux" and config["k_aux"] != D // 2:
        raise NotImplementedError("a k_aux other than half of the input dimension")
    return {"jumprelu_sparsity_loss_mode": "tanh", "jumprelu_tanh_scale": config["tanh_scale"]} if name == "tanh" else {}


def objective(config, i):
    asked = {name: config[f"{name}_coefficient"] for name in (*COSTS, "tie") if config.get(f"{name}_coefficient")}
    offered = {"relu": {"l1"}, "gated": {"l1"}, "jumprelu": {"l0", "tanh"}}.get(config["activation"], {"aux"})
    if not asked.keys() <= offered or len(asked) > 1:
        raise NotImplementedError(f"{config['activation']} charged {' and '.join(sorted(asked))}")
    more = {"aux_loss_coefficient": asked.get("aux", 0)} if "k" in config else {}
    for name in asked:
        more |= options(name, config, i["x"].shape[-1])
    sae, parameters = build(config, i, **more)
    warm = {name: config.get("warmth", 1) * value for name, value in asked.items()}
    out = sae.training_forward_pass(step_input(i["x"], i, l1=warm.get("l1", 0), l0=warm.get("l0", warm.get("tanh", 0))))
    out.loss.backward()
    names = [name for name in asked if name == "aux" or warm[name]] + ["gate_reconstruction"] * (config["activation"] == "gated")
    inner = sum(value for name, value in out.losses.items() if name.startswith("inner_mse"))
    return {name: out.losses[LOSSES[name]] for name in names} | gradients(parameters) | {
        "reconstruction": out.losses["mse_loss"] + inner, "total": out.loss}


def charged(config, i):
    """One loss by itself, and what it is differentiated by."""
    name, given = config["cost"], dict(i)
    if name not in COSTS:
        raise NotImplementedError(f"the cost {name} by itself")
    activations = "acts" if "acts" in i else "pre"
    if name == "gate_reconstruction" and "W_enc" not in i:
        raise NotImplementedError("the gate's reconstruction without x and W_enc")
    leaf = {activations: i[activations].requires_grad_()} if activations in i else {}
    M = next(iter(leaf.values())).shape[-1] if leaf else len(i["W_dec"])
    given.setdefault("W_dec", torch.zeros(M, 1, dtype=torch.float64))
    given.setdefault("W_enc", torch.zeros_like(given["W_dec"]))
    more = options(name, config, given["W_dec"].shape[1]) | ({"aux_loss_coefficient": 1.0} if name == "aux" else {})
    sae, parameters = build({"activation": COSTS[name]} | ({"k": 1} if name == "aux" else {}) | config, given, **more)
    x = i.get("x", i.get("residual"))
    given = i.get("acts"), i.get("pre", i.get("acts")), None if x is None else torch.zeros_like(x)
    losses = sae.calculate_aux_loss(step_input(x, i, l0=1.0, l1=1.0), *given)
    return losses[LOSSES[name]], leaf | {word: parameters[word] for word in parameters if word in i}


def cost_backward(config, i):
    value, leaves = charged(config, i)
    (value * i["d_cost"]).backward() if value.requires_grad else None
    kept = {"l1": ("acts", "W_dec"), "tanh": ("acts", "W_dec"), "l0": ("theta",), "aux": ("pre", "W_dec")}.get(config["cost"], ("W_enc",))
    return gradients({name: leaf for name, leaf in leaves.items() if name in kept})


def step(config, i):
    if config["activation"] != "step":
        raise NotImplementedError(f"{config['activation']} apart from an encoder")
    return Step.apply(i["pre"].requires_grad_(), i["theta"].requires_grad_(), config.get("bandwidth", 0.05), False)


def step_backward(config, i):
    step(config, i).backward(i["d_acts"])
    return gradients({name: i[name] for name in ("pre", "theta")})


def running_threshold(config, i):
    if "seen" in i:
        raise NotImplementedError("a count of batches beside the threshold")
    sae, _ = build({"activation": "batch_topk", "k": 1}, {name: torch.zeros(1, 1).double() for name in ("W_enc", "W_dec")},
                   topk_threshold_lr=1 - config["decay"])
    sae.topk_threshold = i.get("threshold", sae.topk_threshold)
    sae.update_topk_threshold(i["kept"])
    return {"threshold": sae.topk_threshold}


def scale_factor(config, i):
    scaler = ActivationScaler()
    scaler.estimate_scaling_factor(i["x"].shape[-1], iter([i["x"]]), 1)
    return {"scale": scaler.scaling_factor}


def fold(config, i):
    sae, parameters = build(config | ({"k": 1} if "topk" in config["activation"] else {}), i)
    if "inference_threshold" in i:
        sae.topk_threshold.fill_(i["inference_threshold"].item())
    sae.fold_activation_norm_scaling_factor(i["scale"].item())
    folded = {name: leaf.T if name == "W_enc" else leaf for name, leaf in parameters.items()}
    return folded | ({"inference_threshold": sae.topk_threshold} if "inference_threshold" in i else {})


def learning_rate(config, i):
    rate = config["learning_rate"]
    optimizer = torch.optim.Adam([torch.zeros(1, requires_grad=True)], lr=rate)
    schedule = get_lr_scheduler("constant", optimizer, config["steps"], rate, config["warmup_steps"], config["decay_steps"], rate, 1)
    for _ in range(int(config["step"])):
        optimizer.step()
        schedule.step()
    return {"rate": optimizer.param_groups[0]["lr"]}


def sparsity_warmth(config, i):
    schedule = CoefficientScheduler(config["sparsity_warmup_steps"], 1.0)
    for _ in range(int(config["step"])):
        schedule.step()
    return {"warmth": schedule.value}


OPERATIONS = {
    "activation": lambda config, i: {"acts": step(config, i)}, "activation_backward": step_backward, "encode": encode,
    "decode": decode, "backward": backward, "objective": objective, "cost": lambda config, i: {"cost": charged(config, i)[0]},
    "cost_backward": cost_backward, "running_threshold": running_threshold, "scale_factor": scale_factor, "fold": fold,
    "learning_rate": learning_rate, "sparsity_warmth": sparsity_warmth}
