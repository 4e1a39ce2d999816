"""Mutants of ABS: the detector and the read-out."""

import numpy as np

from sae_spec.reference.absorption import detector, evidence
from sae_spec.reference.sae.constraints import row_norms
from sae_spec.spec_tests.mutants import mutant


def from_0(stream, projected):
    """As if the samples with neither parent nor child had no content of the parent's."""
    return projected._replace(p_in_all=projected.p_in_c + stream.content[:, np.newaxis] - stream.beside_content)


@mutant("detector: usual is the mean over all firings without the child", clause="ABS-24", target="evidence.usual")
def usual_not_in_full(right, stream):
    without = stream._replace(full=stream.fires, full_acts=stream.acts, full_content=stream.content, both_full=stream.beside,
                              both_full_acts=stream.beside_acts, both_full_content=stream.beside_content)
    return right(without)


@mutant("detector: usual is the mean over all full samples, the child's too", clause="ABS-24", target="evidence.usual")
def usual_with_child(right, stream):
    """Where the parent never speaks in full beside the child, nothing changes."""
    nothing = np.zeros_like(stream.together)
    return right(stream._replace(both_full=nothing, both_full_acts=nothing, both_full_content=nothing))


@mutant("detector: one sample is enough", clause="ABS-35", target="evidence.enough")
def one_is_enough(right, stream):
    return (stream.full > 0) & (stream.full[:, np.newaxis] - stream.both_full > 0)


@mutant("detector: the background may absorb", clause="ABS-36", target="evidence.enough")
def background_heard(right, stream):
    """As if there were many more samples, of nothing."""
    return right(stream._replace(samples=100 * stream.samples + 100))


@mutant("detector: background from three fifths on", clause="ABS-36", target="evidence.enough")
def background_at_the_limit(right, stream):
    return right(stream._replace(samples=stream.samples - 1))


@mutant("detector: whoever fires everywhere is background", clause="ABS-36", target="evidence.enough")
def background_of_whispers(right, stream):
    """What version 0.1 of the specification said: with slots to spare nearly every latent whispers nearly everywhere."""
    rare = 5 * stream.fires <= 3 * stream.samples
    return right(stream) & rare & rare[:, np.newaxis]


@mutant("detector: the child's low firings are its samples too", clause="ABS-25", target="evidence.lacking")
def low_child(right, stream, usual_acts):
    """Those in which it does not speak in full: the parent is then said to be there."""
    n1 = stream.together
    return np.where(n1 > 0, np.clip(1 - evidence.quotient(stream.beside_acts, n1 * usual_acts), 0.0, 1.0), 0.0)


@mutant("detector: louder than usual makes up for silence", clause="ABS-25", target="evidence.lacking")
def negative_lack(right, stream, usual_acts):
    n1 = stream.beside
    return np.where(n1 > 0, 1 - evidence.quotient(stream.beside_acts, n1 * usual_acts), 0.0)


@mutant("detector: who speaks low lacks everything", clause="ABS-25", target="evidence.lacking")
def lacks_all(right, stream, usual_acts):
    return np.sign(right(stream, usual_acts))


@mutant("detector: level without a background", clause="ABS-26", target="evidence.levels")
def no_background(right, stream, projected, *rest):
    return right(stream, from_0(stream, projected), *rest)


@mutant("detector: level over all of the child's samples alike", clause="ABS-26", target="evidence.levels")
def level_unweighted(right, *arguments):
    *before, lack = arguments
    return right(*before, np.ones_like(lack))[0], right(*arguments)[1]


@mutant("detector: one level", clause="ABS-26", target="evidence.levels")
def one_level(right, *arguments):
    return right(*arguments)[0], right(*arguments)[0]


@mutant("detector: the level of all decides alone", clause="ABS-30", target="evidence.evidence")
def level_of_all(right, stream, W_dec):
    answers = right(stream, W_dec)
    return answers._replace(level_low=np.zeros_like(answers.level_low))


@mutant("detector: silence never counts", clause="ABS-30", target="evidence.evidence")
def only_low(right, stream, W_dec):
    answers = right(stream, W_dec)
    return answers._replace(level=answers.level_low)


@mutant("detector: nothing returns", clause="ABS-39", target="evidence.returned")
def nothing_returns(right, *arguments):
    return 0 * right(*arguments)


@mutant("detector: returned is measured from 0", clause="ABS-39", target="evidence.returned")
def returned_from_0(right, stream, projected):
    loud = evidence.quotient(stream.full_content, stream.full)
    return evidence.quotient(evidence.quotient(projected.c_in_p, stream.full[:, np.newaxis]), loud)


@mutant("detector: as much there the other way round", clause="ABS-30", target="evidence.evidence")
def any_direction_counts(right, stream, W_dec):
    answers = right(stream, W_dec)
    return answers._replace(returned=np.zeros_like(answers.returned))


@mutant("detector: disturbed without its standard errors", clause="ABS-27", target="evidence.disturbed")
def no_errors(right, stream, lack):
    rate = evidence.quotient(stream.beside, stream.full)
    without = evidence.quotient(stream.fires[:, np.newaxis] - stream.beside, stream.samples - stream.full)
    return np.fmax(evidence.quotient(np.abs(rate - without), without), lack)


@mutant("detector: speaking low does not disturb", clause="ABS-27", target="evidence.disturbed")
def rates_only(right, stream, lack):
    return right(stream, 0 * lack)


@mutant("detector: whatever the child writes is carried", clause="ABS-28", target="evidence.carried")
def any_direction(right, stream, projected):
    return right(stream, projected._replace(row=projected.norm.T))


@mutant("detector: carried of all that is there", clause="ABS-28", target="evidence.carried")
def of_content(right, stream, projected):
    return evidence.quotient(projected.row * stream.full_acts, projected.p_in_c)


@mutant("detector: coupling is always asked", clause="ABS-29", target="evidence.coupled")
def always_asked(right, *arguments):
    return np.nan_to_num(right(*arguments), nan=1.0)


@mutant("detector: coupling is never asked", clause="ABS-29", target="evidence.coupled")
def never_asked(right, *arguments):
    return np.full_like(right(*arguments), np.nan)


@mutant("detector: any coupling is full coupling", clause="ABS-29", target="evidence.coupled")
def any_coupling(right, *arguments):
    return np.sign(right(*arguments))


@mutant("detector: followed is the correlation, not its square", clause="ABS-37", target="evidence.followed")
def correlation(right, *arguments):
    return np.sqrt(right(*arguments))


@mutant("detector: all of what is coupled is followed", clause="ABS-37", target="evidence.followed")
def all_followed(right, *arguments):
    return np.where(np.isnan(right(*arguments)), np.nan, np.clip(evidence.coupled(*arguments), 0, 1))


@mutant("detector: steady is the mean by the root of the mean square", clause="ABS-38", target="evidence.steady")
def by_the_root(right, *arguments):
    return np.sqrt(right(*arguments))


@mutant("detector: steady without a background", clause="ABS-38", target="evidence.steady")
def steady_from_0(right, stream, projected):
    return right(stream, from_0(stream, projected))


@mutant("detector: what follows in part is free", clause="ABS-30", target="evidence.evidence")
def unsteady_is_free(right, stream, W_dec):
    return right(stream, W_dec)._replace(steady=np.ones((len(W_dec), len(W_dec))))


@mutant("detector: the shortfall alone", clause="ABS-30", target="detector.ramp")
def no_questions(right, value, low, high):
    return np.ones_like(value)


@mutant("detector: the score has no direction", clause="ABS-30", target="detector.absorption_score")
def symmetric(right, stream, W_enc, W_dec):
    score = right(stream, W_enc, W_dec)
    return np.maximum(score, score.T)


@mutant("detector: yes or no", clause="ABS-30", target="detector.absorption_score")
def yes_or_no(right, stream, W_enc, W_dec):
    return (right(stream, W_enc, W_dec) > detector.THRESHOLD).astype(float)


@mutant("detector: any number of samples is enough", clause="ABS-30", target="evidence.evidence")
def always_enough(right, stream, W_dec):
    answers = right(stream, W_dec)
    return answers._replace(enough=np.ones_like(answers.enough))


@mutant("detector: a tied SAE scores 0", clause="ABS-41", target="detector.absorption_score")
def tied_is_0(right, stream, W_enc, W_dec):
    """What version 0.1 of the specification said: one array in both places."""
    return right(stream, W_enc, W_dec) * (W_enc is not W_dec)


@mutant("detector: equal weights score 0", clause="ABS-41", target="detector.absorption_score")
def equal_is_0(right, stream, W_enc, W_dec):
    return right(stream, W_enc, W_dec) * (not np.array_equal(W_enc, W_dec))


@mutant("detector: rows may be nearly equal", clause="ABS-32", target="evidence.evidence")
def nearly_equal(right, stream, W_dec):
    answers = right(stream, W_dec)
    return answers._replace(cosine=np.minimum(answers.cosine, 0.97))


@mutant("read-out: in units of the parent's norm, not its square", clause="ABS-33", target="read_out.read_out_matrix")
def by_norm(right, score, W_dec, threshold):
    return right(score, W_dec, threshold) * row_norms(W_dec)[:, np.newaxis]


@mutant("read-out: in units of the child's row", clause="ABS-33", target="read_out.read_out_matrix")
def by_child(right, score, W_dec, threshold):
    A = right(score, W_dec, threshold)
    squares = (W_dec**2).sum(-1)
    return A * squares[:, np.newaxis] / np.where(squares == 0, 1, squares)


@mutant("read-out: detected at the threshold", clause="ABS-33", target="read_out.read_out_matrix")
def at_threshold(right, score, W_dec, threshold):
    return right(score, W_dec, np.nextafter(threshold, 0))


@mutant("read-out: children receive from parents", clause="ABS-34", target="read_out.corrected")
def other_way(right, acts, A):
    return right(acts, A.T)


@mutant("read-out: replaces what the parent says", clause="ABS-34", target="read_out.corrected")
def replaces(right, acts, A):
    return np.where((A != 0).any(1), acts @ A.T, acts)


@mutant("read-out: of nothing detected is cut at 0", clause="ABS-34", target="read_out.corrected")
def cut_at_0(right, acts, A):
    return np.maximum(right(acts, A), 0)
