"""--summary: what a run found, in a page that others read."""

import json
import shlex
import xml.etree.ElementTree as ElementTree
from html.parser import HTMLParser

import pytest

from sae_spec.reference import SPEC_VERSION
from sae_spec.spec_tests.adoption.summary import FORMATS, VERDICTS, verdict
from sae_spec.spec_tests.core.clauses import clauses
from sae_spec.spec_tests.core.commands import start
from sae_spec.spec_tests.itself.command.samples import RELU_ONLY, WRONG_TIES, adapter

WORDS = ("--clause", "ACT-1", "--clause", "ACT-5", "--dtype", "float64")


@pytest.fixture(scope="module")
def broken(tmp_path_factory):
    """The report of the adapter with wrong ties, its folder, and the Markdown that it printed."""
    folder = tmp_path_factory.mktemp("broken")
    ran = start(folder, "--adapter", adapter(folder, WRONG_TIES), *WORDS, "--summary", "markdown", "--report", "out.json")
    return json.loads((folder / "out.json").read_text()), folder, ran


def test_markdown_is_all_that_the_standard_output_gets(broken):
    report, _, ran = broken
    assert ran.status == 1 and ran.out == FORMATS["markdown"](report)
    assert "tests: " in ran.err and "begin with topk-" in ran.err


def test_it_says_who_what_and_how_it_ended(broken):
    ran = broken[2]
    assert ran.out.startswith(f"**wrong-ties 0.3 does not hold to sae-spec {SPEC_VERSION} (")
    head, _, *rows = [line for line in ran.out.splitlines() if line.startswith("|")]
    names = [name.strip() for name in head.strip("|").split("|")]
    (row,) = [dict(zip(names, line.strip("|").split("|"))) for line in rows if line.startswith("| Activations")]
    assert names == ["clauses", *VERDICTS] and int(row["fail"]) >= 1 and int(row["pass"]) >= 1


def test_each_failing_clause_has_its_sentence_and_a_command_that_fails(broken):
    report, folder, ran = broken
    failing = {id for failure in report["failures"] for id in failure["clauses"]}
    assert "ACT-5" in failing and all(ran.out.count(f"**{id}** {clauses()[id].sentence}\n") == 1 for id in failing)
    offered = [shlex.split(line) for line in ran.out.splitlines() if line.startswith("python -m sae_spec.spec_tests ")]
    assert len(offered) == len(set(map(tuple, offered))) <= len(failing)
    again = start(folder, *next(words for words in offered if "--case" in words)[3:])
    assert again.status == 1 and "want " in again.out


def test_a_page_of_html_says_the_same(broken):
    pytest.importorskip("jinja2")
    report, words = broken[0], []
    parser = HTMLParser()
    parser.handle_data = words.append
    parser.feed(FORMATS["html"](report))
    text = " ".join(words)
    assert "wrong-ties 0.3 does not hold to" in text and clauses()["ACT-5"].sentence in text and "--case topk-" in text


def test_a_file_gets_the_summary_and_the_terminal_the_rest(tmp_path):
    ran = start(tmp_path, "--adapter", adapter(tmp_path, RELU_ONLY), *WORDS, "--summary", "markdown", "--summary-file", "new/page.md")
    assert ran.status == 0 and "tests: " in ran.out
    assert (tmp_path / "new" / "page.md").read_text().startswith("**relu-only 1 holds to sae-spec ")
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["page.md"]


def test_json_is_the_report_and_junit_counts_the_same(tmp_path):
    path = adapter(tmp_path, RELU_ONLY)
    printed = start(tmp_path, "--adapter", path, *WORDS, "--summary", "json")
    report = json.loads(printed.out)
    suite = ElementTree.fromstring(start(tmp_path, "--adapter", path, *WORDS, "--summary", "junit").out)[0]
    assert report["exit_status"] == printed.status == 0
    assert [int(suite.get(name)) for name in ("tests", "failures", "skipped")] == \
        [sum(report["tests"].values()), 0, report["tests"]["unsupported"]]
    assert all(skipped.get("message").startswith("unsupported: ") for skipped in suite.iter("skipped"))


def test_of_a_run_that_did_not_begin_nothing_is_told(tmp_path):
    path = adapter(tmp_path, RELU_ONLY)
    ran = start(tmp_path, "--adapter", path, "--clause", "ACT-5", "--case", "relu-at-zero", "--summary", "json", "--summary-file", "out")
    assert ran.status in (1, 2) and not (tmp_path / "out").exists()


@pytest.mark.parametrize("words, said", [
    (("--summary", "pdf"), "--summary pdf: must be one of markdown, html, json, junit"),
    (("--summary-file", "out.md"), "--summary-file out.md: --summary is missing"),
])
def test_a_summary_that_cannot_be_made_is_one_line(words, said, refused):
    assert said in refused("--adapter", "reference_numpy", *words)


def test_a_summary_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "taken").write_text("")
    path = adapter(tmp_path, RELU_ONLY)
    ran = start(tmp_path, "--adapter", path, *WORDS, "--golden-only", "--summary", "json", "--summary-file", "taken/out.json")
    assert ran.status == 2 and "taken/out.json: cannot be written: " in ran.err.splitlines()[-1]


@pytest.mark.parametrize("counts, word", [
    ({"pass": 2, "fail": 0, "unsupported": 0, "known_failure": 0}, "pass"),
    ({"pass": 2, "fail": 0, "unsupported": 1, "known_failure": 0}, "in part"),
    ({"pass": 0, "fail": 0, "unsupported": 1, "known_failure": 0}, "unsupported"),
    ({"pass": 2, "fail": 0, "unsupported": 1, "known_failure": 1}, "known failure"),
    ({"pass": 2, "fail": 1, "unsupported": 1, "known_failure": 1}, "fail"),
])
def test_the_worst_that_a_dtype_shows_is_the_verdict(counts, word):
    clean = {"pass": 1, "fail": 0, "unsupported": 0, "known_failure": 0}
    assert verdict({"float64": counts}) == word
    assert verdict({"float64": counts, "float32": clean}) == ("in part" if word == "unsupported" else word)
