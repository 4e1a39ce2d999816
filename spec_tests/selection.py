"""Which tests of the suite the options leave out."""

import fnmatch
import inspect
import types

from sae_spec.spec_tests.asking.soundness import nearest
from sae_spec.spec_tests.core.clauses import clauses

REFUSALS = {"error", "refuses"}             # methods of core/adapter.py's Bound


def check_names(option, cases, properties):
    """ValueError of one line where the value of an option names no clause, golden case or property that there is.

    option      {"--clause": the values given} as a function
    cases       all golden cases
    properties  the names of all properties
    """
    ids = [case.id for case in cases]
    for pattern in option("--clause"):
        check_name("--clause", pattern, "clause", [*clauses()])
    for pattern in (word.strip() for words in option("--require") for word in words.split(",")):
        check_name("--require", pattern, "clause", [*clauses()])
    for name in option("--case"):
        if not name.endswith(".json"):
            check_name("--case", name, "golden case", ids, exactly=True)
    for pattern in option("--exclude"):
        check_name("--exclude", pattern, "clause, golden case or property", [*clauses(), *ids, *properties])


def check_name(option, name, kind, known, exactly=False):
    """ValueError of one line, with what is nearest, where nothing known has this name."""
    if name in known if exactly else matches([name], known):
        return
    raise ValueError(f"{option} {name}: there is no such {kind}{nearest(name, known)}")


def case_of(item):
    """The golden case of a test, or None."""
    return item.callspec.params.get("case") if hasattr(item, "callspec") else None


def clauses_of(item):
    """The clauses an item is about: a property's, or a golden case's."""
    case = case_of(item)
    return case.clauses if case else getattr(item.function, "clauses", ())


def name_of(item):
    """What a list of known failures calls a test: {"case": id} or {"test": name}."""
    case = case_of(item)
    return {"case": case.id} if case else {"test": item.originalname}


def selected(item, option):
    """Whether the options, read by `option(name)`, ask for a test."""
    case, ids, cases = case_of(item), clauses_of(item), option("--case") or []
    if case and "adapter" in item.callspec.params and item.callspec.params["adapter"][-1] not in case.dtypes:
        return False
    if option("--clause") and not matches(option("--clause"), ids):
        return False
    if cases and not (case and (case.id in cases or any(name.endswith(".json") for name in cases))):
        return False
    return not is_conformance(item) or not left_out(item, case, option)


def left_out(item, case, option):
    """Whether an option leaves out a golden case or a property."""
    if matches(option("--exclude"), [*clauses_of(item), *name_of(item).values()]):
        return True
    if option("--properties-only") if case else option("--golden-only"):
        return True
    return option("--no-argument-checks") and (bool(case.error) if case else asks_for_refusals(item.function))


def is_conformance(item):
    return "adapter" in getattr(item, "fixturenames", ())


def matches(patterns, names):
    return any(fnmatch.fnmatchcase(name, pattern) for name in names for pattern in patterns)


def asks_for_refusals(test):
    """Whether a property, or a function of its module that it calls, asks that a call be refused."""
    return bool(REFUSALS & names_used(inspect.unwrap(getattr(test, "written", test)), set()))


def names_used(function, seen):
    """The names of attributes and globals in a function and in the functions of its module that it names."""
    if function in seen:
        return set()
    seen.add(function)
    names, codes = set(), [function.__code__]
    while codes:
        code = codes.pop()
        names |= set(code.co_names)
        codes += [constant for constant in code.co_consts if isinstance(constant, types.CodeType)]
    for name in tuple(names):
        other = function.__globals__.get(name)
        if isinstance(other, types.FunctionType) and other.__module__ == function.__module__:
            names |= names_used(other, seen)
    return names
