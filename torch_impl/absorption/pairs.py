"""ABS at scale: evidence of candidate pairs, from the counts of `scan.py`.

Everything is (M, top), at the candidates' places [c, slot], p = index[c, slot]; where there is no candidate the cosine is NaN.
For its candidates the evidence is that of `evidence.evidence`: a test holds them together.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from ..kernels.sparse_products import gathered_dots
from .evidence import OF_A_PAIR, Evidence, LatentSums, PairSums, answers
from .scan import Counts
from .stream import Projected, exact_norms, exact_products

CHUNK = 2048         # children whose pairs are looked at at once


@torch.no_grad()
def evidence(counts: Counts, index: Tensor, W_dec: Tensor, advance: Callable[[int], None] | None = None) -> Evidence:
    """Evidence of (M, top) fields, indexed [child, slot].

    counts   of the candidates
    index    (M, top)  candidate parents, -1 for none
    W_dec    (M, D)
    advance  called with the number of children done, after each chunk
    Clauses: ABS-24 to ABS-27, ABS-35, ABS-36, ABS-39, ABS-43.
    """
    norms = exact_norms(W_dec)                              # (M,)
    in_all = exact_products(W_dec, counts.total)            # (M,)  times the norms
    rows = W_dec.to(counts.x_when.dtype)                    # of many latents sums are float32, and so are their components
    parts = []
    for begin in range(0, len(index), CHUNK):
        c = slice(begin, min(begin + CHUNK, len(index)))
        parts.append(_of_children(c, counts, index, rows, norms, in_all))
        if advance is not None:
            advance(c.stop - c.start)
    whole = Evidence(*map(torch.cat, zip(*parts)))
    return whole._replace(enough=whole.enough & (index >= 0), cosine=whole.cosine.where(index >= 0, torch.nan))


def _of_children(c: slice, counts: Counts, index: Tensor, rows: Tensor, norms: Tensor, in_all: Tensor) -> Evidence:
    """Evidence (n, top) of the pairs of n children with all of their candidates; rows (M, D) are W_dec's."""
    p = index[c].clamp_min(0)                               # (n, top)
    p_norm, c_norm = (norms[which].where(norms[which] > 0, 1) for which in (p, c))          # (n, top), (n,)
    offsets = torch.arange(len(p) + 1, device=p.device) * p.shape[1]

    def dots(of_children: Tensor, of_parents: Tensor) -> Tensor:
        """Of each child's row with its candidates' (n, top); both (M, D)."""
        return gathered_dots(of_children[c], p.flatten(), offsets, of_parents).view(p.shape).double()

    projected = Projected(p_in_all=in_all[p] / p_norm, c_in_all=(in_all[c] / c_norm)[:, None],
                          p_in_c=dots(counts.x_when, rows) / p_norm, c_in_p=dots(rows, counts.x_when) / c_norm[:, None],
                          residual_in_c=dots(counts.r_when, rows) / p_norm,
                          norm=norms[p], cosine=dots(rows, rows) / p_norm / c_norm[:, None])
    of_both = {name: getattr(counts, name)[c] for name in OF_A_PAIR}
    sums = PairSums(counts.samples, LatentSums.of(counts, p), LatentSums.of(counts, (c, None)), **of_both)
    return answers(sums, projected)


def ranked(which: Tensor, probability: Tensor) -> tuple[Tensor, Tensor]:
    """Children and slots, (n,) each, of some pairs, the most probable first.

    which        (M, top) bool
    probability  (M, top)
    """
    child, slot = which.nonzero(as_tuple=True)
    order = probability[child, slot].argsort(descending=True, stable=True)
    return child[order], slot[order]


def coefficients(parents: Tensor, children: Tensor, W_dec: Tensor) -> Tensor:
    """A at pairs (n,), float64: the child's row along its parent's, in units of that.

    parents, children  (n,)
    W_dec              (M, D)
    Clauses: ABS-33.
    """
    p, c = W_dec[parents].double(), W_dec[children].double()
    squares = torch.linalg.vecdot(p, p)
    return torch.linalg.vecdot(p, c) / squares.where(squares > 0, 1)


def corrected(acts: Tensor, parents: Tensor, children: Tensor, along: Tensor) -> Tensor:
    """acts (B, M) plus what detected children carry, in acts' dtype.

    parents, children  (n,)
    along              (n,)  their `coefficients`
    Clauses: ABS-34.
    """
    carried = acts[:, children].double() * along            # (B, n)
    return acts.double().index_add(1, parents, carried).to(acts.dtype)
