"""Other libraries against the specification: `make peers`.

    libraries.toml  which libraries, in which versions, in which environments
    judgements/     of each library, what differs and whether that is a convention or a mistake: read in its source, held to
    measured/       of each library, what the last run found; the pages are made from it. In measured/replays/
                    what Hypothesis found, as golden cases
    libraries.py    reads libraries.toml and makes the environments
    measure.py      runs the suite for a library and keeps what the pages need
    matrix.py       clause by library, from what was measured
    page.py         build/peers.html; spec_tests/docs/PEERS.md is made by spec_tests.docs

A new library is an entry in libraries.toml, an adapter in adapters/peers/ and its judgements.
"""
