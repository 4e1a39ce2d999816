"""ACT, third part: the budget rules, and what stands in for a batch at inference."""

import re

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sae_spec.spec_tests.core.compare import assert_same
from sae_spec.spec_tests.core.properties import clause
from sae_spec.spec_tests.core.strategies import dyadic, positive, pres, prices, saes
from sae_spec.spec_tests.conformance.sae.choices import BATCH, BUDGETS, Choice, acts_of, choices, equal, norms

decays = st.sampled_from([0.0, 0.5, 0.75])


# ---------------------------------------------------------------- budgets

@clause("ACT-14", "ACT-18")
@given(choice=choices(BUDGETS))
def test_only_pre_times_the_decoder_norm_counts(adapter, choice):
    price, norm = choice.by_latent["price"], choice.by_latent["dec_norm"]
    scaled = acts_of(adapter, choice, pre=choice.pre * norm, by_latent={"price": price, "dec_norm": 0 * norm + 1})
    equal(adapter, scaled, acts_of(adapter, choice) * norm)


@clause("ACT-14", "ACT-15")
@given(dearer=st.lists(st.booleans(), min_size=1, max_size=6), data=st.data())
def test_latents_of_equal_density_are_bought_in_order(adapter, dearer, data):
    """Twice the reach at four times the price is the same density."""
    price = np.where(dearer, 4.0, 1.0)
    norm, k = data.draw(norms(len(price))), data.draw(st.integers(1, len(price)))
    acts = acts_of(adapter, Choice("budget_topk", k, np.sqrt(price)[np.newaxis] / norm, {"price": price, "dec_norm": norm}))
    assert list(acts[0] != 0) == list(np.cumsum(price) - price < k)


@clause("ACT-14")
@given(silent=dyadic((3,), -1.0, 0.0), first=st.integers(1, 3), value=st.sampled_from([0.5, 1.0, 2.0]))
def test_no_silent_latent_is_bought_in_place_of_one_that_writes_nothing(adapter, silent, first, value):
    pre, ones = np.append(silent[:first], value)[np.newaxis], np.ones(first + 1)
    acts = acts_of(adapter, Choice("budget_topk", 1, pre, {"price": ones, "dec_norm": np.append(ones[:-1], 0.0)}))
    assert_same({"acts": np.where(pre > 0, pre, 0.0)}, {"acts": acts}, adapter.dtype)


@clause("ACT-14")
@given(choice=choices(BUDGETS), latent=st.integers(0, 5), discount=st.sampled_from([0.5, 1.0, 2.0]))
def test_what_was_bought_is_bought_more_cheaply_too(adapter, choice, latent, discount):
    price, latent = choice.by_latent["price"].copy(), latent % choice.pre.shape[1]
    price[latent] = max(1, price[latent] - discount)
    before = acts_of(adapter, choice)[:, latent]
    after = acts_of(adapter, choice, by_latent=choice.by_latent | {"price": price})[:, latent]
    assert np.all(after[before != 0] == before[before != 0])


@clause("ACT-14")
@given(choice=choices(BUDGETS))
def test_silent_entries_spend_nothing(adapter, choice):
    equal(adapter, acts_of(adapter, choice, pre=np.maximum(choice.pre, 0)), acts_of(adapter, choice))


@clause("ACT-15", "ACT-16", "ACT-18")
@given(choice=choices(BUDGETS), price=st.sampled_from([1.0, 1.5, 2.0, 3.0, 8.0]))
def test_one_price_for_all_is_topk_with_as_many_as_it_takes_to_spend_the_budget(adapter, choice, price):
    M = choice.pre.shape[1]
    places = np.ceil(choice.k * (len(choice.pre) if choice.rule in BATCH else 1) / price)
    row = choice.pre.reshape(1, -1) if choice.rule in BATCH else choice.pre
    want = acts_of(adapter, Choice("topk", int(places), row, {}))
    got = acts_of(adapter, choice, by_latent={"price": np.full(M, price), "dec_norm": np.ones(M)})
    equal(adapter, want.reshape(choice.pre.shape), got)


def accounts(adapter, choice):
    """For each budget of a choice: (groups, B, M) what is positive, what is on, the prices; and the budget of one group."""
    grouped = lambda array: array.reshape(1, *array.shape) if choice.rule in BATCH else array[:, np.newaxis]
    on = grouped(acts_of(adapter, choice) != 0)
    return grouped(choice.pre > 0), on, choice.by_latent["price"] + 0 * on, choice.k * on.shape[1]


@clause("ACT-15", "ACT-17", "ACT-18")
@given(choice=choices(BUDGETS))
def test_the_budget_is_spent_and_by_less_than_a_latent_overdrawn(adapter, choice):
    wanted, on, price, budget = accounts(adapter, choice)
    spent = (price * on).sum((1, 2))
    assert np.all((spent >= budget) | (on == wanted).all((1, 2)))
    assert np.all(spent - (price * on).max((1, 2)) < budget)
    assert np.all(on.sum((1, 2)) <= budget)


@clause("ACT-15", "ACT-18")
@given(choice=choices(BUDGETS), dearer=st.sampled_from([1.0, 4.0, 64.0]))
def test_wherever_anything_is_positive_something_is_on_however_dear(adapter, choice, dearer):
    by_latent = choice.by_latent | {"price": dearer * choice.by_latent["price"]}
    wanted, on, *_ = accounts(adapter, choice._replace(by_latent=by_latent))
    assert np.array_equal(on.any((1, 2)), wanted.any((1, 2)))


@clause("ACT-15", "ACT-18")
@given(choice=choices(BUDGETS), data=st.data())
def test_a_larger_budget_buys_no_less(adapter, choice, data):
    less = data.draw(st.integers(1, choice.k))
    assert np.all((acts_of(adapter, choice, k=less) != 0) <= (acts_of(adapter, choice) != 0))


@clause("ACT-17", "ACT-18")
@given(choice=choices(BUDGETS), latent=st.integers(0, 5), price=st.sampled_from([0.0, 0.5, 255 / 256, -1.0]))
def test_one_price_below_1_is_an_error(adapter, choice, latent, price):
    choice.by_latent["price"][latent % choice.pre.shape[1]] = price
    adapter.refuses("price", "activation", choice.config, pre=choice.pre, **choice.by_latent)


@clause("ACT-17", "ACT-18")
@given(sae=saes(list(BUDGETS)))
def test_a_budget_rule_without_prices_is_an_error(adapter, sae):
    inputs = {name: array for name, array in sae.inputs.items() if name != "price"}
    adapter.refuses("price", "encode", sae.config, **inputs)


# ---------------------------------------------------------------- without a batch

def observe(adapter, batches, decay, threshold=0.0, seen=0):
    """The running threshold after some batches."""
    state = {"threshold": threshold, "seen": seen}
    for kept in batches:
        state = adapter("running_threshold", {"decay": decay}, kept=kept, **state)
    return state


@clause("ACT-21")
@given(kept=dyadic((2, 3), 0.0), decay=decays, garbage=dyadic((), -2.0), times=st.integers(1, 3))
def test_a_stream_that_always_keeps_the_same_is_known_from_the_first_batch_on(adapter, kept, decay, garbage, times):
    kept[1, 1] = 0.75                                       # it keeps something
    first, later = (observe(adapter, [kept] * n, decay, garbage) for n in (1, times))
    equal(adapter, first["threshold"], later["threshold"], "threshold")
    equal(adapter, times, later["seen"], "seen")
    assert first["threshold"] in kept and not np.any((kept > 0) & (kept < first["threshold"]))


@clause("ACT-21")
@given(kept=positive((2, 3)), decay=decays, one=positive(()), other=positive(()), seen=st.integers(1, 5))
def test_two_estimates_draw_together_by_the_decay(adapter, kept, decay, one, other, seen):
    first, second = (observe(adapter, [kept], decay, start, seen)["threshold"] for start in (one, other))
    equal(adapter, decay * (one - other), first - second, "difference")


@clause("ACT-21", "ACT-22")
@given(kept=st.lists(dyadic((2, 2), 0.0), min_size=1, max_size=3), start=positive(()), seen=st.integers(0, 2),
       rows=st.integers(0, 2))
def test_batches_and_latents_that_keep_nothing_change_nothing(adapter, kept, start, seen, rows):
    silent = np.zeros((rows, 2))
    padded = [np.concatenate([batch, 0 * batch], axis=1) for batch in kept]
    want = observe(adapter, padded, 0.5, start, seen)
    got = observe(adapter, [silent] + [each for batch in kept for each in (batch, silent)], 0.5, start, seen)
    assert_same(want, got, adapter.dtype, exact=True)
    assert_same({"threshold": start, "seen": seen}, observe(adapter, [silent], 0.5, start, seen), adapter.dtype, exact=True)


@clause("ACT-21")
@given(kept=positive((1, 2)), decay=st.sampled_from([1.0, 1.5, -0.25]))
def test_a_decay_outside_0_to_1_is_an_error(adapter, kept, decay):
    adapter.refuses("decay", "running_threshold", {"decay": decay}, threshold=1, seen=1, kept=kept)


@st.composite
def streams(draw):
    """value (N, M) that a batch rule ranks by, half of it positive, k in steps of 1/4, and prices."""
    N, M = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    return draw(dyadic((N, M), -1.0, 2.0)), draw(st.integers(1, 4 * M)) / 4, draw(prices(M))


def calibrated(adapter, value, k, price):
    return adapter("calibrated_threshold", {"k": k}, value=value, price=price)["threshold"]


@clause("ACT-27")
@given(stream=streams())
def test_what_exceeds_the_threshold_can_be_paid_for_and_its_equals_cannot(adapter, stream):
    value, k, price = stream
    threshold, cost = calibrated(adapter, *stream), lambda on: (on * price).sum() / len(value)
    assert cost(value > threshold) <= k
    assert threshold == 0 or threshold > 0 and cost(value >= threshold) > k
    assert threshold == 0 or threshold in value


@clause("ACT-27", "ACT-23", "ACT-12")
@given(seed=st.integers(0, 99), N=st.integers(1, 4), M=st.integers(1, 5), data=st.data())
def test_samples_without_ties_are_encoded_as_batch_topk_of_all_of_them_does(adapter, seed, N, M, data):
    pre, k = np.random.default_rng(seed).permutation(N * M).reshape(N, M) + 1.0, data.draw(st.integers(1, M))
    threshold = calibrated(adapter, pre, k, np.ones(M))
    got = adapter("batch_topk_inference", pre=pre, threshold=threshold)["acts"]
    equal(adapter, acts_of(adapter, Choice("batch_topk", k, pre, {})), got)
    assert np.count_nonzero(got) == k * N


@clause("ACT-27", "ACT-28")
@given(stream=streams(), times=st.integers(2, 3), data=st.data())
def test_calibration_knows_no_order_and_no_number_of_samples_and_moves_with_their_size(adapter, stream, times, data):
    value, k, price = stream
    order, want = data.draw(st.permutations(range(len(value)))), calibrated(adapter, *stream)
    equal(adapter, want, calibrated(adapter, np.concatenate([value[order]] * times), k, price), "threshold")
    equal(adapter, 4 * want, calibrated(adapter, 4 * value, k, price), "threshold")
    equal(adapter, want, calibrated(adapter, value[np.newaxis, :, np.newaxis], k, price), "threshold")


@clause("ACT-28")
@given(steps=st.integers(1, 12))
def test_a_fraction_of_k_pays_for_its_share_of_the_samples(adapter, steps):
    """Of 1 .. 12, four samples of three latents, the `steps` largest are on."""
    value = 12.0 - np.arange(12).reshape(4, 3)
    equal(adapter, 12 - steps, calibrated(adapter, value, steps / 4, np.ones(3)), "threshold")


@clause("ACT-28")
@given(stream=streams(), wrong_k=st.sampled_from([0.0, -0.5]), low=st.sampled_from([0.0, 0.5, 255 / 256]))
def test_a_calibration_without_samples_k_or_prices_is_an_error(adapter, stream, wrong_k, low):
    value, k, price = stream
    ask = lambda value, k, price: adapter.error("calibrated_threshold", {"k": k}, value=value, price=price)
    assert "value" in ask(value[:0], k, price)
    for other in (wrong_k, len(price) + 0.5):
        assert re.search(r"\bk\b", ask(value, other, price))
    assert "price" in ask(value, k, np.append(price[:-1], low))


@clause("ACT-23", "ACT-21")
@given(choice=choices(("batch_topk",)), decay=decays)
def test_inference_on_the_batch_first_seen_drops_its_smallest_activation_only(adapter, choice, decay):
    choice.pre[0, 0] = abs(choice.pre[0, 0]) + 0.25         # something is kept
    kept = acts_of(adapter, choice)
    threshold = observe(adapter, [kept], decay)["threshold"]
    got = adapter("batch_topk_inference", pre=choice.pre, threshold=threshold)["acts"]
    equal(adapter, np.where(kept == kept[kept > 0].min(), 0, kept), got)


@clause("ACT-23")
@given(pre=pres(), threshold=dyadic((), 0.0))
def test_inference_is_jumprelu_with_one_threshold(adapter, pre, threshold):
    want = adapter("activation", {"activation": "jumprelu"}, pre=pre, theta=np.full(pre.shape[1], threshold))
    equal(adapter, want["acts"], adapter("batch_topk_inference", pre=pre, threshold=threshold)["acts"])


@clause("ACT-23", "ACT-24")
@given(sae=saes(activations=BATCH), threshold=dyadic((), 0.0))
def test_at_inference_a_sample_is_encoded_alone_as_in_company(adapter, sae, threshold):
    encode = lambda x: adapter("encode", sae.config, **sae.inputs | {"x": x}, inference_threshold=threshold)
    alone = [encode(x[np.newaxis])["acts"] for x in sae.inputs["x"]]
    equal(adapter, np.concatenate(alone), encode(sae.inputs["x"])["acts"])


@clause("ACT-24", "ACT-14")
@given(choice=choices(BUDGETS), tau=dyadic((), 0.0, 4.0))
def test_what_exceeds_tau_and_what_a_row_buys_are_both_the_best_of_its_ranking(adapter, choice, tau):
    theta = adapter("budget_thresholds", tau=tau, **choice.by_latent)["theta"]
    exceeds = adapter("activation", {"activation": "jumprelu"}, pre=choice.pre, theta=theta)["acts"] != 0
    bought = acts_of(adapter, choice) != 0
    for one, other in [(exceeds, bought)] if choice.rule in BATCH else zip(exceeds, bought):
        assert np.all(one <= other) or np.all(other <= one)


@clause("ACT-24")
@given(reach=positive((4,)), norm=norms(4), dearer=st.lists(st.booleans(), min_size=4, max_size=4))
def test_a_latent_whose_density_is_tau_has_its_activation_for_threshold(adapter, reach, norm, dearer):
    """Every latent in turn: activation reach / norm at price 1 or 4 has density reach² / price."""
    price = np.where(dearer, 4.0, 1.0)
    for i in range(4):
        theta = adapter("budget_thresholds", tau=reach[i] ** 2 / price[i], price=price, dec_norm=norm)["theta"]
        equal(adapter, reach[i] / norm[i], theta[i], "theta")


@clause("ACT-24")
@given(tau=dyadic((), 0.0, 4.0), price=prices(4), norm=norms(4))
def test_thresholds_double_with_four_times_tau_or_price_or_half_the_norm(adapter, tau, price, norm):
    thresholds = lambda tau, price, norm: adapter("budget_thresholds", tau=tau, price=price, dec_norm=norm)["theta"]
    want = 2 * thresholds(tau, price, norm)
    for got in (thresholds(4 * tau, price, norm), thresholds(tau, 4 * price, norm), thresholds(tau, price, norm / 2)):
        equal(adapter, want, got, "theta")


@clause("ACT-25")
@given(pre=pres(), zero_rows=st.lists(st.booleans(), min_size=6, max_size=6), tau=dyadic((), 0.0, 0.5), data=st.data())
def test_a_zero_decoder_row_is_never_on_and_disturbs_nobody(adapter, pre, zero_rows, tau, data):
    M = pre.shape[1]
    price, norm, silent = data.draw(prices(M)), data.draw(norms(M)), np.array(zero_rows[:M])
    whole = adapter("budget_thresholds", tau=tau, price=price, dec_norm=norm)["theta"]
    theta = adapter("budget_thresholds", tau=tau, price=price, dec_norm=np.where(silent, 0, norm))["theta"]
    equal(adapter, np.where(silent, np.inf, whole), theta, "theta")
    assert np.all(adapter("activation", {"activation": "jumprelu"}, pre=100 * pre, theta=theta)["acts"][:, silent] == 0)


@clause("ACT-24")
@given(price=prices(2), tau=positive(()))
def test_a_negative_tau_is_an_error(adapter, price, tau):
    adapter.refuses("tau", "budget_thresholds", tau=-tau, price=price, dec_norm=np.ones(2))
