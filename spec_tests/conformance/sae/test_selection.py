"""ACT, second part: the rules that choose latents by size, and the gradient of every choice."""


import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sae_spec.spec_tests.core.properties import clause
from sae_spec.spec_tests.core.strategies import dyadic, pres, saes
from sae_spec.spec_tests.conformance.sae.choices import BATCH, BUDGETS, BY_SIZE, RULES, Choice, acts_of, choices, equal


@st.composite
def no_ties(draw):
    """pre (B, M) of either sign, all different in size: odd multiples of 1/16. So are their densities."""
    B, M = draw(st.integers(1, 3)), draw(st.integers(1, 4))
    odd = draw(st.lists(st.integers(0, 31), min_size=B * M, max_size=B * M, unique=True))
    signs = draw(st.lists(st.sampled_from([1, 1, -1]), min_size=B * M, max_size=B * M))
    return (2 * np.array(odd) + 1).reshape(B, M) * np.array(signs).reshape(B, M) / 16


def gradient(adapter, choice, d_acts):
    return adapter("activation_backward", choice.config, pre=choice.pre, d_acts=d_acts, **choice.by_latent)["d_pre"]


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


@clause("ACT-6", "ACT-12", "ACT-13", "ACT-18", "ACT-29")
@given(choice=choices())
def test_k_that_is_not_a_whole_number_from_1_to_m_is_an_error(adapter, choice):
    M = choice.pre.shape[1]
    for k in (-1, 0, M + 0.5, M + 1) if choice.rule in BATCH else (-1, 0, 0.5, M - 0.5, M + 1):
        adapter.refuses("k", "activation", choice.config | {"k": k}, pre=choice.pre, **choice.by_latent)


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


@clause("ACT-29")
@given(rule=st.sampled_from(BATCH), B=st.integers(1, 5), M=st.integers(2, 4), quarters=st.integers(1, 7), seed=st.integers(0, 9))
def test_a_batch_keeps_as_many_whole_entries_as_a_fraction_of_k_makes(adapter, rule, B, M, quarters, seed):
    """Prices 1, no two entries alike: for n = floor(k·B) the n largest, found one by one."""
    pre = np.random.default_rng(seed).permutation(B * M).reshape(B, M) + 1.0
    by_latent = {"price": np.ones(M), "dec_norm": np.ones(M)} if rule in BUDGETS else {}
    kept = acts_of(adapter, Choice(rule, quarters / 4, pre, by_latent))
    equal(adapter, np.where(pre > B * M - quarters * B // 4, pre, 0), kept)
    if quarters % 4 == 0:
        equal(adapter, acts_of(adapter, Choice(rule, quarters // 4, pre, by_latent)), kept)


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
