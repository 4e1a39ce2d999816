"""One vocabulary: what the reference calls by a name, production calls by the same name, with the same arguments."""

import ast

import pytest

from sae_spec.spec_tests.itself.house.source import ROOT, imports, inside, python_files, tree

ROOMS = ("sae", "worlds", "absorption")
TWINS = [(path, ROOT / "torch_impl" / path.relative_to(ROOT / "reference")) for room in ROOMS
         for path in python_files(f"reference/{room}") if path.name != "__init__.py"
         if (ROOT / "torch_impl" / path.relative_to(ROOT / "reference")).is_file()]

# Names of the reference that production lacks, or has with other arguments: {file: {name: why}}.
IN_TRAINER = "torch_impl/training/trainer.py: the Trainer holds the state and puts the stages of a step in order, in place"
OTHERWISE = {
    "torch_impl/sae/training.py": dict.fromkeys(
        ("Moments", "Running", "State", "initial_state", "batch_price", "move", "batch_threshold", "training_step"), IN_TRAINER),
}


def public(path):
    """{name: argument names, or None of a constant} for what a file defines at its top level without an underscore."""
    names = {}
    for node in tree(path).body:
        if isinstance(node, ast.FunctionDef):
            names[node.name] = arguments_of(node)
        elif isinstance(node, ast.ClassDef):
            names[node.name] = [field.target.id for field in node.body if isinstance(field, ast.AnnAssign)]
        elif isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names |= {name.id: None for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)}
    return {name: arguments for name, arguments in names.items() if not name.startswith("_")}


def arguments_of(function):
    return [argument.arg for argument in function.args.posonlyargs + function.args.args]


def differences(reference, production):
    """{name: what is wrong} for every public name of the reference but gradients, which production leaves to autograd."""
    theirs, ours = public(reference), public(production)
    wrong = {}
    for name, arguments in theirs.items():
        if name == "backward" or name.endswith("_backward"):
            continue
        if name not in ours and not imported(production, name):
            wrong[name] = "is missing"
        elif arguments and ours.get(name) is not None and ours[name][:len(arguments)] != arguments:
            wrong[name] = f"takes {', '.join(ours[name])} where the reference takes {', '.join(arguments)}"
    return wrong


def imported(path, name):
    """Whether a file has a name from another file of production."""
    return any(alias.asname == name or alias.name == name for node in tree(path).body if isinstance(node, ast.ImportFrom)
               for alias in node.names if node.level)


def used_elsewhere(path):
    """The names that other files of production and the suite import from a file, or read as its attributes."""
    module = inside(path).removesuffix(".py").replace("/", ".")
    names = set()
    for other in (*python_files("torch_impl"), *python_files("spec_tests")):
        if other == path or not any(i.ours and i.module == module for i in imports(other)):
            continue
        nodes = list(ast.walk(tree(other)))
        names |= {alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names}
        names |= {node.attr for node in nodes if isinstance(node, ast.Attribute)}
    return names


@pytest.mark.parametrize("reference, production", TWINS, ids=[inside(production) for _, production in TWINS])
def test_twins_have_the_same_names_and_arguments(reference, production):
    excused = OTHERWISE.get(inside(production), {})
    wrong = differences(reference, production)
    assert {name: what for name, what in wrong.items() if name not in excused} == {}
    assert set(excused) <= set(wrong), "no longer needed"


@pytest.mark.parametrize("reference, production", TWINS, ids=[inside(production) for _, production in TWINS])
def test_what_a_twin_has_more_is_used_elsewhere_or_private(reference, production):
    assert sorted(set(public(production)) - set(public(reference)) - used_elsewhere(production)) == []


def test_every_file_of_the_reference_has_a_twin():
    alone = [inside(path) for room in ROOMS for path in python_files(f"reference/{room}")
             if not (ROOT / "torch_impl" / path.relative_to(ROOT / "reference")).is_file()]
    assert alone == []
