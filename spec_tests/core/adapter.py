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
import re
import sys
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType

import numpy as np

from sae_spec.spec_tests.asking.answers import Missing, Outputs, Stopped, ask, said
from sae_spec.spec_tests.asking.otherwise import otherwise
from sae_spec.spec_tests.core.tally import TALLY
from sae_spec.spec_tests.operations import OPERATIONS

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
    unsupported: list = field(default_factory=list)     # what this property's examples asked in vain
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
        try:
            outputs = ask(self.module, operation, dict(config), given, self.dtype)
        except Missing as missing:
            return self.answer_otherwise(missing, operation, config, inputs)
        self.check_traces(operation, inputs, given, outputs.handed)
        return outputs

    def answer_otherwise(self, missing, operation, config, inputs):
        """What the same question put another way returns; `missing` where there is no other way, or it is missing too."""
        way = otherwise(operation, config, inputs, self.dtype)
        if way is None:
            raise missing
        try:
            theirs = self.answer(way.operation, way.config, way.inputs, {name: value.copy() for name, value in way.inputs.items()})
        except Missing:
            raise missing from None
        TALLY.otherwise[way.how] += 1
        return Outputs(operation, way.read(theirs))

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

    def refuses(self, argument, operation, config=None, **inputs):
        """Assert that this call raises a ValueError that names the argument, as a word, whatever else it says."""
        message = self.error(operation, config, **inputs)
        assert names_argument(message, operation, config or {}, argument), f"the ValueError must name {argument}, it says: {message}"


def scattered(array):
    """The same numbers, each with a stranger between it and the next, columns before rows."""
    strangers = np.full(tuple(2 * length for length in reversed(array.shape)), np.nan)
    view = strangers[tuple(slice(None, None, 2) for _ in array.shape)].T
    view[...] = array
    return view


def names_argument(message, operation, config, argument):
    """Whether the error of a refused call speaks of the argument, as a word, under any name that its record gives it."""
    return place_of_argument(message, operation, config, argument) is not None


def place_of_argument(message, operation, config, argument):
    """Where in the error of a refused call an argument is first named; None if nowhere."""
    record = OPERATIONS.get(operation)
    names = record.names_of(argument, config) if record else {argument}
    places = [word.start() for name in names for word in re.finditer(rf"(?<!\w){re.escape(name)}(?!\w)", message)]
    return min(places, default=None)


# ---------------------------------------------------------------- loading

FILES = {}              # {path: the module of an adapter's file}; a file is executed once in a process


def load_adapter(name_or_path):
    """An adapter module: one of ours by name, an importable module by dotted name, or a file by path.

    raises  ValueError of one line; ImportError where one of ours needs a package that is missing
    """
    name = str(name_or_path)
    module = _from_file(name) if name.endswith(".py") else _import(name)
    missing = [word for word in ("NAME", "VERSION", "DTYPES", "run") if not hasattr(module, word)]
    if missing:
        raise ValueError(f"--adapter {name}: the adapter lacks {', '.join(missing)}")
    dtypes = module.DTYPES
    if not isinstance(dtypes, (list, tuple)) or not dtypes or not all(isinstance(dtype, str) for dtype in dtypes):
        raise ValueError(f"--adapter {name}: DTYPES must list one or more of {', '.join(DTYPES)}, it is {dtypes!r}")
    unknown = set(dtypes) - set(DTYPES)
    if unknown:
        raise ValueError(f"--adapter {name}: unknown dtypes {sorted(unknown)}, known are {', '.join(DTYPES)}")
    if not isinstance(module.NAME, str) or not module.NAME:
        raise ValueError(f"--adapter {name}: NAME must be text, it is {module.NAME!r}")
    return module


def _from_file(name):
    path = Path(name).resolve()
    if not path.is_file():
        raise ValueError(f"--adapter {name}: there is no such file")
    if path not in FILES:
        spec = importlib.util.spec_from_file_location(path.stem, path)
        module = importlib.util.module_from_spec(spec)
        known = sys.modules.setdefault(path.stem, module)
        try:
            _loaded(name, lambda: spec.loader.exec_module(module))
        except ValueError:
            if known is module:
                del sys.modules[path.stem]
            raise
        FILES[path] = module
    return FILES[path]


def _import(name):
    ours = f"sae_spec.spec_tests.adapters.{name}"
    if "." not in name and importlib.util.find_spec(ours):
        return importlib.import_module(ours)
    try:
        return _loaded(name, lambda: importlib.import_module(name))
    except ModuleNotFoundError:
        files = (Path(__file__).parents[1] / "adapters").glob("*.py")
        own = sorted(path.stem for path in files if "\nNAME, " in path.read_text(encoding="utf-8"))
        raise ValueError(f"--adapter {name}: neither one of ours ({', '.join(own)}), nor a module, nor a .py file") from None


def _loaded(name, load):
    """What `load` returns, or a ValueError with the place where the adapter, or what it imports, failed."""
    try:
        return load()
    except Stopped:
        raise
    except BaseException as error:
        if isinstance(error, ModuleNotFoundError) and name.split(".")[0] == error.name:
            raise
        places = [at for at in traceback.extract_tb(error.__traceback__) if not at.filename.startswith("<frozen")][2:]
        where = f" ({places[-1].filename}, line {places[-1].lineno})" if places and not isinstance(error, SyntaxError) else ""
        text = " ".join(said(error).split())
        raise ValueError(f"--adapter {name}: cannot be loaded: {type(error).__name__}: {text}{where}") from None
