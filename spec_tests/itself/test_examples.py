"""Two processes draw the same examples, whatever else they have imported."""

import os
import subprocess
import sys
from pathlib import Path

DRAW = """
import sys
from hypothesis import given, settings, strategies as st
from sae_spec.spec_tests.core.examples import draw_from_the_seed_alone
draw_from_the_seed_alone()
if sys.argv[1:]:
    import full_of_numbers

@settings(derandomize=True, database=None, max_examples=400)
@given(st.integers())
def draw(number):
    print(number)

draw()
"""


def drawn(folder, *arguments):
    environment = os.environ | {"PYTHONPATH": str(folder)}
    ran = subprocess.run([sys.executable, folder / "draw.py", *arguments], capture_output=True, text=True, env=environment)
    assert not ran.returncode, ran.stderr
    return ran.stdout.split()


def test_what_else_is_imported_changes_no_example(tmp_path: Path):
    (tmp_path / "draw.py").write_text(DRAW)
    (tmp_path / "full_of_numbers.py").write_text("\n".join(f"seen = {7919 * number}" for number in range(200)))
    alone = drawn(tmp_path)
    assert len(alone) > 300
    assert drawn(tmp_path, "more") == alone
