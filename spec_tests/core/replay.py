"""A failing example as a fixture file, so that it can be run again anywhere, in any language."""

from sae_spec.spec_tests.adapters import reference_numpy
from sae_spec.spec_tests.core.cases import FORMAT, write_tensor


def replay_document(name, clause_ids, calls):
    """Golden cases of the calls an example made, with the reference's answers; repeated calls once."""
    cases, seen = [], []
    for call in calls:
        raw = raw_case(f"{slug(name)}-{len(cases)}", clause_ids, call)
        key = (raw["operation"], raw["config"], raw["inputs"])
        if key not in seen:
            seen.append(key)
            cases.append(raw)
    return {"format": FORMAT, "spec": reference_numpy.VERSION, "area": "replay", "flags": {}, "cases": cases}


def raw_case(id, clause_ids, call):
    raw = {"id": id, "clauses": list(clause_ids), "flags": [], "tier": "edge", "comment": "from a failing example",
           "operation": call["operation"], "config": call["config"],
           "inputs": {name: write_tensor(value) for name, value in call["inputs"].items()}}
    try:
        copies = {name: value.copy() for name, value in call["inputs"].items()}
        outputs = reference_numpy.run(call["operation"], call["config"], copies, "float64")
        raw["expected"] = {name: write_tensor(value) for name, value in outputs.items()}
    except ValueError as error:
        raw["error"] = str(error).split()[0]
    return raw


def slug(name):
    return name.removeprefix("test_").replace("_", "-")
