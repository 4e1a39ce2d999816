"""Streams of samples whose absorption is known, for the tests of the detector."""

import numpy as np
from hypothesis import strategies as st

from sae_spec.spec_tests.core.compare import compare


P, C = 0, 1                     # the parent's latent and the child's; the parent's axis and the child's own
eighths = st.integers(1, 8).map(lambda count: count / 8)
powers = st.sampled_from([0.25, 0.5, 2.0])


def scene(W_dec, *kinds):
    """A stream in which each kind of sample, (how often, x, acts), occurs as often as it says; the axes are latents' own."""
    times, x, acts = zip(*kinds)
    repeated = lambda rows: np.repeat(np.array(rows, dtype=float), times, axis=0)
    W_dec = np.array(W_dec, dtype=float)
    return {"x": repeated(x), "acts": repeated(acts), "W_dec": W_dec, "b_dec": np.zeros(W_dec.shape[1])}


def family(delta, alone=48, both=48, neither=96):
    """The delta family with a third latent whose feature comes with everything equally often.

    Without the child the parent fires in a third of the samples or more: beside it 0, or 1, is then beyond chance. No more
    of alone and both than of neither, or the parent is background.
    """
    kinds = (alone // 2, 1, 0), (both // 2, 1, 1), (neither // 2, 0, 0)
    return scene([[1, 0, 0], [delta, 1, 0], [0, 0, 1]],
                 *((times, [p, c, other], [p - delta * c, c, other]) for times, p, c in kinds for other in (0, 1)))


def detect(adapter, stream, **config):
    return adapter("absorption", config, **stream)


def answers(got, *names):
    """What was answered of the pair."""
    return {name: got[name][P, C] for name in names}


def within(adapter, name, want, got, allowed):
    mismatch, _ = compare(name, want, got, adapter.dtype, allowed=allowed)
    assert mismatch is None, str(mismatch)
