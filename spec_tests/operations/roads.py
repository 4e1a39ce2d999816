"""Our two roads to one answer, each as a name space: `on.frequency.price(…)` is the reference's or production's.

Both have the same functions under the same names, in the same rooms.
"""

import pkgutil
from importlib import import_module
from types import SimpleNamespace

ROOMS = ("sae", "worlds", "absorption")


def road(name, arrays):
    """The modules of a package by their names, and

    name      "reference" or "torch_impl"
    arrays    the library whose arrays it takes: numpy or torch
    package   the package itself

    All modules are imported here: one that was first imported while a mutant stands in for a function would keep it.
    """
    modules = {}
    for room in ROOMS:
        folder = import_module(f"sae_spec.{name}.{room}")
        for module in pkgutil.iter_modules(folder.__path__):
            if module.name in modules:
                raise ImportError(f"two modules of {name} are called {module.name}")
            modules[module.name] = import_module(f"{folder.__name__}.{module.name}")
    return SimpleNamespace(name=name, arrays=arrays, package=import_module(f"sae_spec.{name}"), **modules)
