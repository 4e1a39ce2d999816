"""TRAIN, the sequence: one step in place, as the spec's `training_step`, in the order of [TRAIN-13].

Every formula is in this package's functions, Adam in torch; the loop over data is in run.py.
"""

import math
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

import torch

from ..sae import autoencoder, sparse_autoencoder
from . import checkpoint, run
from ..sae.autoencoder import check_finite
from ..sae import BATCH_RULES
from .config import config_mapping
from ..sae.constraints import normalize_rows, project_gradient, rewrite, row_norms
from ..sparse.entries import Entries, apply
from ..sae.frequency import running_frequency, running_mean, running_price
from ..sae.inference import running_threshold
from ..sparse.kept import begin, collect
from .module import HALF, SparseAutoencoder
from ..sae.objective import objective
from ..sae.selection import density
from ..sae.training import clip_gradients, count_tokens, is_dead, learning_rate, sparsity_warmth

ADAM_KEYS = ("exp_avg", "exp_avg_sq")                       # torch's names for the first and second moment


class TrainingDiverged(ValueError):
    """A loss or gradient that is not a finite number. The step that met it changed nothing."""


class Passed(NamedTuple):
    """One batch's way through the SAE, before anything is changed."""

    x: torch.Tensor                # (B, D)
    acts: torch.Tensor             # (B, M), or Entries where the step was sparse
    recon: torch.Tensor            # (B, D)
    price: torch.Tensor            # (M,)
    tokens: torch.Tensor           # (M,)  samples since each latent fired, this batch counted
    dead: torch.Tensor             # (M,)  True where a latent is dead
    terms: dict                    # {name: 0-d tensor}, "total" last


class Trainer:
    """Trains an SAE in place: its parameters and running estimates. Has .sae, .training, .steps_done."""

    def __init__(self, sae, training, moments=None, steps_done=0):
        """
        sae         SparseAutoencoder, in float32 or float64, on the device where it is to be trained
        training    TrainingConfig
        moments, steps_done  what an earlier Trainer left behind (see `resume`)
        raises  ValueError for half-precision parameters, numbers that are not finite, or a training that does
                not fit the architecture
        """
        for name, param in sae.named_parameters():
            if param.dtype in HALF:
                raise ValueError(f"{name} is {param.dtype}, expected float32 or float64 "
                                 "(precision='bfloat16' is about the encoder's product, not the parameters)")
        check_finite(sae.state_dict())                      # a NaN below a threshold would never reach the loss
        self.sae, self.training, self.steps_done, self.run_folder = sae, training, steps_done, None
        self.kept = {}                                      # buffers of gradients, from the first sparse step on
        self.config = config_mapping(sae.config, training)  # what the functions read
        self.optimizer = torch.optim.Adam(sae.parameters(), lr=training.learning_rate, betas=(0.9, 0.999),
                                          eps=1e-8, fused=sae.W_dec.device.type in ("cpu", "cuda"))
        if moments is not None:
            self._set_moments(moments)
        self._set_price()

    @classmethod
    def start(cls, sae_config, training, data, device=None):
        """A Trainer with a new SAE: directions from training.seed, b_dec from the data (Activations)."""
        b_dec = data.centre(training.centre, training.seed)
        return cls(SparseAutoencoder(sae_config, training.seed, b_dec, device=device), training)

    @classmethod
    def resume(cls, run_folder, device=None):
        """The Trainer of a run's last checkpoint; it goes on bit-identically on the same kind of device.

        raises  CheckpointError
        """
        trainer = cls(*checkpoint.load(run_folder, device))
        trainer.run_folder = Path(run_folder)
        return trainer

    def step(self, x):
        """One step on one batch.

        x       (B, D), B >= 1; taken in the parameters' type
        returns {term: 0-d tensor}, "total" last
        raises  TrainingDiverged, before anything is changed, when the loss or its gradient is not finite;
                ValueError for a wrong shape, or when all steps are done
        """
        return self.advance(x).terms

    def fit(self, data, run_folder, progress=True):
        """All steps that are left, with metrics and checkpoints in a run folder (see checkpoint.py).

        data        Activations, or whatever has D, batches(first, last, batch_size, seed) and fingerprint()
        run_folder  a new or empty folder; for a Trainer from `resume`, its own
        progress    False: no progress bar
        raises  CheckpointError for a folder that holds anything else, ValueError for data that does not fit,
                TrainingDiverged; the last good checkpoint then stays
        """
        run.fit(self, data, run_folder, progress)

    def advance(self, x):
        """`step`, returning all that was computed on the way: Passed."""
        passed = self._forward(x)
        grads = self._gradients(passed)
        kept = self._kept(passed)                           # by the decoder that chose, not the one after
        self._move(grads)
        self._count(passed, kept)
        self.steps_done += 1
        return passed._replace(terms={name: term.detach() for name, term in passed.terms.items()})

    def moments(self):
        """Adam's, {"first_moment": {parameter name: tensor}, "second_moment": ...}; 0 before any step."""
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

    def _forward(self, x):
        sae, config, step = self.sae, self.config, self.steps_done
        if step >= self.training.steps:
            raise ValueError(f"all {step} steps are done")
        if x.shape[-1:] != (sae.config.D,) or x.ndim < 2 or x.numel() == 0:
            raise ValueError(f"x has shape {tuple(x.shape)}, expected (B, {sae.config.D}), B at least 1")
        x, price = x.reshape(-1, sae.config.D).to(sae.W_dec), sae.price.clone()
        params, (pre, acts, recons) = sae.parameters_by_name(), self._through(x, price)
        tokens = count_tokens(sae.tokens_since_fired, acts)
        dead = is_dead(tokens, config["dead_after"])        # [TRAIN-14] this batch counted
        terms = objective(x, params, config, pre, acts, recons, price, dead, sparsity_warmth(step, config))
        return Passed(x, acts.detach(), recons[-1].detach(), price, tokens, dead, terms)

    def _through(self, x, price):
        """pre, acts, recons of x (B, D): sparse where few latents are on, else dense."""
        params, config = self.sae.parameters_by_name(), self.config
        half = self.training.precision == "bfloat16"
        with torch.autocast(x.device.type, torch.bfloat16) if half else nullcontext():
            if is_sparse := sparse_autoencoder.is_sparse(config, self._share_on):
                kept = begin(self.kept, params)
                pre, acts = sparse_autoencoder.encode(x, params, config, price, check_inputs=False, kept=kept)
            else:
                _, pre, acts = autoencoder.encode(x, params, config, price, check_inputs=False)
        path = sparse_autoencoder if is_sparse else autoencoder
        return pre, acts, path.decode(acts, params, config["prefixes"])

    def _share_on(self):
        """Mean share of latents that were on in earlier batches, None before the first."""
        sae, batches = self.sae, int(self.sae.frequency_batches)
        if not batches:
            return None
        return float(running_frequency(sae.frequency_mean, batches, self.config["frequency_decay"]).mean())

    def _gradients(self, passed):
        """{parameter name: gradient}, checked, projected and clipped."""
        params, acts = self.sae.parameters_by_name(), passed.acts
        grads = collect(passed.terms["total"], params, acts.kept if isinstance(acts, Entries) else {})
        self._refuse_divergence(passed, grads)
        rewrite(grads["W_dec"], project_gradient, params["W_dec"])
        with torch.no_grad():
            return clip_gradients(grads, self.config["max_grad_norm"], in_place=True)

    @torch.no_grad()
    def _refuse_divergence(self, passed, grads):
        """Wait for the device once, for one bit; ask which number it was only when it is too late."""
        numbers = passed.terms | {f"gradient of {name}": grad.sum() for name, grad in grads.items()}
        stacked = torch.stack([number.double() for number in numbers.values()])
        if stacked.isfinite().all():
            return
        culprit, value = next(pair for pair in zip(numbers, stacked.tolist()) if not math.isfinite(pair[1]))
        sources = {"x": passed.x, **self.sae.parameters_by_name()}
        because = "".join(f"; {name} holds a number that is not finite" for name, tensor in sources.items()
                          if not tensor.isfinite().all())
        raise TrainingDiverged(f"step {self.steps_done}: {culprit} is {value}{because}")

    @torch.no_grad()
    def _kept(self, passed):
        """What running_threshold follows; None where the activation needs no threshold."""
        activation, kept = self.sae.config.activation, passed.acts
        if activation not in BATCH_RULES:
            return None
        if activation == "batch_budget_topk":
            kept = apply(density, kept, passed.price, row_norms(self.sae.W_dec))
        return kept.values if isinstance(kept, Entries) else kept

    @torch.no_grad()
    def _move(self, grads):
        for name, param in self.sae.named_parameters():
            param.grad = grads[name]
        self.optimizer.param_groups[0]["lr"] = learning_rate(self.steps_done, self.config)
        self.optimizer.step()
        self.optimizer.zero_grad()
        rewrite(self.sae.W_dec, normalize_rows)

    @torch.no_grad()
    def _count(self, passed, kept):
        """Counters, frequency, price and threshold, from this batch."""
        sae, config = self.sae, self.config
        sae.tokens_since_fired.copy_(passed.tokens)
        mean, batches = running_mean(sae.frequency_mean, sae.frequency_batches, passed.acts,
                                     config["frequency_decay"])
        sae.frequency_mean.copy_(mean)
        sae.frequency_batches.copy_(batches)
        self._set_price()
        if kept is not None:
            threshold, seen = running_threshold(sae.threshold, sae.threshold_seen, kept,
                                                config["threshold_decay"])
            sae.threshold.copy_(threshold)
            sae.threshold_seen.copy_(seen)

    @torch.no_grad()
    def _set_price(self):
        """What the next batch will pay, from the batches before it."""
        sae, config = self.sae, self.config
        if not config["priced"]:
            sae.price.fill_(1)
            return
        batches = int(sae.frequency_batches)
        sae.price.copy_(running_price(sae.frequency_mean, batches, config["frequency_decay"], sae.config.D,
                                      config["min_frequency"]))
