"""SAE: encode, decode and the way back; tied, untied, gated, Matryoshka."""

import re

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from sae_spec.spec_tests.core.compare import assert_same
from sae_spec.spec_tests.core.properties import clause
from sae_spec.spec_tests.core.slopes import assert_slope
from sae_spec.spec_tests.core.strategies import Sae, dyadic, rotations, saes, sizes

OUTPUTS = ("d_pre", "d_acts", "d_recons")
SMOOTH = ("x", "W_enc", "W_dec", "b_enc", "b_dec", "b_mag")     # what an output has a slope by; r_mag: see its own test
RULES_WITHOUT_TIES = ("relu", "topk", "batch_topk", "jumprelu", "gated")
UNTIED = st.just(False)


def whole(*shape):
    """Small whole numbers: as cotangents they keep gradients short enough for every dtype."""
    return dyadic(shape, -1.0, 1.0, 1.0)


def prefixes_of(sae):
    return sae.config.get("prefixes", [sae.M])


@st.composite
def asked(draw, **kinds):
    """An autoencoder and a cotangent for each of its outputs."""
    sae = draw(saes(**kinds))
    B, M, D, G = sae.B, sae.M, sae.D, len(prefixes_of(sae))
    return sae, {"d_pre": draw(whole(B, M)), "d_acts": draw(whole(B, M)), "d_recons": draw(whole(G, B, D))}


def changed(sae, config=None, **inputs):
    return Sae(sae.config | (config or {}), sae.inputs | inputs)


def encode(adapter, sae, **inputs):
    return adapter("encode", sae.config, **(sae.inputs | inputs))


def decode(adapter, sae, acts):
    prefixes = {name: sae.config[name] for name in ("prefixes",) if name in sae.config}
    return adapter("decode", prefixes, acts=acts, W_dec=sae.inputs["W_dec"], b_dec=sae.inputs["b_dec"])


def backward(adapter, sae, **cotangents):
    return adapter("backward", sae.config, **sae.inputs, **cotangents)


def added(*results):
    return {name: sum(result[name] for result in results) for name in results[0]}


def names(message, argument):
    """Whether an error speaks of an argument, as a word of its own."""
    return re.search(rf"(?<!\w){argument}(?!\w)", message)


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
        assert names(adapter.error("decode", {"prefixes": prefixes}, **given), "prefixes"), prefixes


# ---------------------------------------------------------------- backward


@clause("SAE-8")
@given(ask=asked(off_kink=True))
def test_the_gradient_of_all_outputs_is_the_sum_of_each_ones(adapter, ask):
    sae, d = ask
    alone = [backward(adapter, sae, **{name: d[name]}) for name in OUTPUTS]
    assert_same(added(*alone), backward(adapter, sae, **d), adapter.dtype)


# float64: a slope by differences needs digits to lose.
@clause("SAE-8", "SAE-9", "SAE-10", "SAE-14", dtypes=("float64",))
@given(ask=asked(off_kink=True), data=st.data())
def test_each_output_has_the_gradient_that_its_slope_says(adapter, ask, data):
    sae, d = ask
    name = data.draw(st.sampled_from([name for name in SMOOTH if name in sae.inputs]))
    direction = data.draw(dyadic(sae.inputs[name].shape, -1.0, 1.0, 0.5))

    def outputs(t):
        moved = changed(sae, **{name: sae.inputs[name] + t * direction})
        said = encode(adapter, moved)
        return {"d_pre": said["pre"], "d_acts": said["acts"], "d_recons": decode(adapter, moved, said["acts"])["recons"]}

    ends = [outputs(t)["d_acts"] != 0 for t in (-1 / 1024, 0.0, 1 / 1024)]
    assume(all(np.array_equal(on, ends[0]) for on in ends))     # two latents of equal rank may change places: a kink
    for output in OUTPUTS:
        gradient = backward(adapter, sae, **{output: d[output]})[f"d_{name}"]
        assert_slope(gradient, direction, lambda t: (d[output] * outputs(t)[output]).sum(), f"d_{name} of {output}")


@clause("SAE-8")
@given(ask=asked(tied=UNTIED))
def test_a_reconstruction_asks_the_encoder_what_its_decoder_rows_ask_of_acts(adapter, ask):
    sae, d = ask
    prefixes = np.array(prefixes_of(sae))
    member = (np.arange(sae.M) < prefixes[:, np.newaxis]) * 1.0                         # (G, M)
    d_acts = np.einsum("gbd,md,gm->bm", d["d_recons"], sae.inputs["W_dec"], member)
    want = backward(adapter, sae, d_acts=d_acts)
    upstream = set(want) - {"d_W_dec", "d_b_dec"}               # the decoder's own share comes on top
    assert_same(want, backward(adapter, sae, d_recons=d["d_recons"]), adapter.dtype, sorted(upstream))


@clause("SAE-10")
@given(ask=asked())
def test_what_moves_x_and_b_dec_together_moves_only_the_output(adapter, ask):
    sae, d = ask
    grads = backward(adapter, sae, **d)
    inner = grads["d_x"].sum(0) if sae.config.get("subtract_b_dec", True) else 0.0
    assert_same({"d_b_dec": d["d_recons"].sum((0, 1)) - inner}, grads, adapter.dtype)


@clause("SAE-1", "SAE-5", "SAE-8", "SAE-10")
@given(ask=asked(), data=st.data())
def test_turning_the_input_space_turns_what_lives_in_it_and_nothing_else(adapter, ask, data):
    sae, d = ask
    R = data.draw(rotations(sae.D))
    lives_there = lambda name: name.removeprefix("d_") in ("x", "W_enc", "W_dec", "b_dec", "recons")
    turn = lambda arrays: {name: array @ R if lives_there(name) else array for name, array in arrays.items()}
    turned = changed(sae, **turn(sae.inputs))
    acts = encode(adapter, sae)
    assert_same(acts, encode(adapter, turned), adapter.dtype)
    assert_same(turn(decode(adapter, sae, acts["acts"])), decode(adapter, turned, acts["acts"]), adapter.dtype)
    assert_same(turn(backward(adapter, sae, **d)), backward(adapter, turned, **turn(d)), adapter.dtype)


# Ties go to the lowest index, so latents may change places only where none are equal: off the kink, not by size or by
# density, where a negative or a dear latent can equal another, and in a dtype that keeps the odd 64ths that tell them apart.
@clause("SAE-1", "SAE-5", "SAE-8", dtypes=("float64", "float32", "float16"))
@given(ask=asked(activations=RULES_WITHOUT_TIES, off_kink=True, matryoshka=st.just(False)), data=st.data())
def test_latents_in_another_order_do_the_same_in_that_order(adapter, ask, data):
    sae, d = ask
    order = np.array(data.draw(st.permutations(range(sae.M))))

    def reorder(arrays):
        axis = {"x": None, "b_dec": None, "recons": None, "pre": -1, "acts": -1}
        axes = {name: axis.get(name.removeprefix("d_"), 0) for name in arrays}
        return {name: array if axes[name] is None else array.take(order, axes[name]) for name, array in arrays.items()}

    other = changed(sae, **reorder(sae.inputs))
    want = encode(adapter, sae)
    assert_same(reorder(want), encode(adapter, other), adapter.dtype)
    assert_same(decode(adapter, sae, want["acts"]), decode(adapter, other, reorder(want)["acts"]), adapter.dtype)
    assert_same(reorder(backward(adapter, sae, **d)), backward(adapter, other, **reorder(d)), adapter.dtype)


@clause("SAE-8", "SAE-9")
@given(ask=asked(activations=("relu", "jumprelu", "gated", "topk", "abs_topk")))
def test_a_batch_has_the_gradients_of_its_samples_added_up(adapter, ask):
    sae, d = ask
    each = [backward(adapter, changed(sae, x=sae.inputs["x"][b : b + 1]),
                     **{name: cotangent[..., b : b + 1, :] for name, cotangent in d.items()}) for b in range(sae.B)]
    rows = np.concatenate([grads.pop("d_x") for grads in each])
    assert_same(added(*each) | {"d_x": rows}, backward(adapter, sae, **d), adapter.dtype)


# ---------------------------------------------------------------- what the caller must get right


TRAINING = {"steps": 1, "learning_rate": 0.5, "warmup_steps": 0, "decay_steps": 0, "sparsity_warmup_steps": 0,
            "max_grad_norm": None, "dead_after": 4, "priced": False, "frequency_decay": 0.5, "min_frequency": 0.25,
            "threshold_decay": 0.5}


def errors(adapter, sae):
    """What encode, the objective and a training step say of the same arrays."""
    everything = {"price": np.ones(sae.M)} | sae.inputs
    yield adapter.error("encode", sae.config, **sae.inputs)
    yield adapter.error("objective", sae.config, **everything, dead=np.zeros(sae.M))
    yield adapter.error("train", sae.config | TRAINING, **sae.params, batches=sae.inputs["x"][np.newaxis])


@clause("SAE-11")
@given(sae=saes(), data=st.data(), value=st.sampled_from([np.nan, np.inf, -np.inf]))
def test_one_number_that_is_not_finite_is_an_error_that_names_its_array(adapter, sae, data, value):
    for name in sorted(set(sae.inputs) - {"price"}):
        array = sae.inputs[name].copy()
        array.flat[data.draw(st.integers(0, array.size - 1))] = value
        for message in errors(adapter, changed(sae, **{name: array})):
            assert names(message, name), f"a {value} in {name}: {message}"


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
            for message in errors(adapter, changed(sae, **{name: array})):
                assert names(message, name), f"{name} of shape {array.shape}: {message}"
    wider = np.concatenate([sae.inputs["x"]] * 2, axis=-1)
    for message in errors(adapter, changed(sae, x=wider)):
        assert names(message, "x"), message
    # The decoder says what M and D are: when it is the one that is wrong, another array may be named.
    taller = np.concatenate([sae.inputs["W_dec"]] * 2)
    assert all(errors(adapter, changed(sae, W_dec=taller)))


# ---------------------------------------------------------------- gated


@st.composite
def gates(draw):
    """What the gated activation takes, multiples of 1/4 so that every dtype adds them exactly."""
    B, M = draw(sizes), draw(sizes)
    return {"shared": draw(dyadic((B, M))), "b_enc": draw(dyadic((M,))), "r_mag": np.zeros(M), "b_mag": draw(dyadic((M,)))}


def gated(adapter, gate, **changes):
    return adapter("activation", {"activation": "gated"}, **(gate | changes))["acts"]


@clause("SAE-13")
@given(gate=gates())
def test_a_gate_with_something_to_say_is_on_exactly_above_zero(adapter, gate):
    pre = gate["shared"] + gate["b_enc"]
    acts = gated(adapter, gate, b_mag=gate["b_mag"] + 8)              # every magnitude is positive
    assert np.array_equal(acts != 0, pre > 0), "the gate is not 1[pre > 0]"


@clause("SAE-13")
@given(gate=gates())
def test_an_open_gate_is_a_relu_of_the_magnitude_whatever_its_bias(adapter, gate):
    mag = gate["shared"] + gate["b_mag"]
    want = adapter("activation", {"activation": "relu"}, pre=mag)
    for bias in (4.0, 8.0):                                             # |shared| <= 2: all gates are open
        assert_same(want, {"acts": gated(adapter, gate, b_enc=np.full_like(gate["b_enc"], bias))}, adapter.dtype)


@clause("SAE-13")
@given(gate=gates(), r=st.tuples(*[st.sampled_from([-1.0, -0.5, 0.5, 1.0])] * 2))
def test_scales_multiply_where_their_logarithms_add_and_leave_the_bias_alone(adapter, gate, r):
    opened = gate | {"b_enc": np.full_like(gate["b_enc"], 4.0)}
    said = lambda scale, **changes: gated(adapter, opened, r_mag=np.full_like(gate["r_mag"], scale), **changes)
    no_bias = {"b_mag": 0 * gate["b_mag"]}
    assert_same({"acts": said(r[0], **no_bias) * said(r[1], **no_bias)},
                {"acts": said(r[0] + r[1], **no_bias) * said(0.0, **no_bias)}, adapter.dtype)
    silent = {"shared": 0 * gate["shared"]}
    assert_same({"acts": said(0.0, **silent)}, {"acts": said(r[0], **silent)}, adapter.dtype)


@clause("SAE-14")
@given(ask=asked(activations=("gated",)))
def test_the_gates_bias_gets_exactly_nothing_from_acts_and_recons(adapter, ask):
    sae, d = ask
    for output in ("d_acts", "d_recons"):
        grads = backward(adapter, sae, **{output: d[output]})
        assert_same({"d_b_enc": 0 * sae.inputs["b_enc"]}, grads, adapter.dtype)


@clause("SAE-14")
@given(ask=asked(activations=("gated",), tied=UNTIED), data=st.data())
def test_stretching_an_encoder_row_is_turning_up_its_magnitude(adapter, ask, data):
    sae, d = ask
    sae = changed(sae, r_mag=data.draw(dyadic((sae.M,), -1.0, 1.0, 0.5)))
    grads = backward(adapter, sae, d_acts=d["d_acts"])
    assert_same({"d_r_mag": (grads["d_W_enc"] * sae.inputs["W_enc"]).sum(-1)}, grads, adapter.dtype)


@clause("SAE-14")
@given(gate=gates(), data=st.data())
def test_a_latent_that_is_off_gets_no_gradient_through_its_magnitude(adapter, gate, data):
    d_acts = data.draw(whole(*gate["shared"].shape))
    off = gated(adapter, gate) == 0
    grads = adapter("activation_backward", {"activation": "gated"}, **gate, d_acts=d_acts * off)
    assert_same({name: 0 * grads[name] for name in ("d_shared", "d_r_mag", "d_b_mag")}, grads, adapter.dtype)
