"""TOY and THEORY: worlds whose features are known, and closed forms that trained SAEs must reproduce."""
