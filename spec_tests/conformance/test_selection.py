"""ACT, second part: the rules that choose latents, their gradient, and what stands in for a batch."""

import re
from typing import NamedTuple

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sae_spec.spec_tests.core.compare import assert_same
from sae_spec.spec_tests.core.properties import clause
from sae_spec.spec_tests.core.strategies import dyadic, positive, pres, prices, saes

RULES = ("topk", "batch_topk", "abs_topk", "budget_topk", "batch_budget_topk")
BY_SIZE, BUDGETS, BATCH = RULES[:3], RULES[3:], ("batch_topk", "batch_budget_topk")
decays = st.sampled_from([0.0, 0.5, 0.75])


class Choice(NamedTuple):
    """A rule, its k and what it chooses from; price and dec_norm are {} for the rules that choose by size."""

    rule: str
    k: int
    pre: np.ndarray
    by_latent: dict

    @property
    def config(self):
        return {"activation": self.rule, "k": self.k}


def norms(M, least=-1):
    """Norms that are powers of two, so that no density is rounded."""
    return dyadic((M,), least, 1, 1).map(np.exp2)


@st.composite
def choices(draw, rules=RULES, pre=pres()):
    pre = draw(pre)
    M, rule = pre.shape[1], draw(st.sampled_from(rules))
    by_latent = {"price": draw(prices(M)), "dec_norm": draw(norms(M))} if rule in BUDGETS else {}
    return Choice(rule, draw(st.integers(1, M)), pre, by_latent)


@st.composite
def no_ties(draw):
    """pre (B, M) of either sign, all different in size: odd multiples of 1/16. So are their densities."""
    B, M = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    odd = draw(st.lists(st.integers(0, 31), min_size=B * M, max_size=B * M, unique=True))
    signs = draw(st.lists(st.sampled_from([1, 1, -1]), min_size=B * M, max_size=B * M))
    return (2 * np.array(odd) + 1).reshape(B, M) * np.array(signs).reshape(B, M) / 16


def acts_of(adapter, choice, **changed):
    """What a choice keeps, with some of its parts changed."""
    choice = choice._replace(**changed)
    return adapter("activation", choice.config, pre=choice.pre, **choice.by_latent)["acts"]


def gradient(adapter, choice, d_acts):
    return adapter("activation_backward", choice.config, pre=choice.pre, d_acts=d_acts, **choice.by_latent)["d_pre"]


def equal(adapter, want, got, name="acts"):
    """Equality in every dtype: a choice rounds nothing."""
    assert_same({name: want}, {name: got}, adapter.dtype, exact=True)


# ---------------------------------------------------------------- topk, batch_topk, abs_topk

@clause("ACT-4", "ACT-12")
@given(choice=choices(("topk", "batch_topk")))
def test_the_largest_positive_entries_are_kept_and_as_many_as_may_be(adapter, choice):
    acts, pre = acts_of(adapter, choice), choice.pre
    rows = [(pre, acts)] if choice.rule == "batch_topk" else zip(pre, acts)
    for candidates, kept in rows:
        places = choice.k * len(pre) if choice.rule == "batch_topk" else choice.k
        assert np.count_nonzero(kept) == min(places, np.count_nonzero(candidates > 0))
        assert np.all(kept[kept != 0] == candidates[kept != 0])
        assert np.all(kept >= 0)
        assert candidates[kept == 0].max(initial=-np.inf) <= kept[kept != 0].min(initial=np.inf)


@clause("ACT-5", "ACT-12", "ACT-13")
@given(choice=choices(BY_SIZE, pre=pres().map(np.round)))                # few values: a tie at the cut is common
def test_ties_fall_as_if_every_entry_were_a_little_smaller_than_the_one_before(adapter, choice):
    slope = np.arange(choice.pre.size).reshape(choice.pre.shape) / 128      # at most 23/128: less than a step of pre
    tilted = acts_of(adapter, choice, pre=choice.pre - np.sign(choice.pre) * slope)
    equal(adapter, np.where(tilted != 0, choice.pre, 0), acts_of(adapter, choice))


@clause("ACT-4", "ACT-13")
@given(sae=saes(activations=BY_SIZE))
def test_choosing_by_size_looks_at_pre_alone(adapter, sae):
    got = adapter("encode", sae.config, **sae.inputs)
    equal(adapter, adapter("activation", sae.config, pre=got["pre"])["acts"], got["acts"])


@clause("ACT-6", "ACT-12", "ACT-13", "ACT-18")
@given(choice=choices())
def test_k_that_is_not_a_whole_number_from_1_to_m_is_an_error(adapter, choice):
    M = choice.pre.shape[1]
    for k in (-1, 0, 0.5, M - 0.5, M + 1):
        message = adapter.error("activation", choice.config | {"k": k}, pre=choice.pre, **choice.by_latent)
        assert re.search(r"\bk\b", message), message


@clause("ACT-6", "ACT-4")
@given(pre=pres())
def test_topk_of_all_latents_is_relu(adapter, pre):
    equal(adapter, adapter("activation", {"activation": "relu"}, pre=pre)["acts"],
          acts_of(adapter, Choice("topk", pre.shape[1], pre, {})))


@clause("ACT-4", "ACT-5", "ACT-12", "ACT-13", "ACT-15", "ACT-18")
@given(choice=choices(), data=st.data())
def test_a_smaller_k_keeps_some_of_what_a_larger_one_keeps(adapter, choice, data):
    fewer = acts_of(adapter, choice, k=data.draw(st.integers(1, choice.k)))
    equal(adapter, np.where(fewer != 0, acts_of(adapter, choice), 0), fewer)


@clause("ACT-12", "ACT-18")
@given(choice=choices(BATCH))
def test_a_batch_rule_is_its_row_rule_on_the_batch_as_one_row(adapter, choice):
    rows = len(choice.pre)
    row = choice._replace(rule=choice.rule.removeprefix("batch_"), k=choice.k * rows, pre=choice.pre.reshape(1, -1),
                          by_latent={name: np.tile(array, rows) for name, array in choice.by_latent.items()})
    equal(adapter, acts_of(adapter, row).reshape(choice.pre.shape), acts_of(adapter, choice))


@clause("ACT-4", "ACT-5", "ACT-13")
@given(seed=st.integers(0, 9), M=st.sampled_from([2, 7, 300]), rule=st.sampled_from(("topk", "abs_topk")), data=st.data())
def test_choosing_among_what_each_half_chose_is_choosing_among_all(adapter, seed, M, rule, data):
    """What makes a sharded topk exact. Few values on many latents: ties of a hundred at the cut, where selects differ."""
    pre = np.random.default_rng(seed).integers(-2, 3, (2, M)) / 4
    whole, cut = Choice(rule, data.draw(st.integers(1, M)), pre, {}), M // 2
    halves = [acts_of(adapter, whole, pre=half, k=min(whole.k, half.shape[1])) for half in (pre[:, :cut], pre[:, cut:])]
    equal(adapter, acts_of(adapter, whole), acts_of(adapter, whole, pre=np.concatenate(halves, axis=1)))


@clause("ACT-13")
@given(choice=choices(("abs_topk",)))
def test_abs_topk_is_odd_and_its_size_is_topk_of_the_size(adapter, choice):
    acts = acts_of(adapter, choice)
    equal(adapter, -acts, acts_of(adapter, choice, pre=-choice.pre))
    equal(adapter, np.abs(acts), acts_of(adapter, choice, rule="topk", pre=np.abs(choice.pre)))


@clause("ACT-4", "ACT-12", "ACT-13", "ACT-14", "ACT-18", dtypes=("float64", "float32"))   # densities need 16 bits to differ
@given(choice=choices(pre=no_ties()), data=st.data())
def test_renaming_latents_and_samples_renames_activations(adapter, choice, data):
    B, M = choice.pre.shape
    rows, columns = data.draw(st.permutations(range(B))), data.draw(st.permutations(range(M)))
    renamed = acts_of(adapter, choice, pre=choice.pre[rows][:, columns],
                      by_latent={name: array[columns] for name, array in choice.by_latent.items()})
    equal(adapter, acts_of(adapter, choice)[rows][:, columns], renamed)


@clause("ACT-4", "ACT-5", "ACT-12", "ACT-13", "ACT-15", "ACT-18", "ACT-19")
@given(choice=choices(), data=st.data())
def test_leading_dimensions_are_a_batch(adapter, choice, data):
    deep = lambda array: array[np.newaxis, :, np.newaxis]
    d_acts = data.draw(dyadic(choice.pre.shape))
    equal(adapter, deep(acts_of(adapter, choice)), acts_of(adapter, choice, pre=deep(choice.pre)))
    got = gradient(adapter, choice._replace(pre=deep(choice.pre)), deep(d_acts))
    equal(adapter, deep(gradient(adapter, choice, d_acts)), got, "d_pre")


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
    assert list(acts[0] != 0) == list(np.cumsum(price) <= k)


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
@given(choice=choices(BUDGETS), price=st.sampled_from([1.0, 1.5, 2.0, 3.0]))
def test_one_price_for_all_is_topk_with_what_the_budget_affords(adapter, choice, price):
    M = choice.pre.shape[1]
    places = choice.k * (len(choice.pre) if choice.rule in BATCH else 1) // price
    row = choice.pre.reshape(1, -1) if choice.rule in BATCH else choice.pre
    want = acts_of(adapter, Choice("topk", int(places), row, {})) if places else 0 * row
    got = acts_of(adapter, choice, by_latent={"price": np.full(M, price), "dec_norm": np.ones(M)})
    equal(adapter, want.reshape(choice.pre.shape), got)


@clause("ACT-15", "ACT-17", "ACT-18")
@given(choice=choices(BUDGETS))
def test_nobody_spends_more_than_the_budget(adapter, choice):
    on = acts_of(adapter, choice) != 0
    groups = on.reshape(1, *on.shape) if choice.rule in BATCH else on[:, np.newaxis]
    budget = choice.k * groups.shape[1]
    assert np.all((groups * choice.by_latent["price"]).sum((1, 2)) <= budget)
    assert np.all(groups.sum((1, 2)) <= budget)


@clause("ACT-17", "ACT-18")
@given(choice=choices(BUDGETS), latent=st.integers(0, 5), price=st.sampled_from([0.0, 0.5, 255 / 256, -1.0]))
def test_one_price_below_1_is_an_error(adapter, choice, latent, price):
    choice.by_latent["price"][latent % choice.pre.shape[1]] = price
    assert "price" in adapter.error("activation", choice.config, pre=choice.pre, **choice.by_latent)


# ---------------------------------------------------------------- the gradient of a choice

@clause("ACT-19")
@given(choice=choices(), data=st.data())
def test_gradient_passes_where_an_activation_did_and_nowhere_else(adapter, choice, data):
    d_acts = data.draw(dyadic(choice.pre.shape))
    equal(adapter, np.where(acts_of(adapter, choice) != 0, d_acts, 0), gradient(adapter, choice, d_acts), "d_pre")


@clause("ACT-19", dtypes=("float64", "float32"))        # steps of 2^-16 beside 4 need 18 bits
@given(choice=choices(pre=no_ties()), data=st.data())
def test_gradient_is_the_slope_in_every_direction(adapter, choice, data):
    """One price for all: different prices could give two densities that a step exchanges."""
    choice = choice._replace(by_latent={name: 0 * array + 1 for name, array in choice.by_latent.items()})
    d_acts, direction = data.draw(dyadic(choice.pre.shape, step=0.5)), data.draw(dyadic(choice.pre.shape, step=1.0))
    small = direction * 2.0**-16
    rise = acts_of(adapter, choice, pre=choice.pre + small) - acts_of(adapter, choice, pre=choice.pre - small)
    want, got = (d_acts * rise).sum() * 2.0**15, (gradient(adapter, choice, d_acts) * direction).sum()
    equal(adapter, want, got, "slope")


@clause("ACT-20")
@given(sae=saes(activations=RULES, tied=st.just(True)), data=st.data())
def test_a_choice_teaches_the_encoder_alone(adapter, sae, data):
    """What acts want: nothing reaches the decoder, and of tied weights only the encoder's share remains."""
    d_acts = data.draw(dyadic((sae.B, sae.M)))
    tied = adapter("backward", sae.config, **sae.inputs, d_acts=d_acts)
    untied = adapter("backward", sae.config, **sae.inputs, W_enc=sae.inputs["W_dec"], d_acts=d_acts)
    equal(adapter, 0 * sae.inputs["W_dec"], untied["d_W_dec"], "d_W_dec")
    equal(adapter, untied["d_W_enc"], tied["d_W_dec"], "d_W_dec")


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
    assert "decay" in adapter.error("running_threshold", {"decay": decay}, threshold=1, seen=1, kept=kept)


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
    assert "tau" in adapter.error("budget_thresholds", tau=-tau, price=price, dec_norm=np.ones(2))
