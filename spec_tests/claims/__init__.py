"""Claims about absorption, as small seeded experiments with computed verdicts.

They come from the literature and from the public discussion of "Toy Models of Feature Absorption in SAEs", which the
claims call the thread.

    python -m sae_spec.spec_tests.claims [--only NAME] [--seeds 5] [--out build/claims]
    python -m sae_spec.spec_tests.claims.zoo            the detector, tried on hundreds of SAEs
    python -m sae_spec.spec_tests.claims.budgets        ways to spend a budget, trained beside topk
"""
