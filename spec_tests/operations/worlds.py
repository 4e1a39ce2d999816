"""TOY: worlds whose features are known. F features, D dimensions."""

import numpy as np

from sae_spec.spec_tests.operations.mistakes import altered, values
from sae_spec.spec_tests.operations.record import Area

TOY = Area("TOY", "Toy worlds")

TREE = {"parent": "(F,)  index of the parent, -1 for none", "rate": "(F,)  chance to fire where the parent does",
        "rate_alone": "(F,)  chance to fire where the parent does not",
        "group": "(F,)  siblings of one group exclude each other, -1 for none"}
WORLD = {"directions": "(F, D)"} | TREE | {"mean": "(F,)  magnitude when firing", "std": "(F,)  its standard deviation"}
NORMALS = "draws from the standard normal distribution"


class Draws:
    """Stands in for a generator: its normal draws are those of the case."""

    def __init__(self, normals):
        self.normals = normals

    def normal(self, size):
        rows, columns = size
        return self.normals[:rows, :columns]


def world_of(on, **parts):
    """A World from its parts; what an operation does not need may be missing."""
    F, a = len(parts["parent"]), on.arrays
    whole = {name: a.asarray(parts[name], dtype=a.int64) for name in ("parent", "group")}
    parts = {"directions": a.eye(F), "mean": a.ones(F), "std": a.zeros(F)} | parts | whole
    return on.toy_models.World(**{name: parts[name] for name in on.toy_models.World._fields})


@TOY.operation("a world by name",
               {"world": "independent | hierarchy | imperfect_cooccurrence | overlap | exclusive_siblings | tree | "
                         "superposition | zipf; its arguments, such as std or rho, are further keys"},
               {"normals": f"(F, D)  {NORMALS}"}, WORLD)
def toy_world(on, config, normals):
    arguments = {name: value for name, value in config.items() if name != "world"}
    drawn = np.array(normals.tolist(), dtype=float).reshape(normals.shape)
    return getattr(on.toy_worlds, config["world"])(Draws(drawn), **arguments)._asdict()


@TOY.operation("samples of a world, from draws",
               inputs=WORLD | {"uniforms": "(B, F)  draws from [0, 1)", "normals": f"(B, F)  {NORMALS}"},
               outputs={"x": "(B, D)", "magnitudes": "(B, F)"})
def toy_sample(on, config, uniforms, normals, **world):
    x, magnitudes = on.toy_models.sample(world_of(on, **world), uniforms, normals)
    return {"x": x, "magnitudes": magnitudes}


@TOY.operation("how often each pair of features fires together; on the diagonal, how often each fires",
               inputs=TREE, outputs={"cofiring": "(F, F)"})
def toy_cofiring(on, config, **world):
    return {"cofiring": on.toy_models.expected_cofiring(world_of(on, **world))}


@TOY.operation("unit vectors, every two of them at one cosine",
               {"rho": "the cosine of every two directions, at least 0 and below 1"},
               {"normals": f"(F, D)  {NORMALS}, F <= D"}, {"directions": "(F, D)"},
               {"rho": values("negative, or 1 and above", -0.25, 1),
                "normals": altered("more rows than columns", lambda normals: np.vstack([normals] * 4))})
def directions_with_cosine(on, config, normals):
    return {"directions": on.toy_models.directions_with_cosine(normals, config["rho"])}
