"""SAEs that others trained: SAELens checkpoints, and one door for all that can be read.

    sae_weights.safetensors   W_enc (D, M), latents are columns; W_dec (M, D), b_enc (M,), b_dec (D,)
    cfg.json                  architecture, d_in, d_sae, k, apply_b_dec_to_input, ...
"""

from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from ..training.checkpoint import CheckpointError, load_sae, read_json
from ..training.config import SAEConfig
from ..training.module import SparseAutoencoder

WEIGHTS, CONFIG = "sae_weights.safetensors", "cfg.json"
ACTIVATIONS = {"standard": "relu", "topk": "topk", "jumprelu": "jumprelu", "batchtopk": "jumprelu",
               "matryoshka_batchtopk": "jumprelu"}
PLAIN = {"normalize_activations": (None, "none"), "reshape_activations": (None, "none")}
NO_THRESHOLD = 1e-30    # theta is kept as its logarithm, and theirs may be 0


def load_any(folder, device=None):
    """The SAE in a folder, ours or SAELens's, in eval mode.

    raises  CheckpointError that names the file and the field
    """
    return load_saelens(folder, device) if (Path(folder) / WEIGHTS).exists() else load_sae(folder, device)


def load_saelens(folder, device=None):
    """A SAELens checkpoint as a SparseAutoencoder in eval mode, in float32.

    batchtopk becomes the jumprelu that it is at inference. Where selection was by norm-weighted activations
    (rescale_acts_by_decoder_norm) the norms are folded into the encoder: the reconstruction stays.

    raises  CheckpointError that names the file and the field
    """
    folder = Path(folder)
    about = read_json(folder / CONFIG)
    if not isinstance(about, dict):
        raise CheckpointError(f"{folder / CONFIG}: not an object")
    name = about.get("architecture", "standard")
    if name not in ACTIVATIONS:
        known = ", ".join(ACTIVATIONS)
        raise CheckpointError(f"{folder / CONFIG}: architecture is {name!r}, can read {known}")
    for field, plain in PLAIN.items():
        if about.get(field) not in plain:
            raise CheckpointError(f"{folder / CONFIG}: {field} is {about[field]!r}, can read only 'none'")
    tensors = read_tensors(folder / WEIGHTS)
    params = ours(tensors, name, folder / WEIGHTS)
    if name != "standard" and about.get("rescale_acts_by_decoder_norm", False):
        fold_norms(params)
    (M, D), activation = params["W_dec"].shape, ACTIVATIONS[name]
    more = {"k": int(about.get("k", 0))} if activation == "topk" else {}
    try:
        more["subtract_b_dec"] = about.get("apply_b_dec_to_input", True)
        config = SAEConfig(D=D, M=M, activation=activation, **more)
    except ValueError as error:
        raise CheckpointError(f"{folder / CONFIG}: {error}") from None
    sae = SparseAutoencoder(config)
    sae.load_state_dict(sae.state_dict() | params)
    return sae.to(device).eval()


def ours(tensors, name, path):
    """Their tensors under our names and in our layout, shapes checked."""
    W_dec = tensors.get("W_dec")
    if W_dec is None or W_dec.ndim != 2:
        raise CheckpointError(f"{path}: W_dec is missing or not a matrix")
    M, D = W_dec.shape
    want = {"W_enc": (D, M), "W_dec": (M, D), "b_enc": (M,), "b_dec": (D,)}
    threshold = "topk_threshold" if "topk_threshold" in tensors else "threshold"
    if ACTIVATIONS[name] == "jumprelu":
        want[threshold] = tuple(tensors[threshold].shape) if threshold == "topk_threshold" else (M,)
    for field, shape in want.items():
        if field not in tensors:
            raise CheckpointError(f"{path}: {field} is missing")
        if tuple(tensors[field].shape) != shape:
            found = tuple(tensors[field].shape)
            raise CheckpointError(f"{path}: {field} has shape {found}, expected {shape}")
        if not tensors[field].isfinite().all():
            raise CheckpointError(f"{path}: {field} holds a number that is not finite")
    params = {field: tensors[field].float() for field in ("W_dec", "b_enc", "b_dec")}
    params["W_enc"] = tensors["W_enc"].float().T.contiguous()
    if ACTIVATIONS[name] == "jumprelu":
        params["log_threshold"] = tensors[threshold].float().expand(M).clamp_min(NO_THRESHOLD).log()
    return params


def fold_norms(params):
    """Decoder rows to norm 1, their norms into the encoder, in place: thresholds keep their meaning."""
    norm = params["W_dec"].norm(dim=1)
    norm = norm.where(norm > 0, 1)
    params["W_dec"] = params["W_dec"] / norm[:, None]
    params["W_enc"], params["b_enc"] = params["W_enc"] * norm[:, None], params["b_enc"] * norm


def read_tensors(path):
    try:
        return load_file(path)
    except (SafetensorError, OSError) as error:
        raise CheckpointError(f"{path}: truncated or not a .safetensors file ({error})") from None
