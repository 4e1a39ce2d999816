"""How the suite talks to an implementation.

An adapter is a plain module (or a program, see `adapters/subprocess_json.py`) with

    NAME, VERSION   strings
    DTYPES          the dtypes it has, among "float64", "float32", "float16", "bfloat16"
    run(operation, config, inputs, dtype) -> outputs

`inputs` and `outputs` are {name: float64 array}; `config` is a dictionary of plain values; `operation` is one of those
that `docs/OPERATIONS.md` describes. An adapter converts the inputs to `dtype`, computes, and converts back. It raises

    NotImplementedError(reason)   what it does not have: counted as unsupported, never as a pass
    ValueError(message)           for a caller's mistake, naming the argument

Nothing of this package needs importing to write one: `docs/write_an_adapter.md` shows how.
"""

import importlib
import importlib.util
import sys
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import numpy as np

DTYPES = ("float64", "float32", "float16", "bfloat16")


class StateError(AssertionError):
    """A call left a trace in what it was given, or in what an earlier one returned."""


@dataclass
class Bound:
    """An adapter at one dtype, as tests call it: `adapter("price", {"D": 4, …}, frequency=…)["price"]`."""

    module: ModuleType
    dtype: str = "float64"
    argument: str = ""                             # what --adapter says, for the command that runs a failure again
    calls: list = field(default_factory=list)      # what this example asked, for the replay file
    unsupported: list = field(default_factory=list)     # the NotImplementedErrors of this property's examples
    handed: list = field(default_factory=list)     # what the last call returned, and what has been left in it

    @property
    def name(self):
        return self.module.NAME

    def __call__(self, operation, config=None, **inputs):
        config = dict(config or {})
        inputs = {name: np.array(value, dtype=np.float64) for name, value in inputs.items() if value is not None}
        self.calls.append({"operation": operation, "config": config, "inputs": inputs})
        # A copy: an implementation that writes into its inputs must not disturb the test that owns them.
        return self.answer(operation, config, inputs, {name: value.copy() for name, value in inputs.items()})

    def strided(self, operation, config=None, **inputs):
        """The same call with inputs that do not lie in memory row by row."""
        config, inputs = dict(config or {}), {name: np.array(value, dtype=np.float64) for name, value in inputs.items()}
        self.calls.append({"operation": operation, "config": config, "inputs": inputs})
        return self.answer(operation, config, inputs, {name: scattered(value) for name, value in inputs.items()})

    def answer(self, operation, config, inputs, given):
        """What a call returns, as arrays of the suite's own; StateError if it left a trace.

        inputs  what was asked
        given   the same numbers in arrays that the adapter gets
        """
        outputs = self.module.run(operation, dict(config), given, self.dtype)
        own = {name: np.array(value, dtype=np.float64) for name, value in outputs.items()}
        self.check_traces(operation, inputs, given, {n: v for n, v in outputs.items() if isinstance(v, np.ndarray)})
        return own

    def check_traces(self, operation, inputs, given, outputs):
        """SAE-16: inputs are as they were, outputs lie elsewhere, and what the last call returned is as it was left.

        A state that a call leaves alone may come back as it is: an input as the output of the same name.
        """
        for name, array in given.items():
            if not np.array_equal(array, inputs[name], equal_nan=True):
                raise StateError(f"SAE-16: {operation} wrote into its input {name}")
            for output, value in outputs.items():
                if output != name and array.ndim and np.may_share_memory(array, value):
                    raise StateError(f"SAE-16: {operation} returned its input {name} as {output}, not an array of its own")
        for output, value in self.handed:
            if value.size and not np.all(np.isnan(value)):
                raise StateError(f"SAE-16: {operation} overwrote {output}, which an earlier call had returned")
        self.handed = [(name, value) for name, value in outputs.items() if value.flags.writeable and value.dtype.kind == "f"]
        for _, value in self.handed:
            value.fill(np.nan)              # who kept what it returned, and returns it again, is found out

    def error(self, operation, config=None, **inputs):
        """The message of the ValueError that this call must raise."""
        try:
            outputs = self(operation, config, **inputs)
        except NotImplementedError:
            raise
        except ValueError as error:
            return str(error)
        raise AssertionError(f"{operation} {config} should have raised a ValueError, it returned {sorted(outputs)}")


def scattered(array):
    """The same numbers, each with a stranger between it and the next, columns before rows."""
    strangers = np.full(tuple(2 * length for length in reversed(array.shape)), np.nan)
    view = strangers[tuple(slice(None, None, 2) for _ in array.shape)].T
    view[...] = array
    return view


def load_adapter(name_or_path):
    """An adapter module: one of ours by name, an importable module by dotted name, or a file by path."""
    name = str(name_or_path)
    try:
        module = _from_file(name) if name.endswith(".py") else _import(name)
    except (ValueError, ImportError):
        raise
    except Exception as error:
        at = traceback.extract_tb(error.__traceback__)[-1]
        where = "" if isinstance(error, SyntaxError) else f" ({at.filename}, line {at.lineno})"
        raise ValueError(f"--adapter {name}: cannot be loaded: {type(error).__name__}: {error}{where}") from None
    missing = [word for word in ("NAME", "VERSION", "DTYPES", "run") if not hasattr(module, word)]
    if missing:
        raise ValueError(f"--adapter {name}: the adapter lacks {', '.join(missing)}")
    unknown = set(module.DTYPES) - set(DTYPES)
    if unknown:
        raise ValueError(f"--adapter {name}: unknown dtypes {sorted(unknown)}, known are {', '.join(DTYPES)}")
    return module


def _from_file(name):
    path = Path(name)
    if not path.is_file():
        raise ValueError(f"--adapter {name}: there is no such file")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)
    spec.loader.exec_module(module)
    return module


def _import(name):
    ours = f"sae_spec.spec_tests.adapters.{name}"
    if "." not in name and importlib.util.find_spec(ours):
        return importlib.import_module(ours)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        own = sorted(p.stem for p in (Path(__file__).parents[1] / "adapters").glob("*.py") if p.stem != "__init__")
        raise ValueError(f"--adapter {name}: neither one of ours ({', '.join(own)}), nor a module, nor a .py file") from None
