"""Mutants of TRAIN: the unit in which an SAE is trained, the way back, and the rate of thresholds."""

import numpy as np

from sae_spec.spec_tests.mutants import mutant


# ---------------------------------------------------------------- the factor

def other_factor(name, factor, *, clause="TRAIN-18", **seen):
    """scale_factor that is factor(x, the right one) where there is a right one."""
    @mutant(f"scale: {name}", clause=clause, target="constraints.scale_factor", **seen)
    def wrong(right, x):
        scale = right(x)                                    # it refuses what the right one refuses
        with np.errstate(all="ignore"):
            return factor(x, scale)


def squared(x):
    return (x**2).sum(-1)


other_factor("the root of D over the mean norm", lambda x, scale: np.sqrt(x.shape[-1]) / np.sqrt(squared(x)).mean(),
             seen_in=("SAELens 6.54.12", "Language-Model-SAEs"), convention=True)
other_factor("a mean squared norm of 1", lambda x, scale: scale / np.sqrt(x.shape[-1]),
             seen_in=("dictionary_learning 0.1.0",), convention=True)
other_factor("of the centred samples", lambda x, scale: np.sqrt(x.shape[-1] / squared(x - x.mean(0)).mean()))
other_factor("the sum of the squared norms", lambda x, scale: np.sqrt(x.shape[-1] / squared(x).sum()))
other_factor("samples of 0 do not count", lambda x, scale: scale * np.sqrt((squared(x) > 0).mean()))
other_factor("the samples are divided by it", lambda x, scale: 1 / scale)
other_factor("no root", lambda x, scale: scale**2)
other_factor("the nearest power of two", lambda x, scale: 2.0 ** np.round(np.log2(scale)))
other_factor("of the first sample", lambda x, scale: np.sqrt(x.shape[-1] / squared(x[:1]).mean()))

other_factor("squares that over- and underflow", lambda x, scale: np.sqrt(x.shape[-1] / squared(x).mean()), clause="TRAIN-19")
other_factor("an epsilon beside the mean square", lambda x, scale: np.sqrt(x.shape[-1] / (squared(x).mean() + 1e-12)), clause="TRAIN-19")


@mutant("scale: squares in float32", clause="TRAIN-19", target="constraints.scale_factor", dtype="float32")
def squares_of_float32(right, x):
    right(x)
    with np.errstate(all="ignore"):
        return np.sqrt(x.shape[-1] / squared(x.astype(np.float32)).mean())


def lenient(name, wrong):
    """What must be refused has the factor 1."""
    @mutant(f"scale: {name} has the factor 1", clause="TRAIN-19", target="constraints.scale_factor")
    def accepted(right, x):
        return np.float64(1) if wrong(x) else right(x)


lenient("nothing but 0", lambda x: x.size > 0 and not x.any())
lenient("no sample", lambda x: x.size == 0)


@mutant("scale: where it is infinite it is the largest number", clause="TRAIN-19", target="constraints.scale_factor")
def largest(right, x):
    try:
        return right(x)
    except ValueError:
        if 0 < np.abs(x).max(initial=0.0) < 1:
            return np.finfo(np.float64).max
        raise


# ---------------------------------------------------------------- the way back

def other_fold(name, change, *, clause="TRAIN-20", **seen):
    """fold whose result is the right one with change(params, right result, scale) in it, as far as it has those parameters."""
    @mutant(f"fold: {name}", clause=clause, target="constraints.fold", **seen)
    def wrong(right, params, scale):
        folded = right(params, scale)
        return folded | {key: value for key, value in change(params, folded, scale).items() if key in params}


def untouched(*names):
    """The parameters of these names, as they were."""
    return lambda params, folded, scale: {name: params[name].copy() for name in names if name in params}


for left_out in ("b_enc", "b_dec", "b_mag", "theta", "log_threshold"):
    other_fold(f"{left_out} stays", untouched(left_out))
other_fold("into both weights, activations stay in the unit of training", lambda params, folded, scale:
           {"W_enc": params.get("W_enc", 0) * scale, "W_dec": params["W_dec"] / scale}
           | untouched("b_enc", "b_mag", "theta", "log_threshold")(params, folded, scale),
           seen_in=("SAELens 6.54.12",), convention=True)
other_fold("into the decoder alone", lambda params, folded, scale:
           {"W_dec": params["W_dec"] / scale} | untouched("b_enc", "b_mag", "theta", "log_threshold")(params, folded, scale))
other_fold("the encoder too", lambda params, folded, scale: {"W_enc": params.get("W_enc", 0) / scale})
other_fold("r_mag too", lambda params, folded, scale: {"r_mag": params.get("r_mag", 0) - np.log(scale)})
other_fold("log_threshold divided", lambda params, folded, scale: {"log_threshold": params.get("log_threshold", 0) / scale})
other_fold("log_threshold less a binary logarithm", lambda params, folded, scale:
           {"log_threshold": params.get("log_threshold", 0) - np.log2(scale)})
other_fold("log_threshold more, not less", lambda params, folded, scale:
           {"log_threshold": params.get("log_threshold", 0) + np.log(scale)})


@mutant("fold: multiplied", clause="TRAIN-20", target="constraints.fold")
def multiplied(right, params, scale):
    right(params, scale)
    return right(params, 1 / scale)


@mutant("fold: any scale", clause="TRAIN-20", target="constraints.fold")
def any_scale(right, params, scale):
    return right(params, scale if 0 < scale < np.inf else 1.0)


def other_threshold(name, power):
    """fold_threshold that divides by this power of scale."""
    @mutant(f"fold: {name}", clause="TRAIN-21", target="constraints.fold_threshold")
    def wrong(right, threshold, scale, activation):
        return threshold / scale ** power(activation)


other_threshold("every inference threshold by scale", lambda activation: 1)
other_threshold("every inference threshold by the square of scale", lambda activation: 2)
other_threshold("the two thresholds exchanged", lambda activation: 1 if activation == "batch_budget_topk" else 2)
other_threshold("inference thresholds stay", lambda activation: 0)


# ---------------------------------------------------------------- the rate of thresholds

def other_rate(name, rate_of, **seen):
    """parameter_rate that is rate_of(name, rate, threshold_rate) for a threshold_rate that is allowed."""
    @mutant(f"threshold rate: {name}", clause="TRAIN-22", target="training.parameter_rate", **seen)
    def wrong(right, parameter, rate, config):
        right(parameter, rate, config)
        return rate_of(parameter, rate, config.get("threshold_rate", 1.0))


other_rate("none", lambda name, rate, factor: rate,
           seen_in=("SAELens 6.54.12", "dictionary_learning 0.1.0"), convention=True)
other_rate("of every parameter", lambda name, rate, factor: rate * factor)
other_rate("of biases too", lambda name, rate, factor: rate if name.startswith("W") else rate * factor)
other_rate("not of theta", lambda name, rate, factor: rate * factor if name == "log_threshold" else rate)
other_rate("not of logarithms", lambda name, rate, factor: rate * factor if name == "theta" else rate)
other_rate("divided by", lambda name, rate, factor: rate / factor if "threshold" in name or name == "theta" else rate)
other_rate("instead of the learning rate", lambda name, rate, factor:
           factor if "threshold" in name or name == "theta" else rate)


@mutant("threshold rate: 0 accepted", clause="TRAIN-22", target="training.parameter_rate")
def any_rate(right, name, rate, config):
    return right(name, rate, config | {"threshold_rate": max(config.get("threshold_rate", 1.0), 1e-3)})
