"""SAE, sparse from the encoder's product on: which latents speak, and `encode` to Entries.

Latents are chosen a chunk of pre-activations at a time: no (B, M) tensor outlives its chunk. topk and batch_topk have
kernels that need no chunk. Another rule that looks at one sample is asked chunk by chunk. A batch rule collects
candidates: of what it has seen so far, the entries that can still be among the best of the whole batch; there are
never more than its budget.

`params` and `config` as in autoencoder.py; B stands for any number of leading dimensions of x, which are laid
out as one.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..kernels import forced
from ..kernels.precision import widen
from ..kernels.product import products
from ..kernels.select import batch_top_products, largest, select, top_products
from ..kernels.sparse_products import counted_offsets
from ..sparse.autograd import Buffers, read
from ..sparse.entries import Entries, Places, apply
from . import BATCH_RULES, BUDGET_RULES, CHOOSING_RULES
from .activations import jumprelu, relu, thresholds
from .autoencoder import ACTIVATIONS
from .constraints import row_norms
from .gated import gated
from .inference import budget_thresholds
from .linear import check, encoder_weight
from .selection import affordable, budget_value, in_all, whole

SPARSE_BELOW = 1 / 32
"""A rule that does not choose a number of latents is computed sparsely while a smaller share of them is on."""
SAMPLE = 2**17                                              # entries from which a first guess is made


def is_sparse(config: Mapping[str, Any], share_on: Callable[[], float | None]) -> bool:
    """Is a step to be computed sparsely? The one place that decides.

    share_on  a function that measures the mean share of latents that are on, None where none is known yet;
              asked only where the activation does not settle it (it waits for the device)
    """
    if path := forced():
        return path != "dense"
    if config["activation"] in CHOOSING_RULES:
        return True
    share = share_on()
    return share is not None and share < SPARSE_BELOW


def encode(x: Tensor, params: Mapping[str, Tensor], config: Mapping[str, Any], price: Tensor | None = None,
           inference_threshold: float | Tensor | None = None, check_inputs: bool = True,
           buffers: Buffers | None = None) -> tuple[None, Entries, Entries]:
    """Samples to activations.

    x        (B, D)
    buffers  where the gradients of weights are collected; None: autograd returns them
    the other arguments and errors as for autoencoder.encode
    returns None for shared, which nothing asks for, and pre, acts, each (B, M), in at least float32

    The places are those that may be on, and for jumprelu those in its window too; they are the same for pre and acts.
    Clauses: SAE-1 to SAE-4, SAE-8 to SAE-10, ACT-19.
    """
    check(x, params, finite=check_inputs)
    x, name, W = x.reshape(-1, x.shape[-1]), config["activation"], encoder_weight(params)
    b_dec = params["b_dec"] if config.get("subtract_b_dec", True) else None
    with torch.no_grad():
        centred = widen(x) if b_dec is None else torch.sub(*widen(x, b_dec))      # (B, D)
        values, places = choose(centred, W, params, config, price, inference_threshold, check_inputs)
    bias = None if name == "gated" else params["b_enc"]     # gated: what is read first is shared
    buffer = buffers["W_enc" if "W_enc" in params else "W_dec"] if buffers else None
    pre = Entries(read(values, places, x, b_dec, W, bias, buffer), places, buffers)
    if name == "gated":
        shared, (b_enc, r_mag, b_mag) = pre, widen(params["b_enc"], params["r_mag"], params["b_mag"])
        return None, apply(torch.add, shared, b_enc), apply(gated, shared, b_enc, r_mag, b_mag)
    if name == "jumprelu":
        theta, bandwidth = thresholds(params, check_inputs=False), config.get("bandwidth")
        return None, pre, apply(lambda p, at: jumprelu(p, at, bandwidth, check_inputs=False), pre, theta)
    if name == "relu":
        return None, pre, apply(relu, pre)
    return None, pre, apply(lambda p: torch.where(p != 0, p, 0), pre)             # an unused slot learns nothing


@torch.no_grad()
def choose(centred: Tensor, W: Tensor, params: Mapping[str, Tensor], config: Mapping[str, Any],
           price: Tensor | None = None, inference_threshold: float | Tensor | None = None,
           check_inputs: bool = True) -> tuple[Tensor, Places]:
    """What the activation that `config` names may turn on.

    centred  (B, D)  x, less b_dec where the encoder subtracts it
    W        (M, D)  the encoder's
    returns values (nnz,), what the product gave there (gated: before its bias), and Places
    raises  ValueError for an activation that is not known, a price that is missing, or a k that is none
    """
    M, name = len(W), config["activation"]
    if name == "topk":
        values, indices, counts = _flat(*top_products(centred, W, params["b_enc"], whole(config["k"], M)))
        return values, Places(indices, counted_offsets(counts), M)
    if (name == "batch_topk" and inference_threshold is None
            and (budget := in_all(config["k"], len(centred), M))
            and (of_batch := batch_top_products(centred, W, params["b_enc"], budget))):
        values, indices, offsets = of_batch
        return values, Places(indices, offsets, M)
    density = _density_by(params, price, check_inputs) if name in BUDGET_RULES else None
    chunks = products(centred, W, None if name == "gated" else params["b_enc"])
    if name in BATCH_RULES and inference_threshold is None:
        budget = in_all(config["k"], len(centred), M)
        return _over_the_batch(chunks, widen(centred.new_zeros(0)), len(centred), M, budget, density)
    rule = _row_rule(params, config, density, inference_threshold, check_inputs)
    chosen = [rule(pre) for _, pre in chunks] or [rule(widen(centred.new_zeros(0, M)))]
    values, indices, counts = map(torch.cat, zip(*chosen))
    return values, Places(indices, counted_offsets(counts), M)


class _Density(NamedTuple):
    """What the budget rules weigh with; all of it is constant (ACT-20)."""

    price: Tensor
    """(M,)"""
    dec_norm: Tensor
    """(M,)"""
    of: Callable[[Tensor], Tensor]
    """ranks a chunk of pre-activations (R, M): see selection.budget_value"""


def _density_by(params: Mapping[str, Tensor], price: Tensor | None, check_inputs: bool) -> _Density:
    """price (M,); ValueError where there is none."""
    if price is None:
        raise ValueError("price is needed by a budget rule, got None")
    price, dec_norm = price.detach(), row_norms(params["W_dec"].detach())
    return _Density(price, dec_norm, lambda pre: budget_value(pre, price, dec_norm, check_inputs))


def _row_rule(params: Mapping[str, Tensor], config: Mapping[str, Any], density: _Density | None,
              inference_threshold: float | Tensor | None, check_inputs: bool) -> Callable[[Tensor], tuple[Tensor, ...]]:
    """The function that takes a chunk (R, M) to flat values, indices (nnz,), and counts (R,)."""
    name, k, M = config["activation"], config.get("k"), len(params["W_dec"])
    if name == "batch_topk" and inference_threshold is not None:
        return lambda pre: _where(pre, above(pre, inference_threshold))
    if name == "batch_budget_topk" and density is not None and inference_threshold is not None:
        theta = budget_thresholds(inference_threshold, density.price, density.dec_norm, check_inputs)
        return lambda pre: _where(pre, above(pre, theta))
    if name == "abs_topk":
        return lambda pre: _flat(*select(pre, whole(k, M), pre.abs()))
    if name == "budget_topk" and density is not None:
        return lambda pre: _flat(*_bought(pre, whole(k, M), density))
    if name == "jumprelu":
        theta, reach = thresholds(params, check_inputs), config.get("bandwidth", 0) / 2
        return lambda pre: _where(pre, above(pre, theta) | ((pre - theta).abs() < reach))  # the window learns
    if name == "gated":
        b_enc = widen(params["b_enc"])
        return lambda shared: _where(shared, above(shared + b_enc, 0))
    if name == "relu":
        return lambda pre: _where(pre, above(pre, 0))
    raise ValueError(f"activation must be one of {', '.join(ACTIVATIONS)}, got {name!r}")


def above(pre: Tensor, least: float | Tensor) -> Tensor:
    """pre > least, element by element; true of a NaN too, so that the loss sees it."""
    return (pre <= least).logical_not_()


def _flat(values: Tensor, indices: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Values and indices (R, k), flat, and counts (R,)."""
    counts = torch.full((len(values),), values.shape[1], device=values.device)
    return values.flatten(), indices.flatten(), counts


def _where(pre: Tensor, on: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The entries of pre (R, M) where `on` is true: flat values, indices, and counts (R,)."""
    place = on.flatten().nonzero().squeeze(1)
    return pre.flatten()[place], place % pre.shape[1], on.sum(1)


def _bought(pre: Tensor, k: int, density: _Density) -> tuple[Tensor, Tensor]:
    """budget_topk of a chunk (R, M): values (R, k), 0 where the budget was spent, and indices (R, k)."""
    rank = density.of(pre)                                  # (R, M)
    indices = select(pre, k, rank)[1].sort(-1).values       # lowest first: ties go by index
    bought = affordable(rank.gather(-1, indices), density.price[indices], k)
    return torch.where(bought, relu(pre.gather(-1, indices)), 0), indices


def _over_the_batch(chunks: Iterator[tuple[int, Tensor]], none: Tensor, B: int, M: int, budget: int,
                    density: _Density | None) -> tuple[Tensor, Places]:
    """batch_topk, or batch_budget_topk where `density` ranks: values and Places, row-major.

    chunks  first row and pre-activations (R, M) of each
    none    (0,)  of the product's type
    budget  what the batch may spend, k·B
    """
    floor = 0 if density is None else -1
    place, rank, value = none.long(), none, none            # of the best so far
    for first, pre in chunks if budget else ():
        order = (pre if density is None else density.of(pre)).flatten()
        new = candidates(order, budget, rank.min() if len(rank) == budget else None, floor)
        added = new + first * M, order[new], pre.flatten()[new]
        place, rank, value = map(torch.cat, zip((place, rank, value), added))
        if len(place) > budget:
            best = largest(rank, budget, floor).sort().values                    # row-major again
            place, rank, value = place[best], rank[best], value[best]
    if density is not None:
        bought = affordable(rank, density.price[place % M], budget)
        place, value = place[bought], value[bought]
    return value, Places(place % M, counted_offsets(torch.bincount(place // M, minlength=B)), M)


def candidates(order: Tensor, budget: int, least: Tensor | None, floor: float) -> Tensor:
    """Indices (n,), ascending, of all entries that may be among the `budget` largest of the batch.

    order  (R·M,)  what ranks them, by chunk
    least  the smallest of `budget` earlier entries: one that equals it loses the tie; None if they are fewer
    floor  entries at or below it are never chosen

    Without a `least` a guess is read off a sample, and lowered until it lets `budget` entries of this chunk
    through: they are then reason enough to drop the rest.
    """
    if least is not None:
        return above(order, least).nonzero().squeeze(1)
    sample = order[:: max(1, len(order) // SAMPLE) | 1]
    wanted = 1.25 * budget / len(order) * len(sample) + 8
    while wanted < len(sample):
        guess = sample.topk(int(wanted)).values[-1]
        if not guess > floor:                               # a NaN ends it too
            break
        passed = (order < guess).logical_not_()
        if passed.count_nonzero() >= budget:
            return passed.nonzero().squeeze(1)
        wanted *= 2
    return above(order, floor).nonzero().squeeze(1)
