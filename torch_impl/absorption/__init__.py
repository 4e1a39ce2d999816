"""ABS and META: which latents are absorbed into which?

`find.find_absorption` answers for an SAE and its activations; `recall.py` says what that is worth where the truth is known,
`edges.py` what is hidden where the features' tree is known.
Below them `scan.py` chooses candidate pairs and counts, `pairs.py` makes evidence of the counts. The other files
are those of the reference, for as many latents as an (M, M) array has room for.
"""
