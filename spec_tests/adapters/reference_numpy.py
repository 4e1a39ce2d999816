"""The reference as an adapter: every operation, float64."""

import numpy as np

from sae_spec.reference import SPEC_VERSION
from sae_spec.spec_tests.operations import run_operation
from sae_spec.spec_tests.operations.roads import road

NAME, VERSION, DTYPES = "reference_numpy", SPEC_VERSION, ["float64"]
ON = road("reference", np)


def run(operation, config, inputs, dtype):
    """See `sae_spec.spec_tests.core.adapter`."""
    return run_operation(ON, operation, config, inputs)
