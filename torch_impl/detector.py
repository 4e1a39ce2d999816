"""ABS, the detector: how far is latent p absorbed into latent c? Weights and a Stream say, not the truth.

All pairs at once, (M, M) float64, indexed [p, c]; rows of p's properties are (M, 1), c's are (M,).
"""

from typing import NamedTuple

import torch

from .absorption import lengths, unit_rows

THRESHOLD = 0.1875   # a score above it says absorbed
ENOUGH = 20          # samples of c, and of p in full without c, below which nothing is said
WHISPER = 0.25       # p's usual activation over its mean one, weighted by itself, below which nothing is said
COSINES = 0.05, 0.98             # of the decoder rows: above the first, below the second
VARIES = 0.05 ** 2               # relative variance of c's activation above which `coupled` is asked


class Evidence(NamedTuple):
    """What the score is made of, (M, M) each; NaN where there is nothing to divide by."""

    shortfall: torch.Tensor
    level: torch.Tensor
    disturbed: torch.Tensor
    carried: torch.Tensor
    coupled: torch.Tensor
    cosine: torch.Tensor
    enough: torch.Tensor         # bool


def ramp(value, low, high):
    """0 up to low, 1 from high on, straight in between; 0 for NaN."""
    return ((value - low) / (high - low)).clamp(0, 1).nan_to_num(0)


def per(value, count):
    """value / count; NaN where count is 0."""
    return (value / count).where(count != 0, torch.nan)


def usual(stream):
    """p's mean activation and content where it speaks in full without c, and how often it does.

    Clauses: ABS-24, ABS-35.
    """
    alone = stream.full[:, None] - stream.full_with
    acts = per(stream.full_acts[:, None] - stream.full_acts_with, alone)
    return acts, per(stream.full_content[:, None] - stream.full_content_with, alone), alone


def lack(stream, usual_acts):
    """Share of its usual activation that p lacks where both fire, 0 if they never do.  Clauses: ABS-25."""
    share = 1 - per(stream.acts_with, stream.together * usual_acts)
    return share.clamp(0, 1).where(stream.together > 0, 0)


def level(stream, unit, usual_content, lacking):
    """Where p's content in c's samples lies between the background's and the usual.  Clauses: ABS-26."""
    during = unit @ stream.x_when.T                         # p's content, summed over c's samples
    apart = during.diag()[:, None] - stream.content_with    # over p's without c
    neither = stream.samples - stream.fires - stream.fires[:, None] + stream.together
    background = per((unit @ stream.total)[:, None] - during - apart, neither)
    weight = stream.fires - stream.together + stream.together * lacking
    found = per(during - (1 - lacking) * stream.content_with, weight)
    return per(found - background, usual_content - background)


def disturbed(stream, lacking):
    """How differently p behaves beside c, less what chance explains.  Clauses: ABS-27."""
    others = stream.samples - stream.fires                  # (M,)  samples without c
    beside = per(stream.together, stream.fires)
    without = per(stream.fires[:, None] - stream.together, others)
    chance = 3 * per(without * (1 - without) * stream.samples, stream.fires * others).sqrt()
    return torch.fmax(per(((beside - without).abs() - chance).clamp_min(0), without), lacking)


def carried(stream, unit, W_dec):
    """Share of what p leaves out that c's row writes.  Clauses: ABS-28."""
    left_out = unit @ stream.x_when.T - stream.acts_with * lengths(W_dec)
    return per(unit @ W_dec.double().T * stream.acts, left_out)


def coupled(stream, unit):
    """How much of p's content rises and falls with c's activation alone.  Clauses: ABS-29."""
    during = unit @ stream.x_when.T
    varies = per(stream.squares * stream.fires, stream.acts.square()) - 1         # (M,)
    jointly = per((unit @ stream.x_loud.T) * stream.fires, stream.acts * during) - 1
    return (jointly / varies).where(varies > VARIES, torch.nan)


def evidence(stream, W_dec):
    """Every question for every pair, from a Stream and W_dec (M, D).  Clauses: ABS-24 to ABS-29."""
    unit = unit_rows(W_dec)
    usual_acts, usual_content, alone = usual(stream)
    lacking = lack(stream, usual_acts)
    missing = stream.fires - stream.together + stream.together * lacking
    loud = usual_acts * stream.acts[:, None] >= WHISPER * stream.squares[:, None]
    return Evidence(per(missing, stream.fires), level(stream, unit, usual_content, lacking),
                    disturbed(stream, lacking), carried(stream, unit, W_dec), coupled(stream, unit),
                    unit @ unit.T,
                    (stream.fires >= ENOUGH) & (alone >= ENOUGH) & loud)


def absorption_score(stream, W_enc, W_dec):
    """Score (M, M) from 0 to 1, indexed [parent, child].  Clauses: ABS-30, ABS-31, ABS-32."""
    if W_enc is W_dec:
        return torch.zeros(len(W_dec), len(W_dec), dtype=torch.float64, device=W_dec.device)
    return weighed(evidence(stream, W_dec)).fill_diagonal_(0)


def weighed(found):
    """The score that Evidence amounts to, in its shape.  Clauses: ABS-30, ABS-32."""
    free = ramp(1 - found.coupled, 0.3, 0.6).where(~found.coupled.isnan(), 1)
    answers = (ramp(found.level, 0.85, 0.95), ramp(2 - found.level, 0, 0.5), ramp(found.disturbed, 0.1, 0.25),
               ramp(found.carried, 0.3, 0.6), free)
    score = torch.stack([found.shortfall.nan_to_num(0), *answers]).prod(0)
    low, high = COSINES
    asked = found.enough & (low < found.cosine) & (found.cosine < high)
    return score.where(asked, 0)


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
