"""How training goes, by experiment: what the defaults of the start and of sparsity rest on.

    python -m sae_spec.spec_tests.claims.training.start        the encoder's scale before the first step
    python -m sae_spec.spec_tests.claims.training.knob         how far jumprelu's l0_coefficient reaches
    python -m sae_spec.spec_tests.claims.training.beside       beside SAELens at equal steps, where `make bench-peers` was run
"""
