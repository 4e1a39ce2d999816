"""torch's CSR tensors, without its reminder that they are in beta."""

import warnings
from functools import cache

import torch


def csr(values, indices, offsets, width):
    """A sparse (len(offsets) - 1, width) tensor, unchecked: the callers build valid ones."""
    _reminded()
    return torch.sparse_csr_tensor(offsets, indices, values, (len(offsets) - 1, width), check_invariants=False)


@cache
def _reminded():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        none = torch.zeros(0, dtype=torch.int64)
        torch.sparse_csr_tensor(torch.zeros(2, dtype=torch.int64), none, none.float(), (1, 1), check_invariants=False)
