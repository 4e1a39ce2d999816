"""What may import what: arrows between the rooms of the house run one way."""

from collections import defaultdict
from graphlib import CycleError, TopologicalSorter

import pytest

from sae_spec.spec_tests.itself.house.source import PACKAGES, imports, inside, python_files

PROGRAM = "torch_impl/program"


def all_imports(folder="", but=()):
    """Every import of every file in a folder (in all, unless one is named), but those of the folders `but`."""
    return [i for path in python_files(folder) if not inside(path).startswith(tuple(f"{name}/" for name in but))
            for i in imports(path)]


def said(imports):
    return [str(i) for i in imports]


def test_the_reference_imports_numpy_scipy_and_itself():
    assert not said(i for i in all_imports("reference") if i.package not in ("numpy", "scipy", "typing", "reference"))


def test_production_never_sees_the_reference():
    assert not said(i for i in all_imports("torch_impl") if i.ours and i.package == "reference")


def test_of_production_only_the_program_uses_the_suite():
    assert not said(i for i in all_imports("torch_impl", but=[PROGRAM]) if i.ours and i.package != "torch_impl")


def test_nothing_imports_the_program_but_its_tests():
    others = all_imports(but=[PROGRAM, "spec_tests/ours", "spec_tests/itself"])
    assert not said(i for i in others if i.ours and i.folder.startswith(PROGRAM))


def test_the_suite_reads_golden_data_and_imports_nothing_of_its_generator():
    assert not said(i for i in all_imports("spec_tests") if i.ours and i.package == "fixtures")


def test_golden_data_is_made_with_the_reference_and_the_suite():
    """And written as all files of the project are: training/atomic.py needs the standard library alone."""
    others = [i for i in all_imports("fixtures") if i.ours and i.package not in ("fixtures", "reference", "spec_tests")]
    assert not said(i for i in others if i.module != "torch_impl.training.atomic")
    assert not said(i for i in all_imports("fixtures", but=["fixtures/generate"]) if i.ours)


def test_the_suite_imports_absolutely():
    """Or an adapter would be loaded twice, under two names."""
    assert not said(i for i in all_imports("spec_tests") if i.relative)


def test_the_reference_and_production_import_themselves_relatively():
    for own in ("reference", "torch_impl"):
        assert not said(i for i in all_imports(own) if i.ours and i.package == own and not i.relative)


def test_nothing_is_imported_by_the_name_of_its_folder_alone():
    """`import reference` would find another copy of the package, or none."""
    assert not said(i for i in all_imports() if not i.ours and i.package in PACKAGES)


def folder_graph():
    """{folder: the folders that it imports from}"""
    graph = defaultdict(set)
    for i in all_imports():
        here = i.file.rpartition("/")[0]
        if i.ours and i.folder != here:
            graph[here].add(i.folder)
    return graph


def test_no_folders_import_each_other_in_a_circle():
    try:
        TopologicalSorter(folder_graph()).prepare()
    except CycleError as error:
        between = set(error.args[1])
        arrows = [i for i in all_imports() if i.ours and {i.folder, i.file.rpartition("/")[0]} <= between]
        pytest.fail(f"{' <- '.join(error.args[1])}: {said(i for i in arrows if not i.file.startswith(f'{i.folder}/'))}")
