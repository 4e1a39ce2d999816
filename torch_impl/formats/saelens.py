"""SAELens checkpoints.

    sae_weights.safetensors   W_enc (D, M), latents are columns; W_dec (M, D), b_enc (M,), b_dec (D,)
    cfg.json                  architecture, d_in, d_sae, k, apply_b_dec_to_input, ...
"""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..training.checkpoint import CheckpointError, read_json
from ..training.config import Activation, SAEConfig
from ..training.module import SparseAutoencoder
from ..training.sae_file import check_shapes, read_tensors

WEIGHTS, CONFIG = "sae_weights.safetensors", "cfg.json"
ACTIVATIONS: dict[str, Activation] = {"standard": "relu", "topk": "topk", "jumprelu": "jumprelu", "batchtopk": "jumprelu",
               "matryoshka_batchtopk": "jumprelu"}
PLAIN = {"normalize_activations": (None, "none"), "reshape_activations": (None, "none")}


def load_saelens(folder: str | PathLike[str], device: torch.device | str | None = None) -> SparseAutoencoder:
    """A SAELens checkpoint as a SparseAutoencoder in eval mode, in float32.

    batchtopk becomes the jumprelu that it is at inference. Where selection was by norm-weighted activations
    (rescale_acts_by_decoder_norm) the norms are folded into the encoder: the reconstruction stays.

    folder  holds cfg.json and sae_weights.safetensors
    device  where to; the CPU unless given
    raises  CheckpointError that names the file and the field
    """
    folder = Path(folder)
    about, architecture = read_about(folder / CONFIG)
    params = our_parameters(read_tensors(folder / WEIGHTS)[0], architecture, folder / WEIGHTS)
    if architecture != "standard" and about.get("rescale_acts_by_decoder_norm", False):
        fold_norms(params)
    (M, D), activation = params["W_dec"].shape, ACTIVATIONS[architecture]
    try:
        config = SAEConfig(D=D, M=M, activation=activation, k=int(about.get("k", 0)) if activation == "topk" else None,
                           subtract_b_dec=about.get("apply_b_dec_to_input", True))
    except ValueError as error:
        raise CheckpointError(f"{folder / CONFIG}: {error}") from None
    sae = SparseAutoencoder(config)
    sae.load_state_dict(sae.state_dict() | params)
    return sae.to(device).eval()


def read_about(path: Path) -> tuple[dict[str, Any], str]:
    """What cfg.json says, and the name of the architecture; raises CheckpointError for what cannot be read here."""
    about = read_json(path)
    if not isinstance(about, dict):
        raise CheckpointError(f"{path}: not an object")
    architecture = about.get("architecture", "standard")
    if architecture not in ACTIVATIONS:
        raise CheckpointError(f"{path}: architecture is {architecture!r}, can read {', '.join(ACTIVATIONS)}")
    for field, plain in PLAIN.items():
        if about.get(field) not in plain:
            raise CheckpointError(f"{path}: {field} is {about[field]!r}, can read only 'none'")
    return about, architecture


def our_parameters(tensors: Mapping[str, Tensor], architecture: str, path: Path) -> dict[str, Tensor]:
    """Their tensors under our names, in our layout and in float32; shapes checked.

    raises  CheckpointError that names `path` and the tensor
    """
    W_dec = tensors.get("W_dec")
    if W_dec is None or W_dec.ndim != 2:
        raise CheckpointError(f"{path}: W_dec is missing or not a matrix")
    M, D = W_dec.shape
    expected = {"W_enc": (D, M), "W_dec": (M, D), "b_enc": (M,), "b_dec": (D,)}
    threshold = "topk_threshold" if "topk_threshold" in tensors else "threshold"
    if ACTIVATIONS[architecture] == "jumprelu":
        expected[threshold] = tuple(tensors[threshold].shape) if threshold == "topk_threshold" else (M,)
    check_shapes(tensors, expected, path)
    params = {field: tensors[field].float() for field in ("W_dec", "b_enc", "b_dec")}
    params["W_enc"] = tensors["W_enc"].float().T.contiguous()
    if ACTIVATIONS[architecture] == "jumprelu":
        params["theta"] = tensors[threshold].float().expand(M).clamp_min(0)       # theirs reads relu(pre) > theta
    return params


def fold_norms(params: dict[str, Tensor]) -> None:
    """Decoder rows to norm 1, their norms into the encoder, in place: thresholds keep their meaning."""
    norm = params["W_dec"].norm(dim=1)
    norm = norm.where(norm > 0, 1)
    params["W_dec"] = params["W_dec"] / norm[:, None]
    params["W_enc"], params["b_enc"] = params["W_enc"] * norm[:, None], params["b_enc"] * norm
