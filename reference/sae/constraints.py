"""TRAIN, the constraint: after every training step the decoder's rows have norm 1.

An activation and a row write the same as half the activation and twice the row. With rows of norm 1 there is one way
left to say it: activations of different latents can be compared, and a cost that does not weigh them by the rows'
norms cannot be lowered by longer rows.
"""

import numpy as np


def row_norms(W):
    """Euclidean norm of each row.

    W       (M, D)
    returns norms (M,)
    """
    return np.sqrt((W**2).sum(-1))                          # (M,)


def normalize_rows(W):
    """Scale each row to norm 1.

        unit[i] = W[i] / ||W[i]||

    W       (M, D)
    returns unit (M, D)

    [TRAIN-1] A zero row has no direction and stays zero; no NaN arises.
    """
    norms = row_norms(W)[:, np.newaxis]                     # (M, 1)
    return W / np.where(norms == 0, 1.0, norms)             # (M, D)


def project_gradient(d_W, W):
    """Take out of each row's gradient what would only change the row's length.

        d_W[i] <- d_W[i] - (d_W[i] · u) u,    u = W[i] / ||W[i]||

    d_W, W  (M, D)
    returns d_W (M, D)

    [TRAIN-2] What is left of a row's gradient is orthogonal to the row, whatever the row's length; a zero
              row's gradient is left as it is.
    """
    unit = normalize_rows(W)                                # (M, D)
    along = (d_W * unit).sum(-1, keepdims=True)             # (M, 1)
    return d_W - along * unit                               # (M, D)


def project_thresholds(theta):
    """The nearest thresholds that a JumpReLU can have.

        theta[i] <- max(theta[i], 0)

    theta   (M,)
    returns theta (M,)

    [TRAIN-15] A trained theta that a step takes below 0 is 0 after it, before anything reads it; Adam's moments stay.
    """
    return np.maximum(theta, 0.0)                           # (M,)
