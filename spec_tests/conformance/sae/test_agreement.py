"""Agreement: an adapter and the reference say the same of the same dyadic inputs.

The widest net and the bluntest: it finds any difference and names none. The relations in the other files say which
clause is broken; golden cases say it in numbers.
"""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sae_spec.spec_tests.adapters import reference_numpy
from sae_spec.spec_tests.core.compare import assert_same
from sae_spec.spec_tests.core.properties import clause
from sae_spec.spec_tests.core.strategies import dyadic, prices, saes


def agree(adapter, operation, config, **inputs):
    """The adapter's outputs are the reference's."""
    copies = {name: np.array(value, dtype=np.float64) for name, value in inputs.items()}
    want = reference_numpy.run(operation, config, copies, "float64")
    assert_same(want, adapter(operation, config, **inputs), adapter.dtype)


@clause("SAE-1", "SAE-3", "ACT-4", "ACT-5", "ACT-7", "ACT-12", "ACT-13", "ACT-14", "ACT-15", "ACT-18", "SAE-13", agreement=True)
@given(sae=saes())
def test_encode_agrees(adapter, sae):
    agree(adapter, "encode", sae.config, **sae.inputs)


@clause("SAE-8", "SAE-9", "SAE-10", "ACT-8", "ACT-19", "SAE-6", "SAE-14", agreement=True)
@given(sae=saes(), which=st.sampled_from(["d_pre", "d_acts", "d_recons"]), data=st.data())
def test_backward_agrees_for_every_output(adapter, sae, which, data):
    G = len(sae.config.get("prefixes", [sae.M]))
    shape = (G, sae.B, sae.D) if which == "d_recons" else (sae.B, sae.M)
    cotangent = {which: data.draw(dyadic(shape, -1.0, 1.0, 0.5))}
    agree(adapter, "backward", sae.config, **sae.inputs, **cotangent)


@clause("COST-2", "COST-3", "COST-4", "COST-6", "COST-7", "COST-9", "COST-12", "COST-14", "COST-16", "COST-18", "COST-19",
        "FREQ-9", agreement=True)
@given(sae=saes(), data=st.data())
def test_objective_agrees(adapter, sae, data):
    factor = lambda: data.draw(st.sampled_from([0.0, 0.5, 1.0]))
    config = sae.config | {"l1_coefficient": factor(), "tanh_coefficient": factor(), "tanh_scale": 2.0,
                           "tie_coefficient": factor(), "aux_coefficient": factor(), "k_aux": 2}
    if config["activation"] == "jumprelu":
        config["l0_coefficient"] = factor()
    inputs = {"price": data.draw(prices(sae.M)), **sae.inputs}
    dead = data.draw(dyadic((sae.M,), 0.0, 1.0, 1.0))
    agree(adapter, "objective", config, **inputs, dead=dead)
