"""How training goes, by experiment: what the defaults of the start and of sparsity rest on.

    python -m sae_spec.spec_tests.claims.training.start        the encoder's scale before the first step
"""
