"""What the record of an operation says of a golden case before it is believed: arrays that it has, in shapes that fit each other."""

from difflib import get_close_matches

import numpy as np

from sae_spec.spec_tests.operations import OPERATIONS

UNDER_ANY_NAME = "…"            # a record's word for inputs or outputs under names of the caller's


def why_unsound(case):
    """What is wrong with the call of a golden case, as "field: what"; None if nothing."""
    try:
        check_operation(case)
        if not case.error:
            known = {}
            signature = OPERATIONS[case.operation].signature(case.config)
            check_arrays("inputs", signature.inputs, case.inputs, known)
            check_arrays("expected", signature.outputs, case.expected, known)
            check_sizes(case)
    except ValueError as error:
        return str(error)
    return None


def check_operation(case):
    """ValueError for an operation, or a variant of it, that there is not."""
    if case.operation not in OPERATIONS:
        raise ValueError(f"operation: there is no {case.operation}{nearest(case.operation, OPERATIONS)}")
    record = OPERATIONS[case.operation]
    if record.turns_on and case.config.get(record.turns_on) not in record.values() and not case.error:
        raise ValueError(f"config.{record.turns_on}: must be one of {', '.join(record.values())}")


def check_arrays(group, declared, arrays, known):
    """ValueError for a name that the record does not have, or a shape that does not fit the others."""
    for name, array in arrays.items():
        if name not in declared and UNDER_ANY_NAME not in declared:
            raise ValueError(f"{group}.{name}: the operation has no such array{nearest(name, declared)}")
        if name in declared:
            try:
                lengths(declared[name], np.shape(array), known)
            except ValueError as error:
                raise ValueError(f"{group}.{name}: {error}") from None


def check_sizes(case):
    """ValueError where nothing is expected of inputs that hold something, unless the flag Empty says that this is meant."""
    for name, array in case.expected.items():
        if not array.size and all(given.size for given in case.inputs.values()) and "Empty" not in case.flags:
            raise ValueError(f"expected.{name}: holds no number, though every input does; the flag Empty says where that is right")


def lengths(tensor, shape, known):
    """The lengths of the named dimensions, B standing for any number of them, added to those `known`.

    tensor  its record
    raises  ValueError where the shape does not fit
    """
    if tensor.shape == "any":
        return known
    names, whole = [name for name in tensor.shape.strip("(),").split(", ") if name], tuple(shape)
    if "B" in names and len(shape) >= len(names) - 1:
        at, more = names.index("B"), len(shape) - len(names) + 1
        shape = (*shape[:at], tuple(shape[at:at + more]), *shape[at + more:])
    if len(shape) != len(names):
        raise ValueError(f"has shape {whole}, it must be {tensor.shape}")
    for name, length in zip(names, shape):
        want = int(name) if name.isdigit() else known.setdefault(name, length)
        if length != want:
            raise ValueError(f"has shape {whole}, it must be {tensor.shape}, and {name} is {want} elsewhere")
    return known


def nearest(word, known):
    """"; nearest: …" of up to three that are spelled alike, in capitals or not, or ""."""
    folded = {name.casefold(): name for name in known}
    near = [folded[name] for name in get_close_matches(word.casefold(), folded, 3, 0.5)]
    return f"; nearest: {', '.join(near)}" if near else ""
