"""FREQ: the price that a frequency makes, and where it is charged."""

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st

from sae_spec.spec_tests.core.compare import assert_same
from sae_spec.spec_tests.core.properties import clause
from sae_spec.spec_tests.core.strategies import dyadic

decays = st.sampled_from([0.0, 0.25, 0.5, 0.75])


# ---------------------------------------------------------------- the price

dimensions = st.integers(2, 8)


def price_of(adapter, frequency, D, min_frequency=2.0**-13):
    return adapter("price", {"D": D, "min_frequency": min_frequency}, frequency=np.atleast_1d(frequency))["price"]


@clause("FREQ-6", dtypes=("float64",))      # 1 / D is not a number of a shorter dtype
@given(D=st.integers(2, 4096), more=dyadic((3,), 0.0, 1.0))
@example(D=49, more=np.zeros(3))            # where ln(1 / (1 / D)) > ln D
def test_price_is_exactly_one_from_one_in_D_samples_on(adapter, D, more):
    assert np.array_equal(price_of(adapter, np.append(1 / D + more * (1 - 1 / D), 1 / D), D), np.ones(4))


@clause("FREQ-6")
@given(power=st.integers(1, 3), exponent=st.integers(1, 4))
def test_once_in_D_to_the_n_samples_costs_n(adapter, power, exponent):
    D = 2**power
    assert_same({"price": [exponent]}, {"price": price_of(adapter, float(D) ** -exponent, D)}, adapter.dtype)


@clause("FREQ-6")
@given(D=dimensions, one=st.integers(3, 6), other=st.integers(3, 6))
def test_prices_of_rare_latents_add_up_where_frequencies_multiply(adapter, D, one, other):
    apart = price_of(adapter, [2.0**-one, 2.0**-other], D)
    assert_same({"price": price_of(adapter, 2.0 ** -(one + other), D)}, {"price": [apart.sum()]}, adapter.dtype)


@clause("FREQ-6", "FREQ-7")
@given(D=dimensions, frequency=dyadic((6,), 0.0, 1.0, 2.0**-6))
def test_a_rarer_latent_is_never_cheaper_and_none_is_below_one(adapter, D, frequency):
    paid = price_of(adapter, np.sort(frequency), D)
    assert np.all(paid[:-1] >= paid[1:]) and np.all(paid >= 1) and np.all(np.isfinite(paid))


@clause("FREQ-7")
@given(D=dimensions, frequency=dyadic((6,), 0.0, 1.0, 2.0**-6), floor=st.integers(1, 32))
def test_the_floor_caps_the_price_and_touches_no_other(adapter, D, frequency, floor):
    floor = floor / 64
    paid, (cap,) = price_of(adapter, frequency, D, floor), price_of(adapter, floor, D)
    free = price_of(adapter, np.maximum(frequency, floor), D)
    assert_same({"price": free}, {"price": paid}, adapter.dtype)
    assert np.all(paid <= cap) and np.all(paid[frequency <= floor] == cap)


@clause("FREQ-7")
@given(exponent=st.integers(1, 100))
def test_a_floor_may_lie_as_low_as_one_likes(adapter, exponent):
    assert_same({"price": [float(exponent)]}, adapter("price", {"D": 2, "min_frequency": 2.0**-exponent}, frequency=[0.0]), adapter.dtype)


@clause("FREQ-8")
@given(D=dimensions, frequency=dyadic((3,), 0.0, 1.0), bad_D=st.sampled_from([1, 0, -2]),
       bad_floor=st.sampled_from([0.0, -0.25, 1.0 + 2.0**-7, 2.0]))
def test_dimension_and_floor_are_checked_up_to_their_edge(adapter, D, frequency, bad_D, bad_floor):
    adapter.refuses("D", "price", {"D": bad_D, "min_frequency": 0.5}, frequency=frequency)
    adapter.refuses("min_frequency", "price", {"D": D, "min_frequency": bad_floor}, frequency=frequency)
    assert np.array_equal(price_of(adapter, frequency, D, 1.0), np.ones(3))


# ---------------------------------------------------------------- where the price is used

@st.composite
def priced(draw):
    """(config, inputs) of an objective with a priced l1 cost, D = M = 2, every pre-activation off 0."""
    activation = draw(st.sampled_from(["relu", "topk", "jumprelu"]))
    inputs = {"x": draw(dyadic((2, 2), -1.0, 1.0, 0.5)), "W_dec": draw(dyadic((2, 2), -1.0, 1.0, 0.5)), "W_enc": np.eye(2),
              "b_enc": np.array([0.25, -0.25]), "b_dec": np.zeros(2), "dead": np.zeros(2)}
    config = {"activation": activation, "l1_coefficient": 0.25}
    if activation == "topk":
        config["k"] = 1
    if activation == "jumprelu":
        inputs["log_threshold"] = np.zeros(2)
        config |= {"bandwidth": 2.0, "l0_coefficient": 0.25}
    return config, inputs


@clause("FREQ-9")
@given(problem=priced(), paid=st.sampled_from([2.0, 4.0]))
def test_one_price_for_all_is_a_coefficient(adapter, problem, paid):
    config, inputs = problem
    larger = config | {name: paid * config[name] for name in ("l1_coefficient", "l0_coefficient") if name in config}
    assert_same(adapter("objective", larger, **inputs, price=np.ones(2)),
                adapter("objective", config, **inputs, price=np.full(2, paid)), adapter.dtype)


@clause("FREQ-9", dtypes=("float64", "float32"))        # reconstruction and l1 may cancel: half precision is lost in it
@given(problem=priced(), extra=dyadic((2,), 0.0, 2.0, 0.5))
def test_terms_and_gradient_are_linear_in_the_price(adapter, problem, extra):
    config, inputs = problem
    low, middle, high = (adapter("objective", config, **inputs, price=1 + t * extra) for t in (0, 1, 2))
    lift = 64               # the comparator's scale: the gradients compared are differences of numbers of this size
    assert_same({name: lift + 2 * middle[name] for name in low},
                {name: lift + low[name] + high[name] for name in low}, adapter.dtype)


@clause("FREQ-10", "FREQ-5")
@given(mean=dyadic((3,), 0.0, 0.25, 2.0**-5), batches=st.integers(1, 4), decay=decays, D=dimensions)
def test_the_running_price_is_one_and_then_the_price_of_the_running_frequency(adapter, mean, batches, decay, D):
    config = {"decay": decay, "D": D, "min_frequency": 2.0**-6}
    first = adapter("running_price", config, mean=mean, batches=0)
    assert_same({"price": np.ones(3)}, first, exact=True)
    frequency = adapter("running_frequency", config, mean=mean, batches=batches)
    want = adapter("price", config, **frequency)
    assert_same(want, adapter("running_price", config, mean=mean, batches=batches), adapter.dtype)


@clause("FREQ-11", "FREQ-10", "FREQ-3")
@given(batches=dyadic((3, 4, 2), -1.0, 1.0, 0.5), decay=decays)
def test_a_batch_is_priced_by_all_batches_before_it(adapter, batches, decay):
    """The rate moves nothing (no number in sight is as small as 1e-30), so only the price differs between the steps."""
    config = {"activation": "relu", "l1_coefficient": 0.25, "priced": True, "frequency_decay": decay,
              "min_frequency": 2.0**-4, "steps": 3, "learning_rate": 1e-30,
              "warmup_steps": 0, "decay_steps": 0, "sparsity_warmup_steps": 0,
              "max_grad_norm": None, "dead_after": 64, "threshold_decay": 0.5}
    sae = {"W_dec": np.eye(2), "W_enc": np.eye(2), "b_enc": np.full(2, -0.25), "b_dec": np.zeros(2)}
    totals, price = [], np.ones(2)
    for t, x in enumerate(batches):
        totals.append(adapter("objective", config, x=x, **sae, price=price, dead=np.zeros(2))["total"])
        weights = decay ** np.arange(t + 1)[::-1]
        seen = np.array([(x > 0.25).mean(0) for x in batches[:t + 1]])      # pre = x - 1/4
        price = adapter("price", config | {"D": 2}, frequency=weights @ seen / weights.sum())["price"]
    assert_same({"total": totals}, adapter("train", config, **sae, batches=batches), adapter.dtype)
