"""Files that cannot be used: one line that names the file and the field, and not a byte is overwritten."""

import json
import shutil

import numpy as np
import pytest

from sae_spec.spec_tests.core.cases import FIXTURES, FixtureError, golden_cases, read_cases, sha256
from sae_spec.spec_tests.core.complaints import complaint
from sae_spec.spec_tests.core.known_failures import known_failures_text, read_known_failures

CASE = {"id": "relu-plain", "clauses": ["ACT-1"], "flags": [], "tier": "exact", "comment": "a case for this test",
        "operation": "activation", "config": {"activation": "relu"},
        "inputs": {"pre": {"shape": [1, 2], "data": [[-1, 0.5]]}},
        "expected": {"acts": {"shape": [1, 2], "data": [[0, 0.5]]}}}
DOCUMENT = {"format": 1, "spec": "0.1", "area": "ACT", "flags": {}, "cases": [CASE]}


def changed(document, path, value=None):
    """A deep copy in which what stands at `path` is `value`; None deletes it."""
    copy = json.loads(json.dumps(document))
    place = copy
    for key in path[:-1]:
        place = place[key]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return copy


# ---------------------------------------------------------------- fixtures

@pytest.mark.parametrize("content, said", [
    (b"", "line 1: not JSON"),
    (json.dumps(DOCUMENT).encode()[:-40], "line 1: not JSON"),
    (b'{"format": 1,\n "cases": [}', "line 2: not JSON"),
    (b'{"format": NaN}', "a bare NaN is not JSON"),
    (b"\xff\xfe\x00", "is not UTF-8 text"),
    (b"[]", "format: is missing"),
    (b'{"cases": []}', "format: is missing"),
])
def test_a_fixture_file_that_is_no_document(content, said, tmp_path):
    path = tmp_path / "area.json"
    path.write_bytes(content)
    assert complaint(tmp_path, FixtureError, read_cases, path).startswith(f"{path}: {said}")


@pytest.mark.parametrize("where, value, said", [
    (["format"], 2, "format: is 2, this suite reads 1"),
    (["format"], "1", "format: is '1', this suite reads 1"),
    (["spec"], None, "the document: 'spec' is a required property"),
    (["area"], "ACTS", "area: "),
    (["more"], 1, "the document: Additional properties"),
    (["cases"], {}, "cases: "),
    (["cases", 0], 5, "cases[0]: 5 is not of type 'object'"),
    (["cases", 0, "id"], "Not a slug", "cases[0].id: "),
    (["cases", 0, "clauses"], [], "cases[0].clauses: "),
    (["cases", 0, "operation"], None, "cases[0]: 'operation' is a required property"),
    (["cases", 0, "tier"], "vague", "cases[0].tier: "),
    (["cases", 0, "expected"], None, "cases[0]: "),
    (["cases", 0, "flags"], ["Tie"], "cases[0].flags: Tie is not among the file's flags"),
    (["cases", 0, "inputs", "pre", "shape"], [2, 2], "cases[0].inputs.pre: holds 2 numbers, its shape [2, 2] needs 4"),
    (["cases", 0, "inputs", "pre", "shape"], [-1], "cases[0].inputs.pre.shape[0]: "),
    (["cases", 0, "inputs", "pre", "shape"], None, "cases[0].inputs.pre: 'shape' is a required property"),
    (["cases", 0, "expected", "acts", "data"], [["nan", 1]], "cases[0].expected.acts.data: "),
    (["cases", 0, "expected", "acts", "exact_in"], ["float8"], "cases[0].expected.acts.exact_in[0]: "),
], ids=lambda value: value if isinstance(value, str) else None)
def test_a_fixture_file_with_one_wrong_field(where, value, said, tmp_path):
    path = tmp_path / "area.json"
    path.write_text(json.dumps(changed(DOCUMENT, where, value)))
    assert complaint(tmp_path, FixtureError, read_cases, path).startswith(f"{path}: {said}")


def test_the_fixture_file_without_a_wrong_field_is_read(tmp_path):
    path = tmp_path / "area.json"
    path.write_text(json.dumps(DOCUMENT))
    (case,) = read_cases(path)
    assert case.id == "relu-plain" and np.array_equal(case.expected["acts"], [[0, 0.5]])


def test_a_fixture_file_that_is_not_there(tmp_path):
    path = tmp_path / "area.json"
    assert complaint(tmp_path, FixtureError, read_cases, path) == f"{path}: cannot be read: No such file or directory"


@pytest.fixture
def corpus(tmp_path):
    """A small corpus: one file with two cases, and its index."""
    second = CASE | {"id": "relu-again"}
    (tmp_path / "area.json").write_text(json.dumps(DOCUMENT | {"cases": [CASE, second]}))
    index = {"format": 1, "spec": "0.1", "retired": [],
             "files": {"area.json": {"cases": 2, "sha256": sha256(tmp_path / "area.json")}}}
    (tmp_path / "index.json").write_text(json.dumps(index))
    assert len(golden_cases.__wrapped__(tmp_path)) == 2
    return tmp_path


def edit(path, where, value):
    path.write_text(json.dumps(changed(json.loads(path.read_text()), where, value)))


@pytest.mark.parametrize("file, where, value, said", [
    ("index.json", ["files", "area.json", "cases"], 3, "area.json: cases: holds 2, index.json promises 3"),
    ("area.json", ["cases", 1], None, "area.json: cases: holds 1, index.json promises 2"),
    ("index.json", ["files"], {}, "area.json: is not in index.json"),
    ("area.json", ["cases", 1, "id"], "relu-plain", "area.json: id: relu-plain is used twice"),
    ("index.json", ["retired"], ["relu-again"], "area.json: id: relu-again is used twice or was retired"),
    ("index.json", ["files", "more.json"], {"cases": 0, "sha256": ""}, "more.json: cannot be read"),
    ("index.json", ["files"], None, "index.json: files: "),
    ("index.json", ["retired"], None, "index.json: retired: "),
    ("index.json", ["files", "area.json"], 2, "index.json: files"),
    ("index.json", ["files", "area.json", "sha256"], None, "index.json: files.area.json.sha256: "),
    ("index.json", ["files", "area.json", "sha256"], "0" * 64, "area.json: sha256: is not index.json's"),
    ("index.json", ["files", "area.json", "cases"], None, "index.json: files"),
])
def test_a_corpus_that_does_not_fit_its_index(corpus, file, where, value, said):
    edit(corpus / file, where, value)
    assert complaint(corpus, FixtureError, golden_cases.__wrapped__, corpus).startswith(f"{corpus}/{said}")


def test_a_corpus_without_a_case(tmp_path):
    (tmp_path / "index.json").write_text(json.dumps({"format": 1, "spec": "0.1", "retired": [], "files": {}}))
    assert "index.json: files: no golden case at all" in complaint(tmp_path, FixtureError, golden_cases.__wrapped__, tmp_path)


@pytest.mark.parametrize("content", ["", "[]", "{", '"text"', '{"format": 2, "retired": [], "files": {}}'])
def test_an_index_that_is_no_index(corpus, content):
    (corpus / "index.json").write_text(content)
    assert complaint(corpus, FixtureError, golden_cases.__wrapped__, corpus).startswith(f"{corpus / 'index.json'}: ")


def test_a_copy_of_the_golden_data_cut_short_at_its_end(tmp_path):
    for path in FIXTURES.glob("*.json"):
        shutil.copy(path, tmp_path)
    path = tmp_path / "activations.json"
    path.write_bytes(path.read_bytes()[:-20])
    assert complaint(tmp_path, FixtureError, golden_cases.__wrapped__, tmp_path).startswith(f"{path}: line ")


# ---------------------------------------------------------------- known failures

@pytest.mark.parametrize("content, said", [
    ("[[known_failure]", "not TOML"),
    ("[[known_failure]]\nclause = 'ACT-1'", "known_failure[0]: needs a reason"),
    ("[[known_failure]]\nreason = 'r'", "known_failure[0]: needs a reason and exactly one of clause, case, test"),
    ("[[known_failure]]\nreason = 'r'\nclause = 'ACT-1'\ncase = 'c'", "known_failure[0]: needs a reason and exactly"),
    ("[[known_failure]]\nreason = 'r'\nclause = 'ACT-1'\nclauses = 1", "known_failure[0]: unknown field clauses"),
    ("[[known_failure]]\nreason = 'r'\nclause = 5", "known_failure[0].clause: "),
    ("[[known_failure]]\nreason = 'r'\nclause = 'ACT-1'\njudgement = 'taste'", "known_failure[0].judgement: must be convention or mistake"),
    ("[[known_failure]]\nreason = 'r'\nclause = 'ACT-1'\nwhere = 'topk.py'", "known_failure[0].where: must be file:line"),
    ("known_failure = 5", "known_failure: "),
    ("known_failure = [5]", "known_failure[0]: "),
    ("[[known_failures]]\nreason = 'r'", "known_failures: unknown"),
])
def test_a_list_of_known_failures_that_cannot_be_used(content, said, tmp_path):
    path = tmp_path / "known.toml"
    path.write_text(content)
    assert complaint(tmp_path, ValueError, read_known_failures, path).startswith(f"{path}: {said}")


def test_a_list_of_known_failures_that_is_not_there_or_not_text(tmp_path):
    path = tmp_path / "known.toml"
    assert complaint(tmp_path, ValueError, read_known_failures, path).startswith(f"{path}: cannot be read")
    path.write_bytes(b"\xff\xfe")
    assert complaint(tmp_path, ValueError, read_known_failures, path).startswith(f"{path}: ")


def test_a_good_list_of_known_failures_is_read(tmp_path):
    path = tmp_path / "known.toml"
    path.write_text("[[known_failure]]\nclause = 'ACT-*'\ndtype = 'bfloat16'\nreason = 'r'\nlink = 'l'")
    (known,) = read_known_failures(path)
    assert known.matches(["ACT-3"], "", "bfloat16") and not known.matches(["ACT-3"], "", "float32")


def test_what_a_person_judged_is_kept_when_the_list_is_written_anew(tmp_path):
    path = tmp_path / "known.toml"
    path.write_text("[[known_failure]]\nclause = 'ACT-5'\nreason = 'r'\njudgement = 'mistake'\nwhere = 'a/topk.py:12'\n")
    known = read_known_failures(path)
    path.write_text(known_failures_text(known, []))
    assert read_known_failures(path) == known and known[0].judgement == "mistake" and known[0].where == "a/topk.py:12"
