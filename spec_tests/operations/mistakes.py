"""Mistakes of a caller, as a record names them: how they are described, and wrong calls made of a right one.

Each function here returns a Wrong; its `calls` returns none where the right call does not hold the argument at all.
"""

import numpy as np

from sae_spec.spec_tests.operations.record import Wrong


def values(how, *wrong, called=None):
    """The argument, a key of the configuration or a number, has one of these values.

    called  another name of it, which an error may hold instead
    """
    def calls(argument, signature, config, inputs):
        if argument in signature.inputs:
            return [(config, inputs | {argument: np.asarray(value, dtype=float)}) for value in wrong]
        return [(config | {argument: value}, inputs) for value in wrong if argument in config]

    return Wrong(how, calls, other_name(called))


def other_name(called):
    """What a Wrong says of an argument that has one other name, or none."""
    return lambda signature: (called,) if called else ()


def number(how, *wrong, called=None):
    """One number of the argument, an array, is one of these.

    called  as for `values`
    """
    def with_last(array, value):
        array.flat[-1] = value
        return array

    return altered(how, *(lambda array, value=value: with_last(array, value) for value in wrong), called=called)


def not_finite(called=None):
    """One number of the argument is NaN or infinite; `called` as for `values`."""
    return number("not finite", np.nan, np.inf, -np.inf, called=called)


def altered(how, *changes, called=None):
    """The argument, an array, has been changed by one of these functions; `called` as for `values`."""
    def calls(argument, signature, config, inputs):
        if argument not in inputs or not inputs[argument].size:
            return []
        return [(config, inputs | {argument: change(inputs[argument].copy())}) for change in changes]

    return Wrong(how, calls, other_name(called))


def missing():
    """The argument is not there, though the configuration needs it."""
    def calls(argument, signature, config, inputs):
        return [(config, {name: array for name, array in inputs.items() if name != argument})] if argument in inputs else []

    return Wrong("missing where a budget rule needs it", calls)


def no_samples():
    """Every input that has a batch dimension has none of it; an error may name any of them."""
    def of_samples(signature):
        dimensions = {name: tensor.shape.strip("()").split(", ") for name, tensor in signature.inputs.items()}
        return {name: axes.index("B") for name, axes in dimensions.items() if "B" in axes}

    def calls(argument, signature, config, inputs):
        axes = of_samples(signature)
        return [(config, {name: array.take([], axes[name]) if name in axes else array for name, array in inputs.items()})]

    return Wrong("no samples", calls, of_samples)


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
