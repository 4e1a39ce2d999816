"""Mutants of ABS: SAEBench's metric. Several are its own earlier generations."""

import numpy as np

from sae_spec.reference.absorption import saebench
from sae_spec.reference.sae.constraints import row_norms
from sae_spec.spec_tests.mutants import mutant


def along(x, probe):
    return x @ probe / np.sqrt((probe**2).sum())


@mutant("saebench: the rows' norms enter", clause="ABS-1", target="saebench.contributions")
def with_norms(right, acts, W_dec, probe):
    q, cos = right(acts, W_dec, probe)
    return q * row_norms(W_dec), cos


@mutant("saebench: a zero probe says nothing", clause="ABS-1", target="saebench.contributions")
def zero_probe(right, acts, W_dec, probe):
    if not probe.any():
        return np.zeros_like(acts), np.zeros(len(W_dec))
    return right(acts, W_dec, probe)


@mutant("saebench: an absent feature divides by zero", clause="ABS-2", target="saebench.absorption_fraction",
        seen_in=("SAEBench 0.6.0",))
def divides_by_zero(right, x, acts, W_dec, probe, main, thresholds):
    if (along(x, probe) == 0).any():
        raise ZeroDivisionError("float division by zero")
    return right(x, acts, W_dec, probe, main, thresholds)


@mutant("saebench: a feature that is not there can be absorbed", clause="ABS-2", target="saebench.absorption_fraction")
def absent_counts(right, x, acts, W_dec, probe, main, thresholds):
    direction = probe / (probe**2).sum()
    barely = np.where(along(x, probe)[:, np.newaxis] == 0, x + 1e-9 * direction, x)
    return right(barely, acts, W_dec, probe, main, thresholds)


@mutant("saebench: what is against the feature counts as the feature", clause="ABS-2", target="saebench.absorption_fraction")
def absolute(right, x, acts, W_dec, probe, main, thresholds):
    return right(np.where(along(x, probe)[:, np.newaxis] < 0, -x, x), acts, W_dec, probe, main, thresholds)


@mutant("saebench: without main latents nothing is absorbed", clause="ABS-3", target="saebench.absorption_fraction")
def no_main_nothing(right, x, acts, W_dec, probe, main, thresholds):
    return right(x, acts, W_dec, probe, main, thresholds) * main.any()


@mutant("saebench: a minimum of 0 still needs an absorber", clause="ABS-4", target="saebench.absorption_fraction")
def needs_absorber(right, x, acts, W_dec, probe, main, thresholds):
    q, cos = saebench.contributions(acts, W_dec, probe)
    some = ((q > 0) & ~main & (cos >= thresholds.partial_cos)).any(-1)
    return np.where(some, right(x, acts, W_dec, probe, main, thresholds), 0.0)


@mutant("saebench: the minimum is an amount, not a share", clause="ABS-4", target="saebench.absorption_fraction")
def an_amount(right, x, acts, W_dec, probe, main, thresholds):
    q, cos = saebench.contributions(acts, W_dec, probe)
    eligible = ~main & (cos >= thresholds.partial_cos)
    enough = np.maximum(q * eligible, 0).sum(-1) >= thresholds.partial_share
    return np.where(enough, right(x, acts, W_dec, probe, main, thresholds._replace(partial_share=0.0)), 0.0)


@mutant("saebench: limits are exclusive", clause="ABS-4", target="saebench.absorption_fraction")
def exclusive(right, x, acts, W_dec, probe, main, thresholds):
    above = {name: np.nextafter(getattr(thresholds, name), 2) for name in ("partial_cos", "partial_share")}
    return right(x, acts, W_dec, probe, main, thresholds._replace(**above))


@mutant("saebench: all that absorbers write counts", clause="ABS-5", target="saebench.absorption_fraction",
        seen_in=("SAEBench 0.4.0",), convention=True)
def uncapped(right, x, acts, W_dec, probe, main, thresholds):
    q, cos = saebench.contributions(acts, W_dec, probe)
    share = right(x, acts, W_dec, probe, main, thresholds)
    others = np.where(~main & (cos >= thresholds.partial_cos) & (q > 0), q, 0.0).sum(-1)
    by_main = q[:, main].sum(-1)
    return np.where((share > 0) & (share < 1), others / np.where(others + by_main == 0, 1, others + by_main), share)


@mutant("saebench: the share of what is wanted, not of what is written", clause="ABS-5",
        target="saebench.absorption_fraction")
def of_wanted(right, x, acts, W_dec, probe, main, thresholds):
    q, _ = saebench.contributions(acts, W_dec, probe)
    share, want = right(x, acts, W_dec, probe, main, thresholds), along(x, probe)
    others = np.where(main, 0.0, q).clip(0).max(-1)
    return np.where((share > 0) & (share < 1), np.clip(others / np.where(want == 0, 1, want), 0, 1), share)


@mutant("saebench: of equal latents the last is asked", clause="ABS-6", target="saebench.full_absorption")
def last_of_equals(right, x, acts, W_dec, probe, main, thresholds):
    return right(x, acts[:, ::-1], W_dec[::-1], probe, main[::-1], thresholds)


@mutant("saebench: full absorption sums over latents", clause="ABS-6", target="saebench.full_absorption")
def summed(right, x, acts, W_dec, probe, main, thresholds):
    q, cos = saebench.contributions(acts, W_dec, probe)
    want, others = along(x, probe), np.where(main, 0.0, q).sum(-1)
    silent = (acts[:, main] < thresholds.silent).all(-1)
    return silent & (cos[q.argmax(-1)] >= thresholds.full_cos) & (want > 0) & (others >= thresholds.full_share * want)


@mutant("saebench: one cosine limit for both numbers", clause="ABS-6", target="saebench.full_absorption")
def one_limit(right, x, acts, W_dec, probe, main, thresholds):
    return right(x, acts, W_dec, probe, main, thresholds._replace(full_cos=thresholds.partial_cos))


@mutant("saebench: without main latents nothing is fully absorbed", clause="ABS-7", target="saebench.full_absorption")
def no_main_not_full(right, x, acts, W_dec, probe, main, thresholds):
    return right(x, acts, W_dec, probe, main, thresholds) & main.any()


@mutant("saebench: one silent main latent is enough", clause="ABS-7", target="saebench.full_absorption")
def any_silent(right, x, acts, W_dec, probe, main, thresholds):
    quiet = (acts[:, main] < thresholds.silent).any(-1, keepdims=True)
    return right(x, np.where(main & quiet, 0.0, acts), W_dec, probe, main, thresholds)


@mutant("main latents: an improvement by exactly the gain is enough", clause="ABS-8", target="saebench.main_latents",
        seen_in=("SAEBench 0.6.0",), where="its docstring; its code does not")
def gain_or_more(right, ranking, scores, gain):
    return right(ranking, scores, gain - 1e-9)


@mutant("main latents: the search goes on after a failure", clause="ABS-8", target="saebench.main_latents")
def goes_on(right, ranking, scores, gain):
    best, last = 0, -np.inf
    for k, score in enumerate(scores, start=1):
        if score > last + gain:
            best, last = k, score
    return ranking[:best]


@mutant("main latents: every latent is compared with the first", clause="ABS-8", target="saebench.main_latents")
def with_the_first(right, ranking, scores, gain):
    k = 1
    while k < len(scores) and scores[k] > scores[0] + gain:
        k += 1
    return ranking[:k]


@mutant("main latents: always one", clause="ABS-9", target="saebench.main_latents")
def always_one(right, ranking, scores, gain):
    return ranking[:1]


@mutant("saebench: one minimum share for both answers", clause="ABS-42", target="saebench.full_absorption",
        seen_in=("SAEBench 0.6.0",), convention=True)
def one_share(right, x, acts, W_dec, probe, main, thresholds):
    return right(x, acts, W_dec, probe, main, thresholds._replace(full_share=thresholds.partial_share))
