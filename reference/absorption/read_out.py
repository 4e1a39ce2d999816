"""ABS, the corrected read-out: activations in which a parent is on again where it was absorbed into a child."""

import numpy as np

from .detector import ABSORBED


def read_out_matrix(probability, W_dec, threshold=ABSORBED):
    """How much of its parent's activation one unit of a child's stands for.

        A[p, c] = W_dec[c] · W_dec[p] / ||W_dec[p]||^2   where probability[p, c] > threshold, else 0

    probability  (M, M)  of `absorption_probability`
    W_dec        (M, D)
    threshold    above which a pair counts as absorbed
    returns A (M, M)

    [ABS-33] The coefficient is the child's row along its parent's, in units of the parent's row: delta in the delta family.
    """
    squares = (W_dec**2).sum(-1)[:, np.newaxis]             # (M, 1)
    along = W_dec @ W_dec.T / np.where(squares > 0, squares, 1.0)                 # (M, M)
    return np.where(probability > threshold, along, 0.0)


def corrected(acts, A):
    """The corrected read-out: to a parent's activation is added what its absorbing children carry of it.

        read_out[b, p] = acts[b, p] + sum_c A[p, c] · acts[b, c]

    acts  (B, M)
    A     (M, M)
    returns read_out (B, M)

    [ABS-34] Nothing is added but what a detected child carries: with A = 0 the read-out is the activations.
    """
    return acts + acts @ A.T                                # (B, M)
