"""Kernels for a GPU, each a file of the name of the function that gives way to it; launch.py is what they share."""
