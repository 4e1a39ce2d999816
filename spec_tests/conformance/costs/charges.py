"""What one cost is asked with, and how: strategies and calls that the tests of costs share."""

import numpy as np
from hypothesis import strategies as st

from sae_spec.spec_tests.core.compare import assert_same
from sae_spec.spec_tests.core.slopes import assert_slope
from sae_spec.spec_tests.core.strategies import dyadic, positive, prices, sizes


def halves(*shape):
    return dyadic(shape, -1.0, 1.0, 0.5)


def odd(*shape):
    """-3/2, -1/2, 1/2, 3/2: never 0, so neither a kink nor a zero row."""
    return dyadic(shape, -2.0, 1.0, 1.0).map(lambda array: array + 0.5)


def apart(array):
    """Pre-activations moved off 0 and away from one another: derivatives exist there."""
    return array + (2 * np.arange(array.shape[-1]) + 3) / 64


@st.composite
def charges(draw, cost, off_kink=False):
    """(config, inputs): a cost and what it is asked with."""
    B, D, M = draw(sizes), draw(sizes), draw(sizes)
    rows, pre = odd if off_kink else halves, lambda: apart(draw(halves(B, M))) if off_kink else draw(halves(B, M))
    if cost == "reconstruction":
        return {"cost": cost}, {"x": draw(halves(B, D)), "recons": draw(halves(draw(st.integers(1, 3)), B, D))}
    if cost in ("l1", "tanh"):
        scale = {"tanh_scale": draw(st.sampled_from([0.25, 0.5, 1.0, 2.0]))} if cost == "tanh" else {}
        return {"cost": cost} | scale, {"acts": draw(rows(B, M)), "W_dec": draw(rows(M, D)), "price": draw(prices(M))}
    if cost == "l0":
        bandwidth = draw(st.sampled_from([0.25, 0.5, 1.0]))
        given = {"pre": draw(dyadic((B, M), -1.0)), "theta": draw(positive((M,))) + 0.25, "price": draw(prices(M))}
        return {"cost": cost, "bandwidth": bandwidth}, given
    if cost == "tie":
        return {"cost": cost}, {"W_enc": draw(rows(M, D)), "W_dec": draw(rows(M, D))}
    if cost == "aux":
        dead = draw(dyadic((M,), 0.0, 1.0, 1.0))
        dead[draw(st.integers(0, M - 1))] = 1
        given = {"residual": draw(halves(B, D)), "pre": pre(), "dead": dead, "W_dec": draw(halves(M, D))}
        return {"cost": cost, "k_aux": draw(st.integers(1, M + 1))}, given
    return {"cost": cost}, {"x": draw(halves(B, D)), "pre": pre(), "W_dec": draw(halves(M, D)), "b_dec": draw(halves(D))}


def every(*costs):
    """One question to each of several costs."""
    return st.tuples(*[charges(cost) for cost in costs])


def cost(adapter, config, inputs, **changes):
    return adapter("cost", config, **(inputs | changes))["cost"]


def gradient(adapter, config, inputs, d_cost=1.0, **changes):
    return adapter("cost_backward", config, **(inputs | changes), d_cost=d_cost)


def decode(adapter, config, inputs, acts):
    prefixes = {name: config[name] for name in ("prefixes",) if name in config}
    return adapter("decode", prefixes, acts=acts, W_dec=inputs["W_dec"], b_dec=inputs["b_dec"])["recons"]


def same(adapter, want, got):
    assert_same({"cost": want}, {"cost": got}, adapter.dtype)


def assert_gradient_is_slope(adapter, config, inputs, data, *names):
    """The gradient by each named input, at a d_cost that is not 1, is what differences of the cost say."""
    grads = gradient(adapter, config, inputs, d_cost=2.0)
    for name in names:
        direction = data.draw(halves(*inputs[name].shape), label=name)
        moved = lambda t: {name: inputs[name] + t * direction}
        assert_slope(grads[f"d_{name}"], direction, lambda t: 2.0 * cost(adapter, config, inputs, **moved(t)), f"d_{name}")
