"""Mistakes of a caller, as a record names them: how they are described, and wrong calls made of a right one."""

import numpy as np

from sae_spec.spec_tests.operations.record import Wrong


def values(how, *wrong, of=None):
    """The argument, a key of the configuration or a number, has one of these values.

    of  its name, where the error says another word
    """
    def calls(name, signature, config, inputs):
        name = of or name
        for value in wrong:
            if name in signature.inputs:
                yield config, inputs | {name: np.asarray(value, dtype=float)}
            else:
                yield config | {name: value}, inputs

    return Wrong(how, calls)


def no_count_of_latents():
    """k, a key of the configuration, is no whole number from 1 to M."""
    def calls(name, signature, config, inputs):
        M = inputs["pre"].shape[-1]
        for value in (0, -1, 1.5, M + 1):
            yield config | {name: value}, inputs

    return Wrong("not a whole number from 1 to M", calls)


def number(how, *wrong, of=None):
    """One number of the argument, an array, is one of these.

    of  its name, where the error says another word
    """
    def calls(name, signature, config, inputs):
        name = of or name
        for value in wrong:
            array = np.array(inputs[name], dtype=float)
            array.flat[-1] = value
            yield config, inputs | {name: array}

    return Wrong(how, calls)


def shape(how, *changes):
    """The argument, an array, has been changed by one of these functions."""
    def calls(name, signature, config, inputs):
        for change in changes:
            yield config, inputs | {name: change(np.array(inputs[name]))}

    return Wrong(how, calls)


def no_samples():
    """Every input that has a batch dimension has none of it."""
    def calls(name, signature, config, inputs):
        dimensions = {input: tensor.shape.strip("()").split(", ") for input, tensor in signature.inputs.items()}
        yield config, {input: array.take([], dimensions[input].index("B")) if "B" in dimensions[input] else array
                       for input, array in inputs.items()}

    return Wrong("no samples", calls)


def not_finite(of=None):
    """One number of the argument is NaN or infinite; `of` as for `number`."""
    return number("a number that is not finite", np.nan, np.inf, -np.inf, of=of)
