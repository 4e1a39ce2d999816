"""ACT, first part: relu, jumprelu, the step and its thresholds."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sae_spec.spec_tests.compare import assert_same
from sae_spec.spec_tests.properties import clause
from sae_spec.spec_tests.strategies import dyadic, pres


@clause("ACT-7", "ACT-1")
@given(pre=pres())
def test_jumprelu_at_threshold_zero_is_relu(adapter, pre):
    want = adapter("activation", {"activation": "relu"}, pre=pre)
    got = adapter("activation", {"activation": "jumprelu"}, pre=pre, theta=0 * pre[0])
    assert_same(want, got, adapter.dtype)
