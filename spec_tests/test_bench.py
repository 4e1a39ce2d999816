"""The bench measures what it says: every subject takes steps, and those that should compute one loss do."""

import pytest

pytest.importorskip("torch")

from sae_spec.torch_impl.bench import session
from sae_spec.torch_impl.bench.table import table

SHAPE = {"D": 8, "M": 32, "k": 4, "B": 16}


@pytest.mark.long
def test_a_small_session():
    found = session.run(**SHAPE, rounds=2, python_of_peers=None, tell=lambda text: None)
    assert set(found["subjects"]) == set(session.OURS) and found["losses_agree"]
    for name, each in found["subjects"].items():
        assert len(each["seconds"]) == 2 and min(each["seconds"]) > 0, name
    assert found["subjects"]["product"]["paired_ratio"] == 1
    assert table(found).row_count == len(session.OURS)


def test_a_subject_that_cannot_start_is_told_and_left_out():
    one = session.Subject("product", ["python", "-c", "raise SystemExit('no such library')"], "nowhere")
    assert one.read() is None and one.error == "no such library"
    one.__exit__()


def test_losses_that_differ_are_noticed():
    def subject(name, loss):
        made = object.__new__(session.Subject)
        made.name, made.seconds, made.error, made.about, made.peak = name, [1.0, 2.0], None, {"version": "1", "loss": loss}, 0
        return made

    settings = SHAPE | {"threads": 1}
    doc = lambda loss: session.document(settings, [subject("product", None), subject("topk", 1.0), subject("sparsify topk", loss)], 2)
    assert doc(1.0)["losses_agree"] and not doc(1.1)["losses_agree"]
