"""TRAIN: the unit in which an SAE is trained, the way back, and the rate of thresholds."""

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from sae_spec.spec_tests.core.compare import assert_same
from sae_spec.spec_tests.core.properties import clause
from sae_spec.spec_tests.core.strategies import dyadic, rotations, saes
from sae_spec.spec_tests.conformance.training.test_training_step import trainings

POWERS = {"float64": 900, "float32": 100, "bfloat16": 100, "float16": 6}       # of two, which leave multiples of 1/4 exact
UNITS = st.sampled_from([2.0**-4, 0.5, 2.0, 8.0])


def factor(adapter, x):
    return float(adapter("scale_factor", x=x)["scale"])


@st.composite
def samples(draw):
    """Samples (B, D) that are not all 0, multiples of 1/4."""
    x = draw(dyadic((draw(st.integers(1, 4)), draw(st.integers(1, 3)))))
    assume(x.any())
    return x


# ---------------------------------------------------------------- the factor

@clause("TRAIN-18")
@given(x=samples())
def test_scaled_samples_have_a_mean_squared_norm_of_D(adapter, x):
    scaled = factor(adapter, x) * x
    assert_same({"mean": np.float64(x.shape[1])}, {"mean": (scaled**2).sum(1).mean()}, "float32")


@clause("TRAIN-18")
@given(x=samples(), data=st.data())
def test_the_factor_is_that_of_the_samples_turned_mirrored_repeated_and_in_any_order(adapter, x, data):
    want, B = factor(adapter, x), len(x)
    signs = np.array([data.draw(st.sampled_from([-1.0, 1.0])) for _ in x])[:, np.newaxis]
    for other in (x @ data.draw(rotations(x.shape[1])), signs * x, np.vstack([x, x, x]), x[data.draw(st.permutations(range(B)))]):
        assert_same({"scale": want}, {"scale": factor(adapter, other)}, "float32")


@clause("TRAIN-18")
@given(x=samples(), more=st.integers(1, 3))
def test_a_sample_of_0_counts(adapter, x, more):
    with_zeros = np.vstack([x, np.zeros((more, x.shape[1]))])
    assert_same({"scale": factor(adapter, x) * np.sqrt(1 + more / len(x))}, {"scale": factor(adapter, with_zeros)}, "float32")


@clause("TRAIN-19")
@given(x=samples(), data=st.data())
def test_samples_of_any_size_have_the_factor_in_their_unit(adapter, x, data):
    reach = POWERS[adapter.dtype]
    n = data.draw(st.sampled_from([-reach, -reach // 2, 1, reach // 2, reach]))
    assert factor(adapter, 2.0**n * x) == factor(adapter, x) / 2.0**n


@clause("TRAIN-19")
@given(x=samples(), bad=st.sampled_from([np.nan, np.inf, -np.inf]), data=st.data())
def test_samples_that_no_factor_brings_to_size_are_refused(adapter, x, bad, data):
    adapter.refuses("x", "scale_factor", x=x[:0])
    adapter.refuses("x", "scale_factor", x=0 * x)
    x.flat[data.draw(st.integers(0, x.size - 1))] = bad
    adapter.refuses("x", "scale_factor", x=x)
    if adapter.dtype == "float64":
        adapter.refuses("x", "scale_factor", x=[[2.0**-1074]])


# ---------------------------------------------------------------- the way back

@st.composite
def scaled_saes(draw, **options):
    """(sae as it is on scaled samples, the factor); thresholds of jumprelu are either of the two, and equal no pre-activation."""
    sae, scale = draw(saes(**options)), draw(UNITS)
    if sae.config["activation"] == "jumprelu":
        drawn = sae.inputs.pop("log_threshold") + 1 / 8
        sae.inputs.update(draw(st.sampled_from([{"log_threshold": drawn}, {"theta": np.abs(drawn)}])))
    return sae, scale


def folded(adapter, sae, scale, **threshold):
    """The same SAE on samples as they are, and its inference threshold if it was given one."""
    outputs = adapter("fold", {"activation": sae.config["activation"]}, **sae.params, scale=scale, **threshold)
    price = {"price": sae.inputs["price"]} if "price" in sae.inputs else {}
    return {name: outputs[name] for name in [*sae.params, *threshold]} | price


@clause("TRAIN-20")
@given(drawn=scaled_saes())
def test_a_folded_sae_says_of_samples_what_it_said_of_scaled_ones(adapter, drawn):
    """A power of two rounds nothing: equal to the last bit, in every dtype."""
    sae, scale = drawn
    inputs = folded(adapter, sae, scale)
    want, x = adapter("encode", sae.config, **sae.inputs), sae.inputs["x"] / scale
    got = adapter("encode", sae.config, x=x, **inputs)
    assert_same({name: array / scale for name, array in want.items()}, got, adapter.dtype, exact=True)
    prefixes = {"prefixes": sae.config["prefixes"]} if "prefixes" in sae.config else {}
    recons = [adapter("decode", prefixes, acts=acts, W_dec=given["W_dec"], b_dec=given["b_dec"])["recons"]
              for acts, given in ((want["acts"], sae.inputs), (got["acts"], inputs))]
    assert_same({"recons": recons[0] / scale}, {"recons": recons[1]}, adapter.dtype, exact=True)


@clause("TRAIN-20")
@given(drawn=scaled_saes(), again=UNITS)
def test_folding_leaves_weights_alone_and_twice_is_once_by_both_factors(adapter, drawn, again):
    sae, scale = drawn
    once = folded(adapter, sae, scale)
    for name in {"W_enc", "W_dec", "r_mag"} & set(sae.params):
        assert_same({name: sae.params[name]}, once, exact=True)
    both = folded(adapter, sae, scale * again)
    twice = folded(adapter, sae._replace(inputs=sae.inputs | once), again)
    assert_same(both, twice, adapter.dtype)
    for bad in (0.0, -0.5, np.inf, np.nan):
        adapter.refuses("scale", "fold", {"activation": sae.config["activation"]}, **sae.params, scale=bad)


@clause("TRAIN-20")
@given(drawn=scaled_saes(activations=("jumprelu",)))
def test_a_folded_threshold_is_the_threshold_over_the_factor_whichever_parameter_holds_it(adapter, drawn):
    sae, scale = drawn
    before, after = (params.get("theta", adapter("threshold", log_threshold=params.get("log_threshold", [0.0]))["theta"])
                     for params in (sae.inputs, folded(adapter, sae, scale)))
    assert_same({"theta": before / scale}, {"theta": after}, adapter.dtype)


@clause("TRAIN-21", "TRAIN-20")
@given(drawn=scaled_saes(activations=("batch_topk", "batch_budget_topk")), threshold=st.sampled_from([0.0, 0.25, 1.0, 1.5]))
def test_a_folded_threshold_lets_the_same_latents_on(adapter, drawn, threshold):
    sae, scale = drawn
    inputs = folded(adapter, sae, scale, inference_threshold=threshold)
    want = adapter("encode", sae.config, **sae.inputs, inference_threshold=threshold)
    got = adapter("encode", sae.config, x=sae.inputs["x"] / scale, **inputs)
    assert_same({name: array / scale for name, array in want.items()}, got, adapter.dtype, exact=True)


@clause("TRAIN-21")
@given(threshold=st.sampled_from([0.25, 1.0, 1.5]), scale=UNITS)
def test_a_density_has_the_square_of_the_unit_of_an_activation(adapter, threshold, scale):
    bare = {"W_dec": np.eye(2), "b_enc": np.zeros(2), "b_dec": np.zeros(2), "scale": scale, "inference_threshold": threshold}
    by_value, by_density = (float(adapter("fold", {"activation": rule}, **bare)["inference_threshold"])
                            for rule in ("batch_topk", "batch_budget_topk"))
    assert by_value * scale == threshold and by_density * scale == by_value


# ---------------------------------------------------------------- the rate of thresholds

@clause("TRAIN-22")
@given(training=trainings(activations=("jumprelu",)), faster=st.sampled_from([0.25, 4.0, 16.0]))
def test_thresholds_move_by_their_own_rate_and_nothing_else_does(adapter, training, faster):
    config, params, batches = training
    if "theta" in params:                                   # far above 0, where no step gets
        params["theta"] = params["theta"] + 8.0
        batches = 8 * batches
    config = {name: value for name, value in config.items() if name != "threshold_rate"} | {"l0_coefficient": 0.5}
    plain = adapter("train", config, **params, batches=batches)
    same = adapter("train", config | {"threshold_rate": 1.0}, **params, batches=batches)
    fast = adapter("train", config | {"threshold_rate": faster}, **params, batches=batches)
    name = "theta" if "theta" in params else "log_threshold"
    assert_same(plain, same, exact=True)
    assert_same({key: plain[key] for key in plain if key != name}, fast, exact=True)
    at_that_rate = adapter("train", config | {"learning_rate": config["learning_rate"] * faster}, **params, batches=batches)
    assert_same({name: at_that_rate[name]}, fast, exact=True)
    for bad in (0.0, -0.5):
        adapter.refuses("threshold_rate", "train", config | {"threshold_rate": bad}, **params, batches=batches)
