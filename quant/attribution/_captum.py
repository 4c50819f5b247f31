"""Captum's DeepLIFT on the same networks, as it is and with quantizers as opaque steps.

It is what `faithfulness` compares with. Captum hooks the nn.ReLU inside a QuantReLU alone, so that
rounding and clipping escape its rescale rule; and its rule for max pooling loses what the winners
of a window do not say. `opaque=True` hides each quantizer in a module that Captum takes as one
non-linearity, which leaves the pooling.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from exeunt.quant.attribution._linear import LINEAR
from exeunt.quant.network.brevitas import QuantNonLinearActLayer


class _Opaque(nn.Module):
    """One module as a single step."""

    def __init__(self, inside: nn.Module) -> None:
        super().__init__()
        self.inside = inside

    def forward(self, x: Tensor) -> Tensor:
        return self.inside(x)


class _Exit(nn.Module):
    """One exit of a network; what lies behind it is not run when its parts are known."""

    def __init__(self, network: nn.Module, index: int) -> None:
        super().__init__()
        segments, heads = getattr(network, "segments", None), getattr(network, "heads", None)
        self.chain: nn.Module | None = None
        if isinstance(segments, nn.ModuleList) and isinstance(heads, nn.ModuleList):
            self.chain = nn.Sequential(*list(segments)[: index + 1], heads[index])
        else:
            self.network, self.index = network, index

    def forward(self, x: Tensor) -> Tensor:
        return self.chain(x) if self.chain is not None else self.network(x)[self.index]


@contextmanager
def _prepared(network: nn.Module, index: int, opaque: bool) -> Iterator[_Exit]:
    """A copy of one exit that Captum may change."""
    from captum.attr._core import deep_lift

    found = _Exit(copy.deepcopy(network).eval(), index)
    rules = dict(deep_lift.SUPPORTED_NON_LINEAR)
    if opaque:
        for parent in list(found.modules()):
            for name, child in list(parent.named_children()):
                if isinstance(child, QuantNonLinearActLayer):
                    setattr(parent, name, _Opaque(child))
        deep_lift.SUPPORTED_NON_LINEAR[_Opaque] = deep_lift.nonlinear
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield found
    finally:
        deep_lift.SUPPORTED_NON_LINEAR.clear()
        deep_lift.SUPPORTED_NON_LINEAR.update(rules)


def captum_maps(
    network: nn.Module,
    images: npt.NDArray[Any],
    *,
    target: npt.NDArray[np.int64],
    exit: int,
    reference: npt.NDArray[np.float32],
    opaque: bool = False,
) -> npt.NDArray[np.float32]:
    """Heat maps float32 (N, H, W, C) of Captum's DeepLift; reference (H, W, C)."""
    from captum.attr import DeepLift

    x, base = _planes(images), _planes(reference[None])
    with _prepared(network, exit, opaque) as module:
        found = DeepLift(module).attribute(x, base, target=torch.from_numpy(target))
    return np.ascontiguousarray(found.detach().permute(0, 2, 3, 1).numpy(), np.float32)


def captum_filter_scores(
    network: nn.Module,
    images: npt.NDArray[Any],
    *,
    target: npt.NDArray[np.int64],
    reference: npt.NDArray[np.float32],
    exits: Sequence[int],
    batch: int = 64,
) -> list[dict[str, npt.NDArray[np.float64]]]:
    """Mean over images of sum |contribution| of every filter, layer by layer with LayerDeepLift.

    One table a requested exit, of the layers in front of it, named within its chain.
    """
    from captum.attr import LayerDeepLift

    tables = []
    for index in exits:
        table: dict[str, npt.NDArray[np.float64]] = {}
        with _prepared(network, index, True) as module:
            for name, layer in module.named_modules():
                if not isinstance(layer, LINEAR):
                    continue
                method = LayerDeepLift(module, layer)
                total = 0.0
                for start in range(0, len(images), batch):
                    part = slice(start, start + batch)
                    found = method.attribute(
                        _planes(images[part]),
                        _planes(reference[None]),
                        target=torch.from_numpy(target[part]),
                    ).detach()
                    places = found.flatten(2) if found.dim() > 2 else found[:, :, None]
                    total = total + places.abs().sum((0, 2)).double().numpy()
                table[name] = np.asarray(total) / len(images)
        tables.append(table)
    return tables


def _planes(images: npt.NDArray[Any]) -> Tensor:
    planes = np.ascontiguousarray(np.transpose(images, (0, 3, 1, 2)), dtype=np.float32)
    return torch.from_numpy(planes)
