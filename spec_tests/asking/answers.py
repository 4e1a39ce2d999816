"""One call of an implementation, whatever it does: outputs that can be judged, or an error that names what came instead."""

import signal
from numbers import Real

import numpy as np

from sae_spec.spec_tests.operations import OPERATIONS
from sae_spec.spec_tests.asking.soundness import UNDER_ANY_NAME


class Misbehaved(Exception):
    """The implementation raised what no caller should meet, or returned what is no answer."""


class Missing(NotImplementedError):
    """What the implementation does not have: its own words, and what it was asked for them."""

    def __init__(self, reason, asked):
        super().__init__(reason)
        self.asked = asked


class Lost(BaseException):
    """A program that ended, or did not answer in time. Hypothesis lets it pass: no smaller example is worth the wait."""


class Stopped(KeyboardInterrupt):
    """The user's own Ctrl-C, as opposed to an implementation that raises KeyboardInterrupt."""


def listen_for_ctrl_c():
    """From here on Ctrl-C raises Stopped; where signals cannot be set it raises KeyboardInterrupt as ever."""
    def stop(signum, frame):
        raise Stopped

    try:
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, stop)
    except ValueError:
        pass                    # not the main thread


def ask(module, operation, config, inputs, dtype):
    """{output: float64 array} of `module.run`.

    raises  Missing for what it does not have, ValueError for a caller's mistake, both with text; Misbehaved or Lost, with
            what happened, for everything else but the user's own Ctrl-C
    """
    try:
        answer = module.run(operation, config, inputs, dtype)
    except NotImplementedError as error:
        raise Missing(said(error) or "no reason given", question(operation, config)) from None
    except ValueError as error:
        raise ValueError(said(error)) from error
    except (Stopped, Lost, Misbehaved):
        raise
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt) and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            raise
        raise Misbehaved(f"raised {type(error).__name__}: {said(error)}") from error
    if not isinstance(answer, dict):
        raise Misbehaved(f"{operation} returned {type(answer).__name__}, not outputs by name")
    unknown = [name for name in answer if not declared(operation, name)]
    if unknown:
        raise Misbehaved(f"{operation} returned {', '.join(map(repr, unknown))}, which is not among its outputs: "
                         + ", ".join(sorted(outputs_of(operation))))
    return Outputs(operation, answer)


class Outputs(dict):
    """The outputs of a call, as arrays of the suite's own; asking for one that is not there says so.

    handed  those that came as arrays, as they came
    """

    def __init__(self, operation, answer):
        super().__init__({name: numbers(f"{operation} returned {name}", value) for name, value in answer.items()})
        self.operation = operation
        self.handed = {name: value for name, value in answer.items() if isinstance(value, np.ndarray)}

    def __missing__(self, name):
        raise Misbehaved(f"{self.operation} did not return {name}, it returned {', '.join(map(str, self)) or 'nothing'}")


def question(operation, config):
    """An operation, and what it turns on: "encode topk"."""
    record = OPERATIONS.get(operation)
    turn = config.get(record.turns_on or "activation", "") if record else ""
    return f"{operation} {turn}".strip()


def outputs_of(operation):
    """Names of all outputs that an operation can have; empty for an operation that is not recorded."""
    record = OPERATIONS.get(operation)
    return {name for signature in record.signatures.values() for name in signature.outputs} if record else set()


def declared(operation, name):
    """Whether an operation may return something under this name."""
    names = outputs_of(operation)
    return not names or UNDER_ANY_NAME in names or name in names


def numbers(what, value):
    """A float64 array of an output; Misbehaved where it is not real numbers in a rectangle."""
    try:
        array = np.asarray(value)
        kind = array.dtype.kind
        if kind in "USaMm" or kind == "O" and not all(isinstance(item, Real) for item in array.flat):
            raise TypeError("not numbers")
        if kind == "c":
            raise TypeError("complex numbers")
        return np.array(array, dtype=np.float64)
    except Exception as error:
        raise Misbehaved(f"{what} as {type(value).__name__}, of which no array of real numbers can be made: {said(error)}") from None


def said(error):
    """An error's text, on as many lines as it has; never an error itself."""
    try:
        return str(error)
    except Exception:
        return "(its text cannot be had)"
