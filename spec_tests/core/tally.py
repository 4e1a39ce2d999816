"""What ran and how it ended, by clause and dtype."""

import json
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
        self.otherwise = Counter()                # how a question was put that had no answer at first -> calls

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

    def lost(self, message):
        """A process of the run took its counts with it: a failure of no clause."""
        self.tests["fail"] += 1
        self.failures.append({"clauses": [], "test": "", "name": {}, "dtype": "", "operation": "",
                              "numbers": 0, "message": message, "again": ""})

    # ------------------------------------------------------------ between the processes of one run

    def to_text(self):
        """All of it as JSON, for the process that makes the report."""
        pairs = lambda counts: [[list(key), value] for key, value in counts.items()]
        return json.dumps([self.tests, pairs(self.outcomes), pairs(self.examples), pairs(self.worst), self.failures,
                           self.unsupported, self.otherwise])

    def add_text(self, text):
        """Add what another process counted."""
        tests, outcomes, examples, worst, failures, unsupported, otherwise = json.loads(text)
        self.tests.update(tests)
        self.unsupported.update(unsupported)
        self.otherwise.update(otherwise)
        self.failures += failures
        for mine, theirs in ((self.outcomes, outcomes), (self.examples, examples)):
            for key, counts in theirs:
                mine[tuple(key)].update(counts)
        for key, value in worst:
            self.worst[tuple(key)] = max(self.worst[tuple(key)], value)


TALLY = Tally()
