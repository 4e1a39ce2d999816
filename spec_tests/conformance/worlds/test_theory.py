"""THEORY: closed forms that other operations must reproduce."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sae_spec.spec_tests.core.compare import assert_same
from sae_spec.spec_tests.core.properties import clause
from sae_spec.spec_tests.core.strategies import dyadic, rotations

eighths = st.integers(0, 8).map(lambda count: count / 8)
shares = st.tuples(st.integers(1, 4), st.integers(1, 4)).map(lambda pair: {"p10": pair[0] / 8, "p11": pair[1] / 8})


def delta_family(adapter, delta, turn, unit):
    return adapter("delta_family", {"delta": delta, "unit": unit}, parent=turn[0], child=turn[1])


@clause("THEORY-1")
@given(delta=eighths, unit=st.booleans(), turn=rotations(3))
def test_every_member_of_the_delta_family_reconstructs_its_world(adapter, delta, unit, turn):
    weights = delta_family(adapter, delta, turn, unit)
    x = np.array([turn[0], turn[0] + turn[1], 0 * turn[0]])
    acts = adapter("encode", {"activation": "relu"}, x=x, **weights, b_enc=np.zeros(2), b_dec=np.zeros(3))["acts"]
    recons = adapter("decode", {}, acts=acts, W_dec=weights["W_dec"], b_dec=np.zeros(3))["recons"]
    assert_same({"recons": x[np.newaxis]}, {"recons": recons}, adapter.dtype)
    assert_same({"parent": [1, 1 - delta, 0]}, {"parent": acts[:, 0]}, adapter.dtype)


@clause("THEORY-2", "THEORY-3")
@given(delta=eighths, unit=st.booleans(), turn=rotations(3))
def test_cross_cosines_say_nothing_and_the_gap_everything(adapter, delta, unit, turn):
    weights = delta_family(adapter, delta, turn, unit)
    crossed = adapter("absorption_patterns", {}, W_enc=weights["W_enc"], W_dec=weights["W_dec"][::-1])["alignment"]
    assert_same({"cosine": [0, 0, 1]}, {"cosine": [*crossed, 1]}, adapter.dtype)
    gap = adapter("absorption_patterns", {}, **weights)["gap"][0, 1]
    assert_same({"gap": [4 * delta**2, 1]}, {"gap": [gap**2 * (1 + delta**2), 1]}, adapter.dtype)
    decoder_norms = np.sqrt((weights["W_dec"] ** 2).sum(-1))
    assert_same({"norms": [1, 1 if unit else np.sqrt(1 + delta**2)]}, {"norms": decoder_norms}, adapter.dtype)


@clause("THEORY-4")
@given(share=shares, delta=eighths, unit=st.booleans())
def test_the_closed_form_is_what_the_l1_cost_charges(adapter, share, delta, unit):
    """Eight samples, as many of each kind as their shares say."""
    weights = delta_family(adapter, delta, np.eye(3), unit)
    child = 1.0 if not unit else np.sqrt(1 + delta**2)
    kinds = [(share["p10"], [1, 0]), (share["p11"], [1 - delta, child]), (1 - share["p10"] - share["p11"], [0, 0])]
    acts = np.vstack([np.tile(acts, (round(8 * times), 1)) for times, acts in kinds])
    charged = adapter("cost", {"cost": "l1"}, acts=acts, W_dec=weights["W_dec"], price=np.ones(2))
    assert_same(charged, adapter("delta_l1", share | {"delta": delta}), adapter.dtype)


@clause("THEORY-4")
@given(share=shares)
def test_l1_pays_for_absorption_all_the_way(adapter, share):
    costs = [float(adapter("delta_l1", share | {"delta": delta})["cost"]) for delta in np.arange(9) / 8]
    assert (np.diff(costs) < 0).all()
    assert_same({"saving": (2 - np.sqrt(2)) * share["p11"]}, {"saving": costs[0] - costs[-1]}, adapter.dtype)


@clause("THEORY-5")
@given(p10=st.integers(1, 16), p11=st.integers(1, 16), D=st.sampled_from([3, 4, 16, 64, 768]),
       rarer=st.sampled_from([1, 64, 1024]))
def test_the_price_still_pays_for_absorption(adapter, p10, p11, D, rarer):
    """The gain is the difference of frequency times price, at least p11 · (1 - 1 / ln D)."""
    share = {"p10": p10 / (32 * rarer), "p11": p11 / (32 * rarer)}
    frequency = np.array([share["p10"] + share["p11"], share["p10"]])
    price = adapter("price", {"D": D, "min_frequency": 2.0**-20}, frequency=frequency)["price"]
    gain = adapter("absorption_gain", share | {"D": D})["gain"]
    assert_same({"charged": frequency[0] * price[0]}, {"charged": gain + frequency[1] * price[1]}, adapter.dtype)
    assert gain > 0 and gain >= share["p11"] * (1 - 1 / np.log(D)) * (1 - 1e-12)


@clause("THEORY-6")
@given(p10=st.integers(0, 8), p11=st.integers(0, 8), scale=st.sampled_from([0.03125, 0.0625]))
def test_one_latent_turns_to_where_most_of_the_samples_lie(adapter, p10, p11, scale):
    """No other direction in the plane captures more of the second moment."""
    angle = float(adapter("hedging_angle", {"p10": p10 * scale, "p11": p11 * scale})["angle"])
    moment = p10 * np.array([[1, 0], [0, 0]]) + p11 * np.ones((2, 2))
    captured = lambda angle: np.array([np.cos(angle), np.sin(angle)]) @ moment @ [np.cos(angle), np.sin(angle)]
    assert_same({"captured": np.linalg.eigvalsh(moment)[-1]}, {"captured": captured(angle)}, adapter.dtype)
    assert 0 <= angle <= np.pi / 4


@clause("THEORY-8")
@given(p10=st.integers(0, 8), p11=st.integers(0, 8), scale=st.sampled_from([0.03125, 0.0625]))
def test_with_biases_one_latent_turns_to_where_the_samples_vary_most(adapter, p10, p11, scale):
    """No other direction in the plane captures more of the covariance, that of p00, p10 and p11 of a sample's three kinds."""
    angle = float(adapter("hedging_angle", {"p10": p10 * scale, "p11": p11 * scale, "biases": True})["angle"])
    kinds, shares = np.array([[0, 0], [1, 0], [1, 1]]), np.array([1 - (p10 + p11) * scale, p10 * scale, p11 * scale])
    centred = kinds - shares @ kinds
    covariance = (shares[:, np.newaxis] * centred).T @ centred
    direction = np.array([np.cos(angle), np.sin(angle)])
    assert_same({"captured": np.linalg.eigvalsh(covariance)[-1]}, {"captured": direction @ covariance @ direction}, adapter.dtype)
    assert -1e-12 <= angle <= np.pi / 2 + 1e-12


# Half precision rounds more than the errors differ by.
@clause("THEORY-8", dtypes=("float64", "float32"))
@given(p10=st.integers(1, 8), p11=st.integers(1, 8), offset=st.sampled_from([-0.25, 0.25]))
def test_with_biases_the_angle_is_where_a_tied_sae_with_free_biases_errs_least(adapter, p10, p11, offset):
    """Sixteen samples and more; whatever the direction, b_dec is best as the mean's part across it."""
    x = np.repeat([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0]], [17 - p10 - p11, p10, p11], axis=0)
    best = float(adapter("hedging_angle", {"p10": p10 / 17, "p11": p11 / 17, "biases": True})["angle"])

    def error(angle):
        row = np.array([[np.cos(angle), np.sin(angle)]])
        params = {"W_dec": row, "b_enc": np.zeros(1), "b_dec": x.mean(0) @ (np.eye(2) - row.T @ row)}
        acts = adapter("encode", {"activation": "relu", "tied": True}, x=x, **params)["acts"]
        recons = adapter("decode", {}, acts=acts, W_dec=row, b_dec=params["b_dec"])["recons"]
        return float(adapter("cost", {"cost": "reconstruction"}, x=x, recons=recons)["cost"])

    assert error(best) <= error(np.clip(best + offset, 0, np.pi / 2)) * (1 + 2.0**-18)


@clause("THEORY-7")
@given(lower=dyadic((3, 3), -1.0, 1.0, 0.5), turn=rotations(4))
def test_gram_schmidt_rows_are_orthonormal_and_each_lies_in_the_span_so_far(adapter, lower, turn):
    """`directions` have length 2 and more along a new axis each, so no dtype makes them dependent."""
    directions = np.hstack([np.tril(lower, -1) + 2 * np.eye(3), np.zeros((3, 1))]) @ turn
    rows = adapter("gram_schmidt", {}, directions=directions)["rows"]
    assert_same({"gram": np.eye(3)}, {"gram": rows @ rows.T}, adapter.dtype)
    along = directions @ rows.T
    assert_same({"along": np.tril(along)}, {"along": along}, adapter.dtype)
    assert (np.diag(along) > 0).all()


@clause("THEORY-7")
@given(rho=st.sampled_from([0.25, 0.5, 0.75]), turn=rotations(2))
def test_of_two_overlapping_features_the_second_is_learned_as_its_orthogonal_part(adapter, rho, turn):
    directions = adapter("directions_with_cosine", {"rho": rho}, normals=turn)["directions"]
    rows = adapter("gram_schmidt", {}, directions=directions)["rows"]
    # directions are rounded on their way in, to the adapter's dtype: hence sums of squares on the scale of 1.
    squares = (rows * directions).sum(-1) ** 2
    assert_same({"squares": [1, 1]}, {"squares": squares + [0, rho**2]}, adapter.dtype)


def moved(adapter, grads):
    """How many times its rate the last of these gradients' steps moves a parameter."""
    param = first = second = np.zeros(1)
    for step, grad in enumerate(grads):
        before = param
        after = adapter("adam", {"step": step, "learning_rate": 1.0}, param=param, grad=np.array([grad]), first=first, second=second)
        param, first, second = after["param"], after["first"], after["second"]
    return np.abs(param - before)[0]


# float64: the parameter's own rounding, at a rate of 1, would hide the bound's last digits.
@clause("THEORY-9", dtypes=("float64",))
@given(grads=dyadic((12,), -2.0, 2.0, 0.25), steps=st.integers(1, 12))
def test_no_gradients_move_a_parameter_farther_in_a_step_than_adams_reach(adapter, grads, steps):
    reach = adapter("adam_reach", {"step": steps - 1})["reach"]
    assert moved(adapter, grads[:steps]) <= reach * (1 + 1e-9)


@clause("THEORY-9", "TRAIN-12", dtypes=("float64",))
@given(steps=st.integers(1, 40))
def test_gradients_that_grow_by_the_betas_reach_as_far_as_adam_can(adapter, steps):
    grads = (0.999 / 0.9) ** np.arange(steps)
    want = adapter("adam_reach", {"step": steps - 1})["reach"]
    assert abs(moved(adapter, grads) - want) <= 1e-6 * want                      # Adam's epsilon is 1e-8
