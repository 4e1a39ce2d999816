"""How training is asked: strategies and calls that the tests of its stages and of whole steps share."""

import numpy as np
from hypothesis import strategies as st

lengths = st.sampled_from([2.0**-6, 0.5, 1.0, 2.0, 8.0])


def stretched(draw, W):
    """W with each row scaled by a power of two of its own: exact in every dtype."""
    return W * np.array([draw(lengths) for _ in W])[:, np.newaxis]


def waited(adapter, acts, before=(0.0, 3.0, 8.0), dead_after=64):
    return adapter("count_tokens", {"dead_after": dead_after}, tokens_since_fired=before, acts=acts)
