"""What an SAE is (`SAEConfig`) and how it is trained (`TrainingConfig`): checked, frozen, serialisable.

The field names are the keys that the spec's functions read; `config_mapping` merges both into the plain
mapping that they take. A mistake is one ValueError of one line that names the field:

    SAEConfig.k: must be above 0 and at most M = 16, got 17

This module does not import torch.
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_serializer, field_validator, model_validator

from ..sae import BATCH_RULES, BUDGET_RULES, CHOOSING_RULES, default_encoder_scale

if TYPE_CHECKING:
    from typing_extensions import Self                      # pydantic brings it

Activation = Literal["relu", "jumprelu", "gated", "topk", "abs_topk", "batch_topk", "budget_topk",
                     "batch_budget_topk"]

WORDING = {"Input should be": "must be", "greater than or equal to": "at least", "greater than": "above",
           "less than or equal to": "at most", "less than": "below"}


def one_line(error: ValidationError, model: type[BaseModel]) -> str:
    """The first complaint of a pydantic ValidationError: `Model.field: what is wrong`."""
    first = error.errors()[0]
    where = ".".join([model.__name__, *map(str, first["loc"])])
    if first["type"] == "value_error":                      # from a validator below, which names its field
        return f"{where}.{first.get('ctx', {}).get('error')}"
    if first["type"] == "missing":
        return f"{where}: is required"
    if first["type"] == "extra_forbidden":
        return f"{where}: unknown; the fields are {', '.join(model.model_fields)}"
    message = first["msg"]
    for theirs, ours in WORDING.items():
        message = message.replace(theirs, ours)
    return f"{where}: {message}, got {first['input']!r}"


@contextmanager
def one_line_errors(model: type[BaseModel]) -> Iterator[None]:
    """Turn pydantic's report of several lines into the project's one."""
    try:
        yield
    except ValidationError as error:
        raise ValueError(one_line(error, model)) from None


class Config(BaseModel):
    """A frozen model that refuses unknown keys, wrong types and non-finite numbers, in one line."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    if not TYPE_CHECKING:                                   # type checkers read the fields instead: a typo shows
        def __init__(self, **values):
            with one_line_errors(type(self)):
                super().__init__(**values)

        __init__.__pydantic_base_init__ = True              # model_validate need not pass through __init__

    @classmethod
    def model_validate(cls, *args: Any, **options: Any) -> "Self":
        with one_line_errors(cls):
            return super().model_validate(*args, **options)

    @classmethod
    def model_validate_json(cls, *args: Any, **options: Any) -> "Self":
        with one_line_errors(cls):
            return super().model_validate_json(*args, **options)


def encoder_scale_of(given: dict[str, Any]) -> float:
    """How long the encoder's rows start."""
    return default_encoder_scale(given["activation"])


class SAEConfig(Config):
    """The architecture: what must be known to encode and decode."""

    D: int = Field(ge=1, description="dimension of the activations that are taken apart")
    M: int = Field(ge=1, description="number of latents")
    activation: Activation = Field(default="batch_topk", description="rule that says which latents are on")
    k: float | None = Field(default=None, description=(
        "latents on per sample; for the budget rules the budget. The *_topk activations need it, "
        "the others take none. A whole number, but for the batch rules, where it is a mean"))
    tied: bool = Field(default=False, description="encode with the decoder's own matrix")
    subtract_b_dec: bool = Field(default=True, description="subtract b_dec from the input before encoding")
    initial_encoder_scale: float = Field(default_factory=encoder_scale_of, gt=0, description=(
        "untied: length of the encoder's rows before the first step (default: 1/8; for jumprelu and gated 1)"))
    prefixes: tuple[int, ...] | None = Field(default=None, strict=False, description=(
        "Matryoshka: sizes that increase up to M (default: only M)"))
    bandwidth: float = Field(default=2.0, gt=0, description=(
        "jumprelu: width of the window that trains thresholds, in the unit in which the data's mean squared norm is D"))
    initial_threshold: float = Field(default=1.0, gt=0, description="jumprelu: thresholds before the first step, in that unit")
    threshold_parameter: Literal["theta", "log_threshold"] = Field(default="theta", description=(
        "jumprelu: what is trained, the thresholds or their logarithms, which hardly leave their start"))

    @field_validator("k")
    @classmethod
    def _whole_where_it_is(cls, k: float | None) -> float | None:
        return int(k) if k is not None and k == int(k) else k

    @field_serializer("k")
    def _as_it_is(self, k: float | None) -> Any:            # 4 is written as 4, not as 4.0
        return k

    @model_validator(mode="after")
    def _consistent(self) -> "SAEConfig":
        if self.activation in CHOOSING_RULES:
            if self.k is None:
                raise ValueError(f"k: the activation {self.activation} needs it")
            mean = self.activation in BATCH_RULES
            if not (0 < self.k if mean else 1 <= self.k) or self.k > self.M:
                raise ValueError(f"k: must be {'above 0 and at most' if mean else 'from 1 to'} M = {self.M}, got {self.k}")
            if self.k != int(self.k) and not mean:
                raise ValueError(f"k: must be a whole number for {self.activation}, got {self.k}; a batch rule takes a fraction")
        elif self.k is not None:
            raise ValueError(f"k: the activation {self.activation} takes none, got {self.k}")
        sizes = self.prefixes
        if sizes is not None and (sizes[-1:] != (self.M,) or any(m >= n for m, n in zip((0, *sizes), sizes))):
            raise ValueError(f"prefixes: must increase from at least 1 to M = {self.M}, got {list(sizes)}")
        return self


def tenth_of_the_run(given: dict[str, Any]) -> int:
    """How long a latent may be silent, in samples, from the steps and the batch size."""
    return max(1, min(10_000_000, given["steps"] * given["batch_size"] // 10))


class TrainingConfig(Config):
    """How an SAE is trained. Counts of samples are rows of the data (one row: one token's activation)."""

    steps: int = Field(default=10_000, ge=1, description="number of training steps")
    batch_size: int = Field(default=4096, ge=1, description="samples per step")
    learning_rate: float = Field(default=3e-4, gt=0, description="Adam's rate between warm-up and decay")
    warmup_steps: int = Field(default_factory=lambda given: given["steps"] // 20, ge=0, description=(
        "steps of linear warm-up of the rate (default: 1/20 of the steps)"))
    decay_steps: int = Field(default_factory=lambda given: given["steps"] // 5, ge=0, description=(
        "steps of linear decay at the end (default: 1/5 of the steps)"))
    adam_beta1: float = Field(default=0.9, ge=0, lt=1, description="Adam's memory of gradients")
    adam_beta2: float = Field(default=0.999, ge=0, lt=1, description="Adam's memory of their squares")
    adam_epsilon: float = Field(default=1e-8, gt=0, description="what Adam adds to the root of the mean square")
    sparsity_warmup_steps: int = Field(default_factory=lambda given: given["steps"] // 20, ge=0, description=(
        "steps until l1, l0 and tanh count in full (default: 1/20 of the steps)"))
    max_grad_norm: float | None = Field(default=1.0, gt=0, allow_inf_nan=True, description=(
        "clip all gradients together to this norm; inf: do not clip"))
    dead_after: int = Field(default_factory=tenth_of_the_run, ge=1, description=(
        "a latent silent for so many samples is dead (default: a tenth of the run, at most 10 million)"))
    priced: bool | None = Field(default=None, description=(
        "weigh each latent by its frequency-aware price (default: where the activation is a budget rule)"))
    frequency_decay: float = Field(default=0.999, ge=0, lt=1, description="memory of the running frequency")
    min_frequency: float | None = Field(default=None, gt=0, le=1, description=(
        "a lower frequency is priced as this one (default: 1e-6; for the budget rules D^-1.25, so that no latent costs "
        "more than 1.25: dearer ones starve)"))
    threshold_decay: float = Field(default=0.9, ge=0, lt=1, description=(
        "memory of the batch rules' threshold; it must follow a threshold that moves while training does"))
    threshold_rate: float = Field(default=10.0, gt=0, description=(
        "jumprelu: thresholds move at this factor times the learning rate"))
    normalize_activations: bool = Field(default=True, description=(
        "train on the data times one factor, by which its mean squared norm is D; what is saved takes the data as it is. All "
        "coefficients, thresholds and losses are in that unit"))
    l1_coefficient: float = Field(default=0.0, ge=0, description="factor of the L1 cost")
    l0_coefficient: float = Field(default=0.0, ge=0, description=(
        "factor of the L0 cost, for jumprelu only: about the square of the activation that is worth its cost"))
    tanh_coefficient: float = Field(default=0.0, ge=0, description="factor of the tanh cost")
    tanh_scale: float = Field(default=4.0, gt=0, description="steepness of the tanh cost")
    tie_coefficient: float = Field(default=0.0, ge=0, description=(
        "factor of the penalty on encoder and decoder rows that point apart"))
    aux_coefficient: float | None = Field(default=None, ge=0, description=(
        "factor of the auxiliary loss that revives dead latents (default: 1/32 for the *_topk activations, "
        "0 for others)"))
    k_aux: int | None = Field(default=None, ge=1, description=(
        "dead latents that may speak in a sample of the auxiliary loss (default: half of D)"))
    centre: Literal["mean", "geometric_median", "zero"] = Field(default="mean", description="where b_dec starts")
    seed: int = Field(default=0, ge=0, lt=2**63, description=(
        "decides the initial directions and the order of the data"))
    precision: Literal["float32", "bfloat16"] = Field(default="float32", description=(
        "of the encoder's product; parameters and moments stay as they are"))
    log_every: int = Field(default=100, ge=1, description="steps between two lines of metrics.jsonl")
    checkpoint_every: int = Field(default=1000, ge=1, description="steps between two checkpoints")

    @field_validator("max_grad_norm")
    @classmethod
    def _none_is_never(cls, norm: float | None) -> float | None:
        return None if norm == math.inf else norm           # JSON has null for it, a command line inf


def config_mapping(sae: SAEConfig, training: TrainingConfig) -> dict[str, Any]:
    """Both configurations as the one plain mapping that the functions read.

    sae       SAEConfig
    training  TrainingConfig
    returns dict; "priced", "min_frequency", "aux_coefficient" and "k_aux" are resolved where they were left open
    raises  ValueError for a training that does not fit the architecture
    """
    mapping = sae.model_dump() | training.model_dump()
    if training.priced is None:
        mapping["priced"] = sae.activation in BUDGET_RULES
    if training.min_frequency is None:
        mapping["min_frequency"] = float(sae.D) ** -1.25 if sae.activation in BUDGET_RULES else 1e-6
    if training.aux_coefficient is None:
        mapping["aux_coefficient"] = 1 / 32 if sae.activation in CHOOSING_RULES else 0.0
    if training.k_aux is None:
        mapping["k_aux"] = max(1, sae.D // 2)
    if mapping["priced"] and sae.D < 2:
        raise ValueError(f"TrainingConfig.priced: prices need D of at least 2, got D = {sae.D}")
    if training.l0_coefficient and sae.activation != "jumprelu":
        raise ValueError(f"TrainingConfig.l0_coefficient: needs jumprelu, the activation is {sae.activation}")
    return mapping
