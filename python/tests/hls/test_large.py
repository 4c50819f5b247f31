"""A thousand classes and 512 channels: through the compiler, and through the RTL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

SHAPE = (4, 4, 3)
CLASSES, CHANNELS = 1000, 512


def wide(b: Any) -> Any:
    """Two exits of a thousand classes; 512 channels, each with a filter of its own, and a sum."""
    x = b.conv("image", CHANNELS, 3, stride=2, pad=1, weight_bits=2)
    b.exit(b.linear(b.quant(b.mean(x), 4), CLASSES, weight_bits=2))
    y = b.quant(b.conv(x, CHANNELS, 2, group=CHANNELS, pad=(0, 0, 1, 1), act=False), 4, scale=0.25)
    x = b.quant(b.node("Add", x, y, shape=b.shapes[x]), 4, scale=0.4)
    b.exit(b.linear(b.quant(b.pool(x, size=2), 4, scale=0.4), CLASSES, weight_bits=2))
    return b


@pytest.mark.parametrize("cycles", [4000])
def test_every_kernel_agrees_with_the_file(
    cycles: int, builder: type, through: Any, tmp_path: Path
) -> None:
    path = wide(builder(SHAPE)).save(tmp_path / "model.onnx")
    accelerator, _, _ = through.compiled(path, SHAPE, cycles=cycles, frames=3)
    shapes = [n.output.shape for chain in accelerator.chains for n in chain.nodes]
    assert (2, 2, CHANNELS) in shapes
    assert [head.output.shape[-1] for head in accelerator.heads] == [CLASSES, CLASSES]


@pytest.mark.slow
@pytest.mark.sim
def test_every_image_through_the_rtl(builder: type, through: Any, tmp_path: Path) -> None:
    path = wide(builder(SHAPE)).save(tmp_path / "model.onnx")
    accelerator, images, config = through.compiled(path, SHAPE, cycles=20000, frames=6)
    through.simulated(accelerator, images, config, tmp_path / "run")
