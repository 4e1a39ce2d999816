"""SAELens synthetic models: what `SyntheticModel.save` writes, as a Forest.

    synthetic_model.safetensors    feature_vectors (F, D), bias (D,), firing_probabilities (F,), as they are drawn with;
                                   correlation_factor (F, R) and correlation_diag (F,), or neither
    hierarchy.json                 roots: trees of feature_index (null: a node without a feature), children,
                                   mutually_exclusive_children, scale_children_by_parent; or no such file
    synthetic_model_config.json    num_features, hidden_dim, mean_firing_magnitudes, std_firing_magnitudes, seed, ...

Magnitudes are not saved: they follow from the configuration. What it does not determine is refused: folded_normal without a
seed, generators that a user registered, a hierarchy or a correlation that is configured and not in the folder.
"""

from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..training.checkpoint import CheckpointError, read_json
from ..training.sae_file import check_shapes, read_tensors
from ..worlds.forest import Forest, generations

CONFIG, WEIGHTS, HIERARCHY = "synthetic_model_config.json", "synthetic_model.safetensors", "hierarchy.json"
INSIDE = "synthetic_model"                                  # the folder in which a training run leaves its model


def load_synthetic(folder: str | PathLike[str]) -> Forest:
    """A synthetic model that SAELens saved.

    folder  of `SyntheticModel.save`, or the output of a SyntheticSAERunner with save_synthetic_model
    raises  CheckpointError that names the file and the field
    """
    folder = Path(folder)
    if not (folder / CONFIG).exists() and (folder / INSIDE).is_dir():
        folder /= INSIDE
    about = read_json(folder / CONFIG)
    if not isinstance(about, dict):
        raise CheckpointError(f"{folder / CONFIG}: not an object")
    tensors = checked(read_tensors(folder / WEIGHTS)[0], about, folder)
    (F, _), tree = tensors["feature_vectors"].shape, _Tree(folder / HIERARCHY, len(tensors["feature_vectors"]))
    if (folder / HIERARCHY).exists():
        tree.read()
    elif about.get("hierarchy") is not None:
        raise CheckpointError(f"{folder / HIERARCHY}: no such file, though {CONFIG} has a hierarchy")
    seed = about.get("seed")
    std, mean = (magnitudes(about, name, default, F, None if seed is None else seed + offset, folder / CONFIG)
                 for name, default, offset in (("std_firing_magnitudes", 0.0, 1), ("mean_firing_magnitudes", 1.0, 2)))
    parent, scaled, group = tree.tensors()
    if (mean[parent[scaled]] <= 0).any():
        raise CheckpointError(f"{folder / CONFIG}: mean_firing_magnitudes is not above 0 for a parent that scales its children")
    return Forest(directions=tensors["feature_vectors"], bias=tensors["bias"], rate=tensors["firing_probabilities"], mean=mean, std=std,
                  parent=parent, scaled=scaled, group=group, factor=tensors.get("correlation_factor", torch.zeros(F, 0)),
                  rest=tensors.get("correlation_diag", torch.ones(F)).sqrt())


def checked(tensors: dict[str, Tensor], about: dict[str, Any], folder: Path) -> dict[str, Tensor]:
    """The tensors in float32, their shapes and values checked against one another and the configuration.

    raises  CheckpointError that names the file and the tensor
    """
    path, vectors = folder / WEIGHTS, tensors.get("feature_vectors")
    if vectors is None or vectors.ndim != 2:
        raise CheckpointError(f"{path}: feature_vectors is missing or not a matrix")
    F, D = vectors.shape
    for field, size in ("num_features", F), ("hidden_dim", D):
        if about.get(field) != size:
            raise CheckpointError(f"{folder / CONFIG}: {field} is {about.get(field)!r}, {WEIGHTS} has {size}")
    expected = {"feature_vectors": (F, D), "bias": (D,), "firing_probabilities": (F,)}
    if about.get("correlation") is not None or "correlation_factor" in tensors:
        rank = tensors["correlation_factor"].shape[-1] if "correlation_factor" in tensors else 0
        expected |= {"correlation_factor": (F, rank), "correlation_diag": (F,)}
    check_shapes(tensors, expected, path)
    for field, most in ("firing_probabilities", 1), ("correlation_diag", torch.inf):
        if field in expected and not ((tensors[field] >= 0) & (tensors[field] <= most)).all():
            raise CheckpointError(f"{path}: {field} holds a number out of range")
    return {field: tensors[field].float() for field in expected}


def magnitudes(about: dict[str, Any], field: str, default: float, F: int, seed: int | None, path: Path) -> Tensor:
    """The magnitudes (F,) that a field of the configuration stands for.

    raises  CheckpointError that names `path` and the field, where they do not follow from it
    """
    value = about.get(field, default)
    if not isinstance(value, dict):
        value = {"generator_name": "constant", "value": value}
    name, place = value.get("generator_name"), torch.linspace(0, 1, F)
    try:
        if name == "constant":
            made = torch.full((F,), float(value.get("value", 1.0)))
        elif name == "linear":
            made = torch.linspace(value["start"], value["end"], F)
        elif name == "exponential":
            made = value["start"] * (value["end"] / value["start"]) ** place
        elif name == "folded_normal" and seed is not None:
            normals = torch.randn(F, generator=torch.Generator().manual_seed(seed))
            made = (value.get("mean", 0.0) + normals * value.get("std", 0.1)).abs()
            made = made.clamp(value.get("min_value") or 0.0, torch.inf if value.get("max_value") is None else value["max_value"])
        else:
            why = "draws anew at every load, since seed is null" if name == "folded_normal" else "cannot be read"
            raise CheckpointError(f"{path}: {field}: the generator {name!r} {why}: the folder does not say what was drawn")
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"{path}: {field}: {name}: {error}") from None
    if not made.isfinite().all():
        raise CheckpointError(f"{path}: {field} holds a number that is not finite")
    return made


class _Tree:
    """The hierarchy of F features, as it is read."""

    def __init__(self, path: Path, F: int):
        self.path = path
        self.parent, self.group, self.scaled = [-1] * F, [-1] * F, [False] * F
        self.seen: set[int] = set()
        self.groups = 0

    def read(self) -> None:
        """All trees of the file."""
        about = read_json(self.path)
        roots = about.get("roots") if isinstance(about, dict) else None
        if not isinstance(roots, list):
            raise CheckpointError(f"{self.path}: roots is missing or not a list")
        waiting = [(root, -1, False, -1) for root in roots]
        while waiting:                                      # no recursion: a chain may be long
            node, parent, scaled, group = waiting.pop()
            if not isinstance(node, dict) or not isinstance(node.get("children", []), list):
                raise CheckpointError(f"{self.path}: a node is no object with a list of children")
            feature = node.get("feature_index")
            if feature is not None:
                self._place(feature, parent, scaled, group)
            below = self._group_below(node)
            for child in node.get("children", []):
                waiting.append((child, parent if feature is None else feature, bool(node.get("scale_children_by_parent")), below))

    def _place(self, feature: Any, parent: int, scaled: bool, group: int) -> None:
        if type(feature) is not int or not 0 <= feature < len(self.parent):
            raise CheckpointError(f"{self.path}: feature_index is {feature!r}, expected 0 to {len(self.parent) - 1}")
        if feature in self.seen:
            raise CheckpointError(f"{self.path}: feature {feature} stands in it twice")
        self.seen.add(feature)
        self.parent[feature], self.scaled[feature], self.group[feature] = parent, scaled and parent >= 0, group

    def _group_below(self, node: dict[str, Any]) -> int:
        if not node.get("mutually_exclusive_children"):
            return -1
        self.groups += 1
        return self.groups - 1

    def tensors(self) -> tuple[Tensor, Tensor, Tensor]:
        """parent, scaled, group (F,) each."""
        parent = torch.tensor(self.parent)
        generations(parent)
        return parent, torch.tensor(self.scaled), torch.tensor(self.group)
