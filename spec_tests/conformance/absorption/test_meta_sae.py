"""META: decoder rows as samples of a meta-SAE."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sae_spec.spec_tests.core.compare import assert_same
from sae_spec.spec_tests.core.properties import clause
from sae_spec.spec_tests.core.strategies import dyadic, rotations


@clause("META-1")
@given(W_dec=dyadic((4, 3), -1.0, 1.0, 0.5), alive=dyadic((4,), 0.0, 1.0, 1.0), scale=st.sampled_from([0.5, 4.0]),
       turn=rotations(3))
def test_meta_samples_are_the_directions_of_living_rows(adapter, W_dec, alive, scale, turn):
    rows = lambda W_dec, alive: adapter("meta_samples", {}, W_dec=W_dec, alive=alive)["rows"]
    want, kept = rows(W_dec, alive), W_dec[(alive == 1) & W_dec.any(-1)]
    assert want.shape == kept.shape
    assert_same({"squares": np.ones(len(kept))}, {"squares": (want**2).sum(-1)}, adapter.dtype)
    assert ((want * kept).sum(-1) ** 2 >= (kept**2).sum(-1) * (1 - 1e-2)).all() and (want * kept >= 0).all()
    assert_same({"rows": want @ turn}, {"rows": rows(scale * W_dec @ turn, alive)}, adapter.dtype)
    with_zero_and_dead = rows(np.vstack([W_dec, np.zeros((1, 3)), W_dec]), np.append(alive, [1, 0, 0, 0, 0]))
    assert_same({"rows": want}, {"rows": with_zero_and_dead}, adapter.dtype)


@clause("META-2")
@given(x=dyadic((4, 2)), recon=dyadic((4, 2)), shift=dyadic((2,)), turn=rotations(2))
def test_variance_explained_knows_no_origin_and_no_axes(adapter, x, recon, shift, turn):
    x[0], x[1] = [1, 2], [-1, 0]            # so that something varies
    explained = lambda x, recon: adapter("variance_explained", {}, x=x, recon=recon)["explained"]
    want = np.append(explained(x, recon), 1)
    turned_and_scaled = np.array([[3, 4], [-4, 3]])         # 5 times a rotation, exact
    for changed in (lambda a: a + shift, lambda a: a @ turn, lambda a: a @ turned_and_scaled, lambda a: a.repeat(2, axis=0)):
        assert_same({"explained": want}, {"explained": np.append(explained(changed(x), changed(recon)), 1)}, adapter.dtype)
    assert_same({"explained": want}, {"explained": np.append(explained(x / 64, recon / 64), 1)}, adapter.dtype)
    assert explained(x, x) == 1 and want[0] <= 1
    mean = np.tile([[0.5, 1.0]], (4, 1))
    symmetric = np.stack([mean[0] - recon[0], mean[0] + recon[0], mean[0] - [1, 0], mean[0] + [1, 0]])
    assert explained(symmetric, mean) == 0                  # exact: the samples lie symmetrically about the mean


@clause("META-2")
@given(x=dyadic((4, 2)), shift=dyadic((2,), 0.25))
def test_a_constant_offset_counts_with_its_square(adapter, x, shift):
    x[0], x[1] = [1, 2], [-1, 0]
    lost = [1 - float(adapter("variance_explained", {}, x=x, recon=x + times * shift)["explained"]) for times in (1, 2)]
    assert lost[0] > 0
    assert_same({"lost": [4 * lost[0], 1]}, {"lost": [lost[1], 1]}, adapter.dtype)
    adapter.refuses("x", "variance_explained", {}, x=x[:1].repeat(3, 0), recon=x[:3])


@clause("META-3", "META-4")
@given(acts=dyadic((4, 3), 0.0), more=dyadic((4, 2), 0.0), scale=st.sampled_from([0.5, 2.0]), data=st.data())
def test_sharing_is_the_strongest_over_meta_latents_and_the_same_both_ways(adapter, acts, more, scale, data):
    shared = lambda acts: adapter("shared_meta_latents", {}, meta_acts=acts)["shared"]
    want, order = shared(acts), data.draw(st.permutations(range(4)))
    assert_same({"shared": np.maximum(want, shared(more))}, {"shared": shared(np.hstack([acts, more]))}, adapter.dtype)
    assert_same({"shared": scale * want}, {"shared": shared(scale * acts)}, adapter.dtype)
    assert_same({"shared": want[np.ix_(order, order)]}, {"shared": shared(acts[order])}, adapter.dtype)
    assert_same({"shared": want.T}, {"shared": want}, adapter.dtype)
    assert not np.diag(want).any()


@clause("META-3")
@given(weak=dyadic((3, 1), 0.0, 1.0), extra=dyadic((3, 1), 0.0, 1.0))
def test_the_weaker_use_counts(adapter, weak, extra):
    """Everyone shares with the strongest user as much as they use themselves."""
    strongest = np.vstack([weak, [[2.0]], extra])
    shared = adapter("shared_meta_latents", {}, meta_acts=strongest)["shared"]
    assert_same({"shared": np.append(weak, extra)}, {"shared": np.delete(shared[3], 3)}, adapter.dtype)
