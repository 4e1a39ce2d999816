"""The record of an operation: all that is known of one thing an implementation can be asked.

One record says what the operation means, what goes in and comes out and in which shapes, which mistakes of a caller it
must refuse, and how each of our two implementations computes it. Adapters run it, `docs/OPERATIONS.md` prints it, and
`itself/test_operations.py` holds it against the golden data. A new operation is a new record and nothing else:

    @FREQ.operation("the frequency over a whole data set",
                    inputs={"counts": "(M,)", "samples": "()  how many were counted"}, outputs={"frequency": "(M,)"},
                    refused={"samples": values("0", 0)})
    def frequency(on, config, counts, samples):
        return {"frequency": on.frequency.frequency(counts, samples)}

`on` is one of our two roads (`roads.py`): its modules by name, and as `on.arrays` its array library. Where the roads do not
make the same calls, the function under the record is the reference's, and `@name.on("torch_impl")` gives the other's;
`autograd.py` has the general answer for gradients. Functions of the roads are looked up when they are called, so that a
mutant may replace them.
"""

import re
from collections.abc import Callable
from typing import NamedTuple

SHAPED = re.compile(r"(?P<state>state )?(?P<shape>\(.*?\)|any)(  (?P<meaning>.+))?")


class Tensor(NamedTuple):
    """An input or an output; written "(M,)  what it is", with "state " in front where it is a running estimate."""

    name: str
    shape: str           # "(B, M)", "()" for a number, "any"
    meaning: str         # "" where name and shape say it
    optional: bool       # written [name]: absent where the configuration does not need it
    state: bool          # kept in at least float32 whatever the dtype of the data

    def __str__(self):
        return f"[{self.name} {self.shape}]" if self.optional else f"{self.name} {self.shape}"


class Key(NamedTuple):
    """A key of the configuration; [name] may be absent."""

    name: str
    meaning: str
    optional: bool

    def __str__(self):
        return f"[{self.name}]" if self.optional else self.name


class Wrong(NamedTuple):
    """A mistake of the caller's, and how to make it: from a right call to wrong ones."""

    how: str             # "below 2"
    calls: Callable      # (the argument, signature, config, inputs) -> [(config, inputs)]
    also: Callable = lambda signature: ()       # other names of it that an error may hold instead


class Signature(NamedTuple):
    """What goes in, what comes out, what is refused."""

    config: dict         # {name: Key}
    inputs: dict         # {name: Tensor}
    outputs: dict        # {name: Tensor}
    refused: dict        # {the argument's name, which the error must hold as a word: Wrong or a list of them}


class Operation:
    """A record. `signatures` has one entry, "", unless the operation turns on a key of its configuration."""

    def __init__(self, name, meaning, signatures, turns_on, parts, function):
        self.name, self.meaning, self.signatures, self.turns_on, self.parts = name, meaning, signatures, turns_on, parts
        self.function, self.own = function, {}          # for both roads, and {road: the one it has for itself}

    def on(self, road):
        """Declare that this road has a function of its own."""
        def declare(function):
            self.own[road] = function
            return self

        return declare

    def __call__(self, on, config, inputs):
        """{output: array of that road}"""
        return self.own.get(on.name, self.function)(on, config, **inputs)

    def values(self):
        """The values of the key that it turns on, as {value: Signature}."""
        return {value: signature for values, signature in self.signatures.items() for value in values.split(" | ")}

    def signature(self, config):
        """The Signature for a configuration."""
        return self.values()[config[self.turns_on] if self.turns_on else ""]

    def names_of(self, argument, config):
        """The names by one of which an error must speak of an argument that is wrong: its own, and what its mistakes add."""
        signature = self.values().get(config.get(self.turns_on, ""))
        wrong = signature.refused.get(argument, []) if signature else []
        return {argument}.union(*(mistake.also(signature) for mistake in (wrong if isinstance(wrong, list) else [wrong])))

    def state(self):
        """Names of the inputs that are running estimates."""
        return {name for signature in self.signatures.values() for name, tensor in signature.inputs.items() if tensor.state}


class Area:
    """The operations of one area of the clauses, in order."""

    def __init__(self, id, title):
        self.id, self.title, self.operations = id, title, []

    def operation(self, meaning, config=None, inputs=None, outputs=None, refused=None, turns_on="", variants=None,
                  parts=()):
        """Declare an operation; decorates the function that computes it, whose name it has.

        config, inputs, outputs   {name: text}, see Key and Tensor
        refused                   {argument: Wrong, or a list of them}, see mistakes.py
        turns_on, variants        a key of the configuration, and {"value | value": signature(…)} where they differ
        parts                     other operations of which this one is put together: where one of them fails, so does this
        """
        signatures = variants or {"": signature(config, inputs, outputs, refused)}

        def declare(function):
            record = Operation(function.__name__, meaning, signatures, turns_on, parts, function)
            self.operations.append(record)
            return record

        return declare


def signature(config=None, inputs=None, outputs=None, refused=None):
    """A Signature from its text."""
    return Signature(_keys(config or {}), _tensors(inputs or {}), _tensors(outputs or {}), refused or {})


def _keys(texts):
    return {name: Key(name, text, optional) for name, text, optional in _names(texts)}


def _tensors(texts):
    tensors = {}
    for name, text, optional in _names(texts):
        parts = SHAPED.fullmatch(text)
        if not parts:
            raise ValueError(f"{name}: {text!r} is not a shape and a meaning two spaces apart")
        tensors[name] = Tensor(name, parts["shape"], parts["meaning"] or "", optional, bool(parts["state"]))
    return tensors


def _names(texts):
    for name, text in texts.items():
        yield name.strip("[]"), text, name.startswith("[")
