"""A library that has an operation only inside another is asked there, and is judged as strictly."""

from types import SimpleNamespace

import numpy as np
import pytest

from sae_spec.spec_tests.adapters import reference_numpy
from sae_spec.spec_tests.core.cases import golden_cases, run_case

ALONE = ("activation", "activation_backward", "batch_topk_inference")
ASKED = [case for case in golden_cases() if case.operation in ALONE and case.config.get("activation") != "step"
         or case.operation == "running_threshold"
         or case.config.get("cost") == "gate_reconstruction" and not case.error]      # of no samples no x says the same


def library(spoil=lambda operation, config, outputs: outputs):
    """The reference as a library that has no activation by itself, counts no batches and computes a gate from x."""
    def run(operation, config, inputs, dtype):
        if operation in ALONE or "seen" in inputs or config.get("cost") == "gate_reconstruction" and "pre" in inputs:
            raise NotImplementedError(operation)
        return spoil(operation, config, answer(operation, config, inputs, dtype))

    return SimpleNamespace(NAME="library", VERSION="1", DTYPES=["float64"], run=run)


def answer(operation, config, inputs, dtype):
    if operation == "running_threshold":
        before = {"threshold": inputs.get("threshold", np.array(0.0)), "seen": np.array(float("threshold" in inputs))}
        outputs = reference_numpy.run(operation, config, inputs | before, dtype)
        return {"threshold": outputs["threshold"]}
    if config.get("cost") != "gate_reconstruction":
        return reference_numpy.run(operation, config, inputs, dtype)
    given = dict(inputs)
    W_enc, b_enc = given.pop("W_enc"), given.pop("b_enc")
    centred = given["x"] - given["b_dec"]
    outputs = reference_numpy.run(operation, config, given | {"pre": centred @ W_enc.T + b_enc}, dtype)
    return {"d_W_enc": outputs["d_pre"].T @ centred} if "d_pre" in outputs else outputs


@pytest.mark.parametrize("case", ASKED, ids=lambda case: case.id)
def test_a_right_answer_passes(case):
    assert not run_case(library(), case, "float64").mismatches


def doubled(operation, config, outputs):
    return {name: 2 * np.asarray(value) for name, value in outputs.items()}


@pytest.mark.parametrize("operation", [*ALONE, "running_threshold", "cost", "cost_backward"])
def test_a_wrong_answer_fails(operation):
    cases = [case for case in ASKED if case.operation == operation and not case.error]
    assert any(run_case(library(doubled), case, "float64").mismatches for case in cases)


def test_what_has_no_other_way_stays_unsupported():
    case = next(case for case in golden_cases() if case.config.get("activation") == "step" and case.operation == "activation")
    with pytest.raises(NotImplementedError, match="activation"):
        run_case(library(), case, "float64")
