"""A failing example as a fixture file, so that it can be run again anywhere, in any language."""

from sae_spec.spec_tests.core.adapter import place_of_argument
from sae_spec.spec_tests.core.cases import FORMAT, write_config, write_tensor
from sae_spec.spec_tests.operations import OPERATIONS


def replay_document(name, clause_ids, calls, reference):
    """Golden cases of the calls an example made, with the reference's answers; repeated calls once.

    reference  the reference's adapter; what it cannot answer, but for a caller's mistake, is left out
    """
    cases, seen = [], []
    for call in calls:
        raw = raw_case(f"{slug(name)}-{len(cases)}", clause_ids, call)
        key = (raw["operation"], raw["config"], raw["inputs"])
        if key not in seen and answered(raw, call, reference):
            seen.append(key)
            cases.append(raw)
    return {"format": FORMAT, "spec": reference.VERSION, "area": "replay", "flags": {}, "cases": cases}


def raw_case(id, clause_ids, call):
    """A case without its answer."""
    return {"id": id, "clauses": list(clause_ids), "flags": [], "tier": "edge", "comment": "from a failing example",
            "operation": call["operation"], "config": write_config(call["config"]),
            "inputs": {name: write_tensor(value) for name, value in call["inputs"].items()}}


def answered(raw, call, reference):
    """Whether the reference has an answer, outputs or a refusal; the case is changed to hold it."""
    try:
        copies = {name: value.copy() for name, value in call["inputs"].items()}
        outputs = reference.run(call["operation"], call["config"], copies, "float64")
        raw["expected"] = {name: write_tensor(value) for name, value in outputs.items()}
    except ValueError as error:
        raw["error"] = wrong_argument(call["operation"], call["config"], str(error))
        return bool(raw["error"])
    except Exception:
        return False
    return True


def wrong_argument(operation, config, message):
    """The argument that a refusal is about, "" if none: of those that the record says are refused, else of all that it has,
    the one that is named first."""
    record = OPERATIONS[operation]
    signature = record.values().get(config.get(record.turns_on, ""))
    known = [signature.refused, [*signature.config, *signature.inputs]] if signature else []
    for arguments in [*known, [record.turns_on] if record.turns_on else []]:
        places = {argument: place_of_argument(message, operation, config, argument) for argument in arguments}
        named = [argument for argument in arguments if places[argument] is not None]
        if named:
            return min(named, key=lambda argument: places[argument])
    return ""


def slug(name):
    """A test's name as a case's id."""
    return name.removeprefix("test_").replace("_", "-")
