"""ABS, the corrected read-out: activations in which parents are on again where they were absorbed."""

from torch import Tensor

from .detector import ABSORBED


def read_out_matrix(probability: Tensor, W_dec: Tensor, threshold: float = ABSORBED) -> Tensor:
    """A (M, M), float64: the child's row along the parent's, in units of the parent's; 0 for undetected pairs.

    probability  (M, M)  of `absorption_probability`
    W_dec        (M, D)
    threshold    above which a pair counts as detected
    Clauses: ABS-33.
    """
    rows = W_dec.double()
    products = rows @ rows.T                                # (M, M)
    squares = products.diag()[:, None]                      # (M, 1)
    along = products / squares.where(squares > 0, 1)
    return along.where(probability.double() > threshold, 0)


def corrected(acts: Tensor, A: Tensor) -> Tensor:
    """acts (B, M) plus what detected children carry, by A (M, M); in acts' dtype.  Clauses: ABS-34."""
    wide = acts.double()
    return (wide + wide @ A.double().T).to(acts.dtype)
