"""The choice without a matrix: latents come in blocks, screened by a bound, and the result is that of the whole product."""

import pytest

torch = pytest.importorskip("torch")

from hypothesis import given
from hypothesis import strategies as st

from sae_spec.spec_tests.core.strategies import dyadic
from sae_spec.torch_impl.kernels import screen, select as module, shortlist
from sae_spec.torch_impl.kernels.screen import Exact, Screened
from sae_spec.torch_impl.kernels.select import batch_top_products, rowwise, top_products


@pytest.fixture(autouse=True)
def torch_path(monkeypatch):
    monkeypatch.setenv("SAE_SPEC_KERNELS", "torch")


@pytest.fixture(params=[Exact, Screened], ids=["exact", "screened"])
def small_blocks(monkeypatch, request):
    """Blocks of 16 latents for each of the k, for every problem that has two; three rows at a time."""
    for name, value in {"FEWEST_ROWS": 1, "LATENTS_PER_K": 1, "FEWEST_BLOCKS": 2, "BLOCK_ENTRIES": 3 * 16}.items():
        monkeypatch.setattr(module, name, value)
    monkeypatch.setattr(request.param, "width", 16)
    monkeypatch.setattr(module, "can_screen", lambda x: request.param is Screened)


def dense(selected, M):
    values, indices = selected
    return values.new_zeros(len(values), M).scatter_add_(1, indices, values.relu())


def random_problem(name, B=9, D=24, M=200):
    g = torch.Generator().manual_seed(0)
    x, W, b = (torch.randn(size, generator=g) for size in ((B, D), (M, D), (M,)))
    if name == "outlier dimensions":
        x[:, 3] *= 300
    elif name == "large and small rows":
        x, W = x * 10.0 ** torch.linspace(-8, 8, B).unsqueeze(1), W * 10.0 ** torch.linspace(-8, 8, M).unsqueeze(1)
    elif name == "rising":                                  # every block beats those before it
        b = torch.linspace(0, 100, M)
    elif name == "falling":                                 # the first block beats all after it: a guess from it is too high
        b = torch.linspace(100, 0, M)
    elif name == "loud first block":
        W[:16] *= 50
    elif name == "every eighth is loud":                    # what looks at one of eight sees all or nothing of it
        b[::8] += 50
    elif name == "equal":
        W, b = W[:1].expand(M, D).clone(), torch.ones(M)
    elif name == "one equal row":
        x[4], b = 0, torch.ones(M)
    elif name == "zero rows":
        x[::2], W[::3] = 0, 0
    elif name == "one rising row":
        x[:, 0], W[:, 0] = 0, torch.linspace(0, 100, M)
        x[4, 0] = 10
    elif name == "negative":
        b -= 1e3
    elif name == "few are positive":
        b -= 1e3
        b[[0, 77]] = 1e3
    elif name == "tiny":                                    # the CPU takes such products, and their squares, for 0
        x, b = x * 1e-30, b * 1e-38
    elif name == "nothing is normal":
        x, W, b = x * 1e-39, W * 1e-3, b * 1e-44
    elif name == "huge":
        x, W = x * 1e19, W * 1e18
    return x, W, b


PROBLEMS = ["random", "outlier dimensions", "large and small rows", "rising", "falling", "loud first block", "every eighth is loud",
            "equal", "one equal row", "one rising row", "zero rows", "negative", "few are positive", "tiny", "nothing is normal", "huge"]


@given(data=st.data(), B=st.integers(1, 7), D=st.integers(1, 5), M=st.integers(1, 90), dtype=st.sampled_from(["float32", "float64"]))
def test_ties_and_all_are_those_of_the_product(small_blocks, data, B, D, M, dtype):
    """Dyadic numbers: sums are exact, so that the same entries are kept and hold the same bits."""
    k = data.draw(st.sampled_from([1, 2, M]).filter(lambda k: k <= M))
    draw = lambda size: torch.as_tensor(data.draw(dyadic(size, -1.0, 1.0, 0.5))).to(getattr(torch, dtype))
    x, W, b = draw((B, D)), draw((M, D)), draw((M,))
    if dtype == "float64" and module.can_screen(x):
        x, W, b = x.float(), W.float(), b.float()
    assert torch.equal(dense(top_products(x, W, b, k), M), dense(rowwise(x, W, b, k), M))


@given(data=st.data(), B=st.integers(1, 6), D=st.integers(1, 5), M=st.integers(64, 120))
def test_the_batch_is_one_row(small_blocks, data, B, D, M):
    """The same places, in the same order, as a stable sort of the whole batch; or a refusal."""
    draw = lambda size: torch.as_tensor(data.draw(dyadic(size, -1.0, 1.0, 0.5))).float()
    x, W, b, k = draw((B, D)), draw((M, D)), draw((M,)), data.draw(st.sampled_from([1, 2]))
    selected = batch_top_products(x, W, b, k * B)
    if selected is None:
        return
    pre = (x @ W.T + b).flatten()
    best = pre.sort(descending=True, stable=True).indices[: k * B]
    best = best[pre[best] > 0].sort().values
    values, indices, offsets = selected
    rows = torch.arange(B).repeat_interleave(offsets.diff())
    assert torch.equal(rows * M + indices, best) and torch.equal(values, pre[best])


@pytest.mark.parametrize("name", ["random", "outlier dimensions", "zero rows", "negative", "few are positive", "one rising row"])
def test_what_a_batch_keeps_is_the_largest(small_blocks, name):
    x, W, b = random_problem(name)
    x = x[3:6]
    values, indices, offsets = batch_top_products(x, W, b, 6)
    exact = (x.double() @ W.double().T + b.double()).relu()
    want = exact.flatten().topk(6).values
    rows = torch.arange(3).repeat_interleave(offsets.diff())
    torch.testing.assert_close(values.double(), exact[rows, indices], rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(values.double().sort(descending=True).values, want[want > 0], rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("k", [1, 5, 24, 200])
@pytest.mark.parametrize("name", PROBLEMS)
def test_what_is_chosen_is_the_largest(small_blocks, name, k):
    """Where sums are rounded: what is kept has its own value, and nothing left out is larger than rounding explains."""
    x, W, b = random_problem(name)
    values, indices = top_products(x, W, b, k)
    exact = (x.double() @ W.double().T + b.double())
    error = 1e-6 * (x.double().norm(dim=1, keepdim=True) * W.double().norm(dim=1) + b.double().abs()) + 1e-44
    times = torch.zeros(exact.shape).scatter_add(1, indices, (values > 0).float())
    assert times.max() <= 1, "a place is named twice"
    chosen = times > 0
    assert (values.relu() - exact.gather(1, indices).relu()).abs().le(error.gather(1, indices)).logical_or(values <= 0).all()
    least = torch.where(chosen, exact + error, torch.inf).amin(1, keepdim=True)
    least = torch.where(chosen.sum(1, keepdim=True) < k, 0, least)
    assert (chosen | (exact - error <= least)).all()


def test_of_equals_the_lowest_latents_are_kept(small_blocks):
    """Every latent reads the same: the first k are kept in every row, whatever the blocks; a batch keeps the first rows'."""
    x, W, b = torch.ones(4, 3), torch.ones(90, 3), torch.zeros(90)
    for k in (1, 2, 5):
        values, indices = top_products(x, W, b, k)
        assert torch.equal(indices[values > 0].view(4, k).sort().values, torch.arange(k).expand(4, k))
        loud = x.clone()
        loud[2] *= 2                                        # its latents come first, then the first of the others
        selected = batch_top_products(loud, W, b, 4 * k)
        if selected is not None:
            _, indices, offsets = selected
            assert offsets.diff().tolist() == [0, 0, 4 * k, 0] and torch.equal(indices, torch.arange(4 * k))


@pytest.mark.parametrize("name", ["falling", "loud first block", "every eighth is loud"])
def test_a_guess_that_is_no_bound_is_found_out(small_blocks, monkeypatch, name):
    """A sample of an eighth, taken for fair, so that its k / 8 best would bound the k best of all: the problems must tell."""
    def least(self, upper, latent):
        return shortlist.as_integers(upper.topk(max(1, self.k // 8)).values.amin(1, keepdim=True).to(upper.dtype)).clamp(min=1)

    monkeypatch.setattr(shortlist.Shortlist, "_least", least)
    with pytest.raises(AssertionError):
        test_what_is_chosen_is_the_largest(None, name, 5)


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_bound_is_one(name):
    x, W, b = random_problem(name)
    bounds, block = Screened(x, W, b), slice(16, 80)
    upper = torch.empty(len(x), 64, dtype=torch.bfloat16)
    if not bounds.fill(block, upper):
        assert name == "huge"
        return
    exact = x.double() @ W[block].double().T + b[block].double()
    latents = torch.arange(16, 80).expand(len(x), 64)
    assert (upper.double() * (1 + 2.0**-7) >= exact)[upper > 0].all() and (exact <= 0)[upper <= 0].all()
    assert (bounds.lower(upper, torch.arange(len(x)).unsqueeze(1), latents).double() <= exact)[upper > 0].all()


@pytest.mark.parametrize("where", range(3))
@pytest.mark.parametrize("number", [torch.nan, -torch.nan, torch.inf])
def test_what_is_not_finite_is_seen(small_blocks, where, number):
    problem = random_problem("random")
    problem[where].view(-1)[7] = number
    values, _ = top_products(*problem, 3)
    assert not values.isfinite().all()
    assert batch_top_products(*problem, 3 * len(problem[0])) is None


def test_autocast_is_that_of_the_product(small_blocks, monkeypatch):
    monkeypatch.setattr(module, "can_screen", screen.can_screen)
    x, W, b = random_problem("random")
    with torch.autocast("cpu", torch.bfloat16):
        assert not screen.can_screen(x)
        got, want = top_products(x, W, b, 2), rowwise(x, W, b, 2)
    torch.testing.assert_close(dense(got, 200), dense(want, 200), rtol=0, atol=0)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float32, torch.float64])
def test_integers_keep_the_order(dtype):
    numbers = torch.tensor([-torch.inf, -2.0, 0.0, 1e-38, 0.5, 1.0, 3e38, torch.inf]).to(dtype)
    assert (shortlist.as_integers(numbers)[2:].diff() > 0).all() and (shortlist.as_integers(numbers)[:2] < 0).all()
