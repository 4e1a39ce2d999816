"""Many small SAEs at once: the Trainer's step on parameters with a leading dimension S, one SAE each.

A toy SAE is so small that a step is all overhead; a hundred side by side cost little more than one. That a fleet of
one takes the same path as `Trainer` is a test (test_claims.py); every function below is production's.
"""

import numpy as np
import torch

from sae_spec.reference.worlds.toy_models import draw
from sae_spec.torch_impl import SAEConfig, TrainingConfig, config_mapping
from sae_spec.torch_impl.sae.activations import jumprelu, step, thresholds
from sae_spec.torch_impl.sae.constraints import normalize_rows, project_gradient, row_norms
from sae_spec.torch_impl.sae.costs import tie
from sae_spec.torch_impl.sae.frequency import price
from sae_spec.torch_impl.sae.initialization import initial_parameters
from sae_spec.torch_impl.sae.selection import topk
from sae_spec.torch_impl.sae.training import learning_rate, parameter_rate, sparsity_warmth

POOL = 65_536          # samples of a world, drawn once; batches are drawn from them


def train(worlds, M, architecture, training, start=None, seed=0, pool=POOL, tick=lambda: None, pricing=price):
    """Trains one SAE on each world.

    worlds        S of them, of one shape
    M             latents of each SAE
    architecture  fields of SAEConfig but D and M, e.g. {"activation": "relu", "tied": True}
    training      fields of TrainingConfig; l1_, l0_ and tie_coefficient may be lists of S numbers; gradients are clipped, each
                  SAE's by themselves, only where it has a max_grad_norm
    start         (S, M, D)  decoder and encoder rows to begin with; random directions unless given
    tick          called a hundred times on the way
    pricing       the price of a frequency, as frequency.price, where training has "priced"
    returns S dicts of float64 arrays: parameters by name, and "threshold" for batch_topk
    """
    rng = np.random.default_rng(seed)
    data = np.stack([draw(world, rng, pool)[0] for world in worlds])
    return train_on(data, M, architecture, training, start, seed, tick, pricing)


def train_on(data, M, architecture, training, start=None, seed=0, tick=lambda: None, pricing=price):
    """`train` on samples (S, N, D), a set for each SAE."""
    S, _, D = data.shape
    coefficients = {name: torch.as_tensor(training[name], dtype=torch.float32).expand(S) for name in training
                    if name.endswith("_coefficient")}
    # Encoder rows begin as long as the decoder's: what is claimed is claimed of a start at, or near, the truth.
    sae = SAEConfig(D=D, M=M, **{"initial_encoder_scale": 1.0} | architecture)
    config = config_mapping(sae, TrainingConfig(**{"max_grad_norm": None} | {n: v for n, v in training.items() if n not in coefficients}))
    data = torch.tensor(data, dtype=torch.float32)
    normals = np.random.default_rng([seed, 1]).normal(size=(S, M, D)) if start is None else start
    params = stacked(torch.tensor(normals, dtype=torch.float32), data.mean(1), config)
    params = {name: param.requires_grad_() for name, param in params.items()}
    return run(params, data, config, coefficients, torch.Generator().manual_seed(seed), tick, pricing)


def stacked(normals, b_dec, config):
    """Initial parameters of S SAEs, normals (S, M, D), b_dec (S, D)."""
    single = [initial_parameters(one, centre, config) for one, centre in zip(normals, b_dec)]
    return {name: torch.stack([params[name] for params in single]) for name in single[0]}


def run(params, data, config, coefficients, generator, tick=lambda: None, pricing=price):
    """All steps; see `train`. `coefficients`: {name: (S,)}."""
    optimizer = torch.optim.Adam([{"params": [param], "name": name} for name, param in params.items()],
                                 lr=config["learning_rate"], eps=1e-8)
    S, M = params["b_enc"].shape
    seen, mean, cost = None, torch.zeros(S, M), torch.ones(S, M)
    for at in range(config["steps"]):
        chosen = torch.randint(data.shape[1], (config["batch_size"],), generator=generator)
        acts, losses = loss(data[:, chosen], params, config, coefficients, cost, sparsity_warmth(at, config))
        optimizer.zero_grad()
        losses.sum().backward()
        with torch.no_grad():
            params["W_dec"].grad = project_gradient(params["W_dec"].grad, params["W_dec"])
            clip([param.grad for param in params.values()], config["max_grad_norm"])
            for group in optimizer.param_groups:
                group["lr"] = parameter_rate(group["name"], learning_rate(at, config), config)
            optimizer.step()
            params["W_dec"].copy_(normalize_rows(params["W_dec"]))
            if "theta" in params:
                params["theta"].clamp_(min=0)
            seen = follow(seen, acts, config)
            if config["priced"]:                            # the next batch pays by what was seen before it
                mean = config["frequency_decay"] * mean + (1 - config["frequency_decay"]) * (acts != 0).float().mean(1)
                frequency = mean / (1 - config["frequency_decay"] ** (at + 1))
                cost = pricing(frequency, config["D"], config["min_frequency"])
        if at % max(1, config["steps"] // 100) == 0:
            tick()
    arrays = {name: param.detach().double().numpy() for name, param in params.items()}
    if seen is not None:
        arrays["threshold"] = seen.double().numpy()
    return [{name: array[s] for name, array in arrays.items()} for s in range(S)]


def clip(grads, norm):
    """Each SAE's gradients (S, ...), in place; see training.clip_gradients."""
    if norm is None:
        return
    joint = sum(grad.flatten(1).square().sum(1) for grad in grads).sqrt()         # (S,)
    factor = torch.where(joint <= norm, 1, norm / joint)
    for grad in grads:
        grad.mul_(factor.view(-1, *[1] * (grad.ndim - 1)))


def loss(x, params, config, coefficients, cost, warmth):
    """acts (S, B, M) and the total of each SAE, (S,), on x (S, B, D)."""
    W_dec, b_dec = params["W_dec"], params["b_dec"].unsqueeze(1)
    W_enc, B = params.get("W_enc", W_dec), x.shape[1]
    pre = torch.baddbmm(params["b_enc"].unsqueeze(1), x - b_dec, W_enc.transpose(1, 2))   # (S, B, M)
    theta = thresholds(params).unsqueeze(1) if config["activation"] == "jumprelu" else None
    acts = activate(pre, theta, config)
    total = (x - torch.baddbmm(b_dec, acts, W_dec)).square().sum((1, 2)) / B              # (S,)
    if "l1_coefficient" in coefficients:
        charged = (cost * row_norms(W_dec) * acts.sum(1)).sum(-1) / B
        total = total + coefficients["l1_coefficient"] * warmth * charged
    if "l0_coefficient" in coefficients:
        on = step(pre, theta, config["bandwidth"], check_inputs=False).sum(1)             # (S, M)
        total = total + coefficients["l0_coefficient"] * warmth * (cost * on).sum(-1) / B
    if "tie_coefficient" in coefficients and "W_enc" in params:
        total = total + coefficients["tie_coefficient"] * torch.stack([tie(e, d) for e, d in zip(W_enc, W_dec)])
    return acts, total


def activate(pre, theta, config):
    """acts (S, B, M); batch_topk chooses over each SAE's own batch."""
    name, k = config["activation"], config["k"]
    if name == "relu":
        return torch.relu(pre)
    if name == "jumprelu":
        return jumprelu(pre, theta, config["bandwidth"], check_inputs=False)
    if name == "topk":
        return topk(pre, k)
    if name == "batch_topk":
        return topk(pre.flatten(1), round(k * pre.shape[1])).view_as(pre)
    raise ValueError(f"activation: {name} has no fleet")


def follow(seen, acts, config):
    """batch_topk: the running estimate (S,) of the smallest activation kept; see inference.running_threshold."""
    if config["activation"] != "batch_topk":
        return None
    smallest = torch.where(acts > 0, acts, torch.inf).flatten(1).min(1).values
    if seen is None:
        return smallest
    moved = config["threshold_decay"] * seen + (1 - config["threshold_decay"]) * smallest
    return torch.where(smallest < torch.inf, moved, seen)
