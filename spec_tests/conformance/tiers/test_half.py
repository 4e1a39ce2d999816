"""Precision: what half precision may round is its inputs and its results, and nothing in between.

Every sum here is exact in float32, and every result short enough for half precision.
"""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sae_spec.spec_tests.conformance.sae.questions import UNTIED, backward, changed, decode, encode
from sae_spec.spec_tests.core.compare import assert_same
from sae_spec.spec_tests.core.properties import clause
from sae_spec.spec_tests.core.strategies import dyadic, saes

large = st.sampled_from([2048.0, -2048.0, 4096.0])
ONE = st.just(False)                                        # prefix: the whole width
A_PRODUCT = st.integers(1, 7).map(lambda n: 1 + n / 128)    # of two such, half precision loses the last bits


def between(first, array, last, axis=-1):
    """The array with one more number before it and one after it along an axis."""
    edges = [(1, 0) if at == axis % array.ndim else (0, 0) for at in range(array.ndim)]
    before = np.pad(array, edges, constant_values=first)
    return np.pad(before, [edge[::-1] for edge in edges], constant_values=last)


@clause("SAE-15", "SAE-1")
@given(sae=saes(tied=UNTIED), size=large, read=st.sampled_from([1.0, -0.5]))
def test_two_dimensions_that_cancel_leave_what_is_read_between_them(adapter, sae, size, read):
    more = {"x": between(size, sae.inputs["x"], size), "b_dec": between(0.0, sae.inputs["b_dec"], 0.0)}
    more |= {"W_enc": between(read, sae.inputs["W_enc"], -read), "W_dec": between(0.0, sae.inputs["W_dec"], 0.0)}
    assert_same(encode(adapter, sae), encode(adapter, sae, **more), adapter.dtype, exact=True)


@clause("SAE-15", "SAE-1")
@given(sae=saes(), size=large)
def test_x_and_b_dec_may_both_be_large(adapter, sae, size):
    """Of 2048 and 2048.5 half precision could not tell the second; x and b_dec apart are short, so they are asked so."""
    sae = changed(sae, {"subtract_b_dec": True}, b_dec=0 * sae.inputs["b_dec"])
    M, D = sae.inputs["W_dec"].shape
    x = np.concatenate([np.full((sae.B, D), size), np.full((sae.B, D), size)], -1)
    small = sae.inputs["x"][0]
    W_enc = sae.inputs.get("W_enc", sae.inputs["W_dec"])
    split = changed(sae, x=x, b_dec=np.append(-small, 0 * small), W_enc=np.concatenate([W_enc, -W_enc], -1),
                    W_dec=np.concatenate([sae.inputs["W_dec"], 0 * W_enc], -1))
    want = encode(adapter, sae, x=np.tile(small, (sae.B, 1)))
    assert_same({"pre": want["pre"]}, encode(adapter, split), adapter.dtype, exact=True)


@clause("SAE-15", "SAE-5")
@given(sae=saes(matryoshka=ONE), size=large, data=st.data())
def test_two_latents_that_cancel_leave_what_is_written_between_them(adapter, sae, size, data):
    acts = data.draw(dyadic((sae.B, sae.M), -1.0, 1.0, 0.5))
    loud = changed(sae, W_dec=between(1.0, sae.inputs["W_dec"], -1.0, axis=0))
    want = decode(adapter, sae, acts)
    assert_same(want, decode(adapter, loud, between(size, acts, size)), adapter.dtype, exact=True)


@clause("SAE-15", "SAE-8")
@given(sae=saes(activations=("relu",), tied=UNTIED, matryoshka=ONE), size=large, data=st.data())
def test_two_samples_that_cancel_leave_what_is_asked_between_them(adapter, sae, size, data):
    d_recons = data.draw(dyadic((1, sae.B, sae.D), -1.0, 1.0, 1.0))
    x = np.concatenate([sae.inputs["x"][:1], sae.inputs["x"], sae.inputs["x"][:1]])
    want = backward(adapter, sae, d_recons=d_recons)
    got = backward(adapter, changed(sae, x=x), d_recons=between(size, d_recons, -size, axis=1))
    assert_same(want, got, adapter.dtype, ["d_W_dec", "d_b_enc"], exact=True)


@clause("SAE-15")
@given(first=A_PRODUCT, second=A_PRODUCT)
def test_a_product_is_not_rounded_before_it_is_added(adapter, first, second):
    """What is over and above 1 + n / 128 in a product is all that is left of it."""
    short = np.floor(first * second * 128) / 128
    given = {"x": [[first, short]], "W_enc": [[second, -1.0]], "W_dec": [[1.0, 1.0]], "b_enc": [0.0], "b_dec": [0.0, 0.0]}
    pre = adapter("encode", {"activation": "relu"}, **given)["pre"]
    assert_same({"pre": [[first * second - short]]}, {"pre": pre}, adapter.dtype)


@clause("SAE-15")
@given(M=st.integers(2, 6), data=st.data(), rule=st.sampled_from(("topk", "batch_topk", "abs_topk")))
def test_the_largest_is_chosen_even_if_half_precision_writes_the_same_for_all(adapter, M, data, rule):
    best = data.draw(st.integers(0, M - 1))
    W_enc = np.stack([np.ones(M), np.arange(M) == best], -1)
    given = {"x": [[1.0, 2.0**-12]], "W_enc": W_enc, "W_dec": np.ones((M, 2)), "b_enc": np.zeros(M), "b_dec": [0.0, 0.0]}
    acts = adapter("encode", {"activation": rule, "k": 1}, **given)["acts"]
    assert np.flatnonzero(acts[0]).tolist() == [best], f"{rule} keeps {np.flatnonzero(acts[0]).tolist()} and not {best}"


@clause("SAE-15", "ACT-7")
@given(above=st.sampled_from([2.0**-12, 0.0, -(2.0**-13)]))
def test_a_threshold_is_compared_before_anything_is_rounded(adapter, above):
    given = {"x": [[1.0, above]], "W_enc": [[1.0, 1.0]], "W_dec": [[1.0, 1.0]], "b_enc": [0.0], "b_dec": [0.0, 0.0],
             "log_threshold": [0.0]}
    acts = adapter("encode", {"activation": "jumprelu", "bandwidth": 1.0}, **given)["acts"]
    assert (acts[0, 0] != 0) == (above > 0)


@clause("SAE-15", "COST-2")
@given(size=st.sampled_from([16.0, 32.0]), count=st.integers(24, 60))
def test_squares_add_up_beside_a_large_one(adapter, size, count):
    x = np.append([size, size], np.ones(count))[np.newaxis]
    got = adapter("cost", {"cost": "reconstruction"}, x=x, recons=np.zeros((1, *x.shape)))
    assert_same({"cost": (x**2).sum()}, got, adapter.dtype)


@clause("FREQ-1", "TRAIN-9")
@given(more=st.integers(1, 15))
def test_counts_are_whole_numbers_in_every_dtype(adapter, more):
    acts = np.tile([1.0, 0.0, -0.5], (256 + more, 1))
    assert_same({"counts": [256.0 + more, 0.0, 256.0 + more]}, adapter("firing_counts", acts=acts), exact=True)
    waited = adapter("count_tokens", {"dead_after": 256}, tokens_since_fired=[256.0] * 3, acts=acts[:more])
    assert_same({"tokens_since_fired": [0.0, 256.0 + more, 0.0]}, waited, exact=True)
