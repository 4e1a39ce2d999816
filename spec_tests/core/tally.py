"""What ran and how it ended, by clause and dtype."""

from collections import Counter, defaultdict

OUTCOMES = ("pass", "fail", "unsupported", "known_failure")


class Tally:
    """Counts of one run of the suite. `examples` are single executions: golden cases and Hypothesis examples."""

    def __init__(self):
        self.tests = Counter()                    # outcome -> tests
        self.outcomes = defaultdict(Counter)      # (clause, dtype) -> outcome -> tests
        self.examples = defaultdict(Counter)      # (clause, dtype) -> "cases" | "examples" -> executions
        self.worst = defaultdict(float)           # (clause, dtype) -> largest error / allowed of a golden case
        self.failures = []                        # one dictionary for each failed test
        self.unsupported = Counter()              # reason -> tests

    def executed(self, clause_ids, dtype, kind):
        for id in clause_ids:
            self.examples[id, dtype][kind] += 1

    def ended(self, clause_ids, dtype, outcome):
        self.tests[outcome] += 1
        for id in clause_ids:
            self.outcomes[id, dtype][outcome] += 1

    def as_dict(self):
        """{clause: {dtype: counts}} for the JSON report."""
        report = defaultdict(dict)
        for (id, dtype), counts in self.outcomes.items():
            report[id][dtype] = {
                **{outcome: counts[outcome] for outcome in OUTCOMES},
                "cases": self.examples[id, dtype]["cases"],
                "examples": self.examples[id, dtype]["examples"],
                "worst_error_over_allowed": self.worst[id, dtype],
            }
        return dict(report)


TALLY = Tally()
