"""Mutants that make something of an argument which is out of range, where an error would tell the caller."""

from sae_spec.spec_tests.mutants import mutant


@mutant("jumprelu: a bandwidth that is not positive counts as 1", clause="ACT-8", target="activations.jumprelu_backward")
def jumprelu_width(right, d_acts, pre, theta, bandwidth):
    return right(d_acts, pre, theta, bandwidth if bandwidth > 0 else 1.0)


@mutant("step: a bandwidth that is not positive counts as 1", clause="ACT-11", target="activations.step_backward")
def step_width(right, d_on, pre, theta, bandwidth):
    return right(d_on, pre, theta, bandwidth if bandwidth > 0 else 1.0)


@mutant("running threshold: a decay out of range counts as 1/2", clause="ACT-21", target="inference.running_threshold")
def any_decay(right, threshold, seen, kept, decay):
    return right(threshold, seen, kept, decay if 0 <= decay < 1 else 0.5)


@mutant("budget_topk: k is cut to a whole number from 1 to M", clause="ACT-6", target="selection.budget_topk")
def any_budget(right, pre, k, *more):
    return right(pre, min(max(int(k), 1), pre.shape[-1]), *more)


@mutant("prefixes: rounded down, the negative left out", clause="SAE-7", target="linear.decode")
def any_prefixes(right, acts, params, prefixes=None):
    return right(acts, params, [int(m) for m in prefixes if m > 0] if prefixes else prefixes)
