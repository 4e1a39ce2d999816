"""Mistakes of a caller, as a record names them: how they are described, and wrong calls made of a right one.

Each function here returns a Wrong; its `calls` returns none where the right call does not hold the argument at all.
"""

import numpy as np

from sae_spec.spec_tests.operations.record import Wrong


def values(how, *wrong, of=None):
    """The argument, a key of the configuration or a number, has one of these values.

    of  its name, where the error says another word
    """
    def calls(argument, signature, config, inputs):
        name = of or argument
        if name in signature.inputs:
            return [(config, inputs | {name: np.asarray(value, dtype=float)}) for value in wrong]
        return [(config | {name: value}, inputs) for value in wrong if name in config]

    return Wrong(how, calls)


def number(how, *wrong, of=None):
    """One number of the argument, an array, is one of these.

    of  its name, where the error says another word
    """
    def with_last(array, value):
        array.flat[-1] = value
        return array

    return altered(how, *(lambda array, value=value: with_last(array, value) for value in wrong), of=of)


def not_finite(of=None):
    """One number of the argument is NaN or infinite; `of` as for `number`."""
    return number("not finite", np.nan, np.inf, -np.inf, of=of)


def altered(how, *changes, of=None):
    """The argument, an array, has been changed by one of these functions; `of` as for `number`."""
    def calls(argument, signature, config, inputs):
        name = of or argument
        if name not in inputs or not inputs[name].size:
            return []
        return [(config, inputs | {name: change(inputs[name].copy())}) for change in changes]

    return Wrong(how, calls)


def no_samples():
    """Every input that has a batch dimension has none of it."""
    def calls(argument, signature, config, inputs):
        dimensions = {name: tensor.shape.strip("()").split(", ") for name, tensor in signature.inputs.items()}
        return [(config, {name: array.take([], dimensions[name].index("B")) if "B" in dimensions[name] else array
                          for name, array in inputs.items()})]

    return Wrong("no samples", calls)


def no_count_of_latents():
    """k, a key of the configuration, is no whole number from 1 to M; a batch rule takes fractions of one too."""
    def calls(argument, signature, config, inputs):
        M = inputs["pre"].shape[-1] if "pre" in inputs else len(inputs["W_dec"])
        wrong = (0, -1, M + 1) if config["activation"].startswith("batch") else (0, -1, 1.5, M + 1)
        return [(config | {argument: k}, inputs) for k in wrong if argument in config]

    return Wrong("not a whole number from 1 to M; of a batch rule 0, negative or above M", calls)


def outside_0_to_m(of="pre"):
    """k, a key of the configuration, is not above 0 or above M; `of` is an input with M columns."""
    def calls(argument, signature, config, inputs):
        return [(config | {argument: k}, inputs) for k in (0, -1, inputs[of].shape[-1] + 1) if argument in config]

    return Wrong("0, negative or above M", calls)


def without_thresholds():
    """The argument, the factor of l0, is above 0 though the activation has no thresholds that l0 could train."""
    def calls(argument, signature, config, inputs):
        params = {name: array for name, array in inputs.items() if name not in ("theta", "log_threshold")}
        return [(config | {"activation": "relu"}, params)] if config.get(argument) else []

    return Wrong("above 0 where the activation is not jumprelu", calls)
