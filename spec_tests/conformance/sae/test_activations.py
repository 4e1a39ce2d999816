"""ACT, first part: relu, jumprelu, the step and its thresholds."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sae_spec.spec_tests.core.compare import assert_same
from sae_spec.spec_tests.core.properties import clause
from sae_spec.spec_tests.core.strategies import dyadic, positive, pres, saes

GATES = st.sampled_from(("jumprelu", "step"))       # the two that compare with a threshold
widths_of_window = st.sampled_from([0.5, 1.0, 2.0])


@st.composite
def crossings(draw, min_rows=1):
    """pre and d_acts (B, M), theta (M,) > 0 and a bandwidth, of so few bits that every sum is exact in every dtype."""
    pre = draw(pres(min_rows))
    theta = draw(positive(pre.shape[1:]))
    return pre, theta, draw(dyadic(pre.shape, step=0.5)), draw(widths_of_window)


def acts_of(adapter, activation, pre, **inputs):
    return adapter("activation", {"activation": activation}, pre=pre, **inputs)["acts"]


def gradient(adapter, activation, pre, theta, d_acts, bandwidth):
    config = {"activation": activation, "bandwidth": bandwidth}
    return adapter("activation_backward", config, pre=pre, theta=theta, d_acts=d_acts)


def threshold_gradient(*arguments):
    return gradient(*arguments)["d_theta"]


def equal(adapter, want, got, name="value"):
    """Equality in every dtype: nothing is rounded on the way."""
    assert_same({name: want}, {name: got}, adapter.dtype, exact=True)


# ---------------------------------------------------------------- relu

@clause("ACT-1")
@given(pre=pres())
def test_relu_splits_pre_into_two_parts_that_never_meet(adapter, pre):
    up, down = acts_of(adapter, "relu", pre), acts_of(adapter, "relu", -pre)
    equal(adapter, pre, up - down)
    assert np.all(np.minimum(up, down) == 0)


@clause("ACT-1")
@given(pre=pres(), data=st.data())
def test_relu_gradients_at_pre_and_minus_pre_share_the_cotangent_but_at_zero(adapter, pre, data):
    d_acts = data.draw(dyadic(pre.shape))
    back = lambda at: adapter("activation_backward", {"activation": "relu"}, pre=at, d_acts=d_acts)["d_pre"]
    equal(adapter, np.where(pre == 0, 0, d_acts), back(pre) + back(-pre))


@clause("ACT-1", "ACT-9", dtypes=("float64", "float32"))    # steps of 2^-12 beside 2 need 14 bits
@given(case=crossings(), activation=st.sampled_from(("relu", "jumprelu")))
def test_gradient_to_pre_is_the_slope_off_the_kink(adapter, case, activation):
    pre, theta, d_acts, bandwidth = case
    pre, small = pre + 1 / 16, 2.0**-12                     # pre and theta are multiples of 1/4: no kink within 1/16
    more = {"theta": theta} if activation == "jumprelu" else {}
    rise = acts_of(adapter, activation, pre + small, **more) - acts_of(adapter, activation, pre - small, **more)
    got = adapter("activation_backward", {"activation": activation, "bandwidth": bandwidth}, pre=pre, d_acts=d_acts, **more)
    equal(adapter, d_acts * rise / (2 * small), got["d_pre"])


# ---------------------------------------------------------------- the parameter of a threshold

@clause("ACT-2")
@given(first=dyadic((3,), -1.0, 1.0), second=dyadic((3,), -1.0, 1.0))
def test_threshold_of_a_sum_is_the_product_of_thresholds(adapter, first, second):
    theta = lambda parameter: adapter("threshold", log_threshold=parameter)["theta"]
    assert_same({"theta": theta(first + second)}, {"theta": theta(first) * theta(second)}, adapter.dtype)


@clause("ACT-2")
@given(log_threshold=dyadic((4,), -4.0, 2.0))
def test_threshold_is_positive_and_above_its_tangent_at_zero(adapter, log_threshold):
    theta = adapter("threshold", log_threshold=log_threshold)["theta"]
    assert np.all(theta > 0)
    assert np.all(theta >= 1 + log_threshold)               # of all powers b^x only e^x lies above 1 + x on both sides


@clause("ACT-3", "ACT-2")
@given(log_threshold=dyadic((4,)))
def test_an_exponential_is_its_own_derivative(adapter, log_threshold):
    theta = adapter("threshold", log_threshold=log_threshold)["theta"]
    got = adapter("threshold_backward", log_threshold=log_threshold, d_theta=np.ones(4))["d_log_threshold"]
    assert_same({"theta": theta}, {"theta": got}, adapter.dtype)


@clause("ACT-3")
@given(log_threshold=dyadic((4,)), d_theta=dyadic((4,)), factor=st.sampled_from([-2.0, 0.0, 0.5, 4.0]))
def test_gradient_of_log_threshold_scales_with_its_cotangent(adapter, log_threshold, d_theta, factor):
    back = lambda cotangent: adapter("threshold_backward", log_threshold=log_threshold, d_theta=cotangent)["d_log_threshold"]
    equal(adapter, factor * back(d_theta), back(factor * d_theta))


# ---------------------------------------------------------------- jumprelu and the step, forward

@clause("ACT-7", "ACT-1")
@given(pre=pres())
def test_jumprelu_at_threshold_zero_is_relu(adapter, pre):
    equal(adapter, acts_of(adapter, "relu", pre), acts_of(adapter, "jumprelu", pre, theta=0 * pre[0]), "acts")


@clause("ACT-7", "ACT-10")
@given(pre=pres(), gate=GATES)
def test_a_sample_that_equals_the_thresholds_is_silent(adapter, pre, gate):
    acts = acts_of(adapter, gate, np.abs(pre), theta=np.abs(pre[0]))
    assert np.all(acts[0] == 0)


@clause("ACT-7")
@given(case=crossings(), data=st.data())
def test_two_jumprelus_are_one_with_the_larger_threshold(adapter, case, data):
    pre, theta, _, _ = case
    other = data.draw(positive(theta.shape))
    twice = acts_of(adapter, "jumprelu", acts_of(adapter, "jumprelu", pre, theta=theta), theta=other)
    equal(adapter, acts_of(adapter, "jumprelu", pre, theta=np.maximum(theta, other)), twice, "acts")


@clause("ACT-7", "ACT-2")
@given(sae=saes(activations=("jumprelu",)))
def test_encoding_compares_pre_alone_with_the_threshold(adapter, sae):
    got = adapter("encode", sae.config, **sae.inputs)
    theta = adapter("threshold", log_threshold=sae.inputs["log_threshold"])["theta"]
    equal(adapter, acts_of(adapter, "jumprelu", got["pre"], theta=theta), got["acts"], "acts")


@clause("ACT-26", "ACT-7")
@given(sae=saes(activations=("jumprelu",)), data=st.data())
def test_a_theta_that_is_trained_itself_is_what_pre_is_compared_with(adapter, sae, data):
    inputs = {name: value for name, value in sae.inputs.items() if name != "log_threshold"}
    inputs["theta"] = data.draw(dyadic((sae.M,), 0.0, 2.0, 0.5))
    got = adapter("encode", sae.config, **inputs)
    equal(adapter, acts_of(adapter, "jumprelu", got["pre"], theta=inputs["theta"]), got["acts"], "acts")


# The two forms' thresholds are rounded differently in half precision.
@clause("ACT-26", "ACT-3", dtypes=("float64", "float32"))
@given(sae=saes(activations=("jumprelu",)), data=st.data())
def test_theta_and_its_logarithm_are_one_sae_whose_gradients_differ_by_theta(adapter, sae, data):
    logs = data.draw(dyadic((sae.M,), -1.0, 1.0, 0.5)) + 0.125                   # no pre-activation equals theta, nor a window's edge
    inputs = {name: value for name, value in sae.inputs.items() if name != "log_threshold"}
    given = {"price": np.ones(sae.M), "dead": np.zeros(sae.M)}
    theta = adapter("threshold", log_threshold=logs)["theta"]
    config = sae.config | {"l0_coefficient": 0.5, "l1_coefficient": 0.25}
    itself, logarithm = (adapter("objective", config, **inputs | own | given) for own in ({"theta": theta}, {"log_threshold": logs}))
    want = {"log_threshold" if name == "theta" else name: value for name, value in itself.items()}
    want["d_log_threshold"] = want.pop("d_theta") * theta
    assert_same(want, logarithm, adapter.dtype)


@clause("ACT-10", "ACT-7")
@given(case=crossings())
def test_jumprelu_is_pre_times_the_step(adapter, case):
    pre, theta, _, _ = case
    equal(adapter, acts_of(adapter, "jumprelu", pre, theta=theta), pre * acts_of(adapter, "step", pre, theta=theta), "acts")


@clause("ACT-7", "ACT-10")
@given(case=crossings(), gate=GATES, latent=st.integers(0, 5))
def test_one_negative_threshold_is_an_error(adapter, case, gate, latent):
    pre, theta, _, _ = case
    theta[latent % len(theta)] *= -1
    adapter.refuses("theta", "activation", {"activation": gate}, pre=pre, theta=theta)


# ---------------------------------------------------------------- straight-through windows

@clause("ACT-8", "ACT-11")
@given(gate=GATES, theta=positive((1,)), bandwidth=widths_of_window)
def test_window_has_area_one(adapter, gate, theta, bandwidth):
    """Samples 1/8 apart, all across the window and beyond, count the same whatever its width; none is on its edge."""
    pre = (theta - 15 / 16 - 1 / 2 + np.arange(24) / 8)[:, np.newaxis]
    d_theta = threshold_gradient(adapter, gate, pre, theta, np.ones_like(pre), bandwidth)
    equal(adapter, -8 * (theta if gate == "jumprelu" else 1 + 0 * theta), d_theta)


@clause("ACT-8", "ACT-11")
@given(case=crossings(), gate=GATES)
def test_samples_on_the_windows_edges_do_not_count(adapter, case, gate):
    pre, theta, d_acts, bandwidth = case
    edges = theta + np.where(pre > 0, 1, -1) * bandwidth / 2
    equal(adapter, 0 * theta, threshold_gradient(adapter, gate, edges, theta, d_acts, bandwidth))


@clause("ACT-8", "ACT-11")
@given(case=crossings(), gate=GATES)
def test_samples_mirrored_about_the_threshold_count_the_same(adapter, case, gate):
    pre, theta, d_acts, bandwidth = case
    want = threshold_gradient(adapter, gate, pre, theta, d_acts, bandwidth)
    equal(adapter, want, threshold_gradient(adapter, gate, 2 * theta - pre, theta, d_acts, bandwidth))


@clause("ACT-8", "ACT-11")
@given(case=crossings())
def test_jumprelus_threshold_gradient_is_theta_times_the_steps(adapter, case):
    theta = case[1]
    equal(adapter, theta * threshold_gradient(adapter, "step", *case), threshold_gradient(adapter, "jumprelu", *case))


@clause("ACT-8", "ACT-11")
@given(case=crossings(), gate=GATES, unit=st.sampled_from([0.5, 2.0]))
def test_threshold_gradient_changes_with_the_unit_of_pre_as_a_derivative_does(adapter, case, gate, unit):
    pre, theta, d_acts, bandwidth = case
    want = threshold_gradient(adapter, gate, pre, theta, d_acts, bandwidth)
    got = threshold_gradient(adapter, gate, unit * pre, unit * theta, d_acts, unit * bandwidth)
    equal(adapter, want if gate == "jumprelu" else want / unit, got)


@clause("ACT-8", "ACT-11")
@given(case=crossings(min_rows=2), gate=GATES)
def test_threshold_gradient_of_a_batch_is_the_sum_over_its_samples(adapter, case, gate):
    pre, theta, d_acts, bandwidth = case
    alone = [threshold_gradient(adapter, gate, pre[b:b + 1], theta, d_acts[b:b + 1], bandwidth) for b in range(len(pre))]
    equal(adapter, sum(alone), threshold_gradient(adapter, gate, *case))


@clause("ACT-8", "ACT-11")
@given(case=crossings(), gate=GATES, factor=st.sampled_from([-2.0, 0.0, 0.5]))
def test_threshold_gradient_scales_with_its_cotangent(adapter, case, gate, factor):
    pre, theta, d_acts, bandwidth = case
    want = factor * threshold_gradient(adapter, gate, *case)
    equal(adapter, want, threshold_gradient(adapter, gate, pre, theta, factor * d_acts, bandwidth))


@clause("ACT-9", "ACT-11")
@given(case=crossings())
def test_gradient_to_pre_is_the_cotangent_where_the_step_is_one(adapter, case):
    pre, theta, d_acts, _ = case
    on = acts_of(adapter, "step", pre, theta=theta)
    equal(adapter, d_acts * on, gradient(adapter, "jumprelu", *case)["d_pre"])
    equal(adapter, 0 * pre, gradient(adapter, "step", *case)["d_pre"])


@clause("ACT-8", "ACT-11")
@given(case=crossings(), gate=GATES, bandwidth=st.sampled_from([0.0, -0.5]))
def test_a_bandwidth_that_is_not_positive_is_an_error(adapter, case, gate, bandwidth):
    pre, theta, d_acts, _ = case
    config = {"activation": gate, "bandwidth": bandwidth}
    adapter.refuses("bandwidth", "activation_backward", config, pre=pre, theta=theta, d_acts=d_acts)


@clause("ACT-7", "ACT-8", "ACT-10", "ACT-11")
@given(case=crossings(), gate=GATES)
def test_leading_dimensions_are_a_batch(adapter, case, gate):
    pre, theta, d_acts, bandwidth = case
    deep = lambda array: array[np.newaxis, :, np.newaxis]
    equal(adapter, deep(acts_of(adapter, gate, pre, theta=theta)), acts_of(adapter, gate, deep(pre), theta=theta), "acts")
    want = gradient(adapter, gate, *case)
    got = gradient(adapter, gate, deep(pre), theta, deep(d_acts), bandwidth)
    assert_same(want | {"d_pre": deep(want["d_pre"])}, got, adapter.dtype, exact=True)
