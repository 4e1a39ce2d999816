"""A Python adapter as a program: the other end of `subprocess_json.py`, for a library that has an environment of its own.

    python -m sae_spec.spec_tests --command "ENV/bin/python spec_tests/adapters/serve.py my_adapter.py"

Nothing of this project is imported and only NumPy is needed, so that it runs wherever the library does. What the library
prints goes to the standard error. An exception that is neither NotImplementedError nor ValueError is a reply under `failed`,
which the suite takes for a failure and never for a refusal.
"""

import importlib.util
import json
import os
import sys
import traceback
from pathlib import Path

import numpy as np

NONFINITE = {"NaN": np.nan, "Infinity": np.inf, "-Infinity": -np.inf}


def load(path):
    """The adapter's module. Its folder comes last on the path: an adapter may be called what its library is called."""
    sys.path[:] = [*sys.path[1:], str(path.parent)]
    spec = importlib.util.spec_from_file_location("adapter", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def answer(adapter, request):
    """The reply to one request, without its id."""
    if request["operation"] == "hello":
        return {"name": adapter.NAME, "version": str(adapter.VERSION), "dtypes": list(adapter.DTYPES)}
    try:
        inputs = {name: read_tensor(tensor) for name, tensor in request["inputs"].items()}
        outputs = adapter.run(request["operation"], read_config(request["config"]), inputs, request["dtype"])
        return {"outputs": {name: write_tensor(value) for name, value in outputs.items()}}
    except NotImplementedError as error:
        return {"unsupported": str(error) or "not implemented"}
    except ValueError as error:
        return {"error": str(error)}
    except Exception as error:
        at = traceback.extract_tb(error.__traceback__)[-1]
        return {"failed": f"{type(error).__name__}: {error} ({Path(at.filename).name}:{at.lineno})"}


def read_tensor(tensor):
    """A float64 array from {"shape", "data"}; numbers that are not finite are strings."""
    number = lambda data: [number(item) for item in data] if isinstance(data, list) else NONFINITE.get(data, data)
    return np.array(number(tensor["data"]), dtype=np.float64).reshape(tensor["shape"])


def write_tensor(value):
    """The inverse of `read_tensor`."""
    array = np.asarray(value, dtype=np.float64)
    number = lambda data: [number(item) for item in data] if isinstance(data, list) else data if np.isfinite(data) else named(data)
    return {"shape": list(array.shape), "data": number(array.tolist())}


def named(value):
    return "NaN" if np.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def read_config(value):
    """A configuration with the numbers that travelled as strings."""
    if isinstance(value, dict):
        return {name: read_config(item) for name, item in value.items()}
    if isinstance(value, list):
        return [read_config(item) for item in value]
    return NONFINITE.get(value, value) if isinstance(value, str) else value


def main():
    """Answer the standard input, a line at a time, until it ends."""
    replies = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)                       # also what compiled code prints, which knows nothing of sys.stdout
    adapter = load(Path(sys.argv[1]).resolve())
    for line in sys.stdin:
        request = json.loads(line)
        replies.write(json.dumps({"id": request["id"]} | answer(adapter, request), allow_nan=False) + "\n")
        replies.flush()


if __name__ == "__main__":
    main()
