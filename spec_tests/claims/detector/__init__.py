"""The weights of the detector, by experiment: worlds of many kinds, their SAEs, and questions, its own and others.

    python -m sae_spec.spec_tests.claims.detector              trains, fits with each kind of world left out, prints the tables
    python -m sae_spec.spec_tests.claims.detector.shoot_out    the detector beside what others would say of the same pairs

worlds.py     32 kinds of world, wider than the specification's: gain, lognormal loudness, noise, two parents, means far from 0
members.py    SAEs of them, trained and written down
evidence.py   what weights and a stream show of every pair, and what it once asked of them
questions.py  bounded questions that were tried beside the specification's
fit.py        log-odds = w · questions, and how well they do on a kind that the weights have not seen
rivals.py     others' scores of the same pairs
"""
