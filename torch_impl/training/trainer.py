"""TRAIN, the sequence: a run over data, and each of its steps in place, in the order of [TRAIN-13].

Read from the top it follows one batch: `Trainer.start` makes the SAE, `fit` takes batches from the data, `advance` is
one step: forward and loss, gradients, update, counters. The formulas are in ../sae, Adam is torch's.
"""

import math
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import torch
from rich.progress import TextColumn
from torch import Tensor

from ..sae import BATCH_RULES, THRESHOLDS, autoencoder, sparse_autoencoder
from ..sae.adam import adam_constants
from ..sae.autoencoder import Batch
from ..sae.activations import thresholds
from ..sae.constraints import normalize_rows, project_gradient, project_thresholds, rewrite, row_norms
from ..sae.frequency import running_frequency, running_mean, running_price
from ..sae.inference import running_threshold
from ..sae.linear import check_finite, decode
from ..sae.objective import Given, objective
from ..sae.selection import density
from ..sae.training import clip_gradients, count_tokens, is_dead, learning_rate, parameter_rate, sparsity_warmth
from ..sparse.autograd import begin, collect
from ..sparse.entries import Entries, apply
from . import calibration, checkpoint, metrics, scale
from .config import SAEConfig, TrainingConfig, config_mapping
from .data import Activations
from .module import HALF, SparseAutoencoder
from .progress import progress_bar

ADAM_KEYS = ("exp_avg", "exp_avg_sq")                       # torch's names for the first and second moment


class TrainingDiverged(ValueError):
    """A loss or gradient that is not a finite number. The step that met it changed nothing."""


class BatchSource(Protocol):
    """What `Trainer.fit` needs of data; `Activations` has it."""

    D: int

    def batches(self, first: int, last: int, batch_size: int, seed: int) -> Iterator[Tensor]:
        """The batches (batch_size, D) of steps first .. last - 1; the same for the same arguments."""
        ...

    def fingerprint(self) -> str:
        """A short text that other data would not have."""
        ...


class StepResult(NamedTuple):
    """One batch's way through the SAE, as it was before the step changed anything."""

    x: Tensor                      # (B, D)
    acts: Tensor | Entries         # (B, M), Entries where the step was sparse
    recon: Tensor                  # (B, D)
    price: Tensor                  # (M,)
    tokens_since_fired: Tensor     # (M,)  samples, this batch counted
    dead: Tensor                   # (M,)  True where a latent is dead
    terms: dict[str, Tensor]       # {name: 0-d tensor}, "total" last


class Trainer:
    """Trains an SAE in place: its parameters and running estimates.

    sae         SparseAutoencoder; from the beginning to the end of `fit` it is one of samples · scale
    training    TrainingConfig
    steps_done  number of steps so far
    scale       what samples are multiplied by before a step sees them: 1, but within `fit`
    run_folder  Path of the run, None before `fit`
    """

    sae: SparseAutoencoder
    training: TrainingConfig
    steps_done: int
    scale: float
    run_folder: Path | None

    def __init__(self, sae: SparseAutoencoder, training: TrainingConfig,
                 moments: Mapping[str, Mapping[str, Tensor]] | None = None, steps_done: int = 0, scale: float = 1.0) -> None:
        """
        sae         SparseAutoencoder, in float32 or float64, on the device where it is to be trained: one of the data as it is,
                    thresholds too; those of a new one, which are in the unit of training, are for `start`
        training    TrainingConfig
        moments, steps_done, scale  what an earlier Trainer left behind (see `resume`)
        raises  ValueError for half-precision parameters, numbers that are not finite, or a training that does
                not fit the architecture
        """
        for name, param in sae.named_parameters():
            if param.dtype in HALF:
                raise ValueError(f"{name} is {param.dtype}, expected float32 or float64 "
                                 "(precision='bfloat16' is about the encoder's product, not the parameters)")
        check_finite(sae.state_dict())                      # a NaN below a threshold would never reach the loss
        if sae.config.activation == "jumprelu":
            thresholds(sae.parameters_by_name())            # refuses negative ones, which no step looks for
        self.sae, self.training, self.steps_done, self.scale, self.run_folder = sae, training, steps_done, scale, None
        self.config = config_mapping(sae.config, training)  # what the functions read
        self.of_training: tuple[str, ...] = ()              # parameters that are in the unit of training already
        self.gradient_buffers = {}                          # of the large weights, from the first sparse step on
        *betas, epsilon = adam_constants(self.config)
        self.optimizer = torch.optim.Adam(self._groups(), lr=training.learning_rate, betas=(betas[0], betas[1]),
                                          eps=epsilon, fused=sae.W_dec.device.type in ("cpu", "cuda"))
        if moments is not None:
            self._set_moments(moments)
        self._set_price()

    @classmethod
    def start(cls, sae_config: SAEConfig, training: TrainingConfig, data: Activations,
              device: torch.device | str | None = None) -> "Trainer":
        """A Trainer with a new SAE: directions from training.seed, b_dec from the data.

        device  where to train; the CPU unless given
        """
        b_dec = data.centre(training.centre, training.seed)
        trainer = cls(SparseAutoencoder(sae_config, training.seed, b_dec, device=device), training)
        trainer.of_training = THRESHOLDS
        return trainer

    @classmethod
    def resume(cls, run_folder: str | PathLike[str], device: torch.device | str | None = None) -> "Trainer":
        """The Trainer of a run's last checkpoint; it goes on bit-identically on the same kind of device.

        raises  CheckpointError that names the file and the field
        """
        trainer = cls(*checkpoint.load(run_folder, device))
        trainer.run_folder = Path(run_folder)
        return trainer

    def fit(self, data: BatchSource, run_folder: str | PathLike[str], progress: bool = True) -> None:
        """All steps that are left, with metrics and checkpoints in a run folder (see checkpoint.py).

        Unless training.normalize_activations is False, a new run measures the data's scale and trains on samples · scale. What
        is saved, and when all steps are done the SAE itself, is folded back: it takes the data as it is.

        data        Activations, or whatever has D, batches(first, last, batch_size, seed) and fingerprint()
        run_folder  a new or empty folder; for a Trainer from `resume`, its own
        progress    False: no progress bar
        raises  CheckpointError for a folder that holds anything else, ValueError for data that does not fit,
                TrainingDiverged; the last good checkpoint then stays
        """
        training = self.training
        self.sae.train()
        folder = self._enter(data, Path(run_folder))
        batches = data.batches(self.steps_done, training.steps, training.batch_size, training.seed)
        with progress_bar(progress, TextColumn("{task.fields[numbers]}")) as bar:
            task = bar.add_task("training", total=training.steps, completed=self.steps_done, numbers="")
            for x in batches:
                rate = learning_rate(self.steps_done, self.config)
                result = self.advance(x)
                last = self.steps_done == training.steps
                saving = last or self.steps_done % training.checkpoint_every == 0
                in_eval_mode = self._calibrate_from(data) if saving else {}
                if last or self.steps_done % training.log_every == 0:
                    numbers = metrics.measure(result, rate) | in_eval_mode
                    metrics.append(folder / "metrics.jsonl", self.steps_done, numbers)
                    bar.update(task, numbers=metrics.summary(numbers))
                if saving:
                    checkpoint.save(folder, self.sae, self.moments(), self.steps_done, self.scale)
                bar.advance(task)
        if self.steps_done == training.steps:
            self._change_scale(1.0)

    def _enter(self, data: BatchSource, folder: Path) -> Path:
        """Take a new folder for the run, or go on in the run's own with the run's own data; returns the folder."""
        if data.D != self.sae.config.D:
            raise ValueError(f"the data has D = {data.D}, the SAE has D = {self.sae.config.D}")
        if folder == self.run_folder:
            if checkpoint.read_config(folder)[2] != data.fingerprint():
                raise checkpoint.CheckpointError(f"{folder / 'config.json'}: data: the run began with other data")
            metrics.cut(folder / "metrics.jsonl", self.steps_done)
            return folder
        training, wanted = self.training, self.scale
        if training.normalize_activations and not self.steps_done:               # later Adam's moments are of another unit
            wanted = scale.measured(data, training.batch_size, training.seed)
        checkpoint.start(folder, self.sae.config, training, data.fingerprint(), wanted)
        self.run_folder = folder
        self._change_scale(wanted)
        checkpoint.save(folder, self.sae, self.moments(), self.steps_done, wanted)       # now there is something to resume
        return folder

    def _change_scale(self, wanted: float) -> None:
        """Make the SAE one of samples · wanted."""
        if wanted != self.scale:
            of_data = scale.folded(self.sae, self.scale / wanted)
            scale.put(self.sae, {name: tensor for name, tensor in of_data.items() if name not in self.of_training})
            self.scale, self.of_training = wanted, ()

    def _calibrate_from(self, data: BatchSource) -> dict[str, float | None]:
        """Calibrate a batch rule's threshold before it is saved; returns numbers of eval mode, {} for other activations."""
        if self.sae.config.activation not in BATCH_RULES:
            return {}
        two = calibration.two_samples(data, self.steps_done, self.training.batch_size, self.training.seed)
        some, others = ([self._scaled(x) for x in samples] for samples in two)
        calibration.set_threshold(self.sae, some)
        numbers = calibration.measured(self.sae, others)
        return numbers | {"threshold": float(scale.folded(self.sae, self.scale)["threshold"])}   # as it is saved

    def calibrate(self, x: Tensor) -> None:
        """Make a batch rule spend k on an average sample of x in eval mode; `fit` does so at every checkpoint.

        x       (N, D)  some thousand samples; no other activation has anything to calibrate
        raises  ValueError for no samples, another D, or numbers that are not finite
        """
        if self.sae.config.activation in BATCH_RULES:
            calibration.set_threshold(self.sae, [self._scaled(x)])

    def _scaled(self, x: Tensor) -> Tensor:
        """Samples (B, D) as a step sees them: of the parameters' type, on their device."""
        return scale.times(x, self.scale, self.sae.W_dec)

    def step(self, x: Tensor) -> dict[str, Tensor]:
        """One step on one batch.

        x       (B, D), B >= 1; taken in the parameters' type, and as it is: what is to be of mean squared norm D must be so
                already, but where `fit` makes it so
        returns {term: 0-d tensor}, "total" last
        raises  TrainingDiverged, before anything is changed, when the loss or its gradient is not finite;
                ValueError for a wrong shape, or when all steps are done
        """
        return self.advance(x).terms

    def advance(self, x: Tensor) -> StepResult:
        """`step`, returning all that was computed on the way."""
        result = self._forward(x)
        grads = self._gradients(result)
        chosen = self._chosen(result)                       # by the decoder that chose, not the one after the update
        self._update(grads)
        self._count(result, chosen)
        self.steps_done += 1
        return result._replace(terms={name: term.detach() for name, term in result.terms.items()})

    def _forward(self, x: Tensor) -> StepResult:
        """The loss of x (B, D): sparse where few latents are on, else dense."""
        sae, config, step = self.sae, self.config, self.steps_done
        if step >= self.training.steps:
            raise ValueError(f"all {step} steps are done")
        if x.shape[-1:] != (sae.config.D,) or x.ndim < 2 or x.numel() == 0:
            raise ValueError(f"x has shape {tuple(x.shape)}, expected (B, {sae.config.D}), B at least 1")
        x, price, params = self._scaled(x.reshape(-1, sae.config.D)), sae.price.clone(), sae.parameters_by_name()
        half = self.training.precision == "bfloat16"
        with torch.autocast(x.device.type, torch.bfloat16) if half else nullcontext():
            if sparse_autoencoder.is_sparse(config, self._share_on):
                buffers = begin(self.gradient_buffers, params)
                encoded = sparse_autoencoder.encode(x, params, config, price, check_inputs=False, buffers=buffers)
            else:
                encoded = autoencoder.encode(x, params, config, price, check_inputs=False)
        *_, acts = encoded                                  # (B, M)
        batch = Batch(x, *encoded, decode(acts, params, config["prefixes"]))
        tokens = count_tokens(sae.tokens_since_fired, acts)
        dead = is_dead(tokens, config["dead_after"])        # [TRAIN-14] this batch counted
        terms = objective(batch, params, config, Given(price, dead, sparsity_warmth(step, config)))
        return StepResult(x, acts.detach(), batch.recons[-1].detach(), price, tokens, dead, terms)

    def _share_on(self) -> float | None:
        """Mean share of latents that were on in earlier batches, None before the first."""
        sae, batches = self.sae, int(self.sae.frequency_batches)
        if not batches:
            return None
        return float(running_frequency(sae.frequency_mean, batches, self.config["frequency_decay"]).mean())

    def _gradients(self, result: StepResult) -> dict[str, Tensor]:
        """{parameter name: gradient}, checked, projected and clipped."""
        params, acts = self.sae.parameters_by_name(), result.acts
        buffers = acts.buffers if isinstance(acts, Entries) else None
        grads = collect(result.terms["total"], params, buffers or {})
        self._refuse_divergence(result, grads)
        rewrite(grads["W_dec"], project_gradient, params["W_dec"])
        with torch.no_grad():
            return clip_gradients(grads, self.config["max_grad_norm"], in_place=True)

    @torch.no_grad()
    def _refuse_divergence(self, result: StepResult, grads: Mapping[str, Tensor]) -> None:
        """TrainingDiverged that says which number is not finite, and whether the data or a parameter was not.

        It waits for the device once, for one bit; which number it was is asked only where one is not finite.
        """
        numbers = result.terms | {f"gradient of {name}": grad.sum() for name, grad in grads.items()}
        stacked = torch.stack([number.double() for number in numbers.values()])
        if stacked.isfinite().all():
            return
        culprit, value = next(pair for pair in zip(numbers, stacked.tolist()) if not math.isfinite(pair[1]))
        sources = {"x": result.x, **self.sae.parameters_by_name()}
        because = "".join(f"; {name} holds a number that is not finite" for name, tensor in sources.items()
                          if not tensor.isfinite().all())
        raise TrainingDiverged(f"step {self.steps_done}: {culprit} is {value}{because}")

    @torch.no_grad()
    def _chosen(self, result: StepResult) -> Tensor | None:
        """The numbers by which a batch rule chose, 0 where it did not; None where the activation needs no threshold."""
        activation, acts = self.sae.config.activation, result.acts
        if activation not in BATCH_RULES:
            return None
        if activation == "batch_budget_topk":
            acts = apply(density, acts, result.price, row_norms(self.sae.W_dec))
        return acts.values if isinstance(acts, Entries) else acts

    @torch.no_grad()
    def _update(self, grads: Mapping[str, Tensor]) -> None:
        """Adam, then decoder rows back to norm 1 and thresholds back to 0."""
        for name, param in self.sae.named_parameters():
            param.grad = grads[name]
        rate = learning_rate(self.steps_done, self.config)
        for group in self.optimizer.param_groups:
            group["lr"] = parameter_rate(group["names"][0], rate, self.config)
        self.optimizer.step()
        self.optimizer.zero_grad()
        rewrite(self.sae.W_dec, normalize_rows)
        if "theta" in (params := self.sae.parameters_by_name()):
            params["theta"].copy_(project_thresholds(params["theta"]))

    @torch.no_grad()
    def _count(self, result: StepResult, chosen: Tensor | None) -> None:
        """Counters, frequency, price and threshold, from this batch."""
        sae, config = self.sae, self.config
        sae.tokens_since_fired.copy_(result.tokens_since_fired)
        mean, batches = running_mean(sae.frequency_mean, sae.frequency_batches, result.acts,
                                     config["frequency_decay"])
        sae.frequency_mean.copy_(mean)
        sae.frequency_batches.copy_(batches)
        self._set_price()
        if chosen is not None:
            threshold, seen = running_threshold(sae.threshold, sae.threshold_seen, chosen,
                                                config["threshold_decay"])
            sae.threshold.copy_(threshold)
            sae.threshold_seen.copy_(seen)

    @torch.no_grad()
    def _set_price(self) -> None:
        """What the next batch will pay, from the batches before it."""
        sae, config = self.sae, self.config
        if not config["priced"]:
            sae.price.fill_(1)
            return
        batches = int(sae.frequency_batches)
        sae.price.copy_(running_price(sae.frequency_mean, batches, config["frequency_decay"], sae.config.D,
                                      config["min_frequency"]))

    def _groups(self) -> list[dict[str, Any]]:
        """Adam's groups of parameters: thresholds have a rate of their own."""
        params = self.sae.parameters_by_name()
        thresholds = [name for name in params if name in THRESHOLDS]
        return [{"params": [params[name] for name in names], "names": names}
                for names in ([name for name in params if name not in THRESHOLDS], thresholds) if names]

    def moments(self) -> dict[str, dict[str, Tensor]]:
        """Adam's, {"first_moment": {parameter name: tensor}, "second_moment": ...}; 0 before any step."""
        params, state = self.sae.parameters_by_name(), self.optimizer.state
        return {kind: {name: state[param][key] if key in state[param] else torch.zeros_like(param)
                       for name, param in params.items()}
                for kind, key in zip(checkpoint.MOMENTS, ADAM_KEYS)}

    def _set_moments(self, moments: Mapping[str, Mapping[str, Tensor]]) -> None:
        """The inverse of `moments`, through the optimizer's own loader, which places them on the device."""
        state = {i: {key: moments[kind][name] for kind, key in zip(checkpoint.MOMENTS, ADAM_KEYS)}
                 | {"step": torch.tensor(float(self.steps_done))}
                 for i, name in enumerate(name for group in self.optimizer.param_groups for name in group["names"])}
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})
