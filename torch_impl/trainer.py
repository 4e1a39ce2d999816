"""TRAIN with everything around it: one step in place, a loop over data, checkpoints, metrics.

The step is the spec's `training_step`, in the same order [TRAIN-13]; every formula of it is in this package's
functions, Adam in torch.
"""

import math
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

import torch

from . import checkpoint, metrics
from .autoencoder import decode, encode
from .config import BATCH_RULES, config_mapping
from .constraints import normalize_rows, project_gradient, row_norms
from .frequency import running_mean, running_price
from .inference import running_threshold
from .module import HALF, SparseAutoencoder
from .objective import objective
from .selection import density
from .training import clip_gradients, count_tokens, is_dead, learning_rate, sparsity_warmth


ADAM_KEYS = ("exp_avg", "exp_avg_sq")                       # torch's names for the first and second moment


class TrainingDiverged(ValueError):
    """A loss or gradient that is not a finite number. Nothing was changed by the step that met it."""


class Passed(NamedTuple):
    """One forward pass over a batch, before anything is changed."""

    x: torch.Tensor                # (B, D)
    acts: torch.Tensor             # (B, M)
    recon: torch.Tensor            # (B, D)
    price: torch.Tensor            # (M,)
    tokens: torch.Tensor           # (M,)  samples since each latent fired, this batch counted
    dead: torch.Tensor             # (M,)  True where a latent is dead
    terms: dict                    # {name: 0-d tensor}, "total" last


class Trainer:
    """Trains an SAE in place: the module's parameters and running estimates, and Adam's moments."""

    def __init__(self, sae, training, moments=None, steps_done=0):
        """
        sae         SparseAutoencoder, in float32 or float64, on the device where it is to be trained
        training    TrainingConfig
        moments, steps_done  what an earlier Trainer left behind (see `Trainer.resume`)
        raises  ValueError for half-precision parameters or a training that does not fit the architecture
        """
        for name, param in sae.named_parameters():
            if param.dtype in HALF:
                raise ValueError(f"{name} is {str(param.dtype).split('.')[-1]}; training needs float32 or float64 "
                                 "(precision='bfloat16' speeds up the product and keeps the parameters)")
        self.sae, self.training, self.steps_done, self.run_folder = sae, training, steps_done, None
        self.config = config_mapping(sae.config, training)
        self.optimizer = torch.optim.Adam(sae.parameters(), lr=training.learning_rate, betas=(0.9, 0.999), eps=1e-8,
                                          fused=sae.W_dec.device.type in ("cpu", "cuda"))
        if moments is not None:
            self._set_moments(moments)

    @classmethod
    def start(cls, sae_config, training, data, device=None):
        """A Trainer with a new SAE whose directions come from training.seed and whose b_dec from the data.

        data  Activations
        """
        b_dec = data.centre(training.centre, training.seed)
        return cls(SparseAutoencoder(sae_config, training.seed, b_dec, device=device), training)

    @classmethod
    def resume(cls, run_folder, device=None):
        """The Trainer that a run's last checkpoint describes; it goes on bit-identically on the same device.

        raises  CheckpointError
        """
        trainer = cls(*checkpoint.load(run_folder, device))
        trainer.run_folder = Path(run_folder)
        return trainer

    def fit(self, data, run_folder, progress=True):
        """All steps that are left, with metrics and checkpoints in a run folder (see checkpoint.py).

        data        Activations, or whatever has D, batches(first, last, batch_size, seed) and fingerprint()
        run_folder  a new or empty folder; for a Trainer from `resume`, its own
        progress    False: no progress bar
        raises  CheckpointError for a folder that holds anything else, ValueError for data that does not fit,
                TrainingDiverged; the last good checkpoint then stays
        """
        training = self.training
        self.sae.train()
        self._enter(data, Path(run_folder))
        batches = data.batches(self.steps_done, training.steps, training.batch_size, training.seed)
        with metrics.progress_bar(progress) as bar:
            task = bar.add_task("", total=training.steps, completed=self.steps_done, numbers="")
            for x in batches:
                rate = learning_rate(self.steps_done, self.config)
                passed = self._step(x)
                last = self.steps_done == training.steps
                if last or self.steps_done % training.log_every == 0:
                    numbers = metrics.measure(passed, rate)
                    metrics.append(self.run_folder / "metrics.jsonl", self.steps_done, numbers)
                    bar.update(task, numbers=metrics.summary(numbers))
                if last or self.steps_done % training.checkpoint_every == 0:
                    self.save()
                bar.advance(task)

    def save(self):
        """Make the present state the current checkpoint of the run."""
        checkpoint.save(self.run_folder, self.sae, self.moments(), self.steps_done)

    def moments(self):
        """Adam's moments: {"first_moment": {parameter name: tensor}, "second_moment": ...}; 0 before any step."""
        params, state = self.sae.parameters_by_name(), self.optimizer.state
        return {kind: {name: state[param][key] if key in state[param] else torch.zeros_like(param)
                       for name, param in params.items()}
                for kind, key in zip(checkpoint.MOMENTS, ADAM_KEYS)}

    def _set_moments(self, moments):
        """The inverse of `moments`, through the optimizer's own loader, which places them on the device."""
        state = {i: {key: moments[kind][name] for kind, key in zip(checkpoint.MOMENTS, ADAM_KEYS)}
                 | {"step": torch.tensor(float(self.steps_done))}
                 for i, name in enumerate(self.sae.parameters_by_name())}
        self.optimizer.load_state_dict({**self.optimizer.state_dict(), "state": state})

    def _enter(self, data, folder):
        """Take a new folder for the run, or go on in the run's own with the run's own data."""
        if data.D != self.sae.config.D:
            raise ValueError(f"the data has D = {data.D}, the SAE has D = {self.sae.config.D}")
        if folder == self.run_folder:
            if checkpoint.read_config(folder)[2] != data.fingerprint():
                raise checkpoint.CheckpointError(f"{folder / 'config.json'}: data: the run was started on other data")
            metrics.cut(folder / "metrics.jsonl", self.steps_done)
            return
        checkpoint.start(folder, self.sae.config, self.training, data.fingerprint())
        self.run_folder = folder
        self.save()

    def step(self, x):
        """One step on one batch.

        x       (B, D), B >= 1; taken in the parameters' type
        returns {term: 0-d tensor}, "total" last
        raises  TrainingDiverged, before anything is changed, when the loss or its gradient is not finite;
                ValueError for a wrong shape, or when all steps are done
        """
        return self._step(x).terms

    def _step(self, x):
        passed = self._forward(x)
        grads = self._gradients(passed)
        kept = self._kept(passed)                           # by the decoder that chose, not by the one after it
        self._move(grads)
        self._count(passed, kept)
        self.steps_done += 1
        return passed._replace(terms={name: term.detach() for name, term in passed.terms.items()})

    def _forward(self, x):
        sae, config, step = self.sae, self.config, self.steps_done
        if step >= self.training.steps:
            raise ValueError(f"all {step} steps are done")
        if x.ndim < 2 or x.shape[-1] != sae.config.D or x.numel() == 0:
            raise ValueError(f"x has shape {tuple(x.shape)}, expected (B, {sae.config.D}) with B of at least 1")
        params, x, price = sae.parameters_by_name(), x.to(sae.W_dec), sae.price.clone()
        half = self.training.precision == "bfloat16"
        with torch.autocast(x.device.type, torch.bfloat16) if half else nullcontext():
            _, pre, acts = encode(x, params, config, price, check_inputs=False)
        recons = decode(acts, params, config["prefixes"])
        tokens = count_tokens(sae.tokens_since_fired, acts)
        dead = is_dead(tokens, config["dead_after"])        # [TRAIN-14] this batch counted
        terms = objective(x, params, config, pre, acts, recons, price, dead, sparsity_warmth(step, config))
        return Passed(x, acts.detach(), recons[-1].detach(), price, tokens, dead, terms)

    def _gradients(self, passed):
        """{parameter name: gradient}, checked, projected and clipped."""
        params = self.sae.parameters_by_name()
        found = torch.autograd.grad(passed.terms["total"], list(params.values()), materialize_grads=True)
        grads = dict(zip(params, found))
        self._refuse_divergence(passed, grads)
        with torch.no_grad():
            grads["W_dec"] = project_gradient(grads["W_dec"], params["W_dec"])
            return clip_gradients(grads, self.config["max_grad_norm"])

    def _refuse_divergence(self, passed, grads):
        """One reading of one number for the whole check; which number it was is asked only when it is too late."""
        sums = {f"gradient of {name}": grad.sum() for name, grad in grads.items()}
        numbers = {**passed.terms, **sums}
        stacked = torch.stack([torch.as_tensor(number, device=passed.x.device).detach().double()
                               for number in numbers.values()])
        if torch.isfinite(stacked).all():
            return
        culprit, value = next((n, v) for n, v in zip(numbers, stacked.tolist()) if not math.isfinite(v))
        where = {"x": passed.x, **self.sae.parameters_by_name()}
        because = "".join(f"; {name} holds a number that is not finite" for name, tensor in where.items()
                          if not torch.isfinite(tensor).all())
        raise TrainingDiverged(f"step {self.steps_done}: {culprit} is {value}{because}")

    @torch.no_grad()
    def _kept(self, passed):
        """What running_threshold looks at; None where the activation needs no threshold."""
        activation = self.sae.config.activation
        if activation not in BATCH_RULES:
            return None
        if activation == "batch_topk":
            return passed.acts
        return density(passed.acts, passed.price, row_norms(self.sae.W_dec))

    @torch.no_grad()
    def _move(self, grads):
        for name, param in self.sae.named_parameters():
            param.grad = grads[name]
        self.optimizer.param_groups[0]["lr"] = learning_rate(self.steps_done, self.config)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.sae.W_dec.copy_(normalize_rows(self.sae.W_dec))

    @torch.no_grad()
    def _count(self, passed, kept):
        """Counters, frequency, next price and threshold, from this batch."""
        sae, config = self.sae, self.config
        sae.tokens_since_fired.copy_(passed.tokens)
        mean, batches = running_mean(sae.frequency_mean, int(sae.frequency_batches), passed.acts,
                                     config["frequency_decay"])
        sae.frequency_mean.copy_(mean)
        sae.frequency_batches.fill_(batches)
        if config["priced"]:                                # [FREQ-11] what the next batch will pay
            sae.price.copy_(running_price(mean, batches, config["frequency_decay"], sae.config.D,
                                          config["min_frequency"]))
        if kept is not None:
            threshold, seen = running_threshold(sae.threshold, int(sae.threshold_seen), kept,
                                                config["threshold_decay"])
            sae.threshold.fill_(threshold)
            sae.threshold_seen.fill_(seen)
