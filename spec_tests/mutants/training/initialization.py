"""Mutants of TRAIN: the start."""

import numpy as np

from sae_spec.spec_tests.mutants import mutant


@mutant("initial decoder: norm 0.1", clause="TRAIN-3", target="initialization.initial_parameters",
        seen_in=("SAELens 6.54.12", "dictionary_learning 0.1.0"), convention=True)
def norm_of_a_tenth(right, normals, b_dec, config):
    return {name: value * 0.1 if name.startswith("W_") else value for name, value in right(normals, b_dec, config).items()}


@mutant("initial decoder: the draws as they are", clause="TRAIN-3", target="initialization.initial_parameters")
def not_on_the_sphere(right, normals, b_dec, config):
    return {name: normals if name.startswith("W_") else value for name, value in right(normals, b_dec, config).items()}


@mutant("initial encoder: the draws, not the decoder", clause="TRAIN-3", target="initialization.initial_parameters",
        seen_in=("sparsify 1.3.3", "openai/sparse_autoencoder"), convention=True)
def encoder_of_its_own(right, normals, b_dec, config):
    return {name: normals if name == "W_enc" else value for name, value in right(normals, b_dec, config).items()}


def other_encoder(name, other, **seen):
    """W_enc starts as other(W_dec, what the right function starts it at, config)."""
    @mutant(name, clause="TRAIN-17", target="initialization.initial_parameters", **seen)
    def wrong(right, normals, b_dec, config):
        params = right(normals, b_dec, config)
        return params | {"W_enc": other(params["W_dec"], params["W_enc"], config)} if "W_enc" in params else params


other_encoder("initial encoder: as long as the decoder", lambda decoder, encoder, config: decoder.copy(),
              seen_in=("SAELens 6.54.12", "dictionary_learning 0.1.0", "BatchTopK", "matryoshka_sae"), convention=True)
other_encoder("initial encoder: an eighth, whatever is asked", lambda decoder, encoder, config: decoder / 8)
other_encoder("initial encoder: as long as the decoder unless a scale is given",
              lambda decoder, encoder, config: encoder if "initial_encoder_scale" in config else decoder.copy())
other_encoder("initial encoder: divided by the scale", lambda decoder, encoder, config: decoder / config.get("initial_encoder_scale", 8))
other_encoder("initial encoder: an eighth for jumprelu and gated too", lambda decoder, encoder, config:
              config.get("initial_encoder_scale", 1 / 8) * decoder)
other_encoder("initial encoder: an eighth for gated too", lambda decoder, encoder, config:
              encoder / 8 if config["activation"] == "gated" and "initial_encoder_scale" not in config else encoder)
other_encoder("initial encoder: an eighth for jumprelu too", lambda decoder, encoder, config:
              encoder / 8 if config["activation"] == "jumprelu" and "initial_encoder_scale" not in config else encoder)
other_encoder("initial encoder: opposite to the decoder", lambda decoder, encoder, config: -encoder)


@mutant("initial encoder: the scale is the decoder's too", clause="TRAIN-17", target="initialization.initial_parameters")
def scaled_both(right, normals, b_dec, config):
    params = right(normals, b_dec, config)
    return params | {"W_dec": params.get("W_enc", params["W_dec"])}


@mutant("initial encoder: a tied one scaled as well", clause="TRAIN-17", target="initialization.initial_parameters")
def scaled_tied(right, normals, b_dec, config):
    params = right(normals, b_dec, config)
    tied = {} if "W_enc" in params else {"W_dec": config.get("initial_encoder_scale", 1 / 8) * params["W_dec"]}
    return params | tied


@mutant("initial encoder: scale 0 accepted", clause="TRAIN-17", target="initialization.initial_parameters")
def any_scale(right, normals, b_dec, config):
    asked = {"initial_encoder_scale": max(config["initial_encoder_scale"], 1e-3)} if "initial_encoder_scale" in config else {}
    return right(normals, b_dec, config | asked)


def other_start(name, parameter, other, **seen):
    """One parameter starts elsewhere."""
    @mutant(name, clause="TRAIN-4", target="initialization.initial_parameters", **seen)
    def wrong(right, normals, b_dec, config):
        params = right(normals, b_dec, config)
        return params | {parameter: other(params[parameter])} if parameter in params else params


other_start("initial log_threshold: the threshold itself", "log_threshold", np.exp,
            seen_in=("SAELens 6.54.12", "dictionary_learning 0.1.0"), convention=True)
other_start("initial log_threshold: base 2", "log_threshold", lambda value: value / np.log(2))
other_start("initial theta: its logarithm", "theta", np.log)
other_start("initial theta: half of what is asked", "theta", lambda value: value / 2)


@mutant("initial thresholds: always their logarithm", clause="TRAIN-4", target="initialization.initial_parameters",
        seen_in=("overcomplete 0.3.0", "Language-Model-SAEs", "BatchTopK", "matryoshka_sae"), convention=True)
def always_logarithms(right, normals, b_dec, config):
    return right(normals, b_dec, config | {"threshold_parameter": "log_threshold"})


@mutant("initial thresholds: a parameter of another name is their logarithm", clause="TRAIN-4",
        target="initialization.initial_parameters")
def any_parameter(right, normals, b_dec, config):
    known = config.get("threshold_parameter", "theta") in ("theta", "log_threshold")
    return right(normals, b_dec, config if known else config | {"threshold_parameter": "log_threshold"})


other_start("initial b_enc: not 0", "b_enc", lambda value: value + 0.1,
            seen_in=("dictionary_learning 0.1.0",), where="nn.Linear's default", convention=True)
other_start("initial r_mag: 1", "r_mag", lambda value: value + 1)
other_start("initial b_mag: 1", "b_mag", lambda value: value + 1)


@mutant("initial threshold: 0 accepted", clause="TRAIN-4", target="initialization.initial_parameters")
def any_threshold(right, normals, b_dec, config):
    return right(normals, b_dec, config | {"initial_threshold": max(config.get("initial_threshold", 1), 1e-3)})


@mutant("geometric median: the mean", clause="TRAIN-5", target="initialization.geometric_median",
        seen_in=("Language-Model-SAEs",), where="its geometric_median is the mean")
def the_mean(right, data, iterations=64):
    return right(data, 0)


@mutant("geometric median: the median of each coordinate", clause="TRAIN-5", target="initialization.geometric_median")
def coordinate_median(right, data, iterations=64):
    right(data)
    return np.median(data, 0)


def weiszfeld(data, soft, iterations=64):
    """The geometric median's steps from the mean, softened by `soft`."""
    centre = data.mean(0)
    for _ in range(iterations):
        with np.errstate(all="ignore"):
            weight = 1 / np.sqrt(((data - centre) ** 2).sum(-1) + soft**2)
            centre = (weight[:, np.newaxis] * data).sum(0) / weight.sum()
    return centre


@mutant("geometric median: not softened", clause="TRAIN-5", target="initialization.geometric_median",
        seen_in=("dictionary_learning 0.1.0", "Language-Model-SAEs"))
def not_softened(right, data, iterations=64):
    right(data)                                             # it refuses what the right one refuses
    return weiszfeld(data, 0.0)


@mutant("geometric median: softened whatever the scale", clause="TRAIN-5", target="initialization.geometric_median")
def softened_by_a_constant(right, data, iterations=64):
    right(data)
    return weiszfeld(data, 1e-6)


@mutant("geometric median: four steps", clause="TRAIN-5", target="initialization.geometric_median")
def four_steps(right, data, iterations=64):
    return right(data, 4)


@mutant("geometric median: half the steps", clause="TRAIN-5", target="initialization.geometric_median")
def half_the_steps(right, data, iterations=64):
    return right(data, 32)


@mutant("geometric median: steps until it no longer moves", clause="TRAIN-5", target="initialization.geometric_median")
def until_it_rests(right, data, iterations=64):
    return right(data, 4096)


@mutant("geometric median: of nothing is NaN", clause="TRAIN-5", target="initialization.geometric_median")
def median_of_nothing(right, data, iterations=64):
    return right(data) if len(data) else np.full(data.shape[-1], np.nan)
