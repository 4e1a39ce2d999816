"""The Triton kernels against the path of torch operations: equal on dyadic inputs, in every dtype.

Runs where kernels run: on a GPU (SAE_SPEC_DEVICE=cuda), or under Triton's interpreter, for which TRITON_INTERPRET=1
must be set before Triton is imported. So `test_kernels.py` runs this file in a process of its own.
Blocks are made small for some examples: the same few numbers then cross tiles, pieces and levels.
"""

import os
from contextlib import ExitStack, nullcontext
from unittest import mock

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from sae_spec.spec_tests.core.compare import assert_same
from sae_spec.spec_tests.core.strategies import dyadic
from sae_spec.torch_impl.program import gpu_check
from sae_spec.torch_impl.kernels.triton import resources
from sae_spec.torch_impl.kernels.triton import decode as triton_decode, gathered_dots as triton_dots, launch as triton_launch
from sae_spec.torch_impl.kernels.triton import select as triton_select, weight_gradient as triton_weight_gradient
from sae_spec.torch_impl.kernels.select import select
from sae_spec.torch_impl.kernels.sparse_products import decode, gathered_dots, transpose, weight_gradient

DEVICE = os.environ.get("SAE_SPEC_DEVICE", "cpu")
DTYPES = st.sampled_from([torch.float32, torch.bfloat16, torch.float16, torch.float64])


@pytest.fixture(autouse=True)
def torch_path(monkeypatch):
    """The functions called by their plain names are the torch path."""
    monkeypatch.setenv("SAE_SPEC_KERNELS", "torch")


def tensor(array, dtype):
    return torch.as_tensor(array, device=DEVICE).to(dtype)


def same(want, got):
    """Two tensors of one dtype hold the same numbers."""
    assert want.dtype == got.dtype
    assert_same({"result": want.double().cpu()}, {"result": got.double().cpu()}, exact=True)


def dense(values, indices, n):
    """What was selected as rows (R, n); a place that is named twice shows."""
    zeros = torch.zeros(len(values), n, dtype=torch.float64, device=values.device)
    return zeros.scatter_add(-1, indices, values.double())


def small_tiles(tile):
    """The selection with tiles of that many entries, so that a short row is a long one."""
    return mock.patch.multiple(triton_select, TILE=tile, LARGE_K=max(tile // 8, 1))


def small_blocks():
    """Pieces of 2 entries and blocks of at most 4 columns, so that few entries and columns are many."""
    stack = ExitStack()
    stack.enter_context(mock.patch.object(triton_weight_gradient, "PIECE", 2))
    stack.enter_context(mock.patch.multiple(triton_launch, WIDEST=4, NARROWEST=2))
    return stack


# ---------------------------------------------------------------- selection

def check_selection(pre, k, order_by=None):
    n = pre.shape[1]
    values, indices = triton_select.select(pre, k, order_by)
    assert values.shape == indices.shape == (len(pre), k) and values.dtype == pre.dtype
    assert (indices.diff(dim=-1) > 0).all(), "indices must ascend: no place is named twice"
    want, got = dense(*select(pre, k, order_by), n), dense(values, indices, n)
    same(*((rows.relu() if order_by is None else rows) for rows in (want, got)))


@given(data=st.data(), dtype=DTYPES, tile=st.sampled_from([16, 32, 16384]))
def test_select_by_value(data, dtype, tile):
    R, n = data.draw(st.integers(0, 3)), data.draw(st.integers(1, 70))
    k = data.draw(st.sampled_from([1, min(2, n), max(n // 2, 1), n]))
    least = data.draw(st.sampled_from([-2.0, 0.0, 0.25]))   # rows with few, some and only positive entries
    with small_tiles(tile):
        check_selection(tensor(data.draw(dyadic((R, n), least)), dtype), k)


@given(data=st.data(), dtype=DTYPES, tile=st.sampled_from([16, 16384]))
def test_select_by_another_rank(data, dtype, tile):
    """As abs_topk ranks by size and budget_topk by density; a rank below 0 takes no part, a rank of 0 does."""
    R, n = data.draw(st.integers(1, 3)), data.draw(st.integers(1, 40))
    pre, rank = (tensor(data.draw(dyadic((R, n), least)), dtype) for least in (-2.0, -1.0))
    with small_tiles(tile):
        check_selection(pre, data.draw(st.integers(1, n)), rank)


@pytest.mark.parametrize("k", [1, 5, 2048, 2049, 20000])
def test_select_from_a_row_longer_than_a_tile(k):
    """Full-size tiles: several levels up to k = 2048, counting above; many ties at the k-th value."""
    pre = torch.randint(-40, 40, (1, 20000), generator=torch.Generator().manual_seed(k)) / 8
    check_selection(tensor(pre, torch.float32), k)


def test_select_stays_inside_when_a_row_is_not_finite():
    """It must name valid places, or what reads them crashes before anybody sees the NaN."""
    pre = torch.full((2, 40), torch.nan, device=DEVICE)
    pre[1, ::2] = torch.tensor([torch.inf, -torch.inf, -0.0, -torch.nan], device=DEVICE).repeat(5)
    for tile in (16, 16384):
        with small_tiles(tile):
            for k in (1, 7, 40):
                _, indices = triton_select.select(pre, k)
                assert (indices >= 0).all() and (indices < 40).all() and (indices.diff(dim=-1) > 0).all()


# ---------------------------------------------------------------- sums and products over entries

@st.composite
def sparse(draw):
    """(values, indices, offsets, M) of a sparse (B, M) matrix; samples without entries and with all M."""
    B, M = draw(st.integers(0, 5)), draw(st.integers(1, 9))
    on = draw(dyadic((B, M), 0.0, 1.0, 1.0))
    sample, indices = np.nonzero(on)
    offsets = np.concatenate([[0], np.bincount(sample, minlength=B).cumsum()]) if B else np.zeros(1)
    return (draw(dyadic((len(indices),), -2.0)), *(tensor(array, torch.int64).contiguous() for array in (indices, offsets)), M)


def check_entries(values, indices, offsets, M, rows, W):
    """The three kernels at one matrix; rows (B, D), W (M, D)."""
    same(decode(values, indices, offsets, W), triton_decode.decode(values, indices, offsets, W))
    same(gathered_dots(rows, indices, offsets, W), triton_dots.gathered_dots(rows, indices, offsets, W))
    by_latent = transpose(indices, offsets, M)
    want = weight_gradient(values, rows, by_latent)
    same(want, triton_weight_gradient.weight_gradient(values, rows, by_latent))
    held = torch.ones_like(want)
    assert triton_weight_gradient.weight_gradient(values, rows, by_latent, held, add=True) is held
    same(want + 1, held)
    triton_weight_gradient.weight_gradient(values, rows, by_latent, held)
    same(want, held)


@given(data=st.data(), entries=sparse(), dtype=DTYPES, D=st.integers(1, 7), small=st.booleans())
def test_sums_and_products_over_entries(data, entries, dtype, D, small):
    values, indices, offsets, M = entries
    rows, W = (tensor(data.draw(dyadic((n, D), -1.0, 1.0, 0.5)), dtype) for n in (len(offsets) - 1, M))
    with small_blocks() if small else nullcontext():
        check_entries(tensor(values, dtype), indices, offsets, M, rows, W)


@pytest.mark.parametrize(("B", "D"), [(270, 3), (3, 520)])
def test_full_size_blocks(B, D):
    """Latents that speak in every sample, hence own several pieces; rows of several blocks; silent latents."""
    M, g = 5, torch.Generator().manual_seed(D)
    indices = torch.tensor([0, 3], device=DEVICE).repeat(B)
    offsets = torch.arange(0, 2 * B + 1, 2, device=DEVICE)
    values, rows, W = (tensor(torch.randint(-4, 5, size, generator=g) / 4, torch.float32) for size in ((2 * B,), (B, D), (M, D)))
    check_entries(values, indices, offsets, M, rows, W)


def test_a_number_that_is_not_finite_is_passed_on():
    """A NaN weight must reach the loss, whose check stops training."""
    W = torch.tensor([[torch.nan], [1.0]], device=DEVICE)
    indices, offsets = torch.tensor([0, 1], device=DEVICE), torch.tensor([0, 1, 2], device=DEVICE)
    got = triton_decode.decode(torch.ones(2, device=DEVICE), indices, offsets, W)
    assert got.isnan().tolist() == [[True], [False]]


def test_two_runs_give_the_same_bits():
    g = torch.Generator().manual_seed(0)
    indices, offsets = torch.randint(0, 3, (60,), generator=g).to(DEVICE), torch.arange(0, 61, 3, device=DEVICE)
    values, rows = torch.randn(60, generator=g).to(DEVICE), torch.randn(20, 70, generator=g).to(DEVICE)
    by_latent = transpose(indices, offsets, 4)
    with mock.patch.object(triton_weight_gradient, "PIECE", 8):
        once, again = (triton_weight_gradient.weight_gradient(values, rows, by_latent) for _ in range(2))
    assert torch.equal(once, again)


def test_kernels_can_be_timed_beside_their_floors():
    shape = resources.Shape(3, 5, 2, 2, torch.float32)
    text = gpu_check.table(shape, gpu_check.measure(shape, DEVICE))
    assert all(step in text for step in ("select", "decode", "gathered_dots", "weight_gradient"))


def test_what_lies_scattered_in_memory_counts_as_it_reads():
    """A column-major matrix, an expanded gradient."""
    offsets, indices = torch.tensor([0, 2, 4], device=DEVICE), torch.tensor([0, 2, 1, 2], device=DEVICE)
    values, rows = torch.ones(1, device=DEVICE).expand(4), torch.arange(10.0, device=DEVICE).view(5, 2).T      # (2, 5)
    W, by_latent = torch.arange(15.0, device=DEVICE).view(5, 3).T, transpose(indices, offsets, 3)              # (3, 5)
    for kernel, scattered in ((triton_decode.decode, (values, indices, offsets, W)),
                              (triton_dots.gathered_dots, (rows, indices, offsets, W)),
                              (triton_weight_gradient.weight_gradient, (values, rows, by_latent))):
        laid_out = [part.contiguous() if torch.is_tensor(part) else part for part in scattered]
        same(kernel(*laid_out), kernel(*scattered))
    for want, got in zip(triton_select.select(rows.contiguous(), 2), triton_select.select(rows, 2)):
        same(want, got)


@pytest.mark.parametrize("D", [1, 6, 64, 100, 768, 4096, 5000])
@pytest.mark.parametrize("rows", [1, 12288, 131072])
def test_blocks_are_powers_of_two_that_cover_the_columns(D, rows):
    width = triton_launch.block_width(rows, D, 4)
    assert width & (width - 1) == 0 and width < 2 * D and width <= triton_launch.WIDEST
    assert width <= triton_launch.NARROWEST or rows * width * 4 <= triton_launch.SLICE_BYTES
