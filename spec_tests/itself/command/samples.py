"""Adapters that tests of the command write into folders of their own."""

RELU_ONLY = """
import numpy as np

NAME, VERSION, DTYPES = "relu-only", "1", ["float64", "float32"]


def run(operation, config, inputs, dtype):
    if operation != "activation" or config["activation"] != "relu":
        raise NotImplementedError(f"no {operation}")
    return {"acts": np.maximum(inputs["pre"], 0)}
"""

# Ties go to the highest index where latents are chosen by size; everything else is the reference's.
WRONG_TIES = """
import numpy as np
from sae_spec.spec_tests.adapters import reference_numpy

NAME, VERSION, DTYPES = "wrong-ties", "0.3", ["float64"]


def run(operation, config, inputs, dtype):
    if operation != "activation" or config["activation"] not in ("topk", "batch_topk", "abs_topk"):
        return reference_numpy.run(operation, config, inputs, dtype)
    backwards = {"pre": np.flip(inputs["pre"])}
    return {"acts": np.flip(reference_numpy.run(operation, config, backwards, dtype)["acts"])}
"""


def adapter(folder, text):
    path = folder / "mine.py"
    path.write_text(text)
    return path
