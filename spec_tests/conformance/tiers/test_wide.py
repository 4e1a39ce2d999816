"""Size: what holds of a few latents holds of many, wherever among them the few stand.

A small question is scattered over a large one whose other places are 0, which adds nothing, writes nothing and is never
on: the large answer is the small one, scattered in the same way. Axes come from the operation's record.
"""

from typing import NamedTuple

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sae_spec.spec_tests.conformance.costs.charges import charges, cost
from sae_spec.spec_tests.conformance.costs.test_objective import objectives
from sae_spec.spec_tests.conformance.sae.choices import choices
from sae_spec.spec_tests.conformance.sae.questions import asked
from sae_spec.spec_tests.conformance.sae.test_activations import crossings
from sae_spec.spec_tests.core.compare import assert_same
from sae_spec.spec_tests.core.properties import clause
from sae_spec.spec_tests.core.strategies import dyadic, positive, pres
from sae_spec.spec_tests.operations import OPERATIONS

WIDTHS = {"B": 33, "M": 129, "D": 65}
ELSEWHERE = {"price": 1.0, "dec_norm": 1.0, "theta": 1.0}           # all else is 0 where nothing was put
seeds = st.integers(0, 2**16)


class Scatter(NamedTuple):
    """Where each index of a small axis stands on a wide one: {"M": increasing places, the last of all the last}."""

    places: dict

    def array(self, shape, array, filler=0.0):
        """The array on wide axes, `shape` naming its axes: "(B, M)"."""
        letters, array = shape.strip("(),").split(", "), np.asarray(array, dtype=np.float64)
        at = [self.places.get(letter, np.arange(length)) for letter, length in zip(letters, array.shape)]
        wide = np.full([WIDTHS[letter] if letter in self.places else length
                        for letter, length in zip(letters, array.shape)], filler)
        wide[np.ix_(*at)] = array
        return wide

    def arrays(self, declared, arrays):
        return {name: self.array(declared[name].shape, array, ELSEWHERE.get(name, 0.0)) if np.ndim(array) else array
                for name, array in arrays.items()}

    def prefixes(self, config):
        if "prefixes" not in config or "M" not in self.places:
            return config
        return config | {"prefixes": [*(int(self.places["M"][m - 1]) + 1 for m in config["prefixes"][:-1]), WIDTHS["M"]]}


def scattered(adapter, operation, config, inputs, axes, seed):
    """(the small answer scattered, the answer to the scattered question)"""
    signature, rng, lengths = OPERATIONS[operation].signature(config), np.random.default_rng(seed), {}
    for name, array in inputs.items():
        lengths |= zip(signature.inputs[name].shape.strip("(),").split(", "), np.shape(array))
    scatter = Scatter({axis: np.sort(np.append(rng.choice(WIDTHS[axis] - 1, lengths[axis] - 1, replace=False), WIDTHS[axis] - 1))
                       for axis in axes})
    small = adapter(operation, config, **inputs)
    wide = adapter(operation, scatter.prefixes(config), **scatter.arrays(signature.inputs, inputs))
    return scatter.arrays(signature.outputs, small), wide


def same_wherever(adapter, operation, config, inputs, axes, seed):
    assert_same(*scattered(adapter, operation, config, inputs, axes, seed), adapter.dtype)


# ---------------------------------------------------------------- activations

@clause("ACT-1")
@given(pre=pres(), seed=seeds)
def test_relu_among_many(adapter, pre, seed):
    same_wherever(adapter, "activation", {"activation": "relu"}, {"pre": pre}, "BM", seed)


@clause("ACT-7", "ACT-10")
@given(case=crossings(), gate=st.sampled_from(("jumprelu", "step")), seed=seeds)
def test_a_threshold_among_many(adapter, case, gate, seed):
    pre, theta, _, _ = case
    same_wherever(adapter, "activation", {"activation": gate}, {"pre": pre, "theta": theta}, "BM", seed)


@clause("ACT-8", "ACT-11")
@given(case=crossings(), gate=st.sampled_from(("jumprelu", "step")), seed=seeds)
def test_a_threshold_hears_every_sample_of_many(adapter, case, gate, seed):
    pre, theta, d_acts, bandwidth = case
    inputs = {"pre": pre, "theta": theta, "d_acts": d_acts}
    same_wherever(adapter, "activation_backward", {"activation": gate, "bandwidth": bandwidth}, inputs, "BM", seed)


def chosen_among_many(adapter, choice, seed):
    same_wherever(adapter, "activation", choice.config, {"pre": choice.pre} | choice.by_latent, "M", seed)


@clause("ACT-4", "ACT-5", "ACT-13")
@given(choice=choices(("topk", "abs_topk")), seed=seeds)
def test_a_choice_among_many_latents(adapter, choice, seed):
    chosen_among_many(adapter, choice, seed)


@clause("ACT-14", "ACT-15")
@given(choice=choices(("budget_topk",)), seed=seeds)
def test_a_budget_spent_among_many_latents(adapter, choice, seed):
    chosen_among_many(adapter, choice, seed)


@clause("ACT-12")
@given(pre=pres(), k=st.integers(1, 6), seed=seeds)
def test_a_batch_of_many_samples_shares_its_places(adapter, pre, k, seed):
    """The rows that are empty leave their places to the others: the budget is larger than all that is positive."""
    relu = adapter("activation", {"activation": "relu"}, pre=pre)
    inputs = {"activation": "batch_topk", "k": min(k, pre.shape[1])}, {"pre": pre}
    wide = scattered(adapter, "activation", *inputs, "BM", seed)[1]["acts"]
    want = Scatter({}).array("(B, M)", relu["acts"])
    assert_same({"kept": np.sort(want[want > 0])}, {"kept": np.sort(wide[wide > 0])}, adapter.dtype, exact=True)


@clause("ACT-18")
@given(pre=pres(), seed=seeds)
def test_a_batch_of_many_samples_shares_its_budget(adapter, pre, seed):
    inputs = {"pre": pre, "price": np.ones(pre.shape[1]), "dec_norm": np.ones(pre.shape[1])}
    wide = scattered(adapter, "activation", {"activation": "batch_budget_topk", "k": 1}, inputs, "BM", seed)[1]["acts"]
    assert_same({"kept": np.sort(pre[pre > 0])}, {"kept": np.sort(wide[wide > 0])}, adapter.dtype, exact=True)


# ---------------------------------------------------------------- autoencoders

@clause("SAE-1", "SAE-2", "SAE-3")
@given(ask=asked(), axes=st.sampled_from(["M", "D", "MD"]), seed=seeds)
def test_encoding_among_many_latents_and_dimensions(adapter, ask, axes, seed):
    sae, _ = ask
    same_wherever(adapter, "encode", sae.config, sae.inputs, axes, seed)


@clause("SAE-5", "SAE-6")
@given(ask=asked(), data=st.data(), seed=seeds)
def test_decoding_among_many_latents_and_dimensions(adapter, ask, data, seed):
    sae, _ = ask
    inputs = {"acts": data.draw(dyadic((sae.B, sae.M), -1.0, 1.0, 0.5))} | {n: sae.inputs[n] for n in ("W_dec", "b_dec")}
    config = {name: sae.config[name] for name in ("prefixes",) if name in sae.config}
    same_wherever(adapter, "decode", config, inputs, "MD", seed)


@clause("SAE-8", "SAE-10")
@given(ask=asked(), seed=seeds)
def test_gradients_among_many_latents_and_dimensions(adapter, ask, seed):
    sae, d = ask
    same_wherever(adapter, "backward", sae.config, sae.inputs | d, "MD", seed)


@clause("SAE-8")
@given(ask=asked(activations=("relu", "jumprelu", "gated", "topk", "abs_topk")), times=st.sampled_from([33, 40]))
def test_a_sample_many_times_has_that_many_times_its_gradient(adapter, ask, times):
    sae, d = ask
    want = adapter("backward", sae.config, **sae.inputs, **d)
    again = {name: np.concatenate([array] * times, -2) for name, array in (d | {"x": sae.inputs["x"]}).items()}
    got = adapter("backward", sae.config, **(sae.inputs | again))
    want = {name: np.concatenate([grad] * times) if name == "d_x" else times * grad for name, grad in want.items()}
    assert_same(want, got, adapter.dtype)


@clause("SAE-13")
@given(data=st.data(), M=st.integers(1, 4), seed=seeds)
def test_a_gate_among_many(adapter, data, M, seed):
    half = lambda *shape: data.draw(dyadic(shape, -1.0, 1.0, 0.5))
    inputs = {"shared": half(2, M), "b_enc": half(M), "r_mag": np.zeros(M), "b_mag": half(M)}
    same_wherever(adapter, "activation", {"activation": "gated"}, inputs, "M", seed)


# ---------------------------------------------------------------- frequencies and costs

@clause("FREQ-1")
@given(acts=dyadic((4, 3), -0.5, 0.5, 0.5), seed=seeds)
def test_firings_are_counted_in_every_sample_of_many(adapter, acts, seed):
    same_wherever(adapter, "firing_counts", {}, {"acts": acts}, "BM", seed)


@clause("FREQ-6")
@given(powers=dyadic((3,), -8.0, 0.0, 1.0))
def test_a_price_does_not_depend_on_how_many_latents_there_are(adapter, powers):
    price = lambda frequency: adapter("price", {"D": 4, "min_frequency": 2.0**-9}, frequency=frequency)["price"]
    assert_same({"price": np.tile(price(2.0**powers), 43)}, {"price": price(np.tile(2.0**powers, 43))}, adapter.dtype)


@clause("COST-2")
@given(asked=charges("reconstruction"), seed=seeds)
def test_reconstruction_hears_every_dimension(adapter, asked, seed):
    charged_wherever(adapter, *asked, "D", seed)


@clause("COST-4", "COST-6")
@given(asked=st.sampled_from(("l1", "tanh")).flatmap(charges), seed=seeds)
def test_l1_and_tanh_hear_every_latent_and_every_column_of_its_row(adapter, asked, seed):
    charged_wherever(adapter, *asked, "MD", seed)


@clause("COST-7", "COST-8")
@given(asked=charges("l0"), seed=seeds)
def test_l0_hears_every_latent(adapter, asked, seed):
    config, inputs = asked
    small, wide = scattered(adapter, "cost", config, inputs, "M", seed)
    assert_same(small, wide, adapter.dtype)


@clause("COST-9")
@given(asked=charges("tie"), seed=seeds, times=st.sampled_from([33, 129]))
def test_tie_hears_every_column_and_every_latent(adapter, asked, seed, times):
    """A cost of 0 is a difference of numbers of size 1: 1 is added before what was rounded is compared."""
    config, inputs = asked
    for operation, more in (("cost", {}), ("cost_backward", {"d_cost": np.float64(1.0)})):
        few, many = scattered(adapter, operation, config, inputs | more, "D", seed)
        assert_same({name: 1 + value for name, value in few.items()}, {name: 1 + value for name, value in many.items()}, adapter.dtype)
    last = np.concatenate([inputs["W_enc"]] * times + [-inputs["W_enc"]]), np.concatenate([inputs["W_dec"]] * (times + 1))
    want = (times * cost(adapter, config, inputs) + cost(adapter, config, inputs, W_enc=-inputs["W_enc"])) / (times + 1)
    assert_same({"cost": 1 + want}, {"cost": 1 + cost(adapter, config, dict(zip(("W_enc", "W_dec"), last)))}, adapter.dtype)


@clause("COST-12", "COST-15")
@given(asked=charges("aux"), seed=seeds)
def test_aux_hears_the_dead_among_many(adapter, asked, seed):
    charged_wherever(adapter, *asked, "MD", seed)


@clause("COST-16")
@given(asked=charges("gate_reconstruction"), seed=seeds)
def test_the_gates_reconstruction_among_many(adapter, asked, seed):
    charged_wherever(adapter, *asked, "MD", seed)


def charged_wherever(adapter, config, inputs, axes, seed):
    """The cost and its gradient are what they are among few."""
    same_wherever(adapter, "cost", config, inputs, axes, seed)
    same_wherever(adapter, "cost_backward", config, inputs | {"d_cost": np.float64(1.0)}, axes, seed)


@clause("COST-18")
@given(asked=objectives(terms=("l1", "l0", "tanh", "aux")), seed=seeds)
def test_terms_among_many_latents_and_dimensions(adapter, asked, seed):
    config, inputs, _ = asked
    same_wherever(adapter, "objective", config, inputs, "MD", seed)


# ---------------------------------------------------------------- training

@clause("TRAIN-1")
@given(W=dyadic((3, 2)), seed=seeds)
def test_rows_are_normalized_over_all_their_columns_and_all_of_them(adapter, W, seed):
    same_wherever(adapter, "normalize_rows", {}, {"W": W}, "MD", seed)


@clause("TRAIN-2")
@given(d_W=dyadic((3, 2), -1.0, 1.0), W=dyadic((3, 2), -1.0, 1.0), seed=seeds)
def test_gradients_are_projected_over_all_their_columns(adapter, d_W, W, seed):
    d_W, W = np.vstack([d_W, [[0.0, 8.0]]]), np.vstack([W, [[1.0, 0.0]]])      # one row stays: it fixes the scale
    same_wherever(adapter, "project_gradient", {}, {"d_W": d_W, "W": W}, "MD", seed)


@clause("TRAIN-9")
@given(acts=dyadic((4, 3), -0.5, 0.5, 0.5), seed=seeds)
def test_waiting_latents_hear_every_sample_of_many(adapter, acts, seed):
    inputs, config = {"tokens_since_fired": np.zeros(3), "acts": acts}, {"dead_after": 8}
    small, wide = scattered(adapter, "count_tokens", config, inputs, "B", seed)
    assert np.array_equal(small["tokens_since_fired"] == 0, wide["tokens_since_fired"] == 0)
    assert set(wide["tokens_since_fired"]) <= {0, WIDTHS["B"]}


@clause("TRAIN-11", "TRAIN-12")
@given(small=positive((2,)), width=st.sampled_from([65, 129]), seed=seeds)
def test_clipping_and_adam_hear_every_number(adapter, small, width, seed):
    at = np.append(np.random.default_rng(seed).integers(0, width - 1), width - 1)
    wide = np.zeros(width)
    wide[at] = small
    for name in ("clip_gradients", "adam"):
        config = {"max_grad_norm": 0.25} if name == "clip_gradients" else {"step": 0, "learning_rate": 0.25}
        zeros = lambda array: {} if name == "clip_gradients" else {n: 0 * array for n in ("param", "first", "second")}
        few, many = (adapter(name, config, grad=array, **zeros(array)) for array in (small, wide))
        assert_same(few, {output: array[at] for output, array in many.items()}, adapter.dtype)
