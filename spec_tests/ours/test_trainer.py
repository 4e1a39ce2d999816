"""The Trainer: the reference's training step by another road, repeatable, resumable, and stopped by a NaN in time."""

import copy
import json
from itertools import product

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from sae_spec.reference.sae import training as reference
from sae_spec.spec_tests.core.compare import compare
from sae_spec.spec_tests.operations.training import counters
from sae_spec.torch_impl import Activations, SAEConfig, SparseAutoencoder, Trainer, TrainingConfig, TrainingDiverged
from sae_spec.torch_impl import config_mapping, load_sae
from sae_spec.torch_impl.sae.activations import thresholds

D, M, B, STEPS = 6, 16, 24, 8
CHOOSING = ("topk", "abs_topk", "batch_topk", "budget_topk", "batch_budget_topk")
ACTIVATIONS = ("relu", "jumprelu", "gated", *CHOOSING)
ALL_COSTS = {"adam_beta1": 0.8, "adam_beta2": 0.9, "adam_epsilon": 1e-3,
             "l1_coefficient": 0.01, "tanh_coefficient": 0.02, "tie_coefficient": 0.05, "aux_coefficient": 1 / 32,
             "k_aux": 3, "priced": True}
SCALES = np.array([3, 2, 1, 1, 0.5, 0.5])       # the data's spread by dimension, so that some latents stay silent


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def sae_config(activation="topk", **more):
    return SAEConfig(D=D, M=M, activation=activation, k=3 if activation in CHOOSING else None, bandwidth=0.3,
                     initial_threshold=0.2, **more)


def training_config(**more):
    return TrainingConfig(**{"steps": STEPS, "batch_size": B, "learning_rate": 1e-2, "warmup_steps": 3,
                             "decay_steps": 3, "sparsity_warmup_steps": 4, "dead_after": 2 * B, "frequency_decay": 0.8,
                             "threshold_decay": 0.7, "min_frequency": 1e-3, **more})


def batches(seed=0, count=STEPS, dtype=torch.float32):
    rng = np.random.default_rng(seed)
    return [torch.tensor(rng.normal(size=(B, D)) * SCALES, dtype=dtype) for _ in range(count)]


def state_of(trainer):
    """Everything that the next step depends on, copied."""
    moments = {f"{kind} {name}": moment
               for kind, by_name in trainer.moments().items() for name, moment in by_name.items()}
    return copy.deepcopy({**trainer.sae.state_dict(), **moments, "steps_done": torch.tensor(trainer.steps_done)})


def same_bits(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


# ---------------------------------------------------------------- the reference's step

def reference_start(rng, config):
    """A reference state whose encoder is far from its decoder (where untied) and whose first latents are shy."""
    sae = SparseAutoencoder(config, seed=3, b_dec=torch.tensor(rng.normal(size=D)), dtype=torch.float64)
    params = {name: param.detach().numpy().copy() for name, param in sae.named_parameters()}
    if "W_enc" in params:
        params["W_enc"] += 0.5 * rng.normal(size=(M, D))
    params["b_enc"][:6] = -2.0
    return reference.initial_state(params)


def trainer_at(state, config, training):
    """A Trainer that stands where the reference stands."""
    sae = SparseAutoencoder(config, dtype=torch.float64)
    tensors = {name: torch.as_tensor(value) for name, value in {**state.params, **counters(state)}.items()}
    sae.load_state_dict({**tensors, "price": torch.ones(M)})
    moments = {f"{kind}_moment": {name: torch.tensor(value) for name, value in by_name.items()}
               for kind, by_name in state.moments._asdict().items()}
    return Trainer(sae, training, moments, state.steps_done)


def agree(got, want, what):
    """Equal up to what a whole step of float64 rounds: 256 units of the largest number."""
    got = torch.as_tensor(got).detach().double().numpy()
    mismatch, _ = compare(what, want, got, "float64", allowed=2.0**-45 * np.abs(want).max())
    assert mismatch is None, str(mismatch)


@pytest.mark.parametrize("clip", [None, 0.5], ids=["unclipped", "clipped"])
@pytest.mark.parametrize("activation, tied, prefixes", [*product(ACTIVATIONS, [False, True], [None, (4, 9, M)])])
def test_every_step_is_the_references(activation, tied, prefixes, clip):
    rng = np.random.default_rng(0)
    config = sae_config(activation, tied=tied, prefixes=prefixes, subtract_b_dec=clip is None)
    more = {"l0_coefficient": 0.03} if activation == "jumprelu" else {}
    training = training_config(**ALL_COSTS, **more, max_grad_norm=clip)
    state, revived = reference_start(rng, config), 0.0
    for x in batches(dtype=torch.float64):
        trainer = trainer_at(state, config, training)
        state, want = reference.training_step(state, x.numpy(), config_mapping(config, training))
        terms = trainer.step(x)
        assert list(terms) == list(want)
        for name in want:
            agree(terms[name], want[name], name)
        for name, param in trainer.sae.named_parameters():
            agree(param, state.params[name], name)
            agree(trainer.moments()["first_moment"][name], state.moments.first[name], f"first moment of {name}")
            agree(trainer.moments()["second_moment"][name], state.moments.second[name], f"second moment of {name}")
        for name, value in counters(state).items():
            agree(getattr(trainer.sae, name), value, name)
        revived = max(revived, want["aux"])
    assert revived > 0 or activation not in CHOOSING, "no dead latent ever spoke: the auxiliary loss was not tried"


# ---------------------------------------------------------------- what holds of any run

@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_two_runs_give_the_same_bits(activation, precision):
    def run():
        training = training_config(**ALL_COSTS, precision=precision)
        trainer = Trainer(SparseAutoencoder(sae_config(activation), 1), training)
        return [trainer.step(x) for x in batches()], state_of(trainer)

    (terms, state), (again, state_again) = run(), run()
    assert all(same_bits(one, other) for one, other in zip(terms, again)) and same_bits(state, state_again)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_decoder_rows_have_norm_1_after_each_step(activation):
    trainer = Trainer(SparseAutoencoder(sae_config(activation), 1), training_config(**ALL_COSTS))
    for x in batches():
        trainer.step(x)
        torch.testing.assert_close(trainer.sae.W_dec.norm(dim=1), torch.ones(M), rtol=0, atol=4e-7)


def test_bfloat16_trains_and_keeps_its_parameters_in_float32():
    training = training_config(precision="bfloat16", steps=60, warmup_steps=0, decay_steps=0)
    trainer = Trainer(SparseAutoencoder(sae_config(), 1), training)
    totals = [float(trainer.step(x)["reconstruction"]) for x in batches(count=60)]
    assert sum(totals[-10:]) < 0.7 * sum(totals[:10])
    wide = {name: tensor.dtype for name, tensor in state_of(trainer).items() if tensor.is_floating_point()}
    assert wide.pop("threshold") == torch.float64 and set(wide.values()) == {torch.float32}


def test_half_precision_parameters_are_refused():
    with pytest.raises(ValueError, match="^W_dec is torch.bfloat16"):
        Trainer(SparseAutoencoder(sae_config()).to(torch.bfloat16), training_config())


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_parameter_that_is_not_finite_is_refused_from_the_start(activation):
    """A NaN exceeds no threshold: in some activations it would be a latent that is silent for ever."""
    sae = SparseAutoencoder(sae_config(activation))
    with torch.no_grad():
        sae.b_enc[3] = float("nan")
    with pytest.raises(ValueError, match="^b_enc holds a number that is not finite"):
        Trainer(sae, training_config())


def test_the_terms_hold_no_graph():
    terms = Trainer(SparseAutoencoder(sae_config(), 1), training_config()).step(batches()[0])
    assert list(terms)[-1] == "total" and not any(term.requires_grad for term in terms.values())


@pytest.mark.parametrize("x", [torch.zeros(0, D), torch.zeros(D), torch.zeros(B, D + 1)], ids=["empty", "flat", "wide"])
def test_a_batch_of_a_wrong_shape_is_an_error_and_changes_nothing(x):
    trainer = Trainer(SparseAutoencoder(sae_config(), 1), training_config())
    before = state_of(trainer)
    with pytest.raises(ValueError, match="^x has shape"):
        trainer.step(x)
    assert same_bits(before, state_of(trainer))


def test_a_step_too_many_is_an_error():
    trainer = Trainer(SparseAutoencoder(sae_config(), 1), training_config(steps=1))
    trainer.step(batches()[0])
    with pytest.raises(ValueError, match="all 1 steps are done"):
        trainer.step(batches()[1])


# ---------------------------------------------------------------- divergence

def spoiled(trainer, how):
    """A batch that ruins the step, made by spoiling either it or a parameter."""
    x = batches(1)[0]
    if how == "parameter":
        with torch.no_grad():
            trainer.sae.b_dec[3] = float("nan")
    else:
        x[2, 1] = float(how)
    return x


@pytest.mark.parametrize("how, culprit", [("nan", "x holds"), ("inf", "x holds"), ("1e38", "reconstruction is inf"),
                                          ("parameter", "b_dec holds")])
@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_a_step_that_diverges_says_so_and_changes_nothing(activation, how, culprit):
    trainer = Trainer(SparseAutoencoder(sae_config(activation), 1), training_config(**ALL_COSTS))
    trainer.step(batches()[0])
    x = spoiled(trainer, how)
    before = state_of(trainer)
    with pytest.raises(TrainingDiverged, match=f"^step 1: .*{culprit}"):
        trainer.step(x)
    after = state_of(trainer)
    assert all(torch.equal(before[name].nan_to_num(7e7), after[name].nan_to_num(7e7)) for name in before)


# ---------------------------------------------------------------- runs on disk

class Data(Activations):
    """Rows in memory; what `spoil` does to the batch of step `at` is up to the test."""

    def __init__(self, at=None, spoil=None):
        super().__init__(torch.cat(batches(5, 20)))
        self.at, self.spoil = at, spoil

    def batches(self, first, last, batch_size, seed):
        for step, x in enumerate(super().batches(first, last, batch_size, seed), first):
            yield self.spoil(x) if step == self.at else x


def stop(x):
    raise KeyboardInterrupt


def fit(trainer, folder, data=None):
    trainer.fit(data or Data(), folder, progress=False)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def new_trainer(activation="batch_budget_topk", **more):
    training = training_config(steps=20, checkpoint_every=5, log_every=3, seed=4, centre="geometric_median", **more)
    return Trainer.start(sae_config(activation, prefixes=(4, M)), training, Data())


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("activation", ["batch_budget_topk", "jumprelu", "gated"])
def test_a_stopped_run_resumes_to_the_same_bytes(activation, precision, tmp_path):
    whole = fit(new_trainer(activation, precision=precision), tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        fit(new_trainer(activation, precision=precision), tmp_path / "stopped", Data(13, stop))
    with open(tmp_path / "stopped" / "metrics.jsonl", "a") as metrics:
        metrics.write('{"step": 12, "to')                               # the line that a crash cut in two
    resumed = Trainer.resume(tmp_path / "stopped")
    assert resumed.steps_done == 10
    assert fit(resumed, tmp_path / "stopped") == whole


def test_a_finished_run_resumes_to_itself(tmp_path):
    whole = fit(new_trainer(), tmp_path)
    assert fit(Trainer.resume(tmp_path), tmp_path) == whole
    sae = load_sae(tmp_path)
    assert not sae.training and torch.isfinite(sae(batches()[0]).recon).all()


def test_divergence_leaves_the_last_good_checkpoint(tmp_path):
    with pytest.raises(TrainingDiverged, match="^step 13: "):
        fit(new_trainer(), tmp_path, Data(13, lambda x: x * float("nan")))
    trainer = Trainer.resume(tmp_path)
    assert trainer.steps_done == 10 and all(param.isfinite().all() for param in trainer.sae.parameters())


def test_a_float64_run_stays_float64(tmp_path):
    trainer = Trainer(SparseAutoencoder(sae_config(), dtype=torch.float64), training_config())
    fit(trainer, tmp_path)
    assert load_sae(tmp_path).W_dec.dtype == Trainer.resume(tmp_path).sae.price.dtype == torch.float64


# ---------------------------------------------------------------- the inference threshold

def toy(seed, n):
    """(n, 16) samples of sixty features, each on in 6 %."""
    directions = torch.nn.functional.normalize(torch.randn(60, 16, generator=torch.Generator().manual_seed(7)), dim=1)
    generator = torch.Generator().manual_seed(seed)
    magnitudes = (torch.rand(n, 60, generator=generator) < 0.06) * (torch.rand(n, 60, generator=generator) + 0.5)
    return magnitudes @ directions + 0.02 * torch.randn(n, 16, generator=generator)


def spent_alone(sae, x):
    """What an average sample pays when each is encoded by itself."""
    return float(((sae.eval().encode(x) != 0).to(sae.price) @ sae.price).mean())


@pytest.mark.parametrize("batch_size", [8, 128])
@pytest.mark.parametrize("activation", ["batch_topk", "batch_budget_topk"])
def test_a_sample_alone_spends_k_wherever_training_stops(activation, batch_size, tmp_path):
    """With the defaults, and in the stretch of a run in which thresholds move fastest, on data that training never saw."""
    sae = SparseAutoencoder(SAEConfig(D=16, M=64, activation=activation, k=4))
    training = TrainingConfig(steps=300, batch_size=batch_size, warmup_steps=200, decay_steps=0, checkpoint_every=50, log_every=50)
    Trainer(sae, training).fit(Activations(toy(0, 20_000)), tmp_path, progress=False)
    assert spent_alone(load_sae(tmp_path), toy(10**6, 8000)) == pytest.approx(4, rel=0.05)
    lines = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    shown = [line for line in lines if "eval_price_spent" in line]
    assert [line["step"] for line in shown] == [50, 100, 150, 200, 250, 300]
    assert all(line["eval_price_spent"] == pytest.approx(4, rel=0.05) for line in shown)
    assert shown[-1]["threshold"] == pytest.approx(float(sae.threshold))


@pytest.mark.parametrize("activation", ["batch_topk", "batch_budget_topk"])
def test_calibrating_by_hand_spends_k_on_those_samples(activation):
    trainer = Trainer(SparseAutoencoder(SAEConfig(D=16, M=64, activation=activation, k=4)), TrainingConfig(steps=30, batch_size=64))
    for step in range(30):
        trainer.step(toy(step, 64))
    x = toy(10**6, 3000)
    trainer.calibrate(x)
    assert spent_alone(trainer.sae, x) == pytest.approx(4, rel=0.002)
    with pytest.raises(ValueError, match="sample"):
        trainer.calibrate(x[:0])


# ---------------------------------------------------------------- what training makes of a rule

def test_a_budget_keeps_as_many_latents_alive_as_topk():
    """S3: k = 1 and more latents than k · D, so that the average one costs more than the budget.

    The encoder starts at full length: from 1/8 so short a run leaves a quarter of the latents unused, under either rule.
    """
    rng = np.random.default_rng(0)
    directions = torch.nn.functional.normalize(torch.tensor(rng.normal(size=(40, 20)), dtype=torch.float32), dim=1)
    data = torch.tensor(rng.random((500, 128, 40)) < 0.03, dtype=torch.float32) @ directions
    alive, loss = {}, {}
    for activation in ("topk", "budget_topk"):
        trainer = Trainer(SparseAutoencoder(SAEConfig(D=20, M=40, activation=activation, k=1, initial_encoder_scale=1.0)),
                          TrainingConfig(steps=400, batch_size=128, learning_rate=3e-3))
        for x in data[:400]:
            trainer.step(x)
        unseen = data[400:].flatten(0, 1)
        acts = trainer.sae.encode(unseen)
        alive[activation] = int((acts != 0).any(0).sum())
        loss[activation] = float((unseen - trainer.sae.decode(acts).detach()).square().sum(1).mean())
    assert trainer.sae.price.median() > 1                   # most do not fit into the budget: the old rule silenced them
    assert alive["budget_topk"] >= alive["topk"] and loss["budget_topk"] <= 1.1 * loss["topk"]


def test_a_threshold_that_is_trained_itself_gets_where_its_logarithm_cannot():
    """S1: whatever the coefficient, a logarithm under Adam moves by about the rate a step."""
    found = {}
    for trained in ("theta", "log_threshold"):
        sae = SparseAutoencoder(SAEConfig(D=D, M=M, activation="jumprelu", bandwidth=2.0, initial_threshold=0.01,
                                          threshold_parameter=trained))
        training = training_config(steps=40, learning_rate=0.02, threshold_rate=1.0, warmup_steps=0, decay_steps=0, sparsity_warmup_steps=0,
                                   l0_coefficient=100.0)
        trainer = Trainer(sae, training)
        for x in batches(count=40):
            trainer.step(x)
        found[trained] = thresholds(sae.parameters_by_name()).detach()
    assert found["theta"].median() > 0.5 and found["theta"].min() >= 0
    assert found["log_threshold"].max() < 0.01 * np.exp(1.3 * 40 * 0.02)


def test_a_negative_threshold_is_refused_from_the_start():
    sae = SparseAutoencoder(sae_config("jumprelu"))
    with torch.no_grad():
        sae.theta[1] = -0.5
    with pytest.raises(ValueError, match="^theta must not be negative"):
        Trainer(sae, training_config())
