"""docs/OPERATIONS.md: everything an implementation can be asked."""

from sae_spec.spec_tests.core.cases import golden_cases
from sae_spec.spec_tests.core.clauses import clauses
from sae_spec.spec_tests.docs.markdown import cell, table
from sae_spec.spec_tests.operations import AREAS, OPERATIONS
from sae_spec.spec_tests.operations.describe import blocks

HEAD = """\
# Operations

What an adapter can be asked: `run(operation, config, inputs, dtype)`. An operation that it does not have is a
`NotImplementedError`; [write_an_adapter.md](write_an_adapter.md) tells the rest. `python -m sae_spec.spec_tests --operations`
prints this page without the clauses.

## How to read it

```text
cost                                  the operation
config   cost = tanh, tanh_scale      the configuration has "cost": "tanh" and a key tanh_scale
         [bandwidth]                  a key in brackets may be absent: where it is not needed, or to have its default
         topk | batch_topk            one of these
inputs   acts (B, M)                  an array and its shape
         [W_enc (M, D)]  untied only  an array in brackets is absent where the configuration does not need it, or where it
                                      is optional
         threshold ()  (state)        a number: an array without dimensions, in JSON "shape": []; (state): a running
                                      estimate, which may be kept in float32 when the data is in half precision
outputs  d_W_dec (M, D)               what must come back; d_ and a name is the gradient of the loss by it
refuse   tanh_scale: 0 or negative    a caller's mistake: a ValueError that holds the word tanh_scale
```

B is any number of leading dimensions, also none: (B, M) may be (M,), (8, M) or (2, 4, M). D is the input dimension, M the
number of latents, G that of prefixes, F that of a toy world's features, S that of steps; n and K are other lengths. Numbers and
flags travel as float64 arrays; a flag is 1 or 0. Both weight matrices are latent-major. The clauses named under an operation are
those whose golden cases ask it; [CLAUSES.md](../../reference/CLAUSES.md) says what they decide.

This page is generated from the records in `spec_tests/operations/`: `python -m sae_spec.spec_tests.docs`.
"""


def text():
    """The whole page."""
    parts = [HEAD, "## Keys of the configuration\n\nIn parentheses at the end: what an absent key means.\n", keys() + "\n"]
    for area in AREAS:
        parts.append(f"## {area.title}\n")
        parts += [section(operation) for operation in area.operations]
    return "\n".join(parts)


def keys():
    """A table of every key and what it means."""
    meanings = {key.name: key.meaning for operation in OPERATIONS.values() for signature in operation.signatures.values()
                for key in signature.config.values()}
    return table(["key", "meaning"], [[f"`{name}`", cell(meanings[name])] for name in sorted(meanings, key=str.lower)])


def section(operation):
    """One operation."""
    meaning = operation.meaning[0].upper() + operation.meaning[1:]
    shown = "\n\n".join(blocks(operation))
    return f"### `{operation.name}`\n\n{meaning}. Clauses: {', '.join(asked_by(operation))}.\n\n```text\n{shown}\n```\n"


def asked_by(operation):
    """The clauses whose golden cases ask an operation."""
    ids = {id for case in golden_cases() if case.operation == operation.name for id in case.clauses}
    return [id for id in clauses() if id in ids]
