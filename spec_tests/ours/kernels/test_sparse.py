"""The sparse path: the same numbers as the dense one, in memory that does not grow with the batch."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.utils._python_dispatch import TorchDispatchMode

from sae_spec.spec_tests.core.strategies import ACTIVATIONS, saes
from sae_spec.torch_impl import SAEConfig, SparseAutoencoder, Trainer, TrainingConfig
from sae_spec.torch_impl.sae import autoencoder, objective, sparse_autoencoder
from sae_spec.torch_impl.sae.linear import decode as decode_latents
from sae_spec.torch_impl.sparse.entries import Entries, Places
from sae_spec.torch_impl.kernels import chunks, select as selecting, sparse_products
from sae_spec.torch_impl.kernels.select import select
from sae_spec.torch_impl.kernels.sparse_products import decode, gathered_dots, transpose, weight_gradient

CHOOSING = [name for name in ACTIVATIONS if "topk" in name]
COSTS = {"l1_coefficient": 0.5, "tanh_coefficient": 0.25, "tanh_scale": 2.0, "tie_coefficient": 0.5,
         "aux_coefficient": 0.5, "k_aux": 2}


@pytest.fixture
def small_chunks(monkeypatch):
    """Chunks of two rows or so, even for the smallest batch."""
    monkeypatch.setitem(chunks.CHUNK_BYTES, "cpu", 4 * 12)
    monkeypatch.setattr(chunks, "CHUNK_ROWS", 1)


def both_ways(config, inputs, cotangents=None, dead=None):
    """(dense, sparse): {name: tensor} of outputs and of the gradients of all inputs."""
    results = []
    for road in (autoencoder, sparse_autoencoder):
        leaves = {name: torch.as_tensor(array).double().requires_grad_() for name, array in inputs.items() if name != "price"}
        price = torch.as_tensor(inputs.get("price", torch.ones(len(inputs["W_dec"])))).double()
        params = {name: tensor for name, tensor in leaves.items() if name != "x"}
        shared, pre, acts = road.encode(leaves["x"], params, config, price)
        recons = decode_latents(acts, params, config.get("prefixes"))
        batch = autoencoder.Batch(leaves["x"], shared, pre, acts, recons)
        terms = objective.objective(batch, params, config, objective.Given(price, dead))
        grads = torch.autograd.grad(terms["total"], list(leaves.values()), allow_unused=True, materialize_grads=True)
        dense = acts.dense() if isinstance(acts, Entries) else acts
        outputs = {"acts": dense, "recons": recons} | {name: torch.as_tensor(term) for name, term in terms.items()}
        results.append(outputs | {f"d_{name}": grad for name, grad in zip(leaves, grads)})
    return results


def assert_close(dense, sparse):
    for name, want in dense.items():
        torch.testing.assert_close(sparse[name].detach(), want.detach(), rtol=1e-10, atol=1e-10, msg=lambda text: f"{name}: {text}")
    assert torch.equal(sparse["acts"] != 0, dense["acts"] != 0)


@given(sae=saes(), data=st.data())
def test_sparse_is_dense(sae, data):
    """Dyadic inputs: ties, zeros and rows with fewer than k positive entries come by themselves."""
    config = sae.config | COSTS | ({"l0_coefficient": 0.5} if sae.config["activation"] == "jumprelu" else {})
    dead = torch.tensor(data.draw(st.lists(st.booleans(), min_size=sae.M, max_size=sae.M)))
    assert_close(*both_ways(config, sae.inputs, dead=dead))


@given(sae=saes(), data=st.data())
def test_chunked_is_whole(small_chunks, sae, data):
    config = sae.config | COSTS
    dead = torch.tensor(data.draw(st.lists(st.booleans(), min_size=sae.M, max_size=sae.M)))
    assert_close(*both_ways(config, sae.inputs, dead=dead))


def random_case(name, B=16, D=5, M=40, k=4, seed=0, tied=False):
    g = torch.Generator().manual_seed(seed)
    inputs = {"x": torch.randn(B, D, generator=g), "W_dec": torch.randn(M, D, generator=g),
              "b_dec": torch.randn(D, generator=g), "b_enc": torch.randn(M, generator=g)}
    if not tied:
        inputs["W_enc"] = torch.randn(M, D, generator=g)
    if name == "jumprelu":
        inputs["log_threshold"] = torch.zeros(M)
    if name == "gated":
        inputs |= {"r_mag": torch.zeros(M), "b_mag": torch.zeros(M)}
    if "budget" in name:
        inputs["price"] = 1 + torch.rand(M, generator=g)
    return {"activation": name, "k": k, "bandwidth": 0.5} | COSTS, inputs


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("prefixes", [None, [7, 20, 40]])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_random_inputs_in_chunks(small_chunks, name, prefixes, tied):
    config, inputs = random_case(name, tied=tied)
    assert_close(*both_ways(config | {"prefixes": prefixes}, inputs, dead=torch.arange(40) % 3 == 0))


@pytest.mark.parametrize("B, k", [(1, 1), (1, 40), (5, 1), (5, 40)])
@pytest.mark.parametrize("name", CHOOSING)
def test_the_ends_of_k_and_B(small_chunks, name, B, k):
    config, inputs = random_case(name, B=B, k=k)
    assert_close(*both_ways(config, inputs, dead=torch.zeros(40, dtype=torch.bool)))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_rows_without_an_active_latent(small_chunks, name):
    config, inputs = random_case(name)
    inputs["b_enc"] = torch.full((40,), -100.0)
    assert_close(*both_ways(config, inputs, dead=torch.ones(40, dtype=torch.bool)))


def test_one_row_may_own_nearly_everything(small_chunks):
    """A massive activation takes most of the batch's budget; memory goes by what is on, not by the longest row."""
    config, inputs = random_case("batch_topk")
    inputs["x"][3] *= 1e3
    dense, sparse = both_ways(config, inputs, dead=torch.zeros(40, dtype=torch.bool))
    assert_close(dense, sparse)
    assert (dense["acts"][3] != 0).sum() > 12


# ---------------------------------------------------------------- the candidates of a batch rule

@given(data=st.data(), budget=st.integers(1, 30), rows=st.integers(1, 4))
def test_candidates_hold_the_largest(data, budget, rows):
    """Whatever the chunks and the sample, the candidates are enough: ties included."""
    values = data.draw(st.lists(st.integers(-3, 9), min_size=8 * rows, max_size=8 * rows))
    order = torch.tensor(values, dtype=torch.float64)
    sample, sparse_autoencoder.SAMPLE = sparse_autoencoder.SAMPLE, 4
    try:
        found = sparse_autoencoder.candidates(order, budget, None, 0)
    finally:
        sparse_autoencoder.SAMPLE = sample
    want = order.sort(descending=True, stable=True).indices[:budget]
    assert set(want[order[want] > 0].tolist()) <= set(found.tolist())
    assert torch.equal(found, found.sort().values)


# ---------------------------------------------------------------- the kernels by themselves

def sparse_case(B, M, density, seed=0):
    g = torch.Generator().manual_seed(seed)
    mask = torch.rand(B, M, generator=g) < density
    offsets = torch.nn.functional.pad(mask.sum(1).cumsum(0), (1, 0))
    return mask, mask.nonzero()[:, 1], offsets, g


@pytest.mark.parametrize("few", [True, False], ids=["gathered", "as dense"])
@pytest.mark.parametrize("B, D, M, density", [(1, 1, 1, 1.0), (5, 3, 7, 0.3), (6, 4, 9, 0.0), (17, 33, 65, 0.2), (3, 8, 5, 1.0)])
def test_products_are_the_dense_ones(monkeypatch, small_chunks, B, D, M, density, few):
    monkeypatch.setattr(sparse_products, "CROWDED_ENTRIES", 10**9 if few else -1)
    monkeypatch.setattr(sparse_products, "CROWDED_PLACES", 10**9)
    mask, indices, offsets, g = sparse_case(B, M, density)
    dense = torch.where(mask, torch.randn(B, M, generator=g, dtype=torch.float64), 0)
    rows, W = torch.randn(B, D, generator=g, dtype=torch.float64), torch.randn(M, D, generator=g, dtype=torch.float64)
    torch.testing.assert_close(decode(dense[mask], indices, offsets, W), dense @ W)
    torch.testing.assert_close(gathered_dots(rows, indices, offsets, W), (rows @ W.T)[mask])
    transposed = transpose(indices, offsets, M)
    torch.testing.assert_close(weight_gradient(dense[mask], rows, transposed), dense.T @ rows)
    out = torch.full((M, D), torch.nan, dtype=torch.float64)
    assert weight_gradient(dense[mask], rows, transposed, out=out) is out
    torch.testing.assert_close(out, dense.T @ rows)
    weight_gradient(dense[mask], rows, transposed, out=out, add=True)
    torch.testing.assert_close(out, 2 * dense.T @ rows)


@given(data=st.data(), R=st.integers(1, 4), n=st.integers(1, 9))
def test_select_is_a_stable_sort(data, R, n):
    k = data.draw(st.integers(1, n))
    draw = lambda: torch.tensor(data.draw(st.lists(st.integers(-2, 3), min_size=R * n, max_size=R * n))).view(R, n).float()
    pre, by_size = draw(), data.draw(st.booleans())
    order = pre.abs() if by_size else pre
    values, indices = select(pre, k, pre.abs() if by_size else None)
    assert values.shape == indices.shape == (R, k) and indices.min() >= 0 and indices.max() < n
    for r in range(R):
        best = order[r].sort(descending=True, stable=True).indices[:k]
        want = {(int(i), float(pre[r, i])) for i in best if pre[r, i] != 0 and order[r, i] >= 0}
        got = [(int(i), float(v)) for i, v in zip(indices[r], values[r]) if v != 0]
        assert set(got) == want and len(got) == len(want)


# ---------------------------------------------------------------- memory

class Largest(TorchDispatchMode):
    """Counts the numbers in the largest tensor that any operation returns."""

    numbers = 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        result = function(*args, **kwargs or {})
        for tensor in result if isinstance(result, (tuple, list)) else [result]:
            if torch.is_tensor(tensor) and tensor.layout is torch.strided:
                self.numbers = max(self.numbers, tensor.numel())
        return result


@pytest.mark.parametrize("name", ["topk", "batch_topk", "abs_topk", "budget_topk", "batch_budget_topk"])
def test_no_tensor_of_a_step_is_larger_than_a_chunk(monkeypatch, name):
    monkeypatch.setenv("SAE_SPEC_KERNELS", "torch")         # an interpreter's emulation is no measure
    B, D, M = 256, 8, 512
    monkeypatch.setitem(chunks.CHUNK_BYTES, "cpu", 4 * 16 * M)    # chunks of 16 rows
    monkeypatch.setattr(chunks, "CHUNK_ROWS", 1)
    trainer = Trainer(SparseAutoencoder(SAEConfig(D=D, M=M, activation=name, k=4)), TrainingConfig(steps=3, batch_size=B, dead_after=B))
    with Largest() as largest:
        trainer.step(torch.randn(B, D, generator=torch.Generator().manual_seed(0)))
    assert 16 * M <= largest.numbers <= 16 * M + M < B * M


@pytest.mark.parametrize("screened", [True, False])
@pytest.mark.parametrize("name", ["topk", "batch_topk"])
def test_a_large_choice_holds_one_block_of_latents(monkeypatch, name, screened):
    monkeypatch.setenv("SAE_SPEC_KERNELS", "torch")
    monkeypatch.setattr(selecting, "can_screen", lambda x: screened)
    B, D, M = 1024, 8, 8192
    config, inputs = random_case(name, B=B, D=D, M=M)
    with Largest() as largest:
        sparse_autoencoder.encode(inputs["x"], inputs, config)
    assert largest.numbers <= B * 2048 == B * M / 4


@pytest.mark.parametrize("name", ["topk", "batch_topk", "jumprelu", "relu"])
def test_what_a_step_keeps_for_its_backward_is_small(monkeypatch, name):
    monkeypatch.setenv("SAE_SPEC_KERNELS", "torch")
    B, D, M = 64, 8, 512
    config, inputs = random_case(name, B=B, D=D, M=M)
    inputs["b_enc"] -= 6.0                                  # few are on
    params = {key: tensor.requires_grad_() for key, tensor in inputs.items() if key != "x"}
    saved = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: saved.append(tensor.numel()) or tensor, lambda tensor: tensor):
        *_, acts = sparse_autoencoder.encode(inputs["x"], params, config)
        decode_latents(acts, params)
    assert saved and max(saved) < B * M / 4


# ---------------------------------------------------------------- whole steps

def trained(name, steps, monkeypatch=None, path=None, **training):
    if path:
        monkeypatch.setenv("SAE_SPEC_KERNELS", path)
    k = {"k": 3} if name in CHOOSING else {}
    sae = SparseAutoencoder(SAEConfig(D=6, M=24, activation=name, bandwidth=0.5, **k), dtype=torch.float64)
    options = {"steps": steps, "batch_size": 32, "dead_after": 64, "learning_rate": 1e-3} | training
    trainer = Trainer(sae, TrainingConfig(**options))
    g = torch.Generator().manual_seed(1)
    for _ in range(steps):
        trainer.step(torch.randn(32, 6, generator=g, dtype=torch.float64))
    return sae.state_dict()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_a_sparse_run_is_a_dense_run(monkeypatch, name):
    costs = {"l1_coefficient": 0.01, "tie_coefficient": 0.1, "aux_coefficient": 1 / 32, "k_aux": 3, "max_grad_norm": 1.0}
    dense, sparse = (trained(name, 20, monkeypatch, path, **costs) for path in ("dense", "torch"))
    for key, want in dense.items():
        torch.testing.assert_close(sparse[key], want, rtol=1e-8, atol=1e-8, msg=lambda text: f"{key}: {text}")


@pytest.mark.parametrize("name", ["topk", "batch_topk"])
def test_the_same_seed_gives_the_same_bits(name):
    first, second = trained(name, 200), trained(name, 200)
    assert all(torch.equal(first[key], second[key]) for key in first)


def test_a_rule_that_does_not_choose_goes_by_how_many_are_on(monkeypatch):
    monkeypatch.setenv("SAE_SPEC_KERNELS", "")
    relu, few, many = {"activation": "relu"}, sparse_autoencoder.SPARSE_BELOW / 2, sparse_autoencoder.SPARSE_BELOW * 2
    assert sparse_autoencoder.is_sparse(relu, lambda: few) and not sparse_autoencoder.is_sparse(relu, lambda: many)
    assert not sparse_autoencoder.is_sparse(relu, lambda: None)
    assert sparse_autoencoder.is_sparse({"activation": "topk"}, None)


# ---------------------------------------------------------------- inference

@pytest.mark.parametrize("shape", [(9, 6), (3, 3, 6), (0, 6), (6,)])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_encode_sparse_is_encode(small_chunks, name, shape):
    sae = SparseAutoencoder(SAEConfig(D=6, M=24, activation=name, **({"k": 3} if name in CHOOSING else {}))).eval()
    sae.threshold.fill_(0.5)
    sae.threshold_seen.fill_(1)
    x = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values, indices = sae.encode_sparse(x)
    dense = torch.zeros(*shape[:-1], 24).scatter_add(-1, indices, values)
    torch.testing.assert_close(dense, sae.encode(x), rtol=1e-5, atol=1e-6)


def test_padded_rows():
    places = Places(torch.tensor([2, 0, 1]), torch.tensor([0, 2, 2, 3]), 4)
    values, indices = Entries(torch.tensor([1.0, 0.0, 3.0]), places).nonzero().padded()
    assert values.tolist() == [[1.0], [0.0], [3.0]] and indices.tolist() == [[2], [0], [1]]


def test_a_file_is_encoded(tmp_path, small_chunks):
    from safetensors.torch import load_file

    from sae_spec.torch_impl.training.data import Activations
    from sae_spec.torch_impl.training.encode_file import encode_file

    sae = SparseAutoencoder(SAEConfig(D=6, M=24, activation="relu")).eval()
    x = torch.randn(50, 6, generator=torch.Generator().manual_seed(0))
    total = encode_file(sae, Activations(x), tmp_path / "out.safetensors", progress=False)
    found = load_file(tmp_path / "out.safetensors")
    dense = Entries(found["values"], Places(found["indices"].long(), found["offsets"], 24)).dense()
    torch.testing.assert_close(dense, sae.encode(x))
    assert total == len(found["values"]) == (dense != 0).sum() and [path.name for path in tmp_path.iterdir()] == ["out.safetensors"]
