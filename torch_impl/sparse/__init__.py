"""Sparse (B, M) matrices in autograd: entries.py holds them, autograd.py multiplies them and collects gradients."""
