"""FREQ: firings counted and the running frequency."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test

from sae_spec.spec_tests.core.compare import assert_same
from sae_spec.spec_tests.core.properties import clause
from sae_spec.spec_tests.core.strategies import dyadic

decays = st.sampled_from([0.0, 0.25, 0.5, 0.75])
rows = st.sampled_from([1, 2, 4])           # powers of two: a frequency is then dyadic


@st.composite
def activations(draw, M=None):
    """acts (B, M), a third of them 0."""
    return draw(dyadic((draw(rows), M or draw(st.integers(1, 4))), -0.5, 0.5, 0.5))


def counts_of(adapter, acts):
    return adapter("firing_counts", acts=acts)


# ---------------------------------------------------------------- firing

@clause("FREQ-1")
@given(acts=activations())
def test_firing_depends_on_neither_sign_nor_size(adapter, acts):
    want = counts_of(adapter, acts)
    assert_same(want, counts_of(adapter, -acts), exact=True)
    quiet = 2.0**-20 if adapter.dtype == "float16" else 2.0**-60                    # the smallest of float16 is 2^-24
    assert_same(want, counts_of(adapter, acts * quiet), exact=True)


@clause("FREQ-1")
@given(acts=activations())
def test_every_sample_counts_once_wherever_it_stands(adapter, acts):
    want = counts_of(adapter, acts)
    assert_same(want, counts_of(adapter, acts[::-1, np.newaxis]), exact=True)
    assert_same(want, {"counts": sum(counts_of(adapter, row)["counts"] for row in acts[:, np.newaxis])}, exact=True)
    assert_same(counts_of(adapter, acts != 0), want, exact=True)


@clause("FREQ-2")
@given(acts=activations(), parts=st.integers(1, 3))
def test_frequency_does_not_depend_on_how_the_data_was_cut(adapter, acts, parts):
    whole = adapter("frequency", counts=counts_of(adapter, acts)["counts"], samples=len(acts))
    counts = sum(counts_of(adapter, part)["counts"] for part in np.array_split(acts, parts))
    assert_same(whole, adapter("frequency", counts=counts, samples=len(acts)), exact=True)
    assert_same(whole, adapter("frequency", counts=2 * counts, samples=2 * len(acts)), exact=True)


@clause("FREQ-2")
@given(samples=st.integers(1, 64), M=st.integers(1, 3))
def test_what_always_fires_has_frequency_one_and_what_never_does_zero(adapter, samples, M):
    counts = np.append(np.full(M, samples), 0)
    assert_same({"frequency": counts / samples}, adapter("frequency", counts=counts, samples=samples), exact=True)
    adapter.refuses("samples", "frequency", counts=0 * counts, samples=0)


# ---------------------------------------------------------------- the running average

@clause("FREQ-3")
@given(acts=activations(3), mean=dyadic((3,), 0.0, 1.0), decay=decays, copies=st.integers(1, 3))
def test_the_size_of_a_batch_does_not_matter(adapter, acts, mean, decay, copies):
    state = {"mean": mean, "batches": 1}
    assert_same(adapter("running_mean", {"decay": decay}, **state, acts=acts),
                adapter("running_mean", {"decay": decay}, **state, acts=np.tile(acts, (copies, 1))), adapter.dtype)


@clause("FREQ-3")
@given(acts=activations(3), one=dyadic((3,), 0.0, 1.0), other=dyadic((3,), 0.0, 1.0), decay=decays)
def test_what_was_before_fades_by_decay(adapter, acts, one, other, decay):
    after = [adapter("running_mean", {"decay": decay}, mean=mean, batches=1, acts=acts)["mean"] for mean in (one, other)]
    assert_same({"mean": 4 + decay * (one - other)}, {"mean": 4 + after[0] - after[1]}, adapter.dtype)
    fixed = adapter("frequency", counts=counts_of(adapter, acts)["counts"], samples=len(acts))["frequency"]
    assert_same({"mean": fixed, "batches": 2},
                adapter("running_mean", {"decay": decay}, mean=fixed, batches=1, acts=acts), adapter.dtype)


@clause("FREQ-3")
@given(decay=st.sampled_from([-1.0, -2.0**-10, 1.0, 1.5]))
def test_a_decay_outside_zero_to_one_is_refused(adapter, decay):
    adapter.refuses("decay", "running_mean", {"decay": decay}, mean=[0.5], batches=1, acts=[[1.0]])


@clause("FREQ-4")
@given(mean=dyadic((2,), 0.0, 1.0), batches=st.integers(0, 5), decay=decays)
def test_an_empty_batch_changes_nothing(adapter, mean, batches, decay):
    state = {"mean": mean, "batches": batches}
    assert_same(state, adapter("running_mean", {"decay": decay}, **state, acts=np.zeros((0, 2))), exact=True)


@clause("FREQ-5")
@given(acts=activations(), batches=st.integers(1, 4), decay=decays)
def test_the_same_batch_again_and_again_has_its_own_frequency(adapter, acts, batches, decay):
    state = {"mean": np.zeros(acts.shape[1]), "batches": 0}
    adapter.refuses("batches", "running_frequency", {"decay": decay}, **state)
    for _ in range(batches):
        state = adapter("running_mean", {"decay": decay}, **state, acts=acts)
    want = adapter("frequency", counts=counts_of(adapter, acts)["counts"], samples=len(acts))
    assert_same(want, adapter("running_frequency", {"decay": decay}, **state), adapter.dtype)


class History(RuleBasedStateMachine):
    """Batches come, some empty, some cut in two; everything counted must agree with a recount of what came."""

    adapter = None          # set by the test
    M, DEAD_AFTER = 3, 4

    @initialize(decay=decays)
    def start(self, decay):
        self.adapter.calls.clear()
        self.decay, self.batches = decay, []
        self.counts = self.tokens = self.dead = np.zeros(self.M)
        self.running = {"mean": np.zeros(self.M), "batches": 0}

    def count(self, acts):
        self.counts = self.counts + counts_of(self.adapter, acts)["counts"]

    def train_on(self, acts):
        self.running = self.adapter("running_mean", {"decay": self.decay}, **self.running, acts=acts)
        counted = self.adapter("count_tokens", {"dead_after": self.DEAD_AFTER}, tokens_since_fired=self.tokens, acts=acts)
        self.tokens, self.dead = counted["tokens_since_fired"], counted["dead"]
        self.batches.append(acts.tolist())

    @rule(acts=activations(M))
    def a_batch(self, acts):
        self.count(acts)
        self.train_on(acts)

    @rule(acts=activations(M), at=st.integers(0, 4))
    def a_batch_counted_in_two_parts(self, acts, at):
        self.count(acts[:at])
        self.count(acts[at:])
        self.train_on(acts)

    @rule()
    def an_empty_batch(self):
        self.count(np.zeros((0, self.M)))
        self.train_on(np.zeros((0, self.M)))

    def recount(self, latent):
        """(firings, samples since the last batch that fired, [frequency of each batch that is not empty])"""
        fired = [sum(row[latent] != 0 for row in batch) for batch in self.batches]
        waited = 0
        for batch, n in zip(self.batches, fired):
            waited = 0 if n else waited + len(batch)
        return sum(fired), waited, [n / len(batch) for batch, n in zip(self.batches, fired) if batch]

    @invariant()
    def counters_are_what_a_recount_says(self):
        recounts = [self.recount(latent) for latent in range(self.M)]
        want = {"counts": [n for n, _, _ in recounts], "tokens": [waited for _, waited, _ in recounts],
                "dead": [self.batches != [] and waited >= self.DEAD_AFTER for _, waited, _ in recounts],
                "batches": sum(batch != [] for batch in self.batches)}
        got = {"counts": self.counts, "tokens": self.tokens, "dead": self.dead, "batches": self.running["batches"]}
        assert_same({name: np.asarray(value, float) for name, value in want.items()}, got, exact=True)

    @precondition(lambda self: any(self.batches))
    @invariant()
    def the_running_frequency_is_the_weighted_mean_of_all_batches(self):
        frequencies = np.array([self.recount(latent)[2] for latent in range(self.M)])       # (M, batches)
        weights = self.decay ** np.arange(frequencies.shape[1])[::-1]
        want = {"frequency": frequencies @ weights / weights.sum()}
        got = self.adapter("running_frequency", {"decay": self.decay}, **self.running)
        assert_same(want, got, self.adapter.dtype)


@clause("FREQ-1", "FREQ-2", "FREQ-3", "FREQ-4", "FREQ-5", "TRAIN-9", "TRAIN-10")
def test_counters_agree_with_history(adapter):
    machine = type("History", (History,), {"adapter": adapter})
    run_state_machine_as_test(machine, settings=settings(max_examples=25, stateful_step_count=6))
