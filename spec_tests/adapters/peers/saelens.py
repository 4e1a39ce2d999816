"""SAELens 6.54.12 as an adapter: its training SAEs, asked for encode, decode, losses and gradients; runs through `serve.py`.

Gradients come from autograd through its own forward pass. TopK's family is asked with rescale_acts_by_decoder_norm=False,
which chooses latents by pre-activation alone. Of a gated SAE it returns the magnitudes' pre-activation; the gate's is put
together here, from its process_sae_in, W_enc and b_gate.
"""
import torch
from sae_lens import saes
from sae_lens.saes.jumprelu_sae import Step
from sae_lens.saes.sae import TrainStepInput
from sae_lens.training.activation_scaler import ActivationScaler
from sae_lens.training.optim import CoefficientScheduler, get_lr_scheduler

NAME, VERSION, DTYPES = "SAELens", "6.54.12", ["float64"]
KINDS = {"relu": "Standard", "topk": "TopK", "abs_topk": "AbsTopK", "batch_topk": "BatchTopK", "jumprelu": "JumpReLU", "gated": "Gated"}
PAYS = {"l1": "relu", "tanh": "jumprelu", "l0": "jumprelu", "aux": "topk", "gate_reconstruction": "gated"}
LOSSES = {"l1": "l1_loss", "l0": "l0_loss", "tanh": "l0_loss", "aux": "auxiliary_reconstruction_loss",
          "gate_reconstruction": "auxiliary_reconstruction_loss"}


def run(operation, config, inputs, dtype):
    given = {name: torch.tensor(array, dtype=getattr(torch, dtype)) for name, array in inputs.items()}
    if operation not in OPERATIONS or (given.get("price", torch.ones(1)) != 1).any():
        raise NotImplementedError("prices of firing" if operation in OPERATIONS else f"no {operation} by itself")
    outputs = OPERATIONS[operation](config, given)
    return {name: value.detach().double().numpy() if torch.is_tensor(value) else value for name, value in outputs.items()}


def build(config, i, **more):
    """A training SAE of theirs with the weights of `i`, and {our name: its parameter}."""
    kind, (M, D) = config["activation"], i["W_dec"].shape
    if kind not in KINDS or "W_enc" not in i or "log_threshold" in i:
        raise NotImplementedError(kind if kind not in KINDS else "tied weights, or a threshold trained by its logarithm")
    name, prefixes = KINDS[kind], config.get("prefixes") or [M]
    if prefixes != [M]:
        if kind != "batch_topk":
            raise NotImplementedError("prefixes of other than batch_topk")
        name, more = "MatryoshkaBatchTopK", more | {"matryoshka_widths": list(prefixes)}
    more |= {"k": config.get("k", 1), "rescale_acts_by_decoder_norm": False} if kind.endswith("topk") else {}
    more |= {"jumprelu_bandwidth": config.get("bandwidth", 0.05)} if kind == "jumprelu" else {}
    sae = getattr(saes, f"{name}TrainingSAE")(getattr(saes, f"{name}TrainingSAEConfig")(
        d_in=D, d_sae=M, dtype=str(i["W_dec"].dtype)[6:], apply_b_dec_to_input=config.get("subtract_b_dec", True), **more))
    names = {"theta": "threshold", "b_enc": "b_gate" if kind == "gated" else "b_enc"}
    theirs = {name: names.get(name, name) for name in ("W_enc", "W_dec", "b_enc", "b_dec", "theta", "r_mag", "b_mag") if name in i}
    given = {word: i[name].T if name == "W_enc" else i[name] for name, word in theirs.items()}
    given |= {"topk_threshold": i["inference_threshold"]} if "inference_threshold" in i else {}
    sae.load_state_dict(sae.state_dict() | given)
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
        state, kept = dict(sae.state_dict()), ("d_in", "d_sae", "dtype", "apply_b_dec_to_input")
        sae.process_state_dict_for_saving_inference(state)
        saved = saes.JumpReLUSAE(saes.JumpReLUSAEConfig(**{name: getattr(sae.cfg, name) for name in kept}))
        saved.load_state_dict(state)
        acts = saved.encode(i["x"])
    return {"pre": pre, "acts": acts}


def levels(sae, acts):
    """One reconstruction for each prefix."""
    nested = isinstance(sae, saes.MatryoshkaBatchTopKTrainingSAE)
    return torch.stack([recon for _, recon in sae._iterable_decode(acts, True)]) if nested else sae.decode(acts)[None]


def decode(config, i):
    return {"recons": levels(build(config | {"activation": "batch_topk"}, i | {"W_enc": i["W_dec"]})[0], i["acts"])}


def backward(config, i):
    sae, parameters = build(config, i)
    acts, pre = encoded(sae, config, i["x"].requires_grad_())
    pairs = {"d_acts": acts, "d_pre": pre} | ({"d_recons": levels(sae, acts)} if "d_recons" in i else {})
    sum(((i[name] * value).sum() for name, value in pairs.items() if name in i), 0 * acts.sum()).backward()
    return gradients(parameters | {"x": i["x"]})


def step_input(x, i, **coefficients):
    return TrainStepInput(sae_in=x, coefficients=coefficients, dead_neuron_mask=i["dead"].bool() if "dead" in i else None,
                          n_training_steps=0, is_logging_step=False)


def options(name, config, D):
    """How the loss of that name is asked for."""
    if name == "aux" and config["k_aux"] != D // 2:
        raise NotImplementedError("a k_aux other than half of the input dimension")
    return {"jumprelu_sparsity_loss_mode": "tanh", "jumprelu_tanh_scale": config["tanh_scale"]} if name == "tanh" else {}


def objective(config, i):
    kind, given = config["activation"], {name: config.get(f"{name}_coefficient") for name in (*PAYS, "tie")}
    asked = {name: value for name, value in given.items() if value}
    offered = {"relu": {"l1"}, "gated": {"l1"}, "jumprelu": {"l0", "tanh"}}.get(kind, {"aux"})
    if not asked.keys() <= offered or len(asked) > 1:
        raise NotImplementedError(f"{kind} charged {' and '.join(sorted(asked))}")
    more = {"aux_loss_coefficient": asked.get("aux", 0)} if kind.endswith("topk") else {}
    more |= {word: value for name in asked for word, value in options(name, config, i["x"].shape[-1]).items()}
    sae, parameters = build(config, i, **more)
    warm = {name: config.get("warmth", 1) * value for name, value in asked.items()}
    out = sae.training_forward_pass(step_input(i["x"], i, l1=warm.get("l1", 0), l0=warm.get("l0", warm.get("tanh", 0))))
    out.loss.backward()
    names = [name for name in asked if name == "aux" or warm[name]] + ["gate_reconstruction"] * (kind == "gated")
    inner = sum(value for name, value in out.losses.items() if name.startswith("inner_mse"))
    terms = {name: out.losses[LOSSES[name]] for name in names} | {"reconstruction": out.losses["mse_loss"] + inner, "total": out.loss}
    return terms | gradients(parameters)


def charged(config, i):
    """One loss by itself, and what it is differentiated by."""
    name, x = config["cost"], i.get("x", i.get("residual"))
    if name not in PAYS or name == "gate_reconstruction" and "W_enc" not in i:
        raise NotImplementedError(f"the cost {name} by itself, from these inputs")
    leaf = {word: i[word].requires_grad_() for word in ("acts", "pre") if word in i}
    W_dec = i.get("W_dec", torch.zeros(i["theta"].shape[-1] if "theta" in i else 1, 1).double())
    more = options(name, config, W_dec.shape[1]) | ({"aux_loss_coefficient": 1.0} if name == "aux" else {})
    sae, parameters = build({"activation": PAYS[name]} | config, {"W_dec": W_dec, "W_enc": W_dec} | i, **more)
    given = i.get("acts"), i.get("pre", i.get("acts")), None if x is None else torch.zeros_like(x)
    return sae.calculate_aux_loss(step_input(x, i, l0=1.0, l1=1.0), *given)[LOSSES[name]], parameters | leaf


def cost_backward(config, i):
    value, leaves = charged(config, i)
    if value.requires_grad:
        (value * i["d_cost"]).backward()
    kept = {"l1": ("acts", "W_dec"), "tanh": ("acts", "W_dec"), "l0": ("theta",), "aux": ("pre", "W_dec")}.get(config["cost"], ("W_enc",))
    return gradients({name: leaves[name] for name in kept})


def step(config, i):
    if config["activation"] != "step":
        raise NotImplementedError(f"{config['activation']} apart from an encoder")
    acts = Step.apply(i["pre"].requires_grad_(), i["theta"].requires_grad_(), config.get("bandwidth", 0.05), False)
    if "d_acts" not in i:
        return {"acts": acts}
    acts.backward(i["d_acts"])
    return gradients({name: i[name] for name in ("pre", "theta")})


def running_threshold(config, i):
    if "seen" in i:
        raise NotImplementedError("a count of batches beside the threshold")
    start = {name: torch.zeros(1, 1).double() for name in ("W_enc", "W_dec")} | {"inference_threshold": i.get("threshold", torch.zeros(()))}
    sae, _ = build({"activation": "batch_topk"}, start, topk_threshold_lr=1 - config["decay"])
    sae.update_topk_threshold(i["kept"])
    return {"threshold": sae.topk_threshold}


def scale_factor(config, i):
    scaler = ActivationScaler()
    scaler.estimate_scaling_factor(i["x"].shape[-1], iter([i["x"]]), 1)
    return {"scale": scaler.scaling_factor}


def fold(config, i):
    sae, parameters = build(config, i)
    sae.fold_activation_norm_scaling_factor(i["scale"].item())
    folded = {name: leaf.T if name == "W_enc" else leaf for name, leaf in parameters.items()}
    return folded | ({"inference_threshold": sae.topk_threshold} if "inference_threshold" in i else {})


def after(steps, schedule):
    for _ in range(int(steps)):
        schedule.step()
    return schedule


def learning_rate(config, i):
    rate, optimizer = config["learning_rate"], torch.optim.SGD([torch.zeros(1)], lr=config["learning_rate"])
    schedule = get_lr_scheduler("constant", optimizer, config["steps"], rate, config["warmup_steps"], config["decay_steps"], rate, 1)
    after(config["step"], schedule)
    return {"rate": optimizer.param_groups[0]["lr"]}


def sparsity_warmth(config, i):
    return {"warmth": after(config["step"], CoefficientScheduler(config["sparsity_warmup_steps"], 1.0)).value}


OPERATIONS = {
    "activation": step, "activation_backward": step, "encode": encode, "decode": decode, "backward": backward, "objective": objective,
    "cost": lambda config, i: {"cost": charged(config, i)[0]}, "cost_backward": cost_backward, "running_threshold": running_threshold,
    "scale_factor": scale_factor, "fold": fold, "learning_rate": learning_rate, "sparsity_warmth": sparsity_warmth}
