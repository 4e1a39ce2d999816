"""The bench measures what it says: every subject takes steps, and those that should compute one loss do."""

import json

import pytest

torch = pytest.importorskip("torch")

from sae_spec.spec_tests.core.commands import SCRIPT, start
from sae_spec.torch_impl.absorption.find import find_absorption
from sae_spec.torch_impl.program.bench import record, scan, session
from sae_spec.torch_impl.program.bench.table import table

SHAPE = {"D": 8, "M": 32, "k": 4, "B": 16}


@pytest.mark.long
def test_a_small_session():
    found = session.run(**SHAPE, rounds=2, device="cpu", python_of_peers=None, tell=lambda text: None)
    assert set(found["subjects"]) == set(session.OURS) and found["losses_agree"]
    for name, each in found["subjects"].items():
        assert len(each["seconds"]) == 2 and min(each["seconds"]) > 0, name
    assert found["subjects"]["product"]["paired_ratio"] == 1
    assert table(found).row_count == len(session.OURS)


def test_a_subject_that_cannot_start_is_told_and_left_out():
    one = session.Subject("product", ["python", "-c", "raise SystemExit('no such library')"], "nowhere")
    assert one.read() is None and one.error == "no such library"
    one.stop()


def test_losses_that_differ_are_noticed():
    def subject(name, loss):
        made = object.__new__(session.Subject)
        made.name, made.seconds, made.error, made.about, made.peak = name, [1.0, 2.0], None, {"version": "1", "loss": loss}, 0
        return made

    settings = SHAPE | {"threads": 1, "device": "cpu"}
    doc = lambda loss: session.document(settings, [subject("product", None), subject("topk", 1.0), subject("sparsify topk", loss)], 2)
    assert doc(1.0)["losses_agree"] and not doc(1.1)["losses_agree"]


def test_a_record_keeps_one_session_of_each_shape(tmp_path):
    def found(M, median, device="cpu"):
        subjects = {"product": {"median": median, "seconds": [median] * 3, "quartiles": [1.0, 2.0], "version": "", "loss": None},
                    "peer": {"error": "no such library"}}
        return {"settings": {"M": M, "device": device}, "rounds": 3, "machine": {"torch": "2"}, "losses_agree": None, "subjects": subjects}

    path = tmp_path / "measured.json"
    for each in (found(64, 1.0), found(32, 1.0, "cuda"), found(32, 1.0), found(64, 0.123456)):
        record.add(each, path)
    kept = record.read(path)
    assert [(each["settings"]["device"], each["settings"]["M"]) for each in kept] == [("cpu", 32), ("cpu", 64), ("cuda", 32)]
    assert kept[1]["subjects"] == {"product": {"version": "", "median": 0.1235, "quartiles": [1.0, 2.0]},
                                   "peer": {"error": "no such library"}}


def test_without_a_gpu_one_sentence_says_so(tmp_path, monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")          # also where there is one
    ran = start(tmp_path, "bench", "--quick", "--device", "cuda", program=SCRIPT)
    assert ran.status == 2 and ran.text.startswith("error: device: cuda cannot be used here") and ran.text.count("\n") == 1


def test_the_scan_finds_what_was_absorbed_and_keeps_what_was_measured(tmp_path, capsys):
    sizes = {"M": 64, "D": 24, "top": 8, "block": 32, "stream_M": 32, "k": 8, "samples": 2000, "rounds": 2}
    assert scan.main([*(f"--{name}={size}" for name, size in sizes.items()), "--record", str(tmp_path / "kept.json")]) == 0
    kept, told = json.loads((tmp_path / "kept.json").read_text()), capsys.readouterr().out
    assert kept["settings"] == sizes | {"device": "cpu", "threads": torch.get_num_threads()} and "find_absorption" in told
    assert list(kept["subjects"]) == list(scan.UNITS)
    for name, found in kept["subjects"].items():
        middle, least, most = found["ratio"]
        assert 0 < least <= middle <= most and (found["ratio"] == [1, 1, 1]) == (name in scan.UNITS.values())
    sae, features = scan.absorbing(32, 128, 4)
    found = find_absorption(sae, scan.draw(features, 20_000, on=2))
    assert {(pair.parent, pair.child) for pair in found.pairs} >= {(0, 1), (8, 9), (16, 17), (24, 25)}
