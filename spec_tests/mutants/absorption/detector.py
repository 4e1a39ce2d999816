"""Mutants of ABS: the detector and the read-out."""

import numpy as np

from sae_spec.reference.absorption import detector, evidence
from sae_spec.reference.absorption.stream import LOUD, firing_floor
from sae_spec.reference.sae.constraints import normalize_rows, row_norms
from sae_spec.spec_tests.mutants import mutant


def from_0(stream, projected):
    """As if the samples with neither parent nor child had no content of the parent's."""
    return projected._replace(p_in_all=projected.p_in_c + stream.content[:, np.newaxis] - stream.beside_content)


@mutant("detector: usual content is the mean over all firings without the child", clause="ABS-24", target="evidence.usual")
def usual_not_in_full(right, stream):
    alone = stream.fires[:, np.newaxis] - stream.beside
    return right(stream)[0], evidence.quotient(stream.content[:, np.newaxis] - stream.beside_content, alone)


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


@mutant("detector: level without a background", clause="ABS-26", target="evidence.level")
def no_background(right, stream, projected, *rest):
    return right(stream, from_0(stream, projected), *rest)


@mutant("detector: level over all of the child's samples alike", clause="ABS-26", target="evidence.level")
def level_unweighted(right, *arguments):
    *before, lack = arguments
    return right(*before, np.ones_like(lack))


@mutant("detector: level over the samples in which the parent fires", clause="ABS-26", target="evidence.level")
def level_of_the_low(right, stream, projected, usual_content, lack):
    zero = evidence.background(stream, projected)
    return evidence.quotient(evidence.quotient(stream.beside_content, stream.beside) - zero, usual_content - zero)


@mutant("detector: nothing returns", clause="ABS-39", target="evidence.returned")
def nothing_returns(right, *arguments):
    return 0 * right(*arguments)


@mutant("detector: returned is measured from 0", clause="ABS-39", target="evidence.returned")
def returned_from_0(right, stream, projected):
    loud = evidence.quotient(stream.full_content, stream.full)
    return evidence.quotient(evidence.quotient(projected.c_in_p, stream.full[:, np.newaxis]), loud)


@mutant("detector: disturbed without its standard errors", clause="ABS-27", target="evidence.disturbed")
def no_errors(right, stream, lack):
    rate = evidence.quotient(stream.beside, stream.full)
    without = evidence.quotient(stream.fires[:, np.newaxis] - stream.beside, stream.samples - stream.full)
    return np.fmax(evidence.quotient(np.abs(rate - without), without), lack)


@mutant("detector: speaking low does not disturb", clause="ABS-27", target="evidence.disturbed")
def rates_only(right, stream, lack):
    return right(stream, 0 * lack)


@mutant("detector: unwritten is the mean square, not the variance", clause="ABS-43", target="evidence.unwritten")
def mean_square_left(right, stream, projected, usual_acts):
    return right(stream, projected._replace(residual_in_c=0 * projected.residual_in_c), usual_acts)


@mutant("detector: what is unwritten is measured by the parent's mean square", clause="ABS-43", target="evidence.unwritten")
def by_the_mean_square(right, stream, projected, usual_acts):
    """Asked of what does not vary, too."""
    return right(stream, projected, 0 * usual_acts)


@mutant("detector: what is unwritten is asked of every parent", clause="ABS-43", target="evidence.unwritten")
def asked_of_all(right, *arguments):
    return np.nan_to_num(right(*arguments), nan=1.0)


@mutant("detector: how the parent varies beside the child counts as its own", clause="ABS-43", target="evidence.unwritten")
def varies_beside(right, stream, projected, usual_acts):
    mean = evidence.quotient(stream.full_acts, stream.full)[:, np.newaxis]
    nothing = np.zeros_like(stream.both_full)
    return right(stream._replace(both_full=nothing, both_full_squares=nothing), projected, mean + 0 * usual_acts)


@mutant("detector: what is unwritten in units of the parent's activation", clause="ABS-43", target="evidence.unwritten")
def without_the_norm(right, stream, projected, usual_acts):
    return right(stream, projected._replace(norm=np.ones_like(projected.norm)), usual_acts)


@mutant("detector: all that is there is unwritten", clause="ABS-43", target="stream.observe")
def nothing_is_written(right, x, acts, W_dec, b_dec, floor):
    """The variance of the content, as if there were no reconstruction."""
    stream, unit = right(x, acts, W_dec, b_dec, floor), normalize_rows(W_dec)
    whole = floor if floor is not None else firing_floor(x, acts, W_dec)
    content = (x - b_dec) @ unit.T
    written = np.abs(acts) * row_norms(W_dec)
    full = (acts != 0) & (written >= np.maximum(LOUD * whole, np.sign(acts) * content / 2))
    return stream._replace(r_when=stream.x_when, residual_squares=(content**2).T @ full.astype(x.dtype))


def weighing(name, **other):
    """A mutant whose question has other ends, or another weight."""
    right_one = detector.QUESTIONS[name]
    changed = right_one._replace(**other)

    @mutant(f"detector: {name}: {', '.join(f'{end} {value:g}' for end, value in other.items())}", clause="ABS-30", target="detector.answer")
    def mutated(right, value, question):
        """Weighed as before, the answer adds what it would with the other weight."""
        return right(value, changed) * changed.weight / question.weight if question is right_one else right(value, question)


for name, (no, yes, weight) in detector.QUESTIONS.items():
    weighing(name, weight=0.0)
    weighing(name, weight=1.25 * weight)
    weighing(name, no=no - 0.2 * (yes - no))
    weighing(name, yes=yes + 0.2 * (yes - no))


@mutant("detector: what cannot be asked is answered yes", clause="ABS-30", target="detector.answer")
def yes_where_unknown(right, value, question):
    return np.where(np.isnan(value), 1.0, right(value, question))


@mutant("detector: answers have no bounds", clause="ABS-30", target="detector.answer")
def unbounded(right, value, question):
    return np.nan_to_num((value - question.no) / (question.yes - question.no), nan=0.0)


@mutant("detector: the probability has no direction", clause="ABS-30", target="detector.probability")
def symmetric(right, of):
    return np.maximum(right(of), right(of).T)


@mutant("detector: the probability is how much is absorbed", clause="ABS-30", target="detector.probability")
def by_amount(right, of):
    """What version 0.1 of the specification said: one number for whether and how much."""
    return right(of) * detector.amount(of)


@mutant("detector: yes or no", clause="ABS-30", target="detector.probability")
def yes_or_no(right, of):
    return (right(of) > detector.ABSORBED).astype(float)


@mutant("detector: any number of samples is enough", clause="ABS-30", target="detector.probability")
def always_enough(right, of):
    return right(of._replace(enough=np.ones_like(of.enough)))


@mutant("detector: rows may be nearly equal", clause="ABS-32", target="detector.candidate")
def nearly_equal(right, of):
    return right(of._replace(cosine=np.minimum(of.cosine, 0.97)))


@mutant("detector: rows may have nothing of each other", clause="ABS-32", target="detector.candidate")
def nothing_alike(right, of):
    return right(of._replace(cosine=np.maximum(of.cosine, 0.06)))


@mutant("detector: nobody is taken for a louder sibling", clause="ABS-45", target="detector.maybe_sibling")
def no_siblings(right, of):
    """What version 0.3 of the specification said."""
    return np.zeros(of.level.shape, bool)


@mutant("detector: who does not vary is a sibling", clause="ABS-45", target="detector.maybe_sibling")
def whatever_the_level(right, of):
    return right(of._replace(level=np.full(of.level.shape, np.nan)))


@mutant("detector: who is asked what is unwritten is no sibling", clause="ABS-45", target="detector.maybe_sibling")
def still_alone(right, of):
    return right(of) & np.isnan(of.unwritten)


@mutant("detector: who cannot be asked what is unwritten is no sibling", clause="ABS-45", target="detector.maybe_sibling")
def varying_alone(right, of):
    return right(of) & ~np.isnan(of.unwritten)


@mutant("detector: a sibling leaves nothing unwritten but rounding", clause="ABS-45", target="detector.maybe_sibling")
def nothing_left(right, of):
    return right(of._replace(unwritten=10 * of.unwritten))


@mutant("detector: a sibling leaves a twentieth unwritten", clause="ABS-45", target="detector.maybe_sibling")
def a_twentieth_left(right, of):
    return right(of._replace(unwritten=of.unwritten / 2.5))


@mutant("detector: only a weaker parent is a sibling", clause="ABS-45", target="detector.maybe_sibling")
def below_alone(right, of):
    return right(of._replace(level=np.minimum(of.level, 1.0)))


@mutant("detector: only a louder child's parent is a sibling", clause="ABS-45", target="detector.maybe_sibling")
def above_alone(right, of):
    return right(of._replace(level=np.maximum(of.level, 1.0)))


@mutant("detector: as usual is within a tenth", clause="ABS-45", target="detector.maybe_sibling")
def within_a_tenth(right, of):
    return right(of._replace(level=1 + (of.level - 1) / 2))


@mutant("detector: as usual is within a fortieth", clause="ABS-45", target="detector.maybe_sibling")
def within_a_fortieth(right, of):
    return right(of._replace(level=1 + (of.level - 1) * 2))


@mutant("detector: of a sibling it is known that it is none", clause="ABS-45", target="detector.probability")
def siblings_are_told(right, of):
    return np.where(detector.maybe_sibling(of), np.minimum(right(of), 0.05), right(of))


@mutant("detector: what cannot be told is not absorbed", clause="ABS-44", target="detector.verdict")
def two_verdicts(right, of):
    return np.maximum(right(of), 0)


@mutant("detector: more likely than not is absorbed", clause="ABS-44", target="detector.verdict")
def at_one_half(right, of):
    return np.where(detector.probability(of) > 0.5, 1, right(of))


@mutant("detector: too few samples are no absorption", clause="ABS-44", target="detector.verdict")
def few_are_none(right, of):
    return np.where(of.enough, right(of), 0)


@mutant("detector: what is no candidate cannot be told", clause="ABS-44", target="detector.verdict")
def anybody(right, of):
    return np.where(detector.candidate(of), right(of), -1)


@mutant("read-out: in units of the parent's norm, not its square", clause="ABS-33", target="read_out.read_out_matrix")
def by_norm(right, probability, W_dec, threshold):
    return right(probability, W_dec, threshold) * row_norms(W_dec)[:, np.newaxis]


@mutant("read-out: in units of the child's row", clause="ABS-33", target="read_out.read_out_matrix")
def by_child(right, probability, W_dec, threshold):
    A = right(probability, W_dec, threshold)
    squares = (W_dec**2).sum(-1)
    return A * squares[:, np.newaxis] / np.where(squares == 0, 1, squares)


@mutant("read-out: detected at the threshold", clause="ABS-33", target="read_out.read_out_matrix")
def at_threshold(right, probability, W_dec, threshold):
    return right(probability, W_dec, np.nextafter(threshold, 0))


@mutant("read-out: children receive from parents", clause="ABS-34", target="read_out.corrected")
def other_way(right, acts, A):
    return right(acts, A.T)


@mutant("read-out: replaces what the parent says", clause="ABS-34", target="read_out.corrected")
def replaces(right, acts, A):
    return np.where((A != 0).any(1), acts @ A.T, acts)


@mutant("read-out: of nothing detected is cut at 0", clause="ABS-34", target="read_out.corrected")
def cut_at_0(right, acts, A):
    return np.maximum(right(acts, A), 0)
