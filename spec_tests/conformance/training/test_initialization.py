"""TRAIN: the parameters before the first step, and the centre of the data."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sae_spec.spec_tests.core.compare import UNIT_ROUNDOFF, assert_same
from sae_spec.spec_tests.core.properties import clause
from sae_spec.spec_tests.core.strategies import ACTIVATIONS, dyadic
from sae_spec.spec_tests.conformance.training.calls import stretched


@st.composite
def starts(draw, activations=ACTIVATIONS):
    """(config, inputs) of initial_parameters."""
    config = {"activation": draw(st.sampled_from(activations)), "tied": draw(st.booleans())}
    if config["activation"] == "jumprelu":
        config["initial_threshold"] = draw(st.sampled_from([0.25, 0.5, 1.0, 2.0, 8.0]))
        config |= draw(st.sampled_from([{}, {"threshold_parameter": "theta"}, {"threshold_parameter": "log_threshold"}]))
    if not config["tied"]:
        config |= draw(st.sampled_from([{}, {"initial_encoder_scale": 0.25}, {"initial_encoder_scale": 4.0}]))
    return config, {"normals": draw(dyadic((3, 2))), "b_dec": draw(dyadic((2,)))}


@clause("TRAIN-3", "TRAIN-1")
@given(start=starts(), data=st.data())
def test_initial_directions_are_the_draws_normalized_for_both_matrices(adapter, start, data):
    config, inputs = start
    params = adapter("initial_parameters", config, **inputs)
    unit = adapter("normalize_rows", W=inputs["normals"])["unit"]
    assert_same({"W_dec": unit}, params, adapter.dtype)
    assert ("W_enc" in params) == (not config["tied"])
    if not config["tied"]:
        assert_same({"W_enc": adapter("normalize_rows", W=params["W_enc"])["unit"]}, {"W_enc": params["W_dec"]}, adapter.dtype)
    longer = inputs | {"normals": stretched(data.draw, inputs["normals"])}
    assert_same(params, adapter("initial_parameters", config, **longer), adapter.dtype)


@clause("TRAIN-17")
@given(start=starts(), scale=st.sampled_from([2.0**-6, 0.25, 0.5, 2.0, 4.0]))
def test_the_encoder_starts_as_the_decoder_times_what_is_asked(adapter, start, scale):
    config, inputs = start
    given_none = {name: value for name, value in config.items() if name != "initial_encoder_scale"} | {"tied": False}
    inputs |= {"normals": np.vstack([inputs["normals"], [[3.0, 4.0]]])}            # a row that certainly has a direction
    default = {"jumprelu": 1.0, "gated": 1.0}.get(config["activation"], 1 / 8)
    for config, factor in ((given_none, default), (given_none | {"initial_encoder_scale": scale}, scale)):
        params = adapter("initial_parameters", config, **inputs)
        assert_same({"W_enc": factor * params["W_dec"]}, params, exact=True)       # powers of two: nothing is rounded
        assert_same({"W_dec": adapter("normalize_rows", W=inputs["normals"])["unit"]}, params, adapter.dtype)
    tied = adapter("initial_parameters", given_none | {"tied": True}, **inputs)
    assert_same({"W_dec": params["W_dec"]}, tied, exact=True)
    for bad in (0.0, -0.5):
        assert "initial_encoder_scale" in adapter.error("initial_parameters", given_none | {"initial_encoder_scale": bad}, **inputs)


@clause("TRAIN-17")
@given(start=starts(activations=("jumprelu", "gated")), other=starts(activations=("relu", "topk", "batch_topk", "abs_topk")))
def test_the_encoder_of_a_rule_that_learns_its_threshold_starts_eight_times_as_long(adapter, start, other):
    normals, b_dec = np.vstack([start[1]["normals"], [[3.0, 4.0]]]), start[1]["b_dec"]
    long, short = [adapter("initial_parameters", {name: value for name, value in config.items() if name != "initial_encoder_scale"}
                            | {"tied": False}, normals=normals, b_dec=b_dec)["W_enc"]
                    for config in (start[0], other[0])]
    assert_same({"W_enc": long / 8}, {"W_enc": short}, exact=True)


@clause("TRAIN-4", "TRAIN-3")
@given(start=starts())
def test_initial_biases_are_zero_and_each_activation_has_its_own_parameters(adapter, start):
    config, inputs = start
    params = adapter("initial_parameters", config, **inputs)
    zeros = ("b_enc", "r_mag", "b_mag") if config["activation"] == "gated" else ("b_enc",)
    assert_same({name: np.zeros(3) for name in zeros} | {"b_dec": inputs["b_dec"]}, params, exact=True)
    assert ("r_mag" in params) == ("b_mag" in params) == (config["activation"] == "gated")
    trained = {config.get("threshold_parameter", "theta")} if config["activation"] == "jumprelu" else set()
    assert params.keys() & {"theta", "log_threshold"} == trained


@clause("TRAIN-4")
@given(start=starts(activations=("jumprelu",)))
def test_initial_thresholds_are_what_was_asked_for_whichever_parameter_is_trained(adapter, start):
    config, inputs = start
    params = adapter("initial_parameters", config, **inputs)
    if config.get("threshold_parameter") == "log_threshold":
        params = adapter("threshold", log_threshold=params["log_threshold"])
    assert_same({"theta": np.full(3, config["initial_threshold"])}, params, adapter.dtype)
    adapter.refuses("threshold_parameter", "initial_parameters", config | {"threshold_parameter": "log"}, **inputs)
    for bad in (0.0, -0.5):
        adapter.refuses("initial_threshold", "initial_parameters", config | {"initial_threshold": bad}, **inputs)


def centre_of(adapter, data):
    return adapter("geometric_median", data=data)["centre"]


@clause("TRAIN-5")
@given(point=dyadic((2,)), others=dyadic((2, 2), -2.0, 2.0), far=st.sampled_from([1.0, 8.0, 64.0]))
def test_a_point_that_most_samples_share_is_the_centre_however_far_the_others_are(adapter, point, others, far):
    data = np.vstack([np.tile(point, (3, 1)), far * others])
    reach = np.abs(data - point).max()
    # softened by 1e-6 of the mean distance, the method resolves no more than a few times that
    allowed = 1e-5 * reach + 8 * UNIT_ROUNDOFF[adapter.dtype] * np.abs(data).max()
    assert np.all(np.abs(centre_of(adapter, data) - point) <= allowed)


@clause("TRAIN-5")
@given(data=dyadic((4, 2), -1.0, 1.0), shrink=st.sampled_from([2.0**-6, 0.5, 4.0]))
def test_the_centre_scales_and_turns_with_the_data(adapter, data, shrink):
    data = np.vstack([data[:1]] * 3 + [data])               # four equal samples: the softening decides
    want = centre_of(adapter, data)
    lift = 1.0 if adapter.dtype in ("float16", "bfloat16") else 0.0     # these round the result at the data's scale
    assert_same({"centre": lift + want}, {"centre": lift + centre_of(adapter, shrink * data) / shrink}, adapter.dtype)
    turned = centre_of(adapter, data[:, ::-1] * [1.0, -1.0])
    assert_same({"centre": lift + want[::-1] * [1.0, -1.0]}, {"centre": lift + turned}, adapter.dtype)


@clause("TRAIN-5")
@given(data=dyadic((4, 2), -1.0, 1.0), shift=dyadic((2,)), order=st.permutations(range(4)))
def test_the_centre_moves_with_the_data_and_ignores_their_order(adapter, data, shift, order):
    want = centre_of(adapter, data) + shift
    # near a sample the weights are ratios of differences that the shift rounds: only the softening's 1e-6 is sure
    allowed = 1e-5 + 8 * UNIT_ROUNDOFF[adapter.dtype] * 4
    assert np.all(np.abs(centre_of(adapter, data[order] + shift) - want) <= allowed)


@st.composite
def slow_data(draw):
    """Three samples, at one of them an angle of about 120 degrees: the centre creeps there, and after 64 steps still does."""
    apex, scale = draw(dyadic((2,))), draw(st.sampled_from([0.5, 1.0, 2.0]))
    return apex + scale * np.array([[0.0, 0.0], [2.0, 0.0], [-1.0, draw(st.sampled_from([1.6875, 1.75]))]])


# float64: in a short dtype rounding hides how far it crept.
@clause("TRAIN-5", dtypes=("float64",))
@given(data=slow_data())
def test_the_centre_is_where_64_steps_from_the_mean_end(adapter, data):
    centre = data.mean(0)
    soft = 1e-6 * np.linalg.norm(data - centre, axis=1).mean()
    for _ in range(64):
        centre = np.average(data, axis=0, weights=1 / np.hypot(np.linalg.norm(data - centre, axis=1), soft))
    # the comparator measures by the largest number, and the centre may lie at the origin
    assert_same({"centre": centre + 4}, {"centre": centre_of(adapter, data) + 4}, adapter.dtype)


@clause("TRAIN-5")
@given(half=dyadic((2, 2)), centre=dyadic((2,)), on_it=st.booleans())
def test_symmetric_data_has_its_centre_in_the_middle_even_if_a_sample_is_there(adapter, half, centre, on_it):
    data = np.vstack([centre + half, centre - half] + [centre] * on_it)
    assert_same({"centre": 4 + centre}, {"centre": 4 + centre_of(adapter, data)}, adapter.dtype)


@clause("TRAIN-5")
@given(data=dyadic((4, 2), -1.0, 1.0))
def test_the_centre_is_nearer_to_all_samples_than_mean_and_coordinate_median(adapter, data):
    distance = lambda point: np.sqrt(((data - point) ** 2).sum(1)).sum()
    nearest = distance(centre_of(adapter, data))
    rounding = 8 * UNIT_ROUNDOFF[adapter.dtype]
    assert nearest <= distance(data.mean(0)) * (1 + 1e-5) + rounding
    assert nearest <= distance(np.median(data, 0)) * (1 + 1e-3) + rounding        # 64 steps get this close
    adapter.refuses("data", "geometric_median", data=data[:0])
