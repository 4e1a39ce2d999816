"""A program as an adapter: who it is, what it is asked, and what its replies mean (`docs/PROTOCOL.md`)."""

from types import SimpleNamespace

from sae_spec.spec_tests.asking.answers import Lost, Misbehaved
from sae_spec.spec_tests.asking.pipe import Program
from sae_spec.spec_tests.core.cases import read_tensor, write_config, write_tensor


def adapter_of(command):
    """A program as an adapter; ValueError of one line if it cannot be started or does not say who it is."""
    program = Program(command)
    name, version, dtypes = hello(program)
    return SimpleNamespace(NAME=name, VERSION=version, DTYPES=dtypes, program=program,
                           run=lambda *question: answer(program, *question))


def hello(program):
    """Name, version and dtypes of a program; ValueError of one line if it does not say them."""
    try:
        said = program.ask({"operation": "hello"})
    except (OSError, ValueError) as error:
        raise ValueError(f"--command {program.command}: cannot be started: {error}") from None
    except (Lost, Misbehaved) as error:
        raise ValueError(f"--command: {error}") from None
    name, version, dtypes = (said.get(word) for word in ("name", "version", "dtypes"))
    if not (isinstance(name, str) and isinstance(dtypes, list)):
        raise ValueError(f'{program.command}: the reply to "hello" needs name, version and dtypes, it is {said}')
    return name, version, dtypes


def answer(program, operation, config, inputs, dtype):
    """What `run` of an adapter returns or raises; see `sae_spec.spec_tests.core.adapter`."""
    tensors = {name: write_tensor(array) for name, array in inputs.items()}
    reply = program.ask({"operation": operation, "dtype": dtype, "config": write_config(config), "inputs": tensors})
    if "unsupported" in reply:
        raise NotImplementedError(reply["unsupported"])
    if "error" in reply:
        raise ValueError(reply["error"])
    if not isinstance(reply.get("outputs"), dict):
        raise Misbehaved(f"{program.command}: the reply has neither outputs by name nor error nor unsupported: {str(reply)[:200]}")
    return {name: tensor_of(program, name, tensor) for name, tensor in reply["outputs"].items()}


def tensor_of(program, name, tensor):
    """An output, or Misbehaved where it is not a shape and as many numbers."""
    try:
        return read_tensor(name, tensor)
    except Exception as error:
        form = error if isinstance(error, ValueError) else 'is not {"shape": [...], "data": ...}'
        raise Misbehaved(f"{program.command}: the output {name} cannot be read: {form}: {str(tensor)[:200]}") from None
