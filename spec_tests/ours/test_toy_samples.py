"""Production draws the specification's samples: to the bit, from the same generator and the same world."""

import numpy as np
import pytest

from sae_spec.reference.worlds import toy_models as spec
from sae_spec.reference.worlds import toy_worlds as spec_worlds

torch = pytest.importorskip("torch")
from sae_spec.torch_impl.worlds import toy_models, toy_worlds                                          # noqa: E402

WORLDS = {"independent": {}, "hierarchy": {"std": 0.1}, "imperfect_cooccurrence": {}, "overlap": {"rho": 0.6},
          "exclusive_siblings": {"rho": 0.3}, "tree": {}, "superposition": {"parents": 5}, "zipf": {}}


@pytest.mark.parametrize("name", WORLDS)
def test_a_world_gives_the_same_samples_to_the_bit(name):
    world = getattr(spec_worlds, name)(np.random.default_rng(1), **WORLDS[name])
    x, magnitudes = spec.draw(world, np.random.default_rng(2), 500)
    got = toy_models.draw(toy_models.World(*map(torch.from_numpy, world)), np.random.default_rng(2), 500)
    assert np.array_equal(x, got[0].numpy()) and np.array_equal(magnitudes, got[1].numpy())


@pytest.mark.parametrize("name", WORLDS)
def test_a_named_world_is_the_same_up_to_rounding(name):
    world, got = (getattr(worlds, name)(np.random.default_rng(1), **WORLDS[name]) for worlds in (spec_worlds, toy_worlds))
    for field in world._fields:         # QR and logarithms differ in the last bits from one library to the other
        np.testing.assert_allclose(getattr(got, field).numpy(), getattr(world, field), rtol=0, atol=1e-14, err_msg=field)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_samples_come_in_the_worlds_own_dtype(dtype):
    world = toy_worlds.hierarchy(np.random.default_rng(1))
    narrow = toy_models.World(*(part.to(dtype) if part.is_floating_point() else part for part in world))
    x, magnitudes = toy_models.draw(narrow, np.random.default_rng(2), 100)
    assert x.dtype == magnitudes.dtype == dtype and x.shape == (100, 50)


@pytest.mark.parametrize("name", ["hierarchy", "imperfect_cooccurrence", "tree", "exclusive_siblings"])
def test_samples_fire_as_often_as_expected(name):
    """200,000 samples: five standard errors."""
    world = getattr(spec_worlds, name)(np.random.default_rng(1), **WORLDS[name])
    B, expected = 200_000, spec.expected_cofiring(world)
    on = (spec.draw(world, np.random.default_rng(3), B)[1] > 0).astype(float)
    assert (np.abs(on.T @ on / B - expected) <= 5 * np.sqrt(expected * (1 - expected) / B)).all()
