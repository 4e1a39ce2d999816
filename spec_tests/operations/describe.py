"""A record in words: what --operations prints and docs/OPERATIONS.md shows."""

from itertools import groupby
from textwrap import fill

WIDTH = 118


def described(operation):
    """The record as text for a terminal."""
    yield f"{operation.name}  {operation.meaning}"
    for text in blocks(operation):
        yield "\n".join(f"    {line}" for line in text.splitlines()) + "\n"


def blocks(operation):
    """One text for each signature of a record: config, inputs, outputs, and what is refused."""
    for value, signature in operation.signatures.items():
        keys = ([f"{operation.turns_on} = {value}"] if value else []) + [str(key) for key in signature.config.values()]
        parts = {"config": [", ".join(keys)] if keys else [], "inputs": tensors(signature.inputs.values()),
                 "outputs": tensors(signature.outputs.values()), "refuse": refusals(signature.refused)}
        yield "\n".join(part(name, lines) for name, lines in parts.items() if lines)


def part(name, lines):
    """Lines behind a word, folded."""
    first, rest = name.ljust(9), " " * 9
    return "\n".join(fill(line, WIDTH, initial_indent=rest if number else first, subsequent_indent=rest + "    ",
                          break_long_words=False, break_on_hyphens=False) for number, line in enumerate(lines))


def tensors(declared):
    """Tensors as lines: those that names and shapes explain together, each of the others by itself."""
    plain = [str(tensor) for tensor in declared if not (tensor.meaning or tensor.state)]
    explained = ["  ".join(filter(None, (str(tensor), tensor.meaning, "(state)" * tensor.state)))
                 for tensor in declared if tensor.meaning or tensor.state]
    return ([", ".join(plain)] if plain else []) + explained


def refusals(refused):
    """What is refused, arguments that are refused for the same reasons together."""
    def reasons(argument):
        wrong = refused[argument]
        return ", ".join(mistake.how for mistake in (wrong if isinstance(wrong, list) else [wrong]))

    return [f"{', '.join(arguments)}: {why}" for why, arguments in groupby(refused, reasons)]
