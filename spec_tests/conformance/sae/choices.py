"""A rule, its k and what it chooses from: strategies and calls that the tests of selection share."""

from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st

from sae_spec.spec_tests.core.compare import assert_same
from sae_spec.spec_tests.core.strategies import dyadic, pres, prices

RULES = ("topk", "batch_topk", "abs_topk", "budget_topk", "batch_budget_topk")
BY_SIZE, BUDGETS, BATCH = RULES[:3], RULES[3:], ("batch_topk", "batch_budget_topk")


class Choice(NamedTuple):
    """A rule, its k and what it chooses from; price and dec_norm are {} for the rules that choose by size."""

    rule: str
    k: int
    pre: np.ndarray
    by_latent: dict

    @property
    def config(self):
        return {"activation": self.rule, "k": self.k}


def norms(M, least=-1):
    """Norms that are powers of two, so that no density is rounded."""
    return dyadic((M,), least, 1, 1).map(np.exp2)


@st.composite
def choices(draw, rules=RULES, pre=pres()):
    pre = draw(pre)
    M, rule = pre.shape[1], draw(st.sampled_from(rules))
    by_latent = {"price": draw(prices(M)), "dec_norm": draw(norms(M))} if rule in BUDGETS else {}
    return Choice(rule, draw(st.integers(1, M)), pre, by_latent)


def acts_of(adapter, choice, **changed):
    """What a choice keeps, with some of its parts changed."""
    choice = choice._replace(**changed)
    return adapter("activation", choice.config, pre=choice.pre, **choice.by_latent)["acts"]


def equal(adapter, want, got, name="acts"):
    """Equality in every dtype: a choice rounds nothing."""
    assert_same({name: want}, {name: got}, adapter.dtype, exact=True)
