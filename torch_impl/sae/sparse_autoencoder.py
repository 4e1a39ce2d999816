"""SAE, sparse from the encoder's product on: `encode` and `decode` on Entries.

`params` and `config` as in autoencoder.py; B stands for any number of leading dimensions of x, which are laid
out as one.
"""

import torch

from .activations import jumprelu, relu, threshold
from .autoencoder import check, check_prefixes, encoder_weight
from . import CHOOSING_RULES
from ..sparse.entries import Entries, Places, apply, counted_offsets
from .gated import gated
from ..kernels import forced
from ..kernels.precision import widen
from ..sparse.autograd import combine, read
from .choice import choose

FEW = 1 / 32
"""A rule that does not choose a number of latents is computed sparsely while a smaller share of them is on."""


def is_sparse(config, share_on):
    """Is a step to be computed sparsely? The one place that decides.

    share_on  a function that measures the mean share of latents that are on, None where none is known yet;
              asked only where the activation does not settle it (it waits for the device)
    """
    if path := forced():
        return path != "dense"
    if config["activation"] in CHOOSING_RULES:
        return True
    share = share_on()
    return share is not None and share < FEW


def encode(x, params, config, price=None, inference_threshold=None, check_inputs=True, kept=None):
    """Samples x (B, D) to pre and acts, Entries (B, M), in at least float32.

    kept  {parameter name: KeptGradient} for those weights whose gradient is not for autograd to return

    The places are those that may be on, and for jumprelu those in its window too; they are the same for pre
    and acts. The other arguments as for autoencoder.encode.
    Clauses: SAE-1 to SAE-4, SAE-8 to SAE-10, ACT-19.
    """
    check(x, params, finite=check_inputs)
    x, name, W = x.reshape(-1, x.shape[-1]), config["activation"], encoder_weight(params)
    b_dec = params["b_dec"] if config.get("subtract_b_dec", True) else None
    with torch.no_grad():
        centred = widen(x) if b_dec is None else torch.sub(*widen(x, b_dec))      # (B, D)
        values, places = choose(centred, W, params, config, price, inference_threshold, check_inputs)
    bias = None if name == "gated" else params["b_enc"]
    keeper = kept and kept["W_enc" if "W_enc" in params else "W_dec"]
    found = Entries(read(values, places, x, b_dec, W, bias, keeper), places, kept)
    return activate(found, params, config)


def activate(found, params, config):
    """pre and acts from what the product gave at the chosen places (gated: before its bias)."""
    name = config["activation"]
    if name == "gated":
        b_enc, r_mag, b_mag = widen(params["b_enc"], params["r_mag"], params["b_mag"])
        return apply(torch.add, found, b_enc), apply(gated, found, b_enc, r_mag, b_mag)
    if name == "jumprelu":
        theta, bandwidth = threshold(params["log_threshold"]), config.get("bandwidth")
        return found, apply(lambda pre, at: jumprelu(pre, at, bandwidth, check_inputs=False), found, theta)
    if name == "relu":
        return found, apply(relu, found)
    return found, apply(lambda pre: torch.where(pre != 0, pre, 0), found)         # an unused slot learns nothing


def decode(acts, params, prefixes=None):
    """Entries (B, M) to reconstructions (G, B, D), one for each prefix of the latents.

    Clauses: SAE-5, SAE-6, SAE-7.
    """
    W_dec, b_dec = params["W_dec"], params["b_dec"]
    (B, M), D = acts.shape, W_dec.shape[1]
    prefixes = check_prefixes([M] if prefixes is None else prefixes, M)
    values, places = by_prefix(acts, prefixes) if len(prefixes) > 1 else (acts.values, acts.places)
    slices = combine(values, places, W_dec, acts.kept and acts.kept["W_dec"])     # (B·G, D)
    slices = slices.view(B, len(prefixes), D).transpose(0, 1)                     # (G, B, D)
    return (slices.cumsum(0) if len(prefixes) > 1 else slices) + b_dec


def by_prefix(acts, prefixes):
    """Values and Places (B·G, M): each sample in G rows, one for each slice between two prefixes."""
    G, (indices, _, M) = len(prefixes), (acts.places.indices, acts.places.offsets, acts.places.M)
    slice_of = torch.bucketize(indices, torch.tensor(prefixes, device=indices.device), right=True)
    row = acts.places.rows * G + slice_of                   # (nnz,)
    order, counts = row.argsort(stable=True), torch.bincount(row, minlength=acts.shape[0] * G)
    return acts.values[order], Places(indices[order], counted_offsets(counts), M)
