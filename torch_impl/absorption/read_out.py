"""ABS, the corrected read-out: detected children speak for their parents too."""

from .detector import THRESHOLD


def read_out_matrix(score, W_dec, threshold=THRESHOLD):
    """A (M, M): the child's row along the parent's, in units of the parent's; 0 for undetected pairs.

    Clauses: ABS-33.
    """
    rows = W_dec.double()
    products = rows @ rows.T                                # (M, M)
    squares = products.diag()[:, None]                      # (M, 1)
    along = products / squares.where(squares > 0, 1)
    return along.where(score.double() > threshold, 0)


def corrected(acts, A):
    """acts (B, M) and what detected children carry, in acts' dtype.  Clauses: ABS-34."""
    wide = acts.double()
    return (wide + wide @ A.double().T).to(acts.dtype)
