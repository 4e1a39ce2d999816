"""Production: the functions of `sae_spec.reference` under the same names, on torch tensors, and what only production needs.

    sae/ worlds/ absorption/     functions, as in the reference        sparse/ kernels/   what makes them fast
    training/ formats/           objects and files: what this module exports
    program/                     the command line `sae-spec`

    from sae_spec.torch_impl import SAEConfig, SparseAutoencoder, load_sae
    sae = load_sae("run")                       # what `sae-spec train` wrote
    out = sae(x)                                # x (B, D): out.acts (B, M), out.recon (B, D)

The exports are loaded when first asked for, so that the command line answers without waiting for torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:                                           # type checkers see here what _MODULES loads
    from .absorption.find import AbsorptionReport, find_absorption
    from .formats import load_any
    from .training.checkpoint import load_sae
    from .training.config import SAEConfig, TrainingConfig, config_mapping
    from .training.data import Activations, open_activations
    from .training.module import Output, SparseAutoencoder
    from .training.sae_file import CheckpointError, load, save
    from .training.trainer import Trainer, TrainingDiverged

_MODULES = {
    "SAEConfig": "training.config", "TrainingConfig": "training.config", "config_mapping": "training.config",
    "SparseAutoencoder": "training.module", "Output": "training.module",
    "Trainer": "training.trainer", "TrainingDiverged": "training.trainer",
    "save": "training.sae_file", "load": "training.sae_file", "CheckpointError": "training.sae_file",
    "load_sae": "training.checkpoint", "load_any": "formats",
    "Activations": "training.data", "open_activations": "training.data",
    "find_absorption": "absorption.find", "AbsorptionReport": "absorption.find",
}
__all__ = [
    "AbsorptionReport", "Activations", "CheckpointError", "Output", "SAEConfig", "SparseAutoencoder", "Trainer",
    "TrainingConfig", "TrainingDiverged", "config_mapping", "find_absorption", "load", "load_any", "load_sae",
    "open_activations", "save",
]


if not TYPE_CHECKING:                                       # with it every name would be there for a type checker
    def __getattr__(name):
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(import_module(f".{_MODULES[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_MODULES])
