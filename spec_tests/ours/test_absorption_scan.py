"""The scan for absorption at scale says what the dense reference says, at its candidates, however the data is cut."""

from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sae_spec.reference.absorption import detector, evidence, read_out
from sae_spec.reference.absorption.stream import firing_floor, observe
from sae_spec.reference.worlds import theory, toy_worlds
from sae_spec.reference.sae.constraints import normalize_rows
from sae_spec.reference.worlds.toy_models import draw
from sae_spec.torch_impl import SAEConfig, SparseAutoencoder
from sae_spec.torch_impl.absorption import pairs, scan
from sae_spec.torch_impl.absorption.detector import ABSORBED, COSINES, probability


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def absorbing_tree(rng, deltas):
    """x, acts, W_enc, W_dec, b_dec of an SAE of the tree world: three families, each child absorbing its delta."""
    world = toy_worlds.tree(rng, std=0.1)
    W_enc, W_dec = world.directions.copy(), world.directions.copy()
    for c, delta in zip(range(3, 12), deltas):
        W_enc[world.parent[c]] -= delta * world.directions[c]
        W_dec[c] += delta * world.directions[world.parent[c]]
    x, _ = draw(world, rng, 4000)
    b_dec = rng.normal(size=20) * 0.01
    return x + b_dec, np.maximum(x @ W_enc.T, 0), W_enc, W_dec, b_dec


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("M, top, block", [(7, 3, 2), (50, 8, 16), (65, 40, 65), (33, 32, 8), (5, 9, 4)])
def test_candidates_are_the_nearest_rows_within_the_bounds(seed, M, top, block):
    rng = np.random.default_rng(seed)
    W = rng.normal(size=(M, 6)) * rng.uniform(0.5, 2, (M, 1))
    W[1], W[2] = 2 * W[0], 0                                # a double and a dead row
    index = scan.candidates(torch.tensor(W), top, block).numpy()
    cosine = normalize_rows(W) @ normalize_rows(W).T
    allowed = (cosine > COSINES[0]) & (cosine < COSINES[1]) & ~np.eye(M, dtype=bool)
    for c in range(M):
        nearest = index[c][index[c] >= 0]
        want = np.sort(cosine[c][allowed[c]])[::-1][: min(top, M)]
        np.testing.assert_allclose(cosine[c][nearest], want, atol=1e-6)
        assert len(set(nearest)) == len(nearest) and (index[c][len(nearest):] == -1).all()


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("cuts", [(), (1500,), (7, 8, 3000)])
def test_evidence_and_probability_are_the_references(seed, cuts):
    rng = np.random.default_rng(seed)
    x, acts, W_enc, W_dec, b_dec = absorbing_tree(rng, rng.uniform(0, 1, 9))
    stream = observe(x, acts, W_dec, b_dec)
    tensors = [torch.tensor(a) for a in (W_dec, b_dec, firing_floor(x, acts, W_dec))]
    index, counts = scan.candidates(tensors[0], 12, 8), scan.no_counts(tensors[0], 12)
    for piece in np.split(np.arange(len(x)), cuts):
        shard = scan.no_counts(tensors[0], 12)
        scan.count(shard, index, torch.tensor(x[piece]), torch.tensor(acts[piece]), *tensors)
        counts = scan.merge(counts, shard)
    answers, c, there = pairs.evidence(counts, index, tensors[0]), np.arange(20)[:, None], index.numpy() >= 0
    want, at = evidence.evidence(stream, W_dec), (index.numpy(), c)
    assert there.any()
    for name in want._fields:
        mine, theirs = getattr(answers, name).numpy()[there], getattr(want, name)[at][there]
        np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-9, err_msg=name)
    dense = detector.probability(want)
    mine = probability(answers).numpy()
    np.testing.assert_allclose(mine[there], dense[at][there], atol=1e-9)
    assert not mine[~there].any()
    assert (dense > ABSORBED).sum() == (mine > ABSORBED).sum() > 0                # none is lost


def test_the_read_out_is_the_references():
    rng = np.random.default_rng(5)
    x, acts, W_enc, W_dec, b_dec = absorbing_tree(rng, np.full(9, 0.8))
    dense = detector.absorption_probability(observe(x, acts, W_dec, b_dec), W_dec)
    A = read_out.read_out_matrix(dense, W_dec)
    parents, children = map(torch.tensor, np.nonzero(A))
    along = pairs.coefficients(parents, children, torch.tensor(W_dec))
    mine = pairs.corrected(torch.tensor(acts), parents, children, along)
    np.testing.assert_allclose(mine.numpy(), read_out.corrected(acts, A), rtol=1e-12)
    assert (mine.numpy() > acts + 0.1).any()


def test_no_latent_fires():
    W = torch.eye(3, dtype=torch.float64)
    index, counts = scan.candidates(W, 2), scan.no_counts(W, 2)
    scan.count(counts, index, torch.ones(5, 3).double(), torch.zeros(5, 3).double(), W, torch.zeros(3), torch.ones(3))
    assert counts.samples == 5 and not probability(pairs.evidence(counts, index, W)).any()


def test_the_delta_family_is_found():
    f = np.eye(4)
    W_enc, W_dec = f.copy(), f.copy()
    W_enc[:2], W_dec[:2] = theory.delta_family(f[0], f[1], 0.75)
    world = toy_worlds.world(f, (0.25, 0.25, 0.1, 0.1), (-1, 0, -1, -1))
    x, _ = draw(world, np.random.default_rng(0), 4000)
    W, index = torch.tensor(W_dec), scan.candidates(torch.tensor(W_dec), 2)
    counts, acts = scan.no_counts(W, 2), np.maximum(x @ W_enc.T, 0)
    floor = torch.tensor(firing_floor(x, acts, W_dec))
    scan.count(counts, index, torch.tensor(x), torch.tensor(acts), W, torch.zeros(4), floor)
    found = pairs.evidence(counts, index, W)
    children, slots = pairs.ranked(probability(found) > ABSORBED, probability(found))
    (child,), (slot,) = children.tolist(), slots.tolist()
    assert (index[child, slot], child) == (0, 1) and abs(found.silent[child, slot] + found.low[child, slot] - 0.75) < 1e-6


@pytest.mark.parametrize("activation", ["relu", "abs_topk"])
@pytest.mark.parametrize("off", [0.0, 1e-12])
def test_counts_are_the_references_also_of_noise_and_of_either_sign(activation, off):
    """Nearly empty samples, and activations below 0: the same fire, and in full, in a scan as in the reference."""
    rng = np.random.default_rng(3)
    x, _, _, W_dec, b_dec = absorbing_tree(rng, rng.uniform(0, 1, 9))
    quiet = rng.uniform(0.2, 1, (20, 1))                    # some never write half of their content
    sae = SparseAutoencoder(SAEConfig(D=20, M=20, activation=activation, k=3 if activation == "abs_topk" else None),
                            dtype=torch.float64).eval()
    with torch.no_grad():
        for name, array in (("W_dec", W_dec), ("W_enc", W_dec * quiet), ("b_dec", b_dec + off)):
            sae.parameters_by_name()[name].copy_(torch.tensor(array))
        rows = torch.tensor(x)
        acts, W = sae.encode(rows).numpy(), torch.tensor(W_dec)
    stream, index = observe(x, acts, W_dec, b_dec + off), scan.candidates(W, 12, 8)
    floor = scan.firing_floor(sae, rows, batch_size=700)
    np.testing.assert_allclose(floor.numpy(), firing_floor(x, acts, W_dec), rtol=1e-12)
    counts, c, there = scan.scan(sae, rows, index, floor, 300), np.arange(20)[:, None], index.numpy() >= 0
    assert (counts.full < counts.fires).any() and (counts.fires.numpy() < (acts != 0).sum(0)).any()
    for name in ("fires", "full"):
        np.testing.assert_array_equal(getattr(counts, name).numpy(), getattr(stream, name), err_msg=name)
    for name in ("beside", "both_full"):
        mine, theirs = getattr(counts, name).numpy(), getattr(stream, name)[index.numpy(), c]
        np.testing.assert_array_equal(mine[there], theirs[there], err_msg=name)


def test_of_many_rows_every_nth_batch_says_what_is_usual():
    sae = SparseAutoencoder(SAEConfig(D=3, M=3, activation="relu"), dtype=torch.float64).eval()
    with torch.no_grad():
        for name in ("W_dec", "W_enc"):
            sae.parameters_by_name()[name].copy_(torch.eye(3))
        loud = torch.arange(1.0, 9.0, dtype=torch.float64).repeat_interleave(4)[:, None] * torch.ones(3)       # batches of 4
        every = scan.firing_floor(sae, loud, batch_size=4)
        third = scan.firing_floor(sae, loud, batch_size=4, at_most=12)
        few = scan.firing_floor(sae, loud[:12], batch_size=4, at_most=12)
    levels = np.arange(1.0, 9.0)
    for floor, seen in ((every, levels), (third, levels[::3]), (few, levels[:3])):
        np.testing.assert_allclose(floor.numpy(), 0.01 * (seen**2).sum() / seen.sum(), rtol=1e-12)


@pytest.mark.parametrize("places", [1, 40, 2**20])
def test_a_batch_is_counted_the_same_in_pieces_and_from_an_sae_that_lists_what_is_on(places, monkeypatch):
    monkeypatch.setattr(scan, "PLACES", places)
    x, acts, _, W_dec, b_dec = absorbing_tree(np.random.default_rng(0), np.full(9, 0.5))
    sae = SparseAutoencoder(SAEConfig(D=20, M=20, activation="topk", k=4), dtype=torch.float64).eval()
    with torch.no_grad():
        for name, array in (("W_dec", W_dec), ("W_enc", W_dec), ("b_dec", b_dec)):
            sae.parameters_by_name()[name].copy_(torch.tensor(array))
    rows, index = torch.tensor(x), scan.candidates(sae.W_dec, 12, 8)
    plain = SimpleNamespace(W_dec=sae.W_dec, b_dec=sae.b_dec, encode=sae.encode)
    floors = [scan.firing_floor(one, rows) for one in (sae, plain)]
    stream = observe(x, sae.encode(rows).detach().numpy(), W_dec, b_dec)
    for one, floor in zip((sae, plain), floors):
        counts = scan.scan(one, rows, index, floor)
        for name in scan.Counts._fields:
            mine, theirs = getattr(counts, name).numpy(), getattr(stream, name)
            if mine.shape == tuple(index.shape):
                there = index.numpy() >= 0
                assert not mine[~there].any()
                mine, theirs = mine[there], theirs[index.numpy(), np.arange(20)[:, None]][there]
            np.testing.assert_allclose(mine, theirs, rtol=1e-9, atol=1e-9, err_msg=name)
