"""Mutants of TRAIN: rows of norm 1, and gradients that keep them so."""

from unittest.mock import patch

import numpy as np

from sae_spec.reference.sae import training
from sae_spec.spec_tests.mutants import mutant

TINY = np.finfo(np.float64).eps


def norms(W):
    return np.sqrt((W**2).sum(-1, keepdims=True))


@mutant("normalize rows: a zero row becomes NaN", clause="TRAIN-1", target="constraints.normalize_rows",
        seen_in=("dictionary_learning 0.1.0",), where="Standard")
def zero_row_is_nan(right, W):
    with np.errstate(invalid="ignore"):
        return W / norms(W)


@mutant("normalize rows: epsilon added to the norm", clause="TRAIN-1", target="constraints.normalize_rows",
        seen_in=("dictionary_learning 0.1.0",), convention=True)
def epsilon_in_the_norm(right, W):
    return W / (norms(W) + TINY)


@mutant("normalize rows: short rows left short", clause="TRAIN-1", target="constraints.normalize_rows")
def short_rows_stay(right, W):
    return W / np.maximum(norms(W), 1.0)


@mutant("normalize rows: columns instead", clause="TRAIN-1", target="constraints.normalize_rows")
def columns_instead(right, W):
    return right(W.T).T


@mutant("normalize rows: one norm for the whole matrix", clause="TRAIN-1", target="constraints.normalize_rows")
def one_norm_for_all(right, W):
    return right(W.reshape(1, -1)).reshape(W.shape)


@mutant("projection: rows assumed to have norm 1", clause="TRAIN-2", target="constraints.project_gradient",
        seen_in=("sparsify 1.3.3",), convention=True)
def unit_rows_assumed(right, d_W, W):
    return d_W - (d_W * W).sum(-1, keepdims=True) * W


@mutant("projection: divided by the norm once", clause="TRAIN-2", target="constraints.project_gradient")
def divided_once(right, d_W, W):
    return d_W - (d_W * W).sum(-1, keepdims=True) * W / np.maximum(norms(W), TINY)


@mutant("projection: 1e-6 added to the norm", clause="TRAIN-2", target="constraints.project_gradient",
        seen_in=("dictionary_learning 0.1.0",), convention=True)
def epsilon_in_the_projection(right, d_W, W):
    unit = W / (norms(W) + 1e-6)
    return d_W - (d_W * unit).sum(-1, keepdims=True) * unit


@mutant("projection: a zero row's gradient becomes NaN", clause="TRAIN-2", target="constraints.project_gradient",
        seen_in=("dictionary_learning 0.1.0",), where="Standard")
def zero_row_gradient_is_nan(right, d_W, W):
    return np.where(norms(W) == 0, np.nan, right(d_W, W))


@mutant("projection: a zero row's gradient is dropped", clause="TRAIN-2", target="constraints.project_gradient")
def zero_row_gradient_is_dropped(right, d_W, W):
    return np.where(norms(W) == 0, 0.0, right(d_W, W))


@mutant("projection: keeps what it should take", clause="TRAIN-2", target="constraints.project_gradient")
def the_other_component(right, d_W, W):
    return d_W - right(d_W, W)


@mutant("thresholds: may become negative", clause="TRAIN-15", target="constraints.project_thresholds",
        seen_in=("dictionary_learning 0.1.0",), where="jumprelu, whose acts then are negative in training alone")
def negative_thresholds(right, theta):
    return theta


@mutant("thresholds: their size", clause="TRAIN-15", target="constraints.project_thresholds")
def reflected(right, theta):
    return np.abs(theta)


@mutant("thresholds: never 0", clause="TRAIN-15", target="constraints.project_thresholds")
def above_a_floor(right, theta):
    return np.maximum(theta, 2.0**-10)


@mutant("thresholds: projected before the step, not after it", clause="TRAIN-15", target="training.move",
        seen_in=("SAELens 6.54.12",), where="at the start of the next forward", convention=True)
def projected_late(right, state, grads, config):
    if "theta" in state.params:
        state = state._replace(params=state.params | {"theta": np.maximum(state.params["theta"], 0)})
    with patch.object(training, "project_thresholds", lambda theta: theta):
        return right(state, grads, config)


@mutant("thresholds: where they are projected Adam forgets", clause="TRAIN-15", target="training.move")
def forgetful(right, state, grads, config):
    params, (first, second) = right(state, grads, config)
    if "theta" in params:
        keep = params["theta"] > 0
        first, second = ({**moment, "theta": moment["theta"] * keep} for moment in (first, second))
    return params, training.Moments(first, second)
