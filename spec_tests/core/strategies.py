"""Inputs that decide: small multiples of a power of two.

Their sums and products are exact in every dtype, so most comparisons are for equality; and ties, zeros and rows
with fewer than k positive entries occur by themselves, which random normal numbers never show.
"""

from typing import NamedTuple

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp


def dyadic(shape, least=-2.0, most=2.0, step=0.25):
    """Arrays of multiples of `step` from `least` to `most`. `shape` is a tuple of whole numbers."""
    low, high = round(least / step), round(most / step)
    return hnp.arrays(np.int64, shape, elements=st.integers(low, high), fill=st.nothing()).map(lambda a: a * step)


def positive(shape, most=2.0, step=0.25):
    """Arrays of positive multiples of `step`."""
    return dyadic(shape, step, most, step)


def prices(M):
    """Prices that add up exactly: multiples of 1/2 from 1 to 3."""
    return dyadic((M,), 1.0, 3.0, 0.5)


sizes = st.integers(1, 4)           # B, D
widths = st.integers(1, 6)          # M


@st.composite
def pres(draw, min_rows=1, least=-2.0):
    """Pre-activations (B, M)."""
    B, M = draw(st.integers(min_rows, 4)), draw(widths)
    return draw(dyadic((B, M), least))


class Sae(NamedTuple):
    """An autoencoder and a batch for it, ready to be asked: `adapter("encode", sae.config, **sae.inputs)`."""

    config: dict
    inputs: dict        # x, parameters, and price where the activation takes one

    @property
    def params(self):
        return {name: value for name, value in self.inputs.items() if name not in ("x", "price")}

    @property
    def M(self):
        return len(self.inputs["W_dec"])

    @property
    def D(self):
        return self.inputs["b_dec"].size

    @property
    def B(self):
        return len(self.inputs["x"])


ACTIVATIONS = ("relu", "topk", "batch_topk", "abs_topk", "jumprelu", "gated", "budget_topk", "batch_budget_topk")


@st.composite
def saes(draw, activations=ACTIVATIONS, tied=st.booleans(), matryoshka=st.booleans(), min_D=1, off_kink=False):
    """A small autoencoder of one of `activations`.

    Weights and samples are multiples of 1/2, so a pre-activation has at most six significant bits and no
    dtype rounds it. `off_kink` moves every pre-activation at least 1/16 away from 0 and from every other
    latent's of its row (biases then are odd multiples of 1/64): derivatives exist there.
    """
    B, D, M = draw(sizes), draw(st.integers(min_D, 3)), draw(widths)
    activation = draw(st.sampled_from(activations))
    half = lambda *shape: draw(dyadic(shape, -1.0, 1.0, 0.5))
    inputs = {"x": half(B, D), "W_dec": half(M, D), "b_dec": half(D), "b_enc": half(M)}
    if not draw(tied):
        inputs["W_enc"] = half(M, D)
    if off_kink:
        inputs["b_enc"] = inputs["b_enc"] + (2 * np.arange(M) + 3) / 64
    config = {"activation": activation}
    if "topk" in activation:
        config["k"] = draw(st.integers(1, M))
    if "budget" in activation:
        inputs["price"] = draw(prices(M))
    if activation == "jumprelu":
        inputs["log_threshold"] = half(M)               # theta from 0.37 to 2.7: no pre-activation equals it, but at 1
        config["bandwidth"] = draw(st.sampled_from([0.5, 1.0, 2.0]))
    if activation == "gated":
        inputs["r_mag"] = half(M)                       # magnitudes from 0.37 to 2.7 times what is shared
        inputs["b_mag"] = half(M) + (1 / 128 if off_kink else 0.0)
    if not draw(st.booleans()):
        config["subtract_b_dec"] = False
    if M > 1 and draw(matryoshka):
        cut = draw(st.integers(1, M - 1))
        config["prefixes"] = [cut, M]
    return Sae(config, inputs)


@st.composite
def rotations(draw, D):
    """Signed permutation matrices (D, D): the rotations and reflections that no dtype rounds."""
    signs = draw(st.lists(st.sampled_from([-1.0, 1.0]), min_size=D, max_size=D))
    return np.diag(signs)[:, draw(st.permutations(range(D)))]
