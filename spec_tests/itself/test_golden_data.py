"""Golden data defends itself: what was changed by mistake is refused in one line, before anything runs."""

import json
import shutil
import sys

import pytest

from sae_spec.spec_tests.core.cases import FIXTURES, FixtureError, golden_cases, sha256
from sae_spec.spec_tests.core.commands import start
from sae_spec.spec_tests.core.complaints import complaint

FILE = "meta_sae.json"          # the shortest
# The generator, for that area alone and in the folder where it is started.
GENERATE = [sys.executable, "-c", f"""
import sys
from pathlib import Path
from sae_spec.fixtures.generate import __main__ as generator

generator.HERE, generator.AREAS = Path.cwd(), {{"META": "{FILE}"}}
sys.exit(generator.main())
"""]


def answered(document):
    """The first case that has an answer."""
    return next(case for case in document["cases"] if "expected" in case)


def another_value(document):
    tensor = next(iter(answered(document)["expected"].values()))
    tensor["data"] = json.loads(json.dumps(tensor["data"]).replace("0", "3", 1))


def no_numbers(document):
    tensor = next(tensor for case in document["cases"] for tensor in case.get("expected", {}).values() if tensor["shape"])
    tensor |= {"shape": [0, *tensor["shape"][1:]], "data": []}


def fewer_samples(document):
    inputs = next(case["inputs"] for case in document["cases"] if "recon" in case["inputs"] and "expected" in case)
    tensor = inputs["recon"]
    tensor |= {"shape": [1, *tensor["shape"][1:]], "data": tensor["data"][:1]}


def flat_numbers(document):
    tensor = next(tensor for tensor in answered(document)["inputs"].values() if len(tensor["shape"]) == 2)
    tensor["data"] = [number for row in tensor["data"] for number in row]


def anything_goes(document):
    next(iter(answered(document)["expected"].values()))["allowed"] = {"float64": 1e300}


def no_such_clause(document):
    document["cases"][0]["clauses"] = ["META-99"]


def no_such_operation(document):
    document["cases"][0]["operation"] = "explained_variances"


def another_array(document):
    inputs = answered(document)["inputs"]
    inputs["xx"] = inputs.pop(next(iter(inputs)))


DAMAGE = {another_value: "sha256: is not index.json's", no_numbers: "holds no number, though every input does", fewer_samples: "elsewhere",
          flat_numbers: "not nested as its shape",
          anything_goes: "expected.", no_such_clause: "clauses: there is no META-99",
          no_such_operation: "operation: there is no explained_variances", another_array: "inputs.xx: the operation has no such array"}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Golden data of one area, in line with the reference."""
    folder = tmp_path_factory.mktemp("whole")
    shutil.copy(FIXTURES / FILE, folder)
    assert start(folder, program=GENERATE).status == 0 and golden_cases.__wrapped__(folder)
    return folder


@pytest.fixture
def corpus(whole, tmp_path):
    """A copy of it, to be damaged."""
    return shutil.copytree(whole, tmp_path / "fixtures")


def refused(folder):
    """The one line with which the suite refuses to start, after the generator has refused it too."""
    ran = start(folder, "--check", program=GENERATE)
    assert ran.status == 1 and "Traceback" not in ran.text and len(ran.text.splitlines()) <= 2 and ".json: " in ran.text, ran.text
    return complaint(folder, FixtureError, golden_cases.__wrapped__, folder)


def damage(folder, change):
    """Change what the file says."""
    document = json.loads((folder / FILE).read_text())
    change(document)
    (folder / FILE).write_text(json.dumps(document))


@pytest.mark.parametrize("change", DAMAGE, ids=lambda change: change.__name__)
def test_damage_is_refused_by_the_suite_and_by_the_generator(change, corpus):
    damage(corpus, change)
    assert DAMAGE[change] in refused(corpus)


@pytest.mark.parametrize("change", [change for change in DAMAGE if change is not another_value], ids=lambda change: change.__name__)
def test_what_cannot_be_meant_is_refused_whatever_the_hash_says(change, corpus):
    damage(corpus, change)
    edit_index(corpus, lambda files: files[FILE].update(sha256=sha256(corpus / FILE)))
    assert DAMAGE[change] in complaint(corpus, FixtureError, golden_cases.__wrapped__, corpus)


def edit_index(folder, change):
    index = json.loads((folder / "index.json").read_text())
    change(index["files"])
    (folder / "index.json").write_text(json.dumps(index))


def test_a_file_that_the_index_does_not_know_is_refused(corpus):
    shutil.copy(corpus / FILE, corpus / "more.json")
    assert "more.json: is not in index.json" in refused(corpus)


def test_a_file_that_the_index_has_lost_is_refused(corpus):
    edit_index(corpus, lambda files: files.update({"other.json": files.pop(FILE)}))
    assert f"{FILE}: is not in index.json" in refused(corpus)
