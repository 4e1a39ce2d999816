"""ABS, the detector: how far is latent p absorbed into latent c? Weights and a Stream say, not the truth.

One set of questions for all pairs, (M, M) float64, indexed [p, c], and for few: `answers` takes whatever shapes
broadcast against each other.
"""

from types import SimpleNamespace
from typing import NamedTuple

import torch

from .absorption import lengths, unit_rows

THRESHOLD = 0.1875   # a score above it says absorbed
ENOUGH = 20          # samples of c, and of p in full without c, below which nothing is said
WHISPER = 0.25       # p's usual activation over its mean one, weighted by itself, below which nothing is said
COSINES = 0.05, 0.98             # of the decoder rows: above the first, below the second
VARIES = 0.05 ** 2               # relative variance of c's activation above which `coupled` is asked
OF_A_LATENT = "fires", "acts", "squares", "content", "full", "full_acts", "full_squares", "full_content"


class Evidence(NamedTuple):
    """What the score is made of, one number a pair; NaN where there is nothing to divide by."""

    silent: torch.Tensor
    low: torch.Tensor
    level: torch.Tensor
    level_low: torch.Tensor
    disturbed: torch.Tensor
    carried: torch.Tensor
    coupled: torch.Tensor
    cosine: torch.Tensor
    enough: torch.Tensor         # bool


class Geometry(NamedTuple):
    """Products of p's unit decoder row, one number a pair."""

    anywhere: torch.Tensor       # with the sum of all samples
    during: torch.Tensor         # with that of c's samples
    loudly: torch.Tensor         # with that, each sample times c's activation
    cosine: torch.Tensor         # with c's unit decoder row
    norm_p: torch.Tensor         # and the lengths of both rows
    norm_c: torch.Tensor


def ramp(value, low, high):
    """0 up to low, 1 from high on, straight in between; 0 for NaN."""
    return ((value - low) / (high - low)).clamp(0, 1).nan_to_num(0)


def per(value, count):
    """value / count; NaN where count is 0."""
    return (value / count).where(count != 0, torch.nan)


def sums(stream, where):
    """The sums over single latents' samples, indexed to stand for a pair's parent or child."""
    return SimpleNamespace(**{name: getattr(stream, name)[where] for name in OF_A_LATENT})


def answers(stream, p, c, geometry):
    """Evidence for pairs.

    stream    what has samples and sums over pairs: a Stream or absorption_scan.Counts
    p, c      `sums` of the parents and of the children
    geometry  Geometry of the pairs
    Clauses: ABS-24 to ABS-29, ABS-35, ABS-36.
    """
    alone = p.full - stream.both_full                       # p in full, c not
    usual_acts = per(p.full_acts - stream.both_full_acts, alone)
    usual_content = per(p.full_content - stream.both_full_content, alone)
    n1 = stream.beside
    lacking = (1 - per(stream.beside_acts, n1 * usual_acts)).clamp(0, 1).where(n1 > 0, 0)
    most = 2 * stream.samples                               # of thirds: who fires more often is background
    enough = (c.full >= ENOUGH) & (alone >= ENOUGH) & (usual_acts * p.acts >= WHISPER * p.squares)
    left_out = geometry.during - stream.beside_acts * geometry.norm_p
    return Evidence(
        per(c.full - n1, c.full), per(n1 * lacking, c.full), *levels(stream, p, c, geometry, usual_content, lacking),
        disturbed(stream, p, c, lacking), per(geometry.cosine * geometry.norm_c * c.full_acts, left_out),
        coupled(c, geometry), geometry.cosine, enough & (3 * p.fires <= most) & (3 * c.fires <= most))


def levels(stream, p, c, geometry, usual_content, lacking):
    """Where p's content lies between the background's and the usual: where p lacks something, where it fires.

    Clauses: ABS-26.
    """
    with_c, without_c = stream.beside_content, p.content - stream.beside_content  # sums over p's samples
    neither = stream.samples - c.full - p.fires + stream.beside
    background = per(geometry.anywhere - geometry.during - without_c, neither)
    present = 1 - lacking
    missed = per(geometry.during - present * with_c, c.full - present * stream.beside)
    return [per(content - background, usual_content - background) for content in (missed, per(with_c, stream.beside))]


def disturbed(stream, p, c, lacking):
    """How differently p behaves beside c, less what chance explains.  Clauses: ABS-27."""
    others = stream.samples - c.full
    beside, without = per(stream.beside, c.full), per(p.fires - stream.beside, others)
    chance = 3 * per(without * (1 - without) * stream.samples, c.full * others).sqrt()
    return torch.fmax(per(((beside - without).abs() - chance).clamp_min(0), without), lacking)


def coupled(c, geometry):
    """How much of p's content rises and falls with c's activation alone.  Clauses: ABS-29."""
    varies = per(c.full_squares * c.full, c.full_acts.square()) - 1
    jointly = per(geometry.loudly * c.full, c.full_acts * geometry.during) - 1
    return (jointly / varies).where(varies > VARIES, torch.nan)


def evidence(stream, W_dec):
    """Every question for every pair, from a Stream and W_dec (M, D).  Clauses: ABS-24 to ABS-29."""
    unit, norm = unit_rows(W_dec), lengths(W_dec)
    products = Geometry((unit @ stream.total)[:, None], unit @ stream.x_when.T, unit @ stream.x_loud.T, unit @ unit.T,
                        norm, norm[:, 0])
    return answers(stream, sums(stream, (slice(None), None)), sums(stream, slice(None)), products)


def absorption_score(stream, W_enc, W_dec):
    """Score (M, M) from 0 to 1, indexed [parent, child].  Clauses: ABS-30, ABS-31, ABS-32."""
    if W_enc is W_dec:
        return torch.zeros(len(W_dec), len(W_dec), dtype=torch.float64, device=W_dec.device)
    return weighed(evidence(stream, W_dec)).fill_diagonal_(0)


def weighed(found):
    """The score that Evidence amounts to, in its shape.  Clauses: ABS-30, ABS-32."""
    silent, low = found.silent.nan_to_num(0), found.low.nan_to_num(0)
    missing = torch.maximum((silent + low) * there(found.level), low * there(found.level_low))
    free = ramp(1 - found.coupled, 0.3, 0.6).where(~found.coupled.isnan(), 1)
    answered = ramp(found.disturbed, 0.1, 0.25) * ramp(found.carried, 0.3, 0.6) * free
    low, high = COSINES
    asked = found.enough & (low < found.cosine) & (found.cosine < high)
    return (missing * answered).where(asked, 0)


def there(level):
    """1 at full level, 0 well below or above."""
    return ramp(level, 0.85, 0.95) * ramp(2 - level, 0, 0.5)
