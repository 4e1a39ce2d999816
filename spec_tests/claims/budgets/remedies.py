"""Ways out of the old budget rule's absorbing state: who is bought from a ranking, and what an unknown latent costs.

The old rule kept the longest prefix of the ranking whose prices sum to at most k, so a latent dearer than k never fired again,
and where it ranked first it silenced its whole row. Each remedy is put in the place of production's rule.
"""

import math
from collections.abc import Callable
from contextlib import contextmanager
from typing import NamedTuple
from unittest.mock import patch

import torch

from sae_spec.torch_impl import Trainer
from sae_spec.torch_impl.sae import autoencoder, sparse_autoencoder
from sae_spec.torch_impl.sae.frequency import price, running_frequency
from sae_spec.torch_impl.sae.selection import budget_value
from sae_spec.torch_impl.sae.training import is_dead


# Who is bought: prices (.., n) in the order of the ranking, budget -> (.., n) bool.

def prefix(price, budget):
    """The old rule: the longest prefix whose prices sum to at most the budget."""
    return price.cumsum(-1) <= budget


def capped(price, budget):
    """No latent costs more than the whole budget."""
    return prefix(price.clamp_max(budget), budget)


def first_always(price, budget):
    """The first of the ranking is bought whatever it costs."""
    bought = prefix(price, budget)
    bought[..., :1] = True
    return bought


def skipping(price, budget):
    """What is too dear is passed over. What is left after a misfit is less than its price, so few rounds are needed."""
    bought, open_ = torch.zeros_like(price, dtype=torch.bool), torch.ones_like(price, dtype=torch.bool)
    while open_.any():
        left = budget - (price * bought).sum(-1, keepdim=True)
        open_ &= price <= left
        now = open_ & ((price * open_).cumsum(-1) <= left)
        bought, open_ = bought | now, open_ & ~now
    return bought


def while_any_is_left(price, budget):
    """One after the other while any of the budget is left: the last may cost more than that."""
    return price.cumsum(-1) - price < budget


def rank_only(price, budget):
    """The price decides the order alone: as many as the budget is large, whatever they cost."""
    return torch.ones_like(price).cumsum(-1) <= budget


# What a latent costs, from the trainer after a batch: (M,).

def as_it_was(trainer):
    return trainer.sae.price


def unknown_costs_one(trainer):
    """A dead latent's frequency is not known: it costs 1 until it fires."""
    dead = is_dead(trainer.sae.tokens_since_fired, trainer.config["dead_after"])
    return torch.where(dead, 1, trainer.sae.price)


def base_of_the_average(D, M, k):
    """The base of the logarithm in which a latent that fires as often as the average one costs at most 1; never below D."""
    return max(D, math.ceil(M / k))


def average_costs_one(trainer):
    """A latent that fires as often as the average one, k / M, costs 1, where that is rarer than once in D samples."""
    sae, config, batches = trainer.sae, trainer.config, int(trainer.sae.frequency_batches)
    if not batches:
        return sae.price
    often = running_frequency(sae.frequency_mean, batches, config["frequency_decay"])
    return price(often, base_of_the_average(sae.config.D, sae.config.M, sae.config.k), config["min_frequency"])


class Remedy(NamedTuple):
    buys: Callable
    costs: Callable = as_it_was
    excess: float | None = None      # by how much the highest price is above 1, None: that of a millionth
    shared: bool = False             # the excess is divided among the k
    firsts: bool = False             # the batch rule begins with the densest latent of each sample

    def min_frequency(self, D, M, k):
        """A frequency at which the price is 1 and the excess, in the base in which it is computed."""
        base = base_of_the_average(D, M, k) if self.costs is average_costs_one else D
        return 1e-6 if self.excess is None else base**-(1 + self.excess / (k if self.shared else 1))


# What is lost beside topk, and how many latents starve, goes with how far prices lie apart among the latents in use. From k = 2 on a
# highest price of 1 + 1/4k is nearer to topk than 1.25 is (in all but the batch rule's loss on embeddings, by .002). Another base of the
# logarithm changes who costs 1; what it gains is the batch rule's at k = 1, which then buys nearly its k.
REMEDIES = {
    "as it was": Remedy(prefix),
    "price capped at k": Remedy(capped),
    "first always bought": Remedy(first_always),
    "skip what is too dear": Remedy(skipping),
    "unknown costs 1": Remedy(prefix, unknown_costs_one),
    "capped, unknown 1": Remedy(capped, unknown_costs_one),
    "price ranks only": Remedy(rank_only),
    "while any is left": Remedy(while_any_is_left),
    "while any is left, unknown 1": Remedy(while_any_is_left, unknown_costs_one),
    "capped, price at most 1.25": Remedy(capped, excess=0.25),
    "while any is left, at most 1.25": Remedy(while_any_is_left, excess=0.25),
    "the same, average costs 1": Remedy(while_any_is_left, average_costs_one, 0.25),
    "while any is left, at most 1 + 1/4k": Remedy(while_any_is_left, as_it_was, 0.25, shared=True),
    "at most 1 + 1/4k, average costs 1": Remedy(while_any_is_left, average_costs_one, 0.25, shared=True),
    "price ranks only, at most 1.25": Remedy(rank_only, as_it_was, 0.25),
    "first of each sample, at most 1.25": Remedy(while_any_is_left, as_it_was, 0.25, firsts=True),
}
KEPT = "while any is left, at most 1.25"


def rule_of(buys, whole_batch, firsts=False):
    """budget_topk or batch_budget_topk with another way to buy."""
    def rule(pre, k, price, dec_norm, check_inputs=True):
        value, n = budget_value(pre, price, dec_norm, False), len(price)
        if whole_batch and firsts:
            value = torch.where((value > 0) & (value == value.amax(-1, keepdim=True)), torch.inf, value)
        if whole_batch:
            value, k = value.flatten(), k * (pre.numel() // n)
        ranking = value.sort(dim=-1, descending=True, stable=True).indices
        bought = torch.zeros_like(value, dtype=torch.bool).scatter(-1, ranking, buys(price.double()[ranking % n], k))
        return torch.where(bought.view(pre.shape), pre.relu(), 0)

    return rule


class RemediedTrainer(Trainer):
    """A Trainer whose prices are a remedy's."""

    costs = staticmethod(as_it_was)

    def _set_price(self):
        super()._set_price()
        if self.config["priced"]:
            self.sae.price.copy_(self.costs(self))


@contextmanager
def remedied(remedy):
    """Within it production's budget rules buy as the remedy says; gives the class of Trainer to use."""
    rules = {"budget_topk": rule_of(remedy.buys, False), "batch_budget_topk": rule_of(remedy.buys, True, remedy.firsts)}
    with (patch.dict(autoencoder._BY_DENSITY, rules), patch.object(sparse_autoencoder, "is_sparse", lambda *_: False)):
        yield type("Trainer", (RemediedTrainer,), {"costs": staticmethod(remedy.costs)})
