"""COST: the terms, their coefficients and their sum."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sae_spec.spec_tests.core.compare import assert_same
from sae_spec.spec_tests.core.properties import clause
from sae_spec.spec_tests.core.slopes import assert_slope
from sae_spec.spec_tests.core.strategies import ACTIVATIONS, dyadic, prices, saes
from sae_spec.spec_tests.conformance.costs.charges import cost, decode, gradient, halves
from sae_spec.spec_tests.operations import OPERATIONS

SPARSITY = ("l1", "l0", "tanh")


@st.composite
def objectives(draw, terms=("l1", "l0", "tanh", "tie", "aux"), **kinds):
    """(config, inputs, terms charged): an autoencoder with prices, dead latents and some terms."""
    sae = draw(saes(**kinds))
    possible = [term for term in terms if term != "l0" or sae.config["activation"] == "jumprelu"]
    charged = draw(st.sets(st.sampled_from(possible)))
    config = sae.config | {f"{term}_coefficient": draw(st.sampled_from([0.5, 1.0, 2.0])) for term in sorted(charged)}
    config |= {"tanh_scale": 0.5, "k_aux": draw(st.integers(1, 3)), "warmth": draw(st.sampled_from([0.25, 0.5, 1.0]))}
    inputs = {"price": draw(prices(sae.M))} | sae.inputs | {"dead": draw(dyadic((sae.M,), 0.0, 1.0, 1.0))}
    return config, inputs, charged


def terms_of(result):
    return {name: value for name, value in result.items() if not name.startswith("d_")}


def theta_of(adapter, inputs):
    """The thresholds of a jumprelu; of any other activation 1, which nothing asks for."""
    if "log_threshold" not in inputs:
        return np.ones(len(inputs["price"]))
    return adapter("threshold", log_threshold=inputs["log_threshold"])["theta"]


def heights(adapter, config, inputs, terms, theta):
    """What an activation of theta (M,) is charged by some of l1 and tanh, latent by latent, (M,)."""
    paid = np.zeros(len(theta))
    for term in terms:
        factor = config[f"{term}_coefficient"] * config["warmth"]
        given = {"W_dec": inputs["W_dec"], "price": inputs["price"]}
        paid += [factor * cost(adapter, config | {"cost": term}, given | {"acts": acts[np.newaxis]}) for acts in np.diag(theta)]
    return paid


@clause("COST-17")
@given(asked=objectives(activations=("jumprelu",)), term=st.sampled_from(["l1", "l0", "tanh", "tie", "aux"]))
def test_a_reward_is_an_error(adapter, asked, term):
    config, inputs, _ = asked
    name = f"{term}_coefficient"
    for factor in (-0.5, -2.0, float("nan"), float("inf")):
        adapter.refuses(name, "objective", config | {name: factor}, **inputs)


@clause("COST-18")
@given(asked=objectives())
def test_the_terms_are_those_that_were_asked_for_and_the_total_is_their_sum(adapter, asked):
    config, inputs, charged = asked
    terms = terms_of(adapter("objective", config, **inputs))
    total = terms.pop("total")
    always = {"reconstruction"} | ({"gate_reconstruction"} if config["activation"] == "gated" else set())
    assert set(terms) == always | charged
    assert_same({"total": sum(terms.values())}, {"total": total}, adapter.dtype)


@clause("COST-18")
@given(asked=objectives())
def test_a_coefficient_multiplies_its_own_term_and_warmth_only_sparsity(adapter, asked):
    config, inputs, charged = asked
    once = terms_of(adapter("objective", config | {"warmth": 1.0}, **inputs))
    dear = {f"{term}_coefficient": 4 * config[f"{term}_coefficient"] for term in charged}
    cold = terms_of(adapter("objective", config | {"warmth": 0.25}, **inputs))
    del once["total"]
    for term in charged:
        name = f"{term}_coefficient"
        alone = terms_of(adapter("objective", config | {"warmth": 1.0, name: dear[name]}, **inputs))
        want = {other: value * (4 if other == term else 1) for other, value in once.items()}
        assert_same(want, alone, adapter.dtype, sorted(want))
    want = {term: value * (0.25 if term in SPARSITY else 1) for term, value in once.items()}
    assert_same(want, cold, adapter.dtype, sorted(want))


@clause("COST-12", "COST-18", "COST-19")
@given(asked=objectives())
def test_a_term_costs_its_coefficient_times_what_the_cost_alone_says(adapter, asked):
    config, inputs, charged = asked
    gated = config["activation"] == "gated"
    said = adapter("encode", config, **{name: array for name, array in inputs.items() if name != "dead"})
    recon = decode(adapter, config, inputs, said["acts"])[-1]
    acts = adapter("activation", {"activation": "relu"}, pre=said["pre"])["acts"] if gated else said["acts"]
    given = {"acts": acts, "W_dec": inputs["W_dec"], "price": inputs["price"], "pre": said["pre"], "dead": inputs["dead"],
             "residual": inputs["x"] - recon, "theta": theta_of(adapter, inputs),
             "W_enc": inputs.get("W_enc", inputs["W_dec"])}
    got = adapter("objective", config, **inputs)
    for term in charged - ({"tie"} if "W_enc" not in inputs else set()):
        factor = config[f"{term}_coefficient"] * (config["warmth"] if term in SPARSITY else 1)
        needed = OPERATIONS["cost"].signature({"cost": term}).inputs
        alone = cost(adapter, config | {"cost": term}, {name: given[name] for name in needed})
        assert_same({term: factor * alone}, got, adapter.dtype)


# float64: sums of parts that cancel. By differences in every parameter at once; constants of the gradient stay out:
# aux (its residual), l0 (a pseudo-gradient), gated (its decoder), and choices by density, which depend on the decoder.
@clause("COST-18", dtypes=("float64",))
@given(data=st.data(),
       asked=objectives(terms=("l1", "tanh", "tie"), activations=("relu", "topk", "batch_topk"), off_kink=True))
def test_the_gradient_of_the_total_is_its_slope(adapter, asked, data):
    config, inputs, _ = asked
    # A zero row has no slope: its norm has a kink there.
    inputs = inputs | {name: inputs[name] + 0.25 for name in ("W_enc", "W_dec") if name in inputs}
    got = adapter("objective", config, **inputs)
    for name in ("W_enc", "W_dec", "b_enc", "b_dec"):
        if name in inputs:
            direction = data.draw(halves(*inputs[name].shape), label=name)
            moved = lambda t: inputs | {name: inputs[name] + t * direction}
            total = lambda t: adapter("objective", config, **moved(t))["total"]
            assert_slope(got[f"d_{name}"], direction, total, f"d_{name}")


def each_terms_gradient_is_sent_back(adapter, asked):
    """The gradient of the total is what the gradients of the terms give when they go back together."""
    config, inputs, charged = asked
    gated = config["activation"] == "gated"
    sae = {name: array for name, array in inputs.items() if name != "dead"}
    said = adapter("encode", config, **sae)
    recons = decode(adapter, config, inputs, said["acts"])
    speaks = np.maximum(said["pre"], 0) if gated else said["acts"]
    given = inputs | {"acts": speaks, "pre": said["pre"], "recons": recons, "residual": inputs["x"] - recons[-1],
                      "theta": theta_of(adapter, inputs)}
    d = {"d_recons": 0 * recons, "d_acts": 0 * speaks, "d_pre": 0 * speaks}
    direct = {}
    for term in {"reconstruction", *charged} | ({"gate_reconstruction"} if gated else set()):
        if term == "tie" and "W_enc" not in inputs:
            continue
        factor = config.get(f"{term}_coefficient", 1.0) * (config["warmth"] if term in SPARSITY else 1)
        alone = {name: given[name] for name in OPERATIONS["cost"].signature({"cost": term}).inputs}
        for name, grad in gradient(adapter, config | {"cost": term}, alone, d_cost=factor).items():
            home = d if name in d else direct
            home[name] = home.get(name, 0) + grad
    if gated:                                                                    # what is charged is the gate
        d["d_pre"], d["d_acts"] = d["d_pre"] + d["d_acts"] * (said["pre"] > 0), 0 * d["d_acts"]
    if config["activation"] == "jumprelu":                                       # acts leave the threshold to its height
        d["d_pre"], d["d_acts"] = d["d_pre"] + d["d_acts"], 0 * d["d_acts"]
        paid = heights(adapter, config, inputs, charged & {"l1", "tanh"}, given["theta"])
        passed = gradient(adapter, config | {"cost": "l0"}, {"pre": said["pre"], "theta": given["theta"], "price": paid})
        direct["d_theta"] = direct.get("d_theta", 0) + passed["d_theta"]
    direct["d_log_threshold"] = direct.pop("d_theta", 0) * given["theta"]        # the derivative of exp
    back = adapter("backward", config, **sae, **d)
    want = {name: grad + direct.get(name, 0) for name, grad in back.items() if name != "d_x"}
    assert_same(want, adapter("objective", config, **inputs), adapter.dtype)


# float64: sums of parts that cancel, some of them rounded.
@clause("COST-8", "COST-14", "COST-15", "COST-16", "COST-18", "COST-19", dtypes=("float64",))
@given(asked=objectives())
def test_the_gradient_of_the_total_is_each_terms_gradient_sent_back(adapter, asked):
    each_terms_gradient_is_sent_back(adapter, asked)


# Of all activations few examples are gated, and few have thresholds.
@clause("COST-16", "COST-18", "COST-19", dtypes=("float64",))
@given(asked=objectives(activations=("gated",)))
def test_the_gradient_of_a_gated_total_is_each_terms_gradient_sent_back(adapter, asked):
    each_terms_gradient_is_sent_back(adapter, asked)


@clause("COST-8", "COST-18", "COST-21", dtypes=("float64",))
@given(asked=objectives(activations=("jumprelu",)))
def test_the_gradient_of_a_jumprelus_total_is_each_terms_gradient_sent_back(adapter, asked):
    each_terms_gradient_is_sent_back(adapter, asked)


@clause("COST-19")
@given(asked=objectives(activations=("gated",), terms=("l1", "tanh")))
def test_a_gates_sparsity_moves_no_magnitude(adapter, asked):
    config, inputs, _ = asked
    free, paid = (adapter("objective", config | {"l1_coefficient": factor, "tanh_coefficient": factor}, **inputs)
                  for factor in (0.0, 1.0))
    assert_same(free, paid, adapter.dtype, tensors=("d_b_mag", "d_r_mag"))


@clause("COST-19")
@given(asked=objectives(activations=("gated",), terms=("l1", "tanh")), data=st.data())
def test_a_gates_sparsity_does_not_ask_how_loudly_it_speaks(adapter, asked, data):
    config, inputs, charged = asked
    config = config | {"l1_coefficient": 1.0, "tanh_coefficient": 1.0}
    quiet = inputs | {"b_mag": inputs["b_mag"] - data.draw(st.sampled_from([1.0, 16.0]))}
    want, got = (adapter("objective", config, **given) for given in (inputs, quiet))
    assert_same(want, got, adapter.dtype, ["l1", "tanh", "gate_reconstruction"])
    shut = inputs | {"b_enc": np.full_like(inputs["b_enc"], -16.0)}              # every gate is closed
    terms = adapter("objective", config, **shut)
    assert terms["l1"] == 0 and terms["tanh"] == 0, "a closed gate is charged"


@clause("COST-19")
@given(asked=objectives(activations=("gated",)))
def test_a_gated_sae_always_pays_for_its_gates_reconstruction(adapter, asked):
    config, inputs, _ = asked
    pre = adapter("encode", config, **{name: array for name, array in inputs.items() if name != "dead"})["pre"]
    given = {"x": inputs["x"], "pre": pre, "W_dec": inputs["W_dec"], "b_dec": inputs["b_dec"]}
    alone = cost(adapter, {"cost": "gate_reconstruction"}, given)
    assert_same({"gate_reconstruction": alone}, adapter("objective", config, **inputs), adapter.dtype)


@clause("COST-19")
@given(asked=objectives(activations=tuple(name for name in ACTIVATIONS if name != "gated")))
def test_no_other_sae_pays_for_a_gate(adapter, asked):
    config, inputs, _ = asked
    assert "gate_reconstruction" not in adapter("objective", config, **inputs)


@clause("COST-20")
@given(asked=objectives(activations=ACTIVATIONS), factor=st.sampled_from([0.5, 2.0]))
def test_l0_is_charged_to_jumprelu_and_an_error_elsewhere(adapter, asked, factor):
    config, inputs, _ = asked
    config = config | {"l0_coefficient": factor}
    if config["activation"] == "jumprelu":
        assert "l0" in adapter("objective", config, **inputs)
    else:
        assert "l0_coefficient" in adapter.error("objective", config, **inputs)


# ---------------------------------------------------------------- what sparsity costs a threshold


# float64: the threshold's share of the reconstruction is taken out again.
@clause("COST-21", dtypes=("float64",))
@given(asked=objectives(terms=("l1", "tanh"), activations=("jumprelu",)), data=st.data())
def test_a_threshold_pays_for_each_latent_it_lets_through_what_an_activation_of_its_size_costs(adapter, asked, data):
    """As an l0 would whose prices are those costs."""
    config, inputs, charged = asked
    inputs = inputs | {"log_threshold": data.draw(dyadic((len(inputs["price"]),), -1.0, 0.5))}
    theta = adapter("threshold", log_threshold=inputs["log_threshold"])["theta"]
    as_l0 = {key: value for key, value in config.items() if key.removesuffix("_coefficient") not in SPARSITY}
    as_l0 |= {"l0_coefficient": 1.0, "warmth": 1.0}
    want = adapter("objective", as_l0, **inputs | {"price": heights(adapter, config, inputs, charged, theta)})
    assert_same(want, adapter("objective", config, **inputs), adapter.dtype, ["d_log_threshold"])


# A latent's pre-activations as quantiles of a density, and that density at theta: uniform, triangular, exponential.
DENSITIES = {"uniform": (lambda u: 2 * u, lambda z: 0.5), "triangular": (lambda u: 2 * np.sqrt(u), lambda z: z / 2),
             "exponential": (lambda u: -np.log1p(-u), lambda z: np.exp(-z))}


# float64: an estimate from thousands of samples.
@clause("COST-21", dtypes=("float64",))
@given(density=st.sampled_from(sorted(DENSITIES)), term=st.sampled_from(SPARSITY), theta=st.sampled_from([0.5, 0.75, 1.25]),
       norm=st.sampled_from([0.5, 2.0]))
def test_a_thresholds_gradient_is_the_derivative_of_the_expected_cost(adapter, density, term, theta, norm):
    """d/d theta of the mean over z of 1[z > theta] · cost(z) is -density(theta) · cost(theta)."""
    B, (quantile, density_at) = 2000, DENSITIES[density]
    x = quantile((np.arange(B) + 0.5) / B)[:, np.newaxis]
    config = {"activation": "jumprelu", "bandwidth": 0.125, "tanh_scale": 2.0, "warmth": 1.0}
    inputs = {"x": x, "W_enc": [[1.0]], "W_dec": [[norm]], "b_enc": [0.0], "b_dec": [0.0], "log_threshold": [np.log(theta)],
              "price": [1.5], "dead": [0.0]}
    charged = adapter("objective", config | {f"{term}_coefficient": 1.0}, **inputs)
    difference = charged["d_log_threshold"] - adapter("objective", config, **inputs)["d_log_threshold"]
    charge = {"l0": 1.0, "l1": theta * norm, "tanh": np.tanh(2 * theta * norm)}[term]
    want = -theta * density_at(theta) * 1.5 * charge
    # The window's width blurs the density by bandwidth^2 / 24 of its curvature, and its edges by a sample each.
    assert abs(difference[0] - want) <= 0.02 * abs(want), f"want about {want}, got {difference[0]}"


@clause("COST-19", dtypes=("float64",))
@given(asked=objectives(activations=("gated",), terms=("tie",)))
def test_a_gates_bias_learns_from_the_gates_reconstruction_alone(adapter, asked):
    config, inputs, _ = asked
    pre = adapter("encode", config, **{name: array for name, array in inputs.items() if name != "dead"})["pre"]
    given = {"x": inputs["x"], "pre": pre, "W_dec": inputs["W_dec"], "b_dec": inputs["b_dec"]}
    d_pre = gradient(adapter, config | {"cost": "gate_reconstruction"}, given)["d_pre"]
    assert_same({"d_b_enc": d_pre.sum(0)}, adapter("objective", config, **inputs), adapter.dtype, tensors=("d_b_enc",))
