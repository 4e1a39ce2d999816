"""Claims: what the literature and the thread say of absorption, as small seeded experiments with computed verdicts.

    python -m sae_spec.spec_tests.claims [--only NAME] [--seeds 5] [--out build/claims]
    python -m sae_spec.spec_tests.claims.zoo            the detector, tried on hundreds of SAEs
"""
