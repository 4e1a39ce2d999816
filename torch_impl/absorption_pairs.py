"""ABS at scale: the detector's questions for candidate pairs, from the counts of absorption_scan.py.

Everything is (M, top), at the candidates' places [c, slot], p = index[c, slot]; where there is no candidate
the score is 0. On its candidates the score is that of detector.absorption_score: a test holds them together.
"""

import torch

from .absorption import lengths
from .constraints import directions
from .detector import THRESHOLD, weighed
from .evidence import Geometry, answers, sums

CHUNK = 256          # children whose candidates' rows are gathered at once: (CHUNK, top, D) numbers


@torch.no_grad()
def evidence(counts, index, W_dec):
    """Evidence of (M, top) fields.  Clauses: ABS-24 to ABS-29."""
    unit, norms = directions(W_dec), lengths(W_dec)[:, 0]
    p = index.clamp_min(0)
    during, loudly, cosine = products(counts, p, unit)
    geometry = Geometry((unit.double() @ counts.total)[p], during, loudly, cosine, norms[p], norms[:, None])
    found = answers(counts, sums(counts, p), sums(counts, (slice(None), None)), geometry)
    return found._replace(enough=found.enough & (index >= 0))


def products(counts, p, unit):
    """unit[p] · x_when[c], unit[p] · x_loud[c] and unit[p] · unit[c], (M, top) each, children by chunks."""
    parts = []
    for c in range(0, len(p), CHUNK):
        rows = unit[p[c : c + CHUNK]].double()              # (chunk, top, D)
        sides = (counts.x_when, counts.x_loud, unit)
        parts.append([(rows @ side[c : c + CHUNK].double().unsqueeze(-1)).squeeze(-1) for side in sides])
    return [torch.cat(part) for part in zip(*parts)]


def score(found):
    """The score (M, top) of Evidence at candidates, from 0 to 1.  Clauses: ABS-30, ABS-32."""
    return weighed(found)


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
