"""ABS at scale: the detector's questions for candidate pairs, from the counts of absorption_scan.py.

Everything is (M, top), at the candidates' places [c, slot], p = index[c, slot]; where there is no candidate
the score is 0. On its candidates the score is that of detector.absorption_score: a test holds them together.
"""

from types import SimpleNamespace

import torch

from .patterns import lengths
from .detector import THRESHOLD
from .evidence import OF_A_PAIR, Evidence, Geometry, answers, sums

CHUNK = 256          # children whose candidates' rows are gathered at once: (CHUNK, top, D) numbers


@torch.no_grad()
def evidence(counts, index, W_dec, advance=None):
    """Evidence of (M, top) fields.  Clauses: ABS-24 to ABS-29, ABS-35 to ABS-39.

    advance  called with the number of children done
    """
    norms = lengths(W_dec)[:, 0]
    anywhere = torch.cat([rows.double() @ counts.total for rows in W_dec.split(16 * CHUNK)])   # times the norms
    parts = []
    for begin in range(0, len(index), CHUNK):
        c = slice(begin, min(begin + CHUNK, len(index)))
        parts.append(of_children(c, counts, index, W_dec, norms, anywhere))
        if advance is not None:
            advance(c.stop - c.start)
    found = Evidence(*map(torch.cat, zip(*parts)))
    return found._replace(enough=found.enough & (index >= 0))


def of_children(c, counts, index, W_dec, norms, anywhere):
    """Evidence of some children (a slice), with all of their candidates."""
    p = index[c].clamp_min(0)                               # (n, top)
    norm = norms[p].where(norms[p] > 0, 1)
    own = norms[c].where(norms[c] > 0, 1)
    rows = W_dec[p].double()                                # (n, top, D)
    with_row = lambda side: (rows @ side[c].double().unsqueeze(-1)).squeeze(-1) / norm
    back = torch.linalg.vecdot(counts.x_when[p].double(), W_dec[c, None].double()) / own[:, None]
    geometry = Geometry(anywhere=anywhere[p] / norm, anywhere_c=(anywhere[c] / own)[:, None], back=back,
                        during=with_row(counts.x_when), loudly=with_row(counts.x_loud),
                        cosine=with_row(W_dec) / own[:, None], norm_p=norms[p], norm_c=norms[c, None])
    pairs = SimpleNamespace(samples=counts.samples, **{name: getattr(counts, name)[c] for name in OF_A_PAIR})
    return answers(pairs, sums(counts, p), sums(counts, (c, None)), geometry)


def detected(scores, index, threshold=THRESHOLD):
    """Pairs above the threshold, the strongest first: parents, children, slots (n,).  Clauses: ABS-33."""
    child, slot = (scores > threshold).nonzero(as_tuple=True)
    order = scores[child, slot].argsort(descending=True, stable=True)
    child, slot = child[order], slot[order]
    return index[child, slot], child, slot


def coefficients(parents, children, W_dec):
    """A at detected pairs (n,): the child's row along its parent's, in units of that.  Clauses: ABS-33."""
    p, c = W_dec[parents].double(), W_dec[children].double()
    squares = torch.linalg.vecdot(p, p)
    return torch.linalg.vecdot(p, c) / squares.where(squares > 0, 1)


def corrected(acts, parents, children, along):
    """acts (B, M) and what detected children carry, in acts' dtype.  Clauses: ABS-34."""
    carried = acts[:, children].double() * along            # (B, n)
    return acts.double().index_add_(1, parents, carried).to(acts.dtype)
