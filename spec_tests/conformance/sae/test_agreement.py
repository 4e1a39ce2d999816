"""Agreement: an adapter and the reference say the same of the same dyadic inputs.

The widest net and the bluntest: it finds any difference, and says which part of what was asked it lies in, one clause where it can.
The relations in the other files say which clause is broken; golden cases say it in numbers.
"""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sae_spec.spec_tests.adapters import reference_numpy
from sae_spec.spec_tests.core.compare import assert_same
from sae_spec.spec_tests.core.properties import blames, clause
from sae_spec.spec_tests.core.strategies import dyadic, prices, saes


# The clause that is blamed where an activation, the gradient by it, or a term of the objective differs.
CHOICE = {"relu": "ACT-1", "topk": "ACT-4", "batch_topk": "ACT-12", "abs_topk": "ACT-13", "budget_topk": "ACT-14",
          "batch_budget_topk": "ACT-18", "jumprelu": "ACT-7", "gated": "SAE-13"}
BACK = {name: "ACT-19" for name in CHOICE} | {"relu": "ACT-1", "jumprelu": "ACT-8", "gated": "SAE-14"}
TERM = {"reconstruction": "COST-2", "l1": "COST-4", "tanh": "COST-6", "l0": "COST-7", "tie": "COST-9", "aux": "COST-12",
        "gate_reconstruction": "COST-16", "total": "COST-18"}


def both(adapter, operation, config, **inputs):
    """(the reference's outputs, the adapter's)"""
    copies = {name: np.array(value, dtype=np.float64) for name, value in inputs.items()}
    return reference_numpy.run(operation, config, copies, "float64"), adapter(operation, config, **inputs)


def assert_in_turn(adapter, want, got, blamed):
    """Outputs agree, looked at in the order of `blamed`: {output: the clause that is blamed where it differs}."""
    for name, id in blamed.items():
        with blames(id):
            assert_same(want, got, adapter.dtype, [name])


@clause("SAE-1", "SAE-3", *CHOICE.values(), agreement=True)
@given(sae=saes())
def test_encode_agrees(adapter, sae):
    read = "SAE-1" if sae.config.get("subtract_b_dec", True) else "SAE-3"
    want, got = both(adapter, "encode", sae.config, **sae.inputs)
    assert_in_turn(adapter, want, got, {"pre": read, "acts": CHOICE[sae.config["activation"]]})


@clause("SAE-6", "SAE-8", "SAE-9", "SAE-10", "ACT-1", "ACT-8", "ACT-19", "SAE-14", agreement=True)
@given(sae=saes(), which=st.sampled_from(["d_pre", "d_acts", "d_recons"]), data=st.data())
def test_backward_agrees_for_every_output(adapter, sae, which, data):
    """Where all but what biases or tied weights add is right, that is what is wrong; else it is the way of this cotangent."""
    G = len(sae.config.get("prefixes", [sae.M]))
    shape = (G, sae.B, sae.D) if which == "d_recons" else (sae.B, sae.M)
    cotangent = {which: data.draw(dyadic(shape, -1.0, 1.0, 0.5))}
    want, got = both(adapter, "backward", sae.config, **sae.inputs, **cotangent)
    way = {"d_acts": BACK[sae.config["activation"]], "d_recons": "SAE-6" if G > 1 else "SAE-8", "d_pre": "SAE-8"}[which]
    own = {"d_b_dec": "SAE-10"} | ({} if "W_enc" in sae.inputs else {"d_W_dec": "SAE-9"})
    assert_in_turn(adapter, want, got, {name: way for name in want if name not in own} | own)


@clause("COST-3", "COST-19", *TERM.values(), "FREQ-9", agreement=True)
@given(sae=saes(), data=st.data())
def test_objective_agrees(adapter, sae, data):
    factor = lambda: data.draw(st.sampled_from([0.0, 0.5, 1.0]))
    config = sae.config | {"l1_coefficient": factor(), "tanh_coefficient": factor(), "tanh_scale": 2.0,
                           "tie_coefficient": factor(), "aux_coefficient": factor(), "k_aux": 2}
    if config["activation"] == "jumprelu":
        config["l0_coefficient"] = factor()
    inputs = {"price": data.draw(prices(sae.M)), **sae.inputs}
    dead = data.draw(dyadic((sae.M,), 0.0, 1.0, 1.0))
    want, got = both(adapter, "objective", config, **inputs, dead=dead)
    own = {"reconstruction": "COST-3"} if len(config.get("prefixes", [])) > 1 else {}
    own |= {"l1": "COST-19", "tanh": "COST-19"} if config["activation"] == "gated" else {}
    assert_in_turn(adapter, want, got, {name: id for name, id in (TERM | own).items() if name in want})
    # The first gradient that differs is blamed on the terms that are charged.
    charged = [id for name, id in TERM.items() if name in want and name != "total" and np.any(want[name] != 0)] or ["COST-18"]
    with blames(*charged):
        assert_same(want, got, adapter.dtype)
