"""ABS at scale: evidence of candidate pairs, from the counts of `scan.py`.

Everything is (M, top), at the candidates' places [c, slot], p = index[c, slot]; where there is no candidate the cosine is NaN.
For its candidates the evidence is that of `evidence.evidence`: a test holds them together.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from ..sae.constraints import row_norms
from .evidence import OF_A_PAIR, Evidence, LatentSums, PairSums, answers
from .scan import Counts
from .stream import Projected

CHUNK = 256          # children whose candidates' rows are gathered at once: (CHUNK, top, D) numbers


@torch.no_grad()
def evidence(counts: Counts, index: Tensor, W_dec: Tensor, advance: Callable[[int], None] | None = None) -> Evidence:
    """Evidence of (M, top) fields, indexed [child, slot].

    counts   of the candidates
    index    (M, top)  candidate parents, -1 for none
    W_dec    (M, D)
    advance  called with the number of children done, after each chunk
    Clauses: ABS-24 to ABS-27, ABS-35, ABS-36, ABS-39, ABS-43.
    """
    norms = row_norms(W_dec.double())                       # (M,)
    in_all = torch.cat([rows.double() @ counts.total for rows in W_dec.split(16 * CHUNK)])   # (M,)  times the norms
    parts = []
    for begin in range(0, len(index), CHUNK):
        c = slice(begin, min(begin + CHUNK, len(index)))
        parts.append(_of_children(c, counts, index, W_dec, norms, in_all))
        if advance is not None:
            advance(c.stop - c.start)
    whole = Evidence(*map(torch.cat, zip(*parts)))
    return whole._replace(enough=whole.enough & (index >= 0), cosine=whole.cosine.where(index >= 0, torch.nan))


def _of_children(c: slice, counts: Counts, index: Tensor, W_dec: Tensor, norms: Tensor, in_all: Tensor) -> Evidence:
    """Evidence (n, top) of the pairs of n children with all of their candidates."""
    p = index[c].clamp_min(0)                               # (n, top)
    p_norm, c_norm = (norms[which].where(norms[which] > 0, 1) for which in (p, c))          # (n, top), (n,)
    rows = W_dec[p].double()                                # (n, top, D)

    def along_p(vectors: Tensor) -> Tensor:
        """Components (n, top) of the children's vectors (M, D) along their candidates' decoder rows."""
        return (rows @ vectors[c].double().unsqueeze(-1)).squeeze(-1) / p_norm

    c_in_p = torch.linalg.vecdot(counts.x_when[p].double(), W_dec[c, None].double()) / c_norm[:, None]
    projected = Projected(p_in_all=in_all[p] / p_norm, c_in_all=(in_all[c] / c_norm)[:, None],
                          p_in_c=along_p(counts.x_when), c_in_p=c_in_p, residual_in_c=along_p(counts.r_when),
                          norm=norms[p], cosine=along_p(W_dec) / c_norm[:, None])
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
