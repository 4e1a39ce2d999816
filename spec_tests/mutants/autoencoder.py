"""Mutants of the area."""
