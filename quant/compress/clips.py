"""Where narrower weights and activations clip: where their squared error is least.

The error is that against the quantized values as they are. Rounding errors grow with the clip,
clipping errors shrink with it; at 2 and 3 bits the best clip is far below the largest value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from exeunt.quant.network.brevitas import QuantConv2d, QuantIdentity, QuantLinear, QuantReLU

_BATCH = 128
_CLIPS = tuple(float(c) for c in np.linspace(1.0, 0.3, 15))  # of the largest value


@torch.no_grad()
def clipped(module: QuantConv2d | QuantLinear, bits: int) -> Tensor:
    """The float weights of a layer, clipped for `bits` if these are fewer than it has.

    Every scale has a clip of its own, since the scale follows the largest weight.
    """
    weight = module.weight.detach()
    if bits >= int(module.weight_quant.bit_width()):
        return weight.clone()
    present = module.weight_quant(module.weight)
    axes = scaled_axes(module)
    largest = weight.abs().amax(axes, keepdim=True)
    top = (1 << (bits - 1)) - 1
    errors = []
    for clip in _CLIPS:
        step = (largest * clip / top).clamp_min(1e-30)
        rounded = torch.round(weight / step).clamp(-top, top) * step
        errors.append((rounded - present.value).square().sum(axes, keepdim=True))
    best = largest * torch.tensor(_CLIPS)[torch.stack(errors).argmin(dim=0)]
    return torch.maximum(torch.minimum(weight, best), -best)


def scaled_axes(module: QuantConv2d | QuantLinear) -> tuple[int, ...]:
    """The axes of a layer's weight that share a scale: all, or all but the outputs."""
    single = module.weight_quant(module.weight).scale.numel() == 1
    return tuple(range(0 if single else 1, module.weight.dim()))


@torch.no_grad()
def activation_clips(
    network: nn.Module, names: Mapping[str, int], images: Tensor
) -> dict[tuple[str, int], float]:
    """The clip of each quantizer at fewer bits, as a fraction of its present one.

    `names` are quantizers with their present bits, `images` (N, C, H, W). By name and bits, from 2
    on to one fewer than the present.
    """
    modules = dict(network.named_modules())
    errors: dict[tuple[str, int], Tensor] = {}

    def watch(name: str, bits: int) -> Any:
        module = modules[name]
        assert isinstance(module, QuantReLU | QuantIdentity)
        clip = float(module.act_quant.scale()) * ((1 << bits) - 1)

        def hook(_: nn.Module, inputs: tuple[Any, ...]) -> None:
            value = torch.relu(inputs[0]) / clip
            top = (1 << bits) - 1
            present = torch.round(value * top).clamp(0, top) / top
            for b in range(2, bits):
                top = (1 << b) - 1
                found = [
                    (torch.round(value * (top / c)).clamp(0, top) * (c / top) - present)
                    .square().sum().double()
                    for c in _CLIPS
                ]  # fmt: skip
                errors[name, b] = errors.get((name, b), 0.0) + torch.stack(found)

        return module.register_forward_pre_hook(hook)

    handles = [watch(name, bits) for name, bits in names.items()]
    try:
        network.eval()
        for part in images.split(_BATCH):
            network(part)
    finally:
        for handle in handles:
            handle.remove()
    return {key: _CLIPS[int(value.argmin())] for key, value in errors.items()}
