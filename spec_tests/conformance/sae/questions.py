"""How an autoencoder is asked: calls and cotangents that the tests of encode, decode and backward share."""

from hypothesis import strategies as st

from sae_spec.spec_tests.core.strategies import Sae, dyadic, saes

UNTIED = st.just(False)


def whole(*shape):
    """Small whole numbers: as cotangents they keep gradients short enough for every dtype."""
    return dyadic(shape, -1.0, 1.0, 1.0)


def prefixes_of(sae):
    return sae.config.get("prefixes", [sae.M])


@st.composite
def asked(draw, **kinds):
    """An autoencoder and a cotangent for each of its outputs."""
    sae = draw(saes(**kinds))
    B, M, D, G = sae.B, sae.M, sae.D, len(prefixes_of(sae))
    return sae, {"d_pre": draw(whole(B, M)), "d_acts": draw(whole(B, M)), "d_recons": draw(whole(G, B, D))}


def changed(sae, config=None, **inputs):
    return Sae(sae.config | (config or {}), sae.inputs | inputs)


def encode(adapter, sae, **inputs):
    return adapter("encode", sae.config, **(sae.inputs | inputs))


def decode(adapter, sae, acts):
    prefixes = {name: sae.config[name] for name in ("prefixes",) if name in sae.config}
    return adapter("decode", prefixes, acts=acts, W_dec=sae.inputs["W_dec"], b_dec=sae.inputs["b_dec"])


def backward(adapter, sae, **cotangents):
    return adapter("backward", sae.config, **sae.inputs, **cotangents)
