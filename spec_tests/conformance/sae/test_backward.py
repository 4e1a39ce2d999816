"""SAE: the way back, for each output apart."""

import numpy as np
from hypothesis import assume, given
from hypothesis import strategies as st

from sae_spec.spec_tests.core.compare import assert_same
from sae_spec.spec_tests.core.properties import clause
from sae_spec.spec_tests.core.slopes import assert_slope
from sae_spec.spec_tests.core.strategies import dyadic, rotations
from sae_spec.spec_tests.conformance.sae.questions import UNTIED, asked, backward, changed, decode, encode, prefixes_of

OUTPUTS = ("d_pre", "d_acts", "d_recons")
SMOOTH = ("x", "W_enc", "W_dec", "b_enc", "b_dec", "b_mag")     # what an output has a slope by; r_mag: see its own test
RULES_WITHOUT_TIES = ("relu", "topk", "batch_topk", "jumprelu", "gated")


def added(*results):
    return {name: sum(result[name] for result in results) for name in results[0]}


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


# theta is rounded where it is handed on: half precision would compare with another one.
@clause("SAE-8", "ACT-2", "ACT-3", dtypes=("float64", "float32"))
@given(ask=asked(activations=("jumprelu", "gated")))
def test_an_activations_own_parameters_hear_what_the_activation_alone_says(adapter, ask):
    sae, d = ask
    said, own, config = encode(adapter, sae), sae.inputs, {"activation": sae.config["activation"]}
    got = backward(adapter, sae, d_acts=d["d_acts"])
    if config["activation"] == "gated":
        gate = {"shared": said["pre"] - own["b_enc"], "b_enc": own["b_enc"], "r_mag": own["r_mag"], "b_mag": own["b_mag"]}
        want = adapter("activation_backward", config, **gate, d_acts=d["d_acts"])
        assert_same({name: want[name] for name in ("d_r_mag", "d_b_mag")}, got, adapter.dtype)
    else:
        theta = adapter("threshold", log_threshold=own["log_threshold"])["theta"]
        window = config | {"bandwidth": sae.config["bandwidth"]}
        alone = adapter("activation_backward", window, pre=said["pre"], theta=theta, d_acts=d["d_acts"])
        assert_same({"acts": adapter("activation", config, pre=said["pre"], theta=theta)["acts"]}, said, adapter.dtype)
        want = adapter("threshold_backward", log_threshold=own["log_threshold"], d_theta=alone["d_theta"])
        assert_same(want, got, adapter.dtype)


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
    by_sample = [backward(adapter, changed(sae, x=sae.inputs["x"][b : b + 1]),
                          **{name: cotangent[..., b : b + 1, :] for name, cotangent in d.items()}) for b in range(sae.B)]
    rows = np.concatenate([grads.pop("d_x") for grads in by_sample])
    assert_same(added(*by_sample) | {"d_x": rows}, backward(adapter, sae, **d), adapter.dtype)
