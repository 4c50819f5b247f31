"""Convolutions of every kind through the compiler and the RTL: groups, dilation, sides, pads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exeunt.graph import Integer, Stream
from exeunt.hls.back.kernels import registry
from exeunt.kernels.mvu import Mvu
from exeunt.kernels.swg import Swg

SHAPE = (9, 8, 1)


def depthwise(b: Any) -> Any:
    """Depthwise and pointwise layers, strides, a filter for each channel and two for each."""
    x = b.conv("image", 6, pad=1)
    x = b.conv(b.conv(x, 6, group=6, pad=1), 8, 1)
    b.exit(b.linear(b.conv(x, 4, 3, stride=2), 4))
    x = b.conv(b.conv(x, 16, group=8, stride=2, pad=1), 6, 1)
    b.exit(b.linear(b.conv(x, 6, group=6, signed=True), 4))
    return b


def grouped(b: Any) -> Any:
    """Groups of several channels, also of a 1 x 1 kernel, and signed integers."""
    x = b.conv("image", 6, pad=1, signed=True)
    x = b.conv(x, 4, group=2, pad=1)
    b.exit(b.linear(x, 4))
    x = b.conv(b.conv(x, 6, 1, group=2), 9, group=3, stride=2)
    b.exit(b.linear(x, 4))
    return b


def dilated(b: Any) -> Any:
    """Windows with holes, alone and in groups."""
    x = b.conv("image", 4, pad=2, dilation=2)
    x = b.conv(x, 4, group=4, dilation=(1, 3), pad=(0, 3, 1, 2))
    b.exit(b.linear(x, 4))
    x = b.conv(x, 4, (3, 2), dilation=(2, 3), stride=2)
    b.exit(b.linear(x, 4))
    return b


def sided(b: Any) -> Any:
    """Kernels and strides with two sides, pads on one, a stride above its kernel."""
    x = b.conv("image", 4, (3, 1), pad=(2, 0, 0, 0), stride=(1, 2))
    x = b.conv(x, 4, (1, 3), pad=(0, 0, 0, 2))
    b.exit(b.linear(x, 4))
    x = b.conv(x, 6, 2, stride=(3, 3), group=2)
    b.exit(b.linear(x, 4))
    return b


def shifted(b: Any) -> Any:
    """Groups behind a zero point, on one pixel, and holes that reach over a short side."""
    x = b.quant(b.conv("image", 4, 3, pad=1, act=False), 4, scale=0.5, zero=3.0)
    y = b.conv(x, 4, 3, group=2, stride=2)
    b.exit(b.linear(y, 4))
    y = b.conv(y, 8, 3, dilation=3, pad=3, group=4, signed=True)
    y = b.conv(y, 8, (4, 3), signed=True)
    b.exit(b.linear(b.conv(b.conv(y, 8, 1, group=8, signed=True), 6, 3, pad=1, group=2), 4))
    return b


KINDS = (depthwise, grouped, dilated, sided, shifted)


@pytest.mark.parametrize("made", KINDS)
@pytest.mark.parametrize("cycles", [80, 700, 20000])
def test_every_kernel_agrees_with_the_file(
    made: Any, cycles: int, builder: type, through: Any, tmp_path: Path
) -> None:
    path = made(builder(SHAPE)).save(tmp_path / "model.onnx")
    accelerator, images, _ = through.compiled(path, SHAPE, cycles=cycles, frames=6)
    nodes = [node for chain in accelerator.chains for node in chain.nodes]
    units = [node for node in nodes if isinstance(node, Mvu)]
    assert len(images) == 6
    if made in (depthwise, grouped):
        assert any(node.groups > 1 for node in units)
        if cycles != 700:
            assert any(node.together > 1 for node in units) == (cycles == 80)
    if made is dilated:
        assert any(isinstance(node, Swg) and node.dilation != (1, 1) for node in nodes)


def test_finns_kernels_leave_them_to_ours() -> None:
    dtype, sums = Integer(4), Integer(12, signed=True)
    unit = Mvu("m", Stream((2, 2, 18), dtype, 9), Stream((2, 2, 4), sums, 1), accumulator=sums,
               groups=2)  # fmt: skip
    assert registry.unsupported(unit, "finn") == (
        "FINN's RTL MVAU shows every row the whole vector, not one of 2 groups"
    )
    for change in ({"dilation": (2, 2)}, {"blocks": 2}):
        window = Swg("s", Stream((6, 6, 2), dtype, 1), Stream((4, 4, 18), dtype, 1), kernel=(3, 3),
                     **change)  # fmt: skip
        assert registry.unsupported(window, "finn") == (
            "our use of FINN's RTL window has neither holes nor blocks of channels"
        )


@pytest.mark.sim
@pytest.mark.parametrize("made", [depthwise, *(pytest.param(m, marks=pytest.mark.slow)
                                               for m in KINDS[1:])])  # fmt: skip
@pytest.mark.parametrize("cycles", [300])
def test_every_image_through_the_rtl(
    made: Any, cycles: int, builder: type, through: Any, tmp_path: Path
) -> None:
    path = made(builder(SHAPE)).save(tmp_path / "model.onnx")
    accelerator, images, config = through.compiled(path, SHAPE, cycles=cycles, frames=16)
    images = np.concatenate([images, images[::-1]])
    through.simulated(accelerator, images, config, tmp_path / "run")
