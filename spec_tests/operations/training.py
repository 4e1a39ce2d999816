"""TRAIN: the stages of a step, and whole steps."""

import numpy as np

from sae_spec.spec_tests.operations.autoencoder import CONFIG, PARAMS, WRONG_PARAMS
from sae_spec.spec_tests.operations.costs import OF_TERMS, TIED
from sae_spec.spec_tests.operations.frequency import PRICING
from sae_spec.spec_tests.operations.mistakes import altered, not_finite, values
from sae_spec.spec_tests.operations.record import Area

TRAIN = Area("TRAIN", "Training")

SCHEDULE = {"steps": "how many steps a run has", "learning_rate": "the learning rate, where it neither rises nor falls",
            "warmup_steps": "over how many steps the learning rate rises at the start; 0 for none",
            "decay_steps": "over how many steps the learning rate falls at the end; 0 for none"}
WARMTH = {"sparsity_warmup_steps": "over how many steps the factor on l1, l0 and tanh rises at the start; 0 for none"}
STEP = {"step": "the number of the step, from 0"}
CONSTANTS = {"[adam_beta1]": "Adam's memory of gradients, at least 0 and below 1 (0.9)",
             "[adam_beta2]": "Adam's memory of their squares, at least 0 and below 1 (0.999)",
             "[adam_epsilon]": "what Adam adds to the root of the mean square, above 0 (1e-8)"}
WRONG_RATE = {"threshold_rate": values("0 or negative", 0, -0.5)}
WRONG_CONSTANTS = {"adam_beta1": values("negative, or 1 and above", -0.5, 1), "adam_beta2": values("negative, or 1 and above", -0.5, 1),
                   "adam_epsilon": values("0 or negative", 0, -0.5)}
OF_TRAINING = SCHEDULE | WARMTH | CONSTANTS | {
    "max_grad_norm": "the largest joint norm of the gradients; null: they are not clipped",
    "dead_after": "after how many samples without firing a latent is dead",
    "priced": "false: every price is 1",
    "frequency_decay": "decay of the running frequency", "min_frequency": PRICING["min_frequency"],
    "threshold_decay": "decay of the running threshold",
    "[threshold_rate]": "jumprelu: thresholds move at this factor times the learning rate, above 0 (1)",
}
OF_THE_SPEC = {"threshold_rate": 1.0, "aux_coefficient": 0}           # where production's defaults differ: nothing unless it is said
COUNTERS = {"tokens_since_fired": "(M,)", "frequency_mean": "(M,)", "frequency_batches": "()",
            "threshold": "()", "threshold_seen": "()"}
PARAM = {"param": "any", "grad": "any", "first": "state any", "second": "state any"}


@TRAIN.operation("whole steps of training, one for each batch", CONFIG | OF_TERMS | OF_TRAINING,
                 PARAMS | {"batches": "(S, B, D)  one batch for each of S steps"},
                 PARAMS | {"total": "(S,)  what each batch was charged"} | COUNTERS,
                 WRONG_PARAMS | WRONG_CONSTANTS | WRONG_RATE | {"batches": not_finite(called="x")},
                 parts=["objective", "project_gradient", "clip_gradients", "adam", "normalize_rows", "learning_rate",
                        "sparsity_warmth", "count_tokens", "running_mean", "running_price", "running_threshold"])
def train(on, config, batches, **params):
    state, totals = on.training.initial_state(params), []
    for x in batches:
        state, terms = on.training.training_step(state, x, config)
        totals.append(terms["total"])
    return state.params | {"total": on.arrays.array(totals)} | counters(state)


def counters(state):
    """What a State of the reference has counted and averaged, by the names of the outputs."""
    return {"tokens_since_fired": state.tokens_since_fired,
            "frequency_mean": state.frequency.mean, "frequency_batches": state.frequency.batches,
            "threshold": state.threshold.mean, "threshold_seen": state.threshold.batches}


@train.on("torch_impl")
def train_by_trainer(on, config, batches, **params):
    """Half precision: inputs are rounded to it, parameters and moments live in float32."""
    torch, public = on.arrays, on.package
    params = {name: public.kernels.precision.widen(tensor) for name, tensor in params.items()}
    on.linear.check(batches, params)
    of_sae, of_training = ({key: value for key, value in config.items() if key in settings.model_fields}
                           for settings in (public.SAEConfig, public.TrainingConfig))
    M, D = params["W_dec"].shape
    trained = {"threshold_parameter": "log_threshold" if "log_threshold" in params else "theta"}
    sae = public.SparseAutoencoder(public.SAEConfig(D=D, M=M, **of_sae | {"tied": "W_enc" not in params, **trained}),
                                   dtype=params["W_dec"].dtype, device=params["W_dec"].device)
    with torch.no_grad():
        for name, param in sae.named_parameters():
            param.copy_(params[name])
    trainer = public.Trainer(sae, public.TrainingConfig(**OF_THE_SPEC | of_training))
    totals = [trainer.step(x)["total"] for x in batches]
    return sae.parameters_by_name() | {"total": torch.stack(totals)} | {name: getattr(sae, name) for name in COUNTERS}


@TRAIN.operation("rows scaled to norm 1", inputs={"W": "(M, D)"}, outputs={"unit": "(M, D)"})
def normalize_rows(on, config, W):
    return {"unit": on.constraints.normalize_rows(W)}


@TRAIN.operation("a gradient without what would only change the length of a row",
                 inputs={"d_W": "(M, D)", "W": "(M, D)"}, outputs={"d_W": "(M, D)"})
def project_gradient(on, config, d_W, W):
    return {"d_W": on.constraints.project_gradient(d_W, W)}


@TRAIN.operation("gradients scaled together to a joint norm of at most max_grad_norm",
                 {"max_grad_norm": OF_TRAINING["max_grad_norm"]}, {"…": "any  gradients under any names"},
                 {"…": "any  the same names"})
def clip_gradients(on, config, **grads):
    return on.training.clip_gradients(grads, config["max_grad_norm"])


@TRAIN.operation("one update of one parameter by Adam", STEP | {"learning_rate": SCHEDULE["learning_rate"]} | CONSTANTS, PARAM,
                 {name: "any" for name in ("param", "first", "second")}, WRONG_CONSTANTS)
def adam(on, config, param, grad, first, second):
    constants = on.adam.adam_constants(config)
    moved = on.adam.adam(param, grad, first, second, config["step"], config["learning_rate"], *constants)
    return dict(zip(("param", "first", "second"), moved))


@TRAIN.operation("the learning rate of a step", STEP | SCHEDULE, outputs={"rate": "()"})
def learning_rate(on, config):
    return {"rate": on.training.learning_rate(config["step"], config)}


@TRAIN.operation("the factor on the sparsity terms in a step", STEP | WARMTH, outputs={"warmth": "()"})
def sparsity_warmth(on, config):
    return {"warmth": on.training.sparsity_warmth(config["step"], config)}


@TRAIN.operation("samples since each latent last fired, after a batch", {"dead_after": OF_TRAINING["dead_after"]},
                 {"tokens_since_fired": "state (M,)", "acts": "(B, M)"}, {"tokens_since_fired": "(M,)", "dead": "(M,)"})
def count_tokens(on, config, tokens_since_fired, acts):
    tokens = on.training.count_tokens(tokens_since_fired, acts)
    return {"tokens_since_fired": tokens, "dead": on.training.is_dead(tokens, config["dead_after"])}


@TRAIN.operation("the parameters before the first step",
                 {"activation": CONFIG["activation"], "tied": TIED["[tied]"],
                  "[initial_encoder_scale]": "untied: the length of encoder rows at the start, above 0 (1/8; jumprelu and gated 1)",
                  "[initial_threshold]": "jumprelu: theta at the start, above 0",
                  "[threshold_parameter]": "jumprelu: theta | log_threshold, what is trained (theta)"},
                 {"normals": "(M, D)  draws from the standard normal distribution", "b_dec": "(D,)  the data's centre"},
                 PARAMS, {"initial_encoder_scale": values("0 or negative", 0, -0.5),
                          "initial_threshold": values("0 or negative", 0, -0.5),
                          "threshold_parameter": values("neither theta nor log_threshold", "logarithm")})
def initial_parameters(on, config, normals, b_dec):
    return on.initialization.initial_parameters(normals, b_dec, config)


@TRAIN.operation("a centre of the data that outliers hardly move", inputs={"data": "(B, D)"}, outputs={"centre": "(D,)"},
                 refused={"data": altered("no samples", lambda data: data[:0])})
def geometric_median(on, config, data):
    return {"centre": on.initialization.geometric_median(data)}


@TRAIN.operation("the number by which samples are multiplied for training", inputs={"x": "(B, D)"}, outputs={"scale": "()"},
                 refused={"x": [altered("no samples", lambda x: x[:0]), altered("all 0", np.zeros_like), not_finite()]})
def scale_factor(on, config, x):
    return {"scale": on.constraints.scale_factor(x)}


@TRAIN.operation("an SAE that was trained on scale · x, in the unit of x", {"activation": CONFIG["activation"]},
                 PARAMS | {"scale": "state ()  what the samples were multiplied by", "[inference_threshold]": "state ()  of a batch rule"},
                 PARAMS | {"[inference_threshold]": "()"},
                 {"scale": values("0, negative or not finite", 0, -1, np.inf, np.nan)})
def fold(on, config, scale, inference_threshold=None, **params):
    folded = on.constraints.fold(params, scale)
    if inference_threshold is not None:
        folded["inference_threshold"] = on.constraints.fold_threshold(inference_threshold, scale, config["activation"])
    return folded
