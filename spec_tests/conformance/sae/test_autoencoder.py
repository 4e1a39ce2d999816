"""SAE: encode and decode; tied, Matryoshka; what the caller must get right."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sae_spec.spec_tests.core.compare import assert_same
from sae_spec.spec_tests.core.properties import clause
from sae_spec.spec_tests.core.strategies import dyadic, saes
from sae_spec.spec_tests.conformance.sae.questions import UNTIED, asked, backward, changed, decode, encode, prefixes_of


# ---------------------------------------------------------------- encode

@clause("SAE-1", "SAE-2")
@given(sae=saes())
def test_unit_steps_from_b_dec_read_off_the_encoder(adapter, sae):
    centre = sae.inputs["b_dec"] * sae.config.get("subtract_b_dec", True)
    pre = encode(adapter, sae, x=centre + np.eye(sae.D))["pre"]
    W = sae.inputs.get("W_enc", sae.inputs["W_dec"])
    assert_same({"pre": W.T}, {"pre": pre - sae.inputs["b_enc"]}, adapter.dtype)


@clause("SAE-1")
@given(sae=saes(), shift=dyadic((1,), -1.0, 1.0, 0.5))
def test_moving_x_and_b_dec_together_changes_nothing(adapter, sae, shift):
    sae = changed(sae, {"subtract_b_dec": True})
    moved = encode(adapter, sae, x=sae.inputs["x"] + shift, b_dec=sae.inputs["b_dec"] + shift)
    assert_same(encode(adapter, sae), moved, adapter.dtype)


@clause("SAE-2", "SAE-9")
@given(ask=asked(tied=st.just(True)))
def test_tied_is_untied_with_equal_weights_and_the_sum_of_their_gradients(adapter, ask):
    tied, d = ask
    untied = changed(tied, W_enc=tied.inputs["W_dec"])
    assert_same(encode(adapter, untied), encode(adapter, tied), adapter.dtype)
    want, got = backward(adapter, untied, **d), backward(adapter, tied, **d)
    want["d_W_dec"] = want.pop("d_W_enc") + want["d_W_dec"]
    assert_same(want, got, adapter.dtype)
    assert "d_W_enc" not in got


@clause("SAE-3")
@given(sae=saes(), other=dyadic((1,), -1.0, 1.0, 0.5))
def test_left_out_b_dec_is_as_good_as_none(adapter, sae, other):
    left_out = changed(sae, {"subtract_b_dec": False})
    none = changed(sae, {"subtract_b_dec": True}, b_dec=0 * sae.inputs["b_dec"])
    want = encode(adapter, none)
    assert_same(want, encode(adapter, left_out), adapter.dtype)
    assert_same(want, encode(adapter, left_out, b_dec=sae.inputs["b_dec"] + other), adapter.dtype)


@clause("SAE-4")
@given(ask=asked(), data=st.data())
def test_leading_dimensions_are_a_shape_and_nothing_else(adapter, ask, data):
    flat, d = ask
    B = flat.B
    leading = data.draw(st.sampled_from([(1, B), (B, 1), (1, B, 1), *[(2, B // 2)] * (B % 2 == 0), *[()] * (B == 1)]))
    shaped = lambda array: array.reshape(*leading, array.shape[-1])
    deep = changed(flat, x=shaped(flat.inputs["x"]))
    want, got = encode(adapter, flat), encode(adapter, deep)
    assert_same({name: shaped(array) for name, array in want.items()}, got, adapter.dtype)
    recons, G = decode(adapter, flat, want["acts"])["recons"], len(prefixes_of(flat))
    assert_same({"recons": recons.reshape(G, *leading, flat.D)}, decode(adapter, deep, got["acts"]), adapter.dtype)
    grads = backward(adapter, flat, **d)
    grads["d_x"] = shaped(grads["d_x"])
    d = {name: cotangent.reshape(*cotangent.shape[:-2], *leading, cotangent.shape[-1]) for name, cotangent in d.items()}
    assert_same(grads, backward(adapter, deep, **d), adapter.dtype)


@clause("SAE-4")
@given(sae=saes(activations=("batch_topk", "batch_budget_topk")))
def test_a_batch_is_all_there_is_before_the_last_dimension(adapter, sae):
    apart = encode(adapter, sae, x=sae.inputs["x"][:, np.newaxis])["acts"]      # (B, 1, M): not B batches of 1
    assert_same({"acts": encode(adapter, sae)["acts"]}, {"acts": apart[:, 0]}, adapter.dtype)


@clause("SAE-4")
@given(ask=asked(), leading=st.sampled_from([(0,), (0, 2), (2, 0)]))
def test_no_samples_encode_to_no_activations_and_have_no_gradient(adapter, ask, leading):
    sae, _ = ask
    none = changed(sae, x=np.zeros((*leading, sae.D)))
    acts = encode(adapter, none)
    empty = np.zeros((*leading, sae.M))
    assert_same({"pre": empty, "acts": empty}, acts, adapter.dtype)
    recons = np.zeros((len(prefixes_of(sae)), *leading, sae.D))
    assert_same({"recons": recons}, decode(adapter, none, empty), adapter.dtype)
    want = {f"d_{name}": 0 * array for name, array in sae.params.items()} | {"d_x": none.inputs["x"]}
    assert_same(want, backward(adapter, none, d_pre=empty, d_acts=empty, d_recons=recons), adapter.dtype)


# ---------------------------------------------------------------- decode

@clause("SAE-5")
@given(sae=saes(matryoshka=st.just(False)), scale=st.sampled_from([-2.0, -0.5, 1.0, 4.0]))
def test_one_activation_moves_the_reconstruction_along_its_decoder_row(adapter, sae, scale):
    recon = decode(adapter, sae, scale * np.eye(sae.M))["recons"][0]
    silence = decode(adapter, sae, np.zeros((sae.M, sae.M)))["recons"][0]
    assert_same({"rows": scale * sae.inputs["W_dec"]}, {"rows": recon - silence}, adapter.dtype)
    assert_same({"b_dec": np.tile(sae.inputs["b_dec"], (sae.M, 1))}, {"b_dec": silence}, adapter.dtype)


@clause("SAE-5")
@given(sae=saes(), data=st.data())
def test_decoding_a_sum_is_summing_what_is_decoded(adapter, sae, data):
    a, b = (data.draw(dyadic((2, sae.M), -1.0, 1.0, 0.5)) for _ in range(2))
    one, other, together, silence = (decode(adapter, sae, acts)["recons"] for acts in (a, b, a + b, 0 * a))
    assert_same({"recons": one + other}, {"recons": together + silence}, adapter.dtype)


@clause("SAE-6")
@given(sae=saes(matryoshka=st.just(True)), data=st.data())
def test_a_prefix_decodes_as_if_the_later_latents_were_silent(adapter, sae, data):
    acts = data.draw(dyadic((2, sae.M), -1.0, 1.0, 0.5))
    recons = decode(adapter, sae, acts)["recons"]
    whole_width = changed(sae, {"prefixes": [sae.M]})
    for m, recon in zip(prefixes_of(sae), recons, strict=True):
        alone = decode(adapter, whole_width, np.where(np.arange(sae.M) < m, acts, 0))
        assert_same(alone, {"recons": recon[np.newaxis]}, adapter.dtype)


@clause("SAE-6")
@given(sae=saes(activations=("topk", "budget_topk"), matryoshka=st.just(True)))
def test_what_is_charged_is_the_one_choice_cut_to_each_prefix(adapter, sae):
    acts = encode(adapter, sae)["acts"]
    assert_same({"acts": acts}, encode(adapter, changed(sae, {"prefixes": [sae.M]})), adapter.dtype, ["acts"])
    recons = decode(adapter, sae, acts)["recons"]
    want = adapter("cost", {"cost": "reconstruction"}, x=sae.inputs["x"], recons=recons)["cost"]
    got = adapter("objective", sae.config, **({"price": np.ones(sae.M)} | sae.inputs), dead=np.zeros(sae.M))
    assert_same({"reconstruction": want}, got, adapter.dtype)


@clause("SAE-7")
@given(M=st.integers(2, 6), data=st.data())
def test_prefixes_are_accepted_exactly_if_they_rise_from_1_to_M(adapter, M, data):
    cuts = data.draw(st.sets(st.integers(1, M - 1)))
    good = [*sorted(cuts), M]
    given = {"acts": np.eye(M), "W_dec": np.ones((M, 1)), "b_dec": np.zeros(1)}
    assert adapter("decode", {"prefixes": good}, **given)["recons"].shape == (len(good), M, 1)
    wrong = [good[:-1] or [M - 1], [*good, M + 1], good[:-1] + [M + 1], [0, *good], [-1, *good], [good[0], *good],
             [M, *good], [*good, 1], [*good[:-1], M + 1, M], [M - 0.5, M], [0.5, M]]
    for prefixes in wrong:
        adapter.refuses("prefixes", "decode", {"prefixes": prefixes}, **given)


# ---------------------------------------------------------------- what the caller must get right

TRAINING = {"steps": 1, "learning_rate": 0.5, "warmup_steps": 0, "decay_steps": 0, "sparsity_warmup_steps": 0,
            "max_grad_norm": None, "dead_after": 4, "priced": False, "frequency_decay": 0.5, "min_frequency": 0.25,
            "threshold_decay": 0.5}


def asked_of(sae):
    """The calls of encode, the objective and a training step with the same arrays."""
    everything = {"price": np.ones(sae.M)} | sae.inputs
    yield "encode", sae.config, sae.inputs
    yield "objective", sae.config, everything | {"dead": np.zeros(sae.M)}
    yield "train", sae.config | TRAINING, sae.params | {"batches": sae.inputs["x"][np.newaxis]}


def assert_refused(adapter, sae, name):
    """Each of them refuses the array of this name; a training step has x among its batches."""
    for operation, config, inputs in asked_of(sae):
        adapter.refuses("batches" if name == "x" and operation == "train" else name, operation, config, **inputs)


@clause("SAE-11")
@given(sae=saes(), data=st.data(), value=st.sampled_from([np.nan, np.inf, -np.inf]))
def test_one_number_that_is_not_finite_is_an_error_that_names_its_array(adapter, sae, data, value):
    for name in sorted(set(sae.inputs) - {"price"}):
        array = sae.inputs[name].copy()
        array.flat[data.draw(st.integers(0, array.size - 1))] = value
        assert_refused(adapter, changed(sae, **{name: array}), name)


def misshapen(array):
    """The same numbers in shapes that do not fit: a row more, one number for all, an axis more, the other way round."""
    yield np.concatenate([array, array[:1]])
    yield array[np.newaxis]
    if len(array) > 1:
        yield array[:1]
    if array.ndim == 2 and array.shape[0] != array.shape[1]:
        yield array.T


@clause("SAE-12")
@given(sae=saes(tied=UNTIED))
def test_an_array_of_another_shape_is_an_error_that_names_it(adapter, sae):
    for name in sorted(set(sae.inputs) - {"price", "x", "W_dec"}):
        for array in misshapen(sae.inputs[name]):
            assert_refused(adapter, changed(sae, **{name: array}), name)
    for no_matrix in (sae.inputs["W_dec"][0], sae.inputs["W_dec"][..., np.newaxis]):
        assert_refused(adapter, changed(sae, W_dec=no_matrix), "W_dec")
    wider = np.concatenate([sae.inputs["x"]] * 2, axis=-1)
    assert_refused(adapter, changed(sae, x=wider), "x")
    # The decoder says what M and D are: when it is the one that is wrong, another array may be named.
    taller = np.concatenate([sae.inputs["W_dec"]] * 2)
    assert all(adapter.error(operation, config, **inputs) for operation, config, inputs in asked_of(changed(sae, W_dec=taller)))
