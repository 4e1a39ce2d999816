"""One rule for every dtype: compute in at least float32, round once at the output.

float16 and bfloat16 are for storing an activation, not for summing, squaring or comparing with a threshold.
A module of its own, because the products, the costs and the counters all need it and none of them owns it.
"""

from functools import reduce
from typing import overload

import torch
from torch import Tensor


@overload
def widen(tensor: Tensor, /) -> Tensor: ...
@overload
def widen(tensor: Tensor, second: Tensor, /, *others: Tensor) -> list[Tensor]: ...


def widen(*tensors: Tensor) -> Tensor | list[Tensor]:
    """The tensors, of any shapes, in their common dtype, at least float32: one by itself, several as a list.

    Autograd rounds the gradient back to each tensor's own dtype, once.
    """
    dtype = reduce(torch.promote_types, (tensor.dtype for tensor in tensors), torch.float32)
    wide = [tensor.to(dtype) for tensor in tensors]
    return wide if len(wide) > 1 else wide[0]
