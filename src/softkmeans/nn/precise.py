"""Modules of which some tensors keep at least 32 bits."""

from __future__ import annotations

__all__ = ["PreciseModule"]

from collections.abc import Callable
from typing import ClassVar, Self

import torch
from torch import Tensor, nn
from typing_extensions import override

from .parameters import at_least_single


class PreciseModule(nn.Module):
    """A module of which some tensors keep at least 32 bits when it is converted to half precision.

    Attributes
    ----------
    precise : tuple of str
        Names of these parameters and buffers.
    """

    precise: ClassVar[tuple[str, ...]] = ()

    @override
    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Convert the tensors of the module; the precise ones keep at least 32 bits."""
        precise = {name: self._parameters.get(name, self._buffers.get(name)) for name in self.precise}
        before = {name: tensor.data for name, tensor in precise.items() if tensor is not None}
        super()._apply(fn, recurse)  # type: ignore[no-untyped-call]
        for name, data in before.items():
            tensor = getattr(self, name)
            if tensor.dtype != at_least_single(tensor.dtype):
                tensor.data = data.to(tensor.device, torch.float32)
        return self
