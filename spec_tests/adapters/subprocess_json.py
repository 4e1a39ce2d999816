"""Any program as an adapter: one JSON object a line, on its standard input and output.

    python -m sae_spec.spec_tests --command "./my_program --flag"

The program is started once. Each request gets exactly one reply, on one line:

    {"operation": "hello"}
        -> {"name": "my-sae", "version": "1.2", "dtypes": ["float32"]}
    {"operation": "activation", "dtype": "float32", "config": {"activation": "relu"},
     "inputs": {"pre": {"shape": [1, 2], "data": [[-1, 0.5]]}}}
        -> {"outputs": {"acts": {"shape": [1, 2], "data": [[0, 0.5]]}}}
        or {"unsupported": "why it does not have this"}
        or {"error": "k must be at least 1"}          a caller's mistake, naming the argument

Numbers that are not finite travel as the strings "NaN", "Infinity" and "-Infinity". `docs/write_an_adapter.md` has a whole
program.
"""

import atexit
import json
import os
import shlex
import subprocess

from sae_spec.spec_tests.core.cases import read_tensor, write_tensor


class Program:
    """The running program, and the last of what it said."""

    def __init__(self, command):
        self.command = command
        try:
            self.process = subprocess.Popen(shlex.split(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
                                            encoding="utf-8", bufsize=1)
        except (OSError, ValueError) as error:
            raise ValueError(f"--command {command}: cannot be started: {error}") from None
        atexit.register(self.process.kill)

    def ask(self, request):
        """The reply to one request; RuntimeError if there is none, or if it is not JSON."""
        try:
            self.process.stdin.write(json.dumps(request, allow_nan=False) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass                        # the program has ended: reading says so
        line = self.process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self.command} ended without a reply (exit status {self.process.wait(timeout=10)})")
        try:
            reply = json.loads(line)
        except json.JSONDecodeError:
            raise RuntimeError(f"{self.command} replied with something that is not JSON: {line[:200]!r}") from None
        if not isinstance(reply, dict):
            raise RuntimeError(f"{self.command} replied with something that is not a JSON object: {line[:200]!r}")
        return reply


if "SAE_SPEC_COMMAND" not in os.environ:
    raise ValueError("--adapter subprocess_json needs --command \"PROGRAM …\"")
PROGRAM = Program(os.environ["SAE_SPEC_COMMAND"])
_hello = PROGRAM.ask({"operation": "hello"})
NAME, VERSION, DTYPES = (_hello.get(word) for word in ("name", "version", "dtypes"))
if not (isinstance(NAME, str) and isinstance(DTYPES, list)):
    raise ValueError(f'{PROGRAM.command}: the reply to "hello" needs name, version and dtypes, it is {_hello}')


def run(operation, config, inputs, dtype):
    """See `sae_spec.spec_tests.core.adapter`."""
    tensors = {name: write_tensor(array) for name, array in inputs.items()}
    reply = PROGRAM.ask({"operation": operation, "dtype": dtype, "config": config, "inputs": tensors})
    if "unsupported" in reply:
        raise NotImplementedError(reply["unsupported"])
    if "error" in reply:
        raise ValueError(reply["error"])
    if "outputs" not in reply:
        raise RuntimeError(f"{PROGRAM.command}: the reply has neither outputs nor error nor unsupported: {reply}")
    return {name: read_tensor(f"{PROGRAM.command}: {name}", tensor) for name, tensor in reply["outputs"].items()}
