"""The dense and the memory-bound steps, each in one place, so that a faster one needs no change elsewhere."""
