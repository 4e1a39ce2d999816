"""Production: the same names as `sae_spec.reference`, on torch tensors, and what only production needs.

    config.py  module.py  trainer.py  checkpoint.py  data.py     objects: what this module exports
    activations.py ... training.py                               functions, as in the reference

    from sae_spec.torch_impl import SAEConfig, SparseAutoencoder, load_sae
    sae = load_sae("run")                       # what `sae-spec train` wrote
    out = sae(x)                                # x (B, D): out.acts (B, M), out.recon (B, D)

The exports are loaded when first asked for, so that the command line answers without waiting for torch.
"""

from importlib import import_module

_EXPORTS = {
    "SAEConfig": "training.config", "TrainingConfig": "training.config", "config_mapping": "training.config",
    "SparseAutoencoder": "training.module", "Output": "training.module",
    "Trainer": "training.trainer", "TrainingDiverged": "training.trainer",
    "load_sae": "training.checkpoint", "CheckpointError": "training.checkpoint",
    "Activations": "training.data", "open_activations": "training.data",
}
__all__ = list(_EXPORTS)


def __getattr__(name):
    if name not in _EXPORTS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f".{_EXPORTS[name]}", __name__), name)


def __dir__():
    return sorted([*globals(), *_EXPORTS])
