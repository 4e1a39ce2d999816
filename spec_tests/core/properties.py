"""What turns a Hypothesis test into a property of a clause.

    @clause("ACT-7", "ACT-1")
    @given(pre=dyadic(B, M))
    def test_jumprelu_at_threshold_zero_is_relu(adapter, pre): ...

The test gets a bound adapter (`adapter.Bound`). Its failure names the clause, shows the smallest example that
Hypothesis found and leaves a replay file. An example that raises NotImplementedError is left out; the test is then
unsupported, unless an example that the adapter does have fails.
"""

import functools
import inspect
from collections import defaultdict
from contextlib import contextmanager
from pathlib import Path

from sae_spec.spec_tests.asking.answers import Lost, Misbehaved, Missing
from sae_spec.spec_tests.core.cases import Failure, write_tensor
from sae_spec.spec_tests.core.clauses import clauses
from sae_spec.spec_tests.core.tally import TALLY

SPEC_TESTS = Path(__file__).resolve().parents[1]
PROPERTIES = defaultdict(dict)          # clause id -> {(module, name): test}; read by test_the_suite.py


@contextmanager
def blames(*ids):
    """What fails inside is about these of the property's clauses alone: its failure names them, and no others are charged."""
    try:
        yield
    except AssertionError as error:
        error.clauses = ids
        raise


def clause(*ids, dtypes=None, agreement=False):
    """Declare which clauses a property holds.

    dtypes     run in these only (finite differences need float64)
    agreement  it compares with the reference rather than stating a relation; such a property does not count
               as the one that kills a clause's mutants
    """
    unknown = [id for id in ids if id not in clauses()]
    if not ids or unknown:
        raise ValueError(f"unknown clauses: {unknown}" if ids else "a property needs a clause")

    def declare(test):
        written = getattr(getattr(test, "hypothesis", None), "inner_test", test)
        if hasattr(test, "hypothesis"):
            test.hypothesis.inner_test = _counted(ids, test.hypothesis.inner_test)
        else:
            test = _counted(ids, test)

        @functools.wraps(test)
        def run(adapter, **arguments):
            adapter.unsupported.clear()
            try:
                test(adapter=adapter, **arguments)
            except NotImplementedError:
                raise
            except (Exception, Lost) as error:
                blamed = getattr(error, "clauses", ids)
                raise Failure(_story(blamed, test, adapter, error), blamed) from error
            if adapter.unsupported:     # what it has is right, but it does not have everything: no pass
                asked = sorted({error.asked for error in adapter.unsupported})
                raise Missing(str(adapter.unsupported[0]), ", ".join(asked))

        run.clauses, run.dtypes, run.agreement, run.written = ids, dtypes, agreement, written
        for id in ids:
            PROPERTIES[id][test.__module__, test.__name__] = run
        return run

    return declare


def _counted(ids, inner):
    @functools.wraps(inner)
    def counted(*positional, **arguments):
        adapter = arguments.get("adapter", positional[0] if positional else None)
        adapter.calls.clear()
        ran = True
        try:
            inner(*positional, **arguments)
        except Missing as error:        # to Hypothesis it would be a failure, to be shrunk and reported
            adapter.unsupported.append(error)
            ran = False
        finally:
            if ran:
                TALLY.executed(ids, adapter.dtype, "examples")

    return counted


def _story(ids, test, adapter, error):
    known = clauses()
    parts = [f"{id}  {known[id].sentence}\n      {known[id].where}" for id in ids]
    file = Path(inspect.getsourcefile(inspect.unwrap(test))).resolve().relative_to(SPEC_TESTS.parent).as_posix()
    parts.append(f"  property {test.__name__} ({file})   adapter {adapter.name} {adapter.module.VERSION}   {adapter.dtype}")
    plain = isinstance(error, (AssertionError, Lost, Misbehaved)) and str(error)
    text = str(error) if plain else f"{type(error).__name__}: {error}"
    parts += [f"  {line}" for line in text.splitlines()]
    if adapter.calls:
        parts.append("  smallest example:")
        for call in adapter.calls[-3:]:
            inputs = ", ".join(f"{name}={_short(value)}" for name, value in call["inputs"].items())
            parts.append(f"    {call['operation']}({call['config']}, {inputs})")
    return "\n".join(parts)


def _short(array):
    text = str(write_tensor(array)["data"]).replace(" ", "")
    return text if len(text) < 200 else f"array of shape {array.shape}"
