"""The unit of the data: what `fit` trains on, what it saves, and that no size of the data makes a difference."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from safetensors.torch import load_file, save_file

from sae_spec.spec_tests.core.complaints import bytes_of
from sae_spec.torch_impl import Activations, SAEConfig, SparseAutoencoder, Trainer, TrainingConfig, find_absorption, load_sae

ROWS = torch.randn(600, 8, generator=torch.Generator().manual_seed(0)) * torch.tensor([5, 4, 3, 2, 1, 1, 1, 1]) + 0.5
CHOOSING = ("topk", "abs_topk", "batch_topk", "budget_topk", "batch_budget_topk")
COSTS = {"relu": {"l1_coefficient": 0.2}, "jumprelu": {"l0_coefficient": 2.0, "l1_coefficient": 0.1},
         "gated": {"l1_coefficient": 0.2, "tanh_coefficient": 0.1}}


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


def trainer_of(data, activation="batch_topk", training=None, **architecture):
    config = SAEConfig(D=8, M=24, activation=activation, k=2 if activation in CHOOSING else None, **architecture)
    return Trainer.start(config, TrainingConfig(**{"steps": 40, "batch_size": 32, "learning_rate": 0.01, "log_every": 20,
                                                   "checkpoint_every": 20} | COSTS.get(activation, {}) | (training or {})), data)


def trained(rows, folder, activation="batch_topk", training=None, **architecture):
    """The SAE of a run on these rows, and the lines of its metrics."""
    data = Activations(rows)
    trainer_of(data, activation, training, **architecture).fit(data, folder, progress=False)
    return load_sae(folder), [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def unexplained(sae, rows):
    rows = rows.double()
    return float((rows - sae(rows).recon.detach().double()).square().sum() / (rows - rows.mean(0)).square().sum())


def scale_of(folder):
    return json.loads((folder / "config.json").read_text())["scale"]


@pytest.mark.parametrize("power", [-66, 40], ids=["1e-20", "1e12"])
@pytest.mark.parametrize("activation, more", [*((name, {}) for name in ("relu", "jumprelu", "gated", *CHOOSING)),
                                              ("batch_topk", {"tied": True, "subtract_b_dec": False}),
                                              ("topk", {"prefixes": (8, 24)})])
def test_data_times_a_power_of_two_gives_the_same_sae_times_it(activation, more, power, tmp_path):
    """Bit for bit, up to a unit that no dtype rounds; the geometric median is where squares are taken first."""
    options = {"training": {"centre": "geometric_median"}, **more}
    (sae, lines), (other, its_lines) = (trained(ROWS * unit, tmp_path / str(unit), activation, **options) for unit in (1.0, 2.0**power))
    without = [{key: value for key, value in line.items() if key != "threshold"} for line in lines]
    assert without == [{key: value for key, value in line.items() if key != "threshold"} for line in its_lines]
    for name in ("W_dec", "W_enc", "r_mag", "frequency_mean", "price"):
        assert not hasattr(sae, name) or torch.equal(getattr(sae, name), getattr(other, name)), name
    for name in ("b_dec", "b_enc", "b_mag", "theta"):
        assert not hasattr(sae, name) or torch.equal(getattr(sae, name) * 2.0**power, getattr(other, name)), name
    out, its = sae(ROWS), other(ROWS * 2.0**power)
    assert torch.equal(out.acts * 2.0**power, its.acts) and torch.equal(out.recon * 2.0**power, its.recon)


@pytest.mark.parametrize("size", [1e-20, 0.03, 1.0, 700.0])
@pytest.mark.parametrize("activation", ["batch_topk", "batch_budget_topk", "jumprelu", "gated"])
def test_what_is_saved_takes_the_data_as_it_is(activation, size, tmp_path):
    data = Activations(ROWS * size)
    trainer = trainer_of(data, activation)
    trainer.fit(data, tmp_path / "run", progress=False)
    sae = load_sae(tmp_path / "run")
    assert unexplained(sae, data.rows) < 0.6
    assert scale_of(tmp_path / "run") == pytest.approx(8**0.5 / (float(ROWS.square().sum(1).mean()) ** 0.5 * size), rel=1e-5)
    last = json.loads((tmp_path / "run" / "metrics.jsonl").read_text().splitlines()[-1])
    assert trainer.scale == 1 and all(torch.equal(tensor, sae.state_dict()[name]) for name, tensor in trainer.sae.state_dict().items())
    if activation.startswith("batch"):                      # measured on samples · scale, and the same is true of samples, but for
        assert last["threshold"] == float(sae.threshold)
        sae.threshold.mul_(1 + 1e-6)                        # the one activation that equals the threshold: dividing rounds both
        assert last["eval_unexplained"] == pytest.approx(unexplained(sae, data.rows), rel=1e-5)


def test_absorption_reads_small_data_as_it_reads_any(tmp_path):
    reports = [find_absorption(trained(ROWS * unit, tmp_path / str(unit), "topk")[0], ROWS * unit) for unit in (1.0, 2.0**-66)]
    assert [[(pair.parent, pair.child, pair.probability) for pair in report.pairs] for report in reports][0] == \
           [(pair.parent, pair.child, pair.probability) for pair in reports[1].pairs]


def test_without_normalizing_the_data_is_trained_on_as_it_is(tmp_path):
    sae, lines = trained(ROWS, tmp_path / "run", training={"normalize_activations": False})
    data, by_hand = Activations(ROWS), trainer_of(Activations(ROWS))
    for x in data.batches(0, 40, 32, 0):
        terms = by_hand.step(x)
    assert scale_of(tmp_path / "run") == 1 and lines[-1]["total"] == float(terms["total"])
    assert torch.equal(sae.W_dec, by_hand.sae.W_dec) and torch.equal(sae.b_dec, by_hand.sae.b_dec)
    assert not [name for name in load_file(tmp_path / "run" / "trainer.40.safetensors") if name.startswith("scaled.")]


def test_losses_are_in_the_unit_of_training(tmp_path):
    _, lines = trained(ROWS * 1000, tmp_path / "run")
    assert lines[-1]["reconstruction"] == pytest.approx(lines[-1]["unexplained"] * 8, rel=0.3)


def test_a_run_of_before_there_was_a_scale_goes_on_without(tmp_path):
    training = {"normalize_activations": False}
    whole = trained(ROWS, tmp_path / "run", training=training) and bytes_of(tmp_path / "run")
    path = tmp_path / "run" / "config.json"
    content = json.loads(path.read_text())
    del content["scale"], content["training"]["normalize_activations"], content["training"]["threshold_rate"]
    path.write_text(json.dumps(content))
    trainer = Trainer.resume(tmp_path / "run")
    assert trainer.scale == 1 and trainer.training.threshold_rate == 1
    trainer.fit(Activations(ROWS), tmp_path / "run", progress=False)
    changed = {str(name) for name, text in bytes_of(tmp_path / "run").items() if text != whole[name]}
    assert changed == {"config.json"}


def test_a_checkpoint_keeps_training_in_its_unit(tmp_path):
    """Its sae.safetensors is folded, the trainer's file is not; dividing rounds, so neither can stand for the other."""
    trained(ROWS * 3, tmp_path / "run", "jumprelu")
    scale, of_data = scale_of(tmp_path / "run"), load_file(tmp_path / "run" / "sae.safetensors")
    kept = {name.removeprefix("scaled."): tensor for name, tensor in load_file(tmp_path / "run" / "trainer.40.safetensors").items()
            if name.startswith("scaled.")}
    assert kept.keys() == {"b_enc", "b_dec", "theta"}
    assert all(torch.equal((tensor.double() / scale).float(), of_data[name]) for name, tensor in kept.items())
    trainer = Trainer.resume(tmp_path / "run")
    assert trainer.scale == scale and all(torch.equal(tensor, trainer.sae.state_dict()[name]) for name, tensor in kept.items())


def test_a_checkpoint_without_what_was_not_folded_is_refused(tmp_path):
    trained(ROWS * 3, tmp_path / "run")
    path = tmp_path / "run" / "trainer.40.safetensors"
    tensors = load_file(path)
    del tensors["scaled.b_dec"]
    save_file(tensors, path, {"steps_done": "40"})
    with pytest.raises(ValueError, match="scaled.b_dec is missing"):
        Trainer.resume(tmp_path / "run")


@pytest.mark.parametrize("rows, said", [(0 * ROWS, "must hold"), (ROWS.double() * 0 + 2.0**-1074, "too small")])
def test_data_that_has_no_size_is_refused_before_anything_is_written(rows, said, tmp_path):
    data = Activations(rows, "rows.npy")
    trainer = trainer_of(data)
    with pytest.raises(ValueError, match=f"^rows.npy: .*{said}"):
        trainer.fit(data, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


def test_an_sae_that_is_given_is_one_of_the_data_as_it_is(tmp_path):
    """To train one further is to begin where it is: its thresholds, unlike those of a new one, are in the data's unit."""
    first = trained(ROWS * 64, tmp_path / "first", "jumprelu")[0]
    data = Activations(ROWS * 64)
    training = TrainingConfig(steps=1, batch_size=32, learning_rate=1e-6, l0_coefficient=2.0)
    Trainer(load_sae(tmp_path / "first"), training).fit(data, tmp_path / "more", progress=False)
    more = load_sae(tmp_path / "more")
    for name in ("theta", "b_enc", "b_dec", "W_enc"):
        torch.testing.assert_close(getattr(more, name), getattr(first, name), rtol=1e-4, atol=1e-2)


class Stream:
    """A source that has batches and nothing else."""

    D = 8

    def batches(self, first, last, batch_size, seed):
        for step in range(first, last):
            yield 50 * ROWS[torch.randint(600, (batch_size,), generator=torch.Generator().manual_seed(step))]

    def fingerprint(self):
        return "stream"


def test_a_source_of_batches_alone_is_measured_by_its_first(tmp_path):
    sae = SparseAutoencoder(SAEConfig(D=8, M=24, activation="batch_topk", k=2), b_dec=50 * ROWS.mean(0))
    Trainer(sae, TrainingConfig(steps=40, batch_size=32, learning_rate=0.01)).fit(Stream(), tmp_path / "run", progress=False)
    assert scale_of(tmp_path / "run") == pytest.approx(8**0.5 / (50 * float(ROWS.square().sum(1).mean()) ** 0.5), rel=0.02)
    assert unexplained(load_sae(tmp_path / "run"), 50 * ROWS) < 0.6


def test_a_calibration_by_hand_is_in_the_unit_of_what_is_given(tmp_path):
    sae, _ = trained(ROWS * 100, tmp_path / "run")
    trainer = Trainer(sae, TrainingConfig(steps=1))
    trainer.calibrate(ROWS * 100)
    assert float((trainer.sae.eval().encode(ROWS * 100) != 0).float().sum(1).mean()) == pytest.approx(2, rel=0.01)


@pytest.mark.parametrize("activation", ["batch_topk", "jumprelu"])
def test_a_run_of_odd_size_that_was_stopped_resumes_to_the_same_bytes(activation, tmp_path):
    """No power of two: what was folded cannot be unfolded."""
    class Stopped(Activations):
        def batches(self, first, last, batch_size, seed):
            for step, x in enumerate(super().batches(first, last, batch_size, seed), first):
                if step == 33:
                    raise KeyboardInterrupt
                yield x

    whole = trained(ROWS * 0.3, tmp_path / "whole", activation) and bytes_of(tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        trainer_of(Activations(ROWS * 0.3), activation).fit(Stopped(ROWS * 0.3), tmp_path / "stopped", progress=False)
    assert not np.log2(scale_of(tmp_path / "stopped")).is_integer()
    Trainer.resume(tmp_path / "stopped").fit(Activations(ROWS * 0.3), tmp_path / "stopped", progress=False)
    assert bytes_of(tmp_path / "stopped") == whole
