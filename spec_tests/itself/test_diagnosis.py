"""A failure names what is broken, not all that stands on it."""

from types import SimpleNamespace
from unittest.mock import patch

import numpy as np
import pytest

from sae_spec.spec_tests.adapters import reference_numpy
from sae_spec.spec_tests.conformance.absorption.test_agreement_absorption import QUESTIONS, test_the_detector_agrees
from sae_spec.spec_tests.conformance.sae.test_agreement import (test_backward_agrees_for_every_output, test_encode_agrees,
                                                                test_objective_agrees)
from sae_spec.spec_tests.core.adapter import Bound
from sae_spec.spec_tests.core.cases import Failure, golden_cases, run_case
from sae_spec.spec_tests.core.report import begin_with, simplicity, what_was_asked

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


# ---------------------------------------------------------------- one fault in production, and the failure to begin with

def without_the_last(product):
    """A product that loses the last of its entries: their values are the first argument."""
    def lossy(values, *others, **options):
        values = values.clone()
        values[-1:] = 0
        return product(values, *others, **options)

    return lossy


def break_decode(sparse, monkeypatch):
    monkeypatch.setattr(sparse, "decode", without_the_last(sparse.decode))


def break_batch_top_products(sparse, monkeypatch):
    from sae_spec.torch_impl.sae import sparse_autoencoder

    def lossy(*problem, whole=sparse_autoencoder.batch_top_products):
        values, indices, offsets = whole(*problem) or (None, None, None)
        return values if values is None else (values[:-1], indices[:-1], offsets.clamp(max=len(values) - 1))

    monkeypatch.setattr(sparse_autoencoder, "batch_top_products", lossy)


def break_the_gradient_in(function):
    def break_it(sparse, monkeypatch):
        back, whole = getattr(sparse, function).backward, sparse._gradient_of_weight
        lossy = without_the_last(lambda coefficients, buffer, *others: whole(buffer, coefficients, *others))

        def broken(ctx, cotangent):
            with patch.object(sparse, "_gradient_of_weight", lambda buffer, coefficients, *others: lossy(coefficients, buffer, *others)):
                return back(ctx, cotangent)

        monkeypatch.setattr(getattr(sparse, function), "backward", staticmethod(broken))

    return break_it


FAULTS = {"decode": (break_decode, "SAE-5"), "batch_top_products": (break_batch_top_products, "ACT-12"),
          "the gradient of W_dec": (break_the_gradient_in("_Combine"), "SAE-8"),
          "the gradient of W_enc": (break_the_gradient_in("_Read"), "SAE-8")}


# long: each asks all golden cases of five operations.
@pytest.mark.long
@pytest.mark.parametrize("path", ["", "torch"], ids=["as it is trained", "all of it sparse"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_sparse_path_is_told_by_the_clause_that_it_breaks(fault, path, monkeypatch):
    pytest.importorskip("torch")
    from sae_spec.spec_tests.adapters import torch_impl
    from sae_spec.torch_impl.sparse import autograd

    monkeypatch.setenv("SAE_SPEC_KERNELS", path)
    breaks, id = FAULTS[fault]
    breaks(autograd, monkeypatch)
    failed = [case for case in golden_cases() if case.operation in ("encode", "decode", "backward", "objective", "train")
              and "float64" in case.dtypes and run_case(torch_impl, case, "float64").mismatches]
    failures = [{"clauses": case.clauses, "name": {"case": case.id}, "dtype": "float64", **what_was_asked([case._asdict()])}
                for case in failed]
    assert min(failures, key=simplicity)["clauses"] == (id,)
    assert begin_with(failures).count("\n") == 1 and f"  {id}  " in begin_with(failures)
    if fault == "batch_top_products":
        assert len(failures) == 1
