"""Weights by logistic regression, each kind of world left out in turn; and what the sum is worth on the kind left out."""

import numpy as np
from scipy.optimize import minimize

RIDGE = 1e-4         # on weights of answers from 0 to 1, with sample weights that sum to 1


def logistic(answers, label, weight):
    """w (K + 1,), the last one the intercept: the smallest weighted log loss of label (n,) by answers (n, K)."""
    columns = np.c_[answers, np.ones(len(answers))]
    free = np.r_[np.ones(answers.shape[1]), 0.0]

    def loss(w):
        z = columns @ w
        slope = columns.T @ (weight * (probability(z) - label))
        return (weight * (np.logaddexp(0, z) - label * z)).sum() + RIDGE * (free * w**2).sum(), slope + 2 * RIDGE * free * w

    return minimize(loss, np.zeros(columns.shape[1]), jac=True, method="L-BFGS-B").x


def probability(log_odds):
    return 1 / (1 + np.exp(-log_odds))


def balanced(kind):
    """Weights (n,) that sum to 1: a kind of world counts by the root of the number of its pairs."""
    _, place, count = np.unique(kind, return_inverse=True, return_counts=True)
    weight = count[place] ** -0.5
    return weight / weight.sum()


def left_out(answers, kind, label, judged):
    """probability (n,), for each kind from weights that have not seen it; 0 where nothing is judged."""
    result = np.zeros(len(label))
    for each in np.unique(kind):
        seen, here = judged & (label >= 0) & (kind != each), judged & (kind == each)
        if here.any():
            w = logistic(answers[seen], label[seen], balanced(kind[seen]))
            result[here] = probability(answers[here] @ w[:-1] + w[-1])
    return result


def at(score, label, threshold=0.5):
    """Precision and recall of the clear pairs above a threshold."""
    said, hit, no = score > threshold, label == 1, label == 0
    right = (said & hit).sum()
    return float(right / max(right + (said & no).sum(), 1)), float(right / max(hit.sum(), 1))


def best(score, yes):
    """Largest F1 over all thresholds, and precision and recall there; equal scores are told alike."""
    values, place = np.unique(-score, return_inverse=True)
    said = np.cumsum(np.bincount(place, minlength=len(values)))
    right = np.cumsum(np.bincount(place, weights=yes, minlength=len(values)))
    f1 = 2 * right / (said + yes.sum())
    top = f1.argmax()
    return {"best F1": float(f1[top]), "precision": float(right[top] / said[top]), "recall": float(right[top] / max(yes.sum(), 1))}


def best_f1(score, yes):
    """The largest F1 over all thresholds."""
    return best(score, yes)["best F1"] if yes.any() else float("nan")


def reliability(probability, label, bins=10):
    """[number of pairs, their mean probability, the share that is absorbed] of each tenth of probabilities that has any."""
    place = np.minimum((probability * bins).astype(int), bins - 1)
    return [[int((place == b).sum()), float(probability[place == b].mean()), float(label[place == b].mean())] for b in np.unique(place)]


def calibration_error(probability, label):
    """Expected calibration error: mean over tenths of |mean probability - share absorbed|, each by its number of pairs."""
    return sum(count * abs(mean - share) for count, mean, share in reliability(probability, label)) / len(label)
