"""Claims about absorption, as small seeded experiments with computed verdicts.

They come from the literature and from the public discussion of "Toy Models of Feature Absorption in SAEs", which the
claims call the thread.

    python -m sae_spec.spec_tests.claims [--only NAME] [--seeds 5] [--out build/claims]
    python -m sae_spec.spec_tests.claims.zoo            the detector, tried on hundreds of SAEs
    python -m sae_spec.spec_tests.claims.budgets        ways to spend a budget, trained beside topk
"""

from pathlib import Path

MEASURED = Path(__file__).resolve().parent / "measured"     # the file itself: an editable installation holds links to files


def keep(text, path, record=None):
    """Writes what was found to `path`; and, where it is to be kept for the documents, to the file `record` of MEASURED."""
    from sae_spec.torch_impl.training.atomic import replace_text

    for each in [path] if record is None else [path, MEASURED / record]:
        replace_text(each, text)
