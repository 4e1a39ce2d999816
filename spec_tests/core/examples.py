"""Which examples Hypothesis draws: a matter of the property alone, so that two runs on two machines say the same.

With `derandomize` the seed is the property's own source. But since 6.131 Hypothesis also draws the numbers that it
finds in the source of whatever the process has imported, and of two workers each has imported something else.
"""

from hypothesis.internal.conjecture import providers


def draw_from_the_seed_alone():
    """There is no setting for it: a Hypothesis that has renamed the function draws as it likes, and test_examples.py fails."""
    if hasattr(providers, "_get_local_constants"):
        none_found = type(providers._local_constants)()
        providers._get_local_constants = lambda: none_found
