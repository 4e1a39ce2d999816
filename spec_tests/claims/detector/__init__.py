"""What a detector of absorption might add up, by experiment: worlds of many kinds, their SAEs, what is true, and candidate questions.

    python -m sae_spec.spec_tests.claims.detector              trains, fits with each kind of world left out, prints the tables

worlds.py     thirty kinds of world, wider than the specification's: gain, lognormal loudness, noise, two parents, means far from 0
members.py    SAEs of them, trained and written down
truth.py      which pairs are absorbed, by what is in the samples
evidence.py   what weights and a stream show of every pair
questions.py  the candidates: bounded questions about the evidence
fit.py        log-odds = w · questions, and how well they do on a kind that the weights have not seen
"""
