"""A failure names what is broken, not all that stands on it."""

from types import SimpleNamespace

import numpy as np
import pytest

from sae_spec.spec_tests.adapters import reference_numpy
from sae_spec.spec_tests.conformance.absorption.test_agreement_absorption import QUESTIONS, test_the_detector_agrees
from sae_spec.spec_tests.conformance.sae.test_agreement import (test_backward_agrees_for_every_output, test_encode_agrees,
                                                                test_objective_agrees)
from sae_spec.spec_tests.core.adapter import Bound
from sae_spec.spec_tests.core.cases import Failure

detector, encode, backward, objective = (test_the_detector_agrees, test_encode_agrees, test_backward_agrees_for_every_output,
                                         test_objective_agrees)
del test_the_detector_agrees, test_encode_agrees, test_backward_agrees_for_every_output, test_objective_agrees


def blamed(relation, spoil):
    """The clauses that the failure of a property names where `spoil(operation, config, outputs)` changes the reference's answers."""
    def run(operation, config, inputs, dtype):
        outputs = {name: np.array(value, dtype=float) for name, value in reference_numpy.run(operation, config, inputs, dtype).items()}
        spoil(operation, config, outputs)
        return outputs

    with pytest.raises(Failure) as caught:
        relation(adapter=Bound(SimpleNamespace(NAME="spoilt", VERSION="1", DTYPES=["float64"], run=run)))
    for id in caught.value.clauses:
        assert f"{id}  " in str(caught.value)
    assert str(caught.value).count("      reference/") == len(caught.value.clauses)
    return caught.value.clauses


@pytest.mark.parametrize("question", QUESTIONS)
def test_the_detector_names_the_question_that_differs(question):
    def spoil(operation, config, outputs):
        outputs[question] = 1 - outputs[question]

    assert blamed(detector, spoil) == QUESTIONS[question]


# long: it takes as many examples as `make test` draws to meet the activation that is wrong.
@pytest.mark.long
@pytest.mark.parametrize("relation, activation, output, ids", [
    (encode, "topk", "pre", ["SAE-1", "SAE-3"]), (encode, "topk", "acts", ["ACT-4"]), (encode, "batch_topk", "acts", ["ACT-12"]),
    (encode, "gated", "acts", ["SAE-13"]), (backward, "abs_topk", "d_b_dec", ["SAE-10"]),
    (backward, "relu", "d_b_enc", ["SAE-8", "ACT-1", "SAE-6"]), (objective, "relu", "reconstruction", ["COST-2", "COST-3"]),
    (objective, "topk", "l1", ["COST-4"]), (objective, "jumprelu", "total", ["COST-18"]),
])
def test_agreement_names_one_clause_of_the_part_that_differs(relation, activation, output, ids):
    def spoil(operation, config, outputs):
        if config["activation"] == activation and output in outputs:
            outputs[output] += 1

    (named,) = blamed(relation, spoil)
    assert named in ids
