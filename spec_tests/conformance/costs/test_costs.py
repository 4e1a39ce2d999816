"""COST: what every cost shares, reconstruction and tie."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sae_spec.spec_tests.core.compare import assert_same
from sae_spec.spec_tests.core.properties import clause
from sae_spec.spec_tests.core.strategies import dyadic, prices, rotations, saes, sizes
from sae_spec.spec_tests.conformance.costs.charges import (
    assert_gradient_is_slope, charges, cost, decode, every, gradient, same,
)

OF_A_BATCH = ("reconstruction", "l1", "tanh", "l0", "aux", "gate_reconstruction")
BATCH_AXIS = {"x": 0, "acts": 0, "pre": 0, "residual": 0, "recons": 1}
IN_INPUT_SPACE = ("x", "residual", "recons", "W_enc", "W_dec", "b_dec")


# ---------------------------------------------------------------- every cost

@clause("COST-1")
@given(asked=every(*OF_A_BATCH))
def test_no_samples_is_an_error_for_every_cost_and_gradient(adapter, asked):
    for config, inputs in asked:
        none = {name: array.take([], BATCH_AXIS[name]) if name in BATCH_AXIS else array for name, array in inputs.items()}
        adapter.refuses("batch", "cost", config, **none)
        adapter.refuses("batch", "cost_backward", config, **none, d_cost=1.0)


@clause("COST-2", "COST-4", "COST-6", "COST-7", "COST-12", "COST-16")
@given(asked=every(*OF_A_BATCH), times=st.integers(2, 3))
def test_a_batch_repeated_costs_the_same_and_each_sample_moves_that_much_less(adapter, asked, times):
    for config, inputs in asked:
        again = lambda name, array: np.concatenate([array] * times, BATCH_AXIS[name]) if name in BATCH_AXIS else array
        repeated = {name: again(name, array) for name, array in inputs.items()}
        same(adapter, cost(adapter, config, inputs), cost(adapter, config, repeated))
        want = {name: again(name[2:], grad) for name, grad in gradient(adapter, config, inputs).items()}
        got = gradient(adapter, config, repeated)
        got = {name: grad * times if name[2:] in BATCH_AXIS else grad for name, grad in got.items()}
        assert_same(want, got, adapter.dtype)


@clause("COST-2", "COST-4", "COST-6", "COST-7", "COST-12", "COST-16")
@given(asked=every(*OF_A_BATCH), inner=st.booleans())
def test_leading_dimensions_are_a_shape_and_nothing_else(adapter, asked, inner):
    for config, inputs in asked:
        deep = lambda name, array: np.expand_dims(array, BATCH_AXIS[name] + inner) if name in BATCH_AXIS else array
        shaped = {name: deep(name, array) for name, array in inputs.items()}
        same(adapter, cost(adapter, config, inputs), cost(adapter, config, shaped))
        want = {name: deep(name[2:], grad) for name, grad in gradient(adapter, config, inputs).items()}
        assert_same(want, gradient(adapter, config, shaped), adapter.dtype)


@clause("COST-2", "COST-4", "COST-6", "COST-9", "COST-12", "COST-16")
@given(asked=every("reconstruction", "l1", "tanh", "tie", "aux", "gate_reconstruction"), data=st.data())
def test_turning_the_input_space_changes_no_cost_and_turns_its_gradients(adapter, asked, data):
    for config, inputs in asked:
        D = next(array.shape[-1] for name, array in inputs.items() if name in IN_INPUT_SPACE)
        R = data.draw(rotations(D))
        turn = lambda arrays: {name: array @ R if name.removeprefix("d_") in IN_INPUT_SPACE else array
                               for name, array in arrays.items()}
        same(adapter, cost(adapter, config, inputs), cost(adapter, config, turn(inputs)))
        assert_same(turn(gradient(adapter, config, inputs)), gradient(adapter, config, turn(inputs)), adapter.dtype)


@clause("COST-4", "COST-6", "COST-7")
@given(asked=every("l1", "tanh", "l0"), data=st.data())
def test_prices_add_up(adapter, asked, data):
    for config, inputs in asked:
        other = data.draw(prices(len(inputs["price"])))
        both = cost(adapter, config, inputs, price=inputs["price"] + other)
        same(adapter, both, cost(adapter, config, inputs) + cost(adapter, config, inputs, price=other))
        one, two, sum_ = (gradient(adapter, config, inputs, price=price)
                          for price in (inputs["price"], other, inputs["price"] + other))
        assert_same({name: one[name] + two[name] for name in one}, sum_, adapter.dtype)


# ---------------------------------------------------------------- reconstruction

@clause("COST-2")
@given(asked=charges("reconstruction"), width=sizes)
def test_dimensions_that_are_reconstructed_cost_nothing(adapter, asked, width):
    config, inputs = asked
    widen = lambda array: np.concatenate([array, np.ones((*array.shape[:-1], width))], axis=-1)
    wider = {name: widen(array) for name, array in inputs.items()}
    same(adapter, cost(adapter, config, inputs), cost(adapter, config, wider))


@clause("COST-2")
@given(asked=charges("reconstruction"), shift=dyadic((1,), -1.0, 1.0, 0.5))
def test_only_the_error_counts_and_doubled_it_costs_four_times(adapter, asked, shift):
    config, inputs = asked
    once = cost(adapter, config, inputs)
    same(adapter, once, cost(adapter, config, inputs, x=inputs["x"] + shift, recons=inputs["recons"] + shift))
    same(adapter, 4 * once, cost(adapter, config, {name: 2 * array for name, array in inputs.items()}))


@clause("COST-3")
@given(asked=charges("reconstruction"))
def test_prefixes_cost_what_each_costs_alone_together(adapter, asked):
    config, inputs = asked
    by_prefix = [{"recons": recon[np.newaxis]} for recon in inputs["recons"]]
    same(adapter, sum(cost(adapter, config, inputs, **alone) for alone in by_prefix), cost(adapter, config, inputs))
    want = np.concatenate([gradient(adapter, config, inputs, **alone)["d_recons"] for alone in by_prefix])
    assert_same({"d_recons": want}, gradient(adapter, config, inputs), adapter.dtype)


@clause("COST-3")
@given(sae=saes(matryoshka=st.just(True)))
def test_the_objective_charges_each_prefix_once_and_nothing_besides(adapter, sae):
    acts = adapter("encode", sae.config, **sae.inputs)["acts"]
    recons = decode(adapter, sae.config, sae.inputs, acts)
    x = sae.inputs["x"]
    by_prefix = [cost(adapter, {"cost": "reconstruction"}, {"x": x, "recons": recon[np.newaxis]}) for recon in recons]
    got = adapter("objective", sae.config, **({"price": np.ones(sae.M)} | sae.inputs), dead=np.zeros(sae.M))
    assert_same({"reconstruction": sum(by_prefix)}, got, adapter.dtype)


# Slopes by differences need digits to lose: float64.
@clause("COST-2", "COST-3", dtypes=("float64",))
@given(asked=charges("reconstruction"), data=st.data())
def test_the_gradient_of_reconstruction_is_its_slope(adapter, asked, data):
    assert_gradient_is_slope(adapter, *asked, data, "recons")


# ---------------------------------------------------------------- tie

@clause("COST-9")
@given(asked=charges("tie"), data=st.data())
def test_the_lengths_of_rows_do_not_matter_to_the_tie(adapter, asked, data):
    config, inputs = asked
    M = len(inputs["W_enc"])
    scales = {name: data.draw(st.lists(st.sampled_from([0.25, 1.0, 8.0]), min_size=M, max_size=M)) for name in inputs}
    columns = {name: np.array(scale)[:, np.newaxis] for name, scale in scales.items()}
    scaled = {name: inputs[name] * columns[name] for name in inputs}
    same(adapter, cost(adapter, config, inputs), cost(adapter, config, scaled))
    want, got = gradient(adapter, config, inputs), gradient(adapter, config, scaled)
    got = {f"d_{name}": got[f"d_{name}"] * columns[name] for name in inputs}
    assert_same(*({name: beside_what_cancels(rows[name], inputs[name.removeprefix("d_")]) for name in rows} for rows in (want, got)),
                adapter.dtype)


def beside_what_cancels(d_rows, rows):
    """The gradient of the tie by rows (M, D), and a column with the size of the two terms that it is the difference of.

    Of parallel rows both are equal and only their rounding is left, which no dtype can keep below an error of 0.
    """
    norms = np.sqrt((rows**2).sum(-1, keepdims=True))       # (M, 1)
    return np.append(d_rows, np.divide(1, len(rows) * norms, out=np.zeros_like(norms), where=norms > 0), axis=-1)


@clause("COST-9", "COST-11")
@given(asked=charges("tie"))
def test_a_row_and_its_opposite_cost_2_together_whatever_it_is_compared_with(adapter, asked):
    config, inputs = asked
    there, back = (cost(adapter, config, inputs, W_enc=sign * inputs["W_enc"]) for sign in (1, -1))
    same(adapter, 2.0, there + back)
    swapped = cost(adapter, config, {"W_enc": inputs["W_dec"], "W_dec": inputs["W_enc"]})
    same(adapter, 1 + there, 1 + swapped)
    assert -0.125 <= there <= 2.125, "1 - cosine lies between 0 and 2; an eighth is for bfloat16"


@clause("COST-9", "COST-11")
@given(asked=charges("tie"))
def test_the_tie_is_the_mean_over_latents(adapter, asked):
    config, inputs = asked
    pairs = [{name: array[[i]] for name, array in inputs.items()} for i in range(len(inputs["W_dec"]))]
    by_latent = [cost(adapter, config, pair) for pair in pairs]
    same(adapter, 1 + np.mean(by_latent), 1 + cost(adapter, config, inputs))


@clause("COST-9", dtypes=("float64",))
@given(asked=charges("tie", off_kink=True), data=st.data())
def test_the_gradient_of_the_tie_is_its_slope(adapter, asked, data):
    assert_gradient_is_slope(adapter, *asked, data, "W_enc", "W_dec")


@clause("COST-10")
@given(asked=charges("tie"), d_cost=st.sampled_from([0.5, 2.0]))
def test_a_tied_sae_pays_exactly_nothing_for_its_tie(adapter, asked, d_cost):
    tied, inputs = {"cost": "tie", "tied": True}, {"W_dec": asked[1]["W_dec"]}
    assert_same({"cost": np.array(0.0)}, {"cost": cost(adapter, tied, inputs)}, adapter.dtype, exact=True)
    assert_same({"d_W_dec": 0 * inputs["W_dec"]}, gradient(adapter, tied, inputs, d_cost), adapter.dtype, exact=True)


@clause("COST-10")
@given(asked=charges("tie", off_kink=True), data=st.data())
def test_arrays_that_happen_to_be_equal_are_compared(adapter, asked, data):
    """A latent without a direction costs what it costs any untied SAE; nothing else of equal arrays does."""
    config, inputs = asked
    W = inputs["W_dec"].copy()
    empty = data.draw(st.sets(st.integers(0, len(W) - 1), min_size=1))
    W[list(empty)] = 0
    got = cost(adapter, config, {"W_enc": W, "W_dec": W.copy()})
    same(adapter, 1 + (W == 0).all(-1).mean(), 1 + got)


@clause("COST-10")
@given(sae=saes(tied=st.just(True)), factor=st.sampled_from([0.5, 2.0]))
def test_a_tie_coefficient_changes_nothing_for_a_tied_sae(adapter, sae, factor):
    inputs = {"price": np.ones(sae.M)} | sae.inputs | {"dead": np.zeros(sae.M)}
    want = adapter("objective", sae.config, **inputs)
    got = adapter("objective", sae.config | {"tie_coefficient": factor}, **inputs)
    assert_same(want | {"tie": np.array(0.0)}, got, adapter.dtype, exact=True)


@clause("COST-11")
@given(asked=charges("tie", off_kink=True), data=st.data())
def test_a_pair_with_a_zero_row_costs_1_and_neither_row_is_moved(adapter, asked, data):
    config, inputs = asked
    i = data.draw(st.integers(0, len(inputs["W_enc"]) - 1))
    for zeroed in (("W_enc",), ("W_dec",), ("W_enc", "W_dec")):
        emptied = {name: array.copy() for name, array in inputs.items()}
        for name in zeroed:
            emptied[name][i] = 0
        same(adapter, 1.0, cost(adapter, config, {name: array[[i]] for name, array in emptied.items()}))
        for grad in gradient(adapter, config, emptied).values():
            assert np.all(grad[i] == 0), "a row of the pair has a gradient"
            assert np.all(np.isfinite(grad))
