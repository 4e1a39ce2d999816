"""Any program as an adapter: one JSON object a line, on its standard input and output (`docs/PROTOCOL.md`).

    python -m sae_spec.spec_tests --command "./my_program --flag"

The program is started once, and anew after it has ended or has not answered within the time limit (--timeout).
`docs/write_an_adapter.md` has a whole program.
"""

import os

from sae_spec.spec_tests.adapters.program import adapter_of

if "SAE_SPEC_COMMAND" not in os.environ:
    raise ValueError("--adapter subprocess_json needs --command \"PROGRAM …\"")
ADAPTER = adapter_of(os.environ["SAE_SPEC_COMMAND"])
NAME, VERSION, DTYPES, run = ADAPTER.NAME, ADAPTER.VERSION, ADAPTER.DTYPES, ADAPTER.run
