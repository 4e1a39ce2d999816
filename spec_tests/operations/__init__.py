"""All that an implementation can be asked: one record for each operation (see `record.py`), by area.

Nothing here needs torch, and nothing here is needed by an adapter of someone else's.
"""

from sae_spec.spec_tests.operations.absorption import ABS
from sae_spec.spec_tests.operations.activations import ACT
from sae_spec.spec_tests.operations.autoencoder import SAE
from sae_spec.spec_tests.operations.costs import COST
from sae_spec.spec_tests.operations.frequency import FREQ
from sae_spec.spec_tests.operations.theory import META, THEORY
from sae_spec.spec_tests.operations.training import TRAIN
from sae_spec.spec_tests.operations.worlds import TOY

AREAS = (ACT, SAE, FREQ, COST, TRAIN, TOY, ABS, META, THEORY)
OPERATIONS = {operation.name: operation for area in AREAS for operation in area.operations}


def depth(name):
    """How many operations lie one within another in this one; 0 for one that stands by itself, and for none."""
    return max((1 + depth(part) for part in OPERATIONS[name].parts), default=0) if name in OPERATIONS else 0


def run_operation(on, name, config, inputs):
    """{output: array of a road}; NotImplementedError for an operation that there is not."""
    if name not in OPERATIONS:
        raise NotImplementedError(name)
    return OPERATIONS[name](on, config, inputs)
