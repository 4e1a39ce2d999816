"""`SparseAutoencoder` as an nn.Module: its names, copies, precisions, modes, and the errors of whoever calls it."""

import copy
import io
from functools import cache

import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load, save

from sae_spec.torch_impl import SAEConfig, SparseAutoencoder, Trainer, TrainingConfig

D, M, B = 4, 12, 6
CHOOSING = ("topk", "abs_topk", "batch_topk", "budget_topk", "batch_budget_topk")
BATCH_RULES = ("batch_topk", "batch_budget_topk")
ACTIVATIONS = ("relu", "jumprelu", "gated", *CHOOSING)
ARCHITECTURES = [(activation, tied, prefixes)
                 for activation in ACTIVATIONS for tied in (False, True) for prefixes in (None, (3, M))]
ESTIMATES = {"tokens_since_fired", "frequency_mean", "frequency_batches", "price", "threshold", "threshold_seen"}
EXTRA = {"jumprelu": {"theta"}, "gated": {"r_mag", "b_mag"}}


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def config_of(activation, tied=False, prefixes=None, **more):
    return SAEConfig(D=D, M=M, activation=activation, k=3 if activation in CHOOSING else None, tied=tied,
                     prefixes=prefixes, bandwidth=0.5, initial_threshold=0.1, **more)


def trained(activation, tied=False, prefixes=None):
    """A small SAE, three steps beyond its start: no estimate is still what it was."""
    return copy.deepcopy(_trained(activation, tied, prefixes))


@cache
def _trained(activation, tied, prefixes, steps=3):
    sae = SparseAutoencoder(config_of(activation, tied, prefixes), seed=1)
    trainer = Trainer(sae, TrainingConfig(steps=steps, batch_size=B, priced=True, learning_rate=0.05))
    for number in range(steps):
        trainer.step(samples(number))
    return sae


def samples(seed=0):
    return torch.randn(B, D, generator=torch.Generator().manual_seed(seed))


def same_state(one, other):
    return one.state_dict().keys() == other.state_dict().keys() and all(
        torch.equal(tensor, other.state_dict()[name]) for name, tensor in one.state_dict().items())


@pytest.fixture(params=ARCHITECTURES,
                ids=lambda a: f"{a[0]}-{'tied' if a[1] else 'untied'}-{'prefixes' if a[2] else 'whole'}")
def sae(request):
    return trained(*request.param)


def test_state_dict_holds_the_specs_names(sae):
    parameters = {"W_dec", "b_dec", "b_enc"} | (set() if sae.config.tied else {"W_enc"})
    parameters |= EXTRA.get(sae.config.activation, set())
    assert set(sae.parameters_by_name()) == parameters
    assert set(sae.state_dict()) == parameters | ESTIMATES


def test_shapes_are_latent_major_and_one_reconstruction_a_prefix(sae):
    x, G = samples(), len(sae.config.prefixes or (M,))
    out = sae(x)
    assert sae.W_dec.shape == (M, D) and out.pre.shape == out.acts.shape == (B, M)
    assert out.recon.shape == (B, D) and out.recons.shape == (G, B, D) and torch.equal(out.recons[-1], out.recon)
    assert torch.equal(sae.encode(x), out.acts) and torch.allclose(sae.decode(out.acts), out.recon, atol=1e-6)


def test_any_leading_dimensions_and_none_at_all(sae):
    x = samples()
    assert torch.allclose(sae(x.view(2, 3, D)).recon.view(B, D), sae(x).recon, atol=1e-6)
    assert sae(x[:0]).acts.shape == (0, M) and sae(x[:0]).recon.shape == (0, D)


def test_every_way_of_copying_gives_the_same_bits(sae):
    pickled, of_torch = io.BytesIO(), io.BytesIO()
    torch.save(sae, pickled)
    torch.save(sae.state_dict(), of_torch)
    pickled.seek(0), of_torch.seek(0)
    copies = [copy.deepcopy(sae), torch.load(pickled, weights_only=False)]
    for state in (torch.load(of_torch, weights_only=True), load(save(sae.state_dict()))):
        copies.append(SparseAutoencoder(sae.config, seed=99))
        copies[-1].load_state_dict(state)
    for mode in (True, False):
        want = sae.train(mode)(samples())
        for found in copies:
            assert same_state(sae, found)
            assert all(torch.equal(a, b) for a, b in zip(want, found.train(mode)(samples())))


def test_autocast_multiplies_in_bfloat16_and_stays_near(sae):
    x, want = samples(), sae(samples())
    with torch.autocast("cpu", torch.bfloat16):
        out = sae(x)
        out.recon.square().sum().backward()
    assert out.recon.dtype == torch.float32 and torch.isfinite(out.recon).all()
    assert (out.pre - want.pre).abs().max() <= 8 * 2.0**-8 * want.pre.abs().max()
    assert not torch.equal(out.pre, want.pre)
    grads = {name: param.grad for name, param in sae.named_parameters() if param.grad is not None}
    assert {"W_dec", "b_dec"} <= set(grads) and all(grad.isfinite().all() for grad in grads.values())
    assert all(grad.dtype == torch.float32 for grad in grads.values())


def test_half_precision_keeps_estimates_and_thresholds_in_float32(sae):
    half = copy.deepcopy(sae).to(torch.bfloat16)
    for name, param in half.named_parameters():
        assert param.dtype == (torch.float32 if name == "theta" else torch.bfloat16)
    assert sae.config.activation != "jumprelu" or torch.equal(half.theta, sae.theta)
    for name, estimate in half.named_buffers():
        assert estimate.dtype in (torch.float32, torch.float64 if name == "threshold" else torch.int64)
        assert torch.equal(estimate, getattr(sae, name))
    out = half(samples())
    assert out.acts.dtype == torch.bfloat16 and torch.isfinite(out.recon).all()


def test_double_takes_the_estimates_along(sae):
    assert all(t.dtype in (torch.float64, torch.int64) for t in sae.double().state_dict().values())


# Both are torch's own: dynamo instantiates the autograd Functions it traces, and where a graph breaks (a tie asks
# the device) it looks at .grad of what passes the break.
@pytest.mark.filterwarnings("ignore:.*should not be instantiated. Methods on autograd functions:DeprecationWarning")
@pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning")
@pytest.mark.parametrize("activation, training", [(name, True) for name in ACTIVATIONS]
                         + [(name, False) for name in BATCH_RULES])
def test_compiled_it_computes_the_same(activation, training):
    torch.compiler.reset()
    sae = trained(activation, tied=activation in ("topk", "gated")).train(training)
    compiled = torch.compile(copy.deepcopy(sae), backend="aot_eager")
    want, got = sae(samples()), compiled(samples())
    for mine, theirs in zip(want, got):
        torch.testing.assert_close(theirs, mine)
    want.recon.sum().backward(), got.recon.sum().backward()
    for name, param in sae.named_parameters():
        theirs = compiled._orig_mod.get_parameter(name).grad            # where none flows: 0 or None
        torch.testing.assert_close(torch.zeros_like(param) if theirs is None else theirs,
                                   torch.zeros_like(param) if param.grad is None else param.grad)


@pytest.mark.parametrize("activation", BATCH_RULES)
def test_eval_mode_of_a_batch_rule_treats_each_sample_alone(activation):
    sae, x = trained(activation).eval(), samples()
    assert sae.threshold > 0 and sae.threshold_seen == 3
    each = torch.cat([sae.encode(row[None]) for row in x])
    torch.testing.assert_close(sae.encode(x), each)         # a product of one row may round otherwise
    theta = sae.threshold if activation == "batch_topk" else (sae.threshold * sae.price).sqrt()   # unit rows
    assert torch.equal(sae.encode(x) != 0, sae(x).pre > theta)
    assert (sae.train().encode(x) != 0).sum() <= 3 * B


@pytest.mark.parametrize("activation", BATCH_RULES)
def test_eval_mode_of_a_batch_rule_needs_an_observed_threshold(activation):
    sae = SparseAutoencoder(config_of(activation)).eval()
    with pytest.raises(ValueError, match="^threshold was never observed"):
        sae(samples())
    assert sae(samples(), check_inputs=False).recon.shape == (B, D)
    assert sae.train()(samples()).recon.shape == (B, D)


@pytest.mark.parametrize("activation", [name for name in ACTIVATIONS if name not in BATCH_RULES])
def test_other_activations_are_the_same_in_eval_mode(activation):
    sae = trained(activation)
    assert torch.equal(sae.train().encode(samples()), sae.eval().encode(samples()))


def test_the_same_seed_gives_the_same_start():
    config, generator = config_of("relu"), torch.Generator().manual_seed(7)
    first = SparseAutoencoder(config, 7)
    assert same_state(first, SparseAutoencoder(config, 7)) and same_state(first, SparseAutoencoder(config, generator))
    assert not torch.equal(first.W_dec, SparseAutoencoder(config, 8).W_dec)
    assert torch.allclose(first.W_dec.double(), SparseAutoencoder(config, 7, dtype=torch.float64).W_dec)
    assert not first.W_enc.data_ptr() == first.W_dec.data_ptr()
    assert torch.equal(first.W_enc, config.initial_encoder_scale * first.W_dec)


def test_the_given_centre_is_copied():
    centre = torch.ones(D)
    sae = SparseAutoencoder(config_of("relu"), b_dec=centre)
    centre += 1
    assert torch.equal(sae.b_dec, torch.ones(D))


@pytest.mark.parametrize("x, said", [
    (torch.full((2, D), float("nan")), "x holds"),
    (torch.tensor([[0.0, 0.0, 0.0, float("inf")]]), "x holds"),
    (torch.zeros(2, D + 1), "x has shape"),
    (torch.zeros(()), "x has shape"),
])
@pytest.mark.parametrize("call", ["encode", "forward"])
def test_a_wrong_x_is_named(call, x, said):
    with pytest.raises(ValueError, match=f"^{said}"):
        getattr(SparseAutoencoder(config_of("topk")), call)(x)


def test_a_parameter_that_is_not_finite_is_named():
    sae = SparseAutoencoder(config_of("topk"))
    with torch.no_grad():
        sae.b_enc[2] = float("inf")
    with pytest.raises(ValueError, match="^b_enc holds"):
        sae(samples())


@pytest.mark.parametrize("given, said", [
    ({"dtype": torch.float16}, "dtype must be"), ({"dtype": torch.int64}, "dtype must be"),
    ({"b_dec": torch.zeros(D + 1)}, "b_dec has shape"),
])
def test_a_wrong_start_is_named(given, said):
    with pytest.raises(ValueError, match=f"^{said}"):
        SparseAutoencoder(config_of("topk"), **given)


@pytest.mark.parametrize("k", [0.01, 0.3, 1.75])
@pytest.mark.parametrize("activation", ["batch_topk", "batch_budget_topk"])
def test_a_fraction_of_k_is_a_mean_over_the_batch_sparse_or_dense(activation, k):
    sae = SparseAutoencoder(SAEConfig(D=4, M=10, activation=activation, k=k)).train()
    x = torch.randn(7, 4, generator=torch.Generator().manual_seed(0))
    acts, (values, indices) = sae.encode(x), sae.encode_sparse(x)
    assert (acts != 0).sum() == int(k * 7)
    assert torch.equal(torch.zeros_like(acts).scatter_add(1, indices, values), acts)
    trainer = Trainer(sae, TrainingConfig(steps=2, batch_size=7, priced=False))
    assert all(torch.isfinite(trainer.step(x)["total"]) for _ in range(2))
    trainer.calibrate(x)
    assert (sae.eval().encode(x) != 0).sum() == int(k * 7)
