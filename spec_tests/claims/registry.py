"""What a claim is: a sentence somebody made, an experiment, numbers, and a verdict computed from them."""

from collections.abc import Callable
from typing import NamedTuple

from matplotlib.figure import Figure


class Outcome(NamedTuple):
    """What an experiment found."""

    holds: bool          # does the sentence hold? computed from numbers, never typed
    numbers: dict        # what was measured
    rule: str            # how the verdict follows from the numbers
    figure: Figure


class Claim(NamedTuple):
    name: str
    sentence: str
    source: str
    experiment: Callable     # (seeds, tick) -> Outcome


CLAIMS = {}


def claim(name, sentence, source):
    """Registers an experiment as the test of a sentence."""
    def register(experiment):
        CLAIMS[name] = Claim(name, sentence, source, experiment)
        return experiment
    return register


def bars(groups, series, ylabel, title, dots=None):
    """A figure of grouped bars: series {label: a number per group}; dots {label: numbers to compare with}."""
    figure = Figure(figsize=(6, 3), layout="constrained")
    axes, width = figure.subplots(), 0.8 / len(series)
    for at, (label, values) in enumerate(series.items()):
        places = [i + (at - (len(series) - 1) / 2) * width for i in range(len(groups))]
        axes.bar(places, values, width, label=label)
        if dots and label in dots:
            axes.plot(places, dots[label], "kx", label="expected")
    axes.set(xticks=range(len(groups)), ylabel=ylabel, title=title)
    axes.set_xticklabels(groups, fontsize=7)
    axes.legend(fontsize=7)
    return figure


def lines(series, xlabel, ylabel, title, log=False, dashed=()):
    """A figure of curves: series {label: (xs, ys)}."""
    figure = Figure(figsize=(6, 3), layout="constrained")
    axes = figure.subplots()
    for label, (xs, ys) in series.items():
        axes.plot(xs, ys, "--" if label in dashed else "o-", label=label, markersize=3)
    axes.set(xlabel=xlabel, ylabel=ylabel, title=title, **({"xscale": "log", "yscale": "log"} if log else {}))
    axes.legend(fontsize=7)
    return figure
