"""Networks whose streams part and meet, through the compiler and the RTL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

SHAPE = (8, 8, 1)


def block(b: Any, x: str, channels: int, stride: int = 1, scale: float = 0.25) -> str:
    """A residual block with a quantizer of its own on each way."""
    y = b.conv(b.conv(x, channels, pad=1, stride=stride), channels, pad=1, act=False)
    y = b.quant(y, 4, signed=True, scale=0.25)
    if stride != 1 or b.shapes[x][1] != channels:
        x = b.quant(b.conv(x, channels, 1, stride=stride, act=False), 4, signed=True, scale=scale)
    x = b.node("Relu", b.node("Add", y, x, shape=b.shapes[y]), shape=b.shapes[y])
    return b.quant(x, 4, scale=0.31)


def residual(b: Any) -> Any:
    x = block(b, b.conv("image", 4, pad=1), 4)
    b.exit(b.linear(x, 4))
    x = block(b, x, 6, stride=2, scale=0.177)
    b.exit(b.linear(x, 4))
    return b


def inception(b: Any) -> Any:
    """Three ways of different length, and one more from the image to the last layer."""
    x = b.conv("image", 4, pad=1)
    ways = [b.conv(x, 2, 1), b.conv(b.conv(x, 3, pad=1), 4, pad=1),
            b.conv(b.pool(x, size=3, stride=1, pad=1), 2, 1)]  # fmt: skip
    x = b.node("Concat", *ways, shape=(1, 8, 8, 8), axis=1)
    b.exit(b.linear(x, 4))
    y = b.conv(b.quant(x, 4, scale=0.31), 4, pad=1)
    b.exit(b.linear(b.node("Concat", y, x, shape=(1, 12, 8, 8), axis=1), 4))
    return b


def nested(b: Any) -> Any:
    """A sum within a sum, and a difference; one stream has four readers."""
    x = b.conv("image", 4, pad=1)
    inner = b.node("Add", b.conv(x, 4, pad=1), x, shape=b.shapes[x])
    outer = b.node("Sub", b.conv(b.quant(inner, 4, scale=0.31), 4, pad=1), x, shape=b.shapes[x])
    both = b.node("Add", outer, inner, shape=b.shapes[x])
    x = b.quant(b.node("Add", both, x, shape=b.shapes[x]), 4, scale=0.41)
    b.exit(b.linear(x, 4))
    return b


def vectors(b: Any) -> Any:
    """Channels of a single pixel beside those of a linear layer, and their sum."""
    x = b.conv("image", 4, pad=1)
    pixel = b.conv(x, 3, 8, norm=True)
    y = b.linear(x, 3)
    y = b.quant(b.node("Relu", b.norm(y), shape=(1, 3)), 4, scale=0.25)
    b.variance[y] = 1.0
    flat = b.flatten(pixel)
    total = b.quant(b.node("Add", y, flat, shape=(1, 3)), 4, scale=0.25)
    b.exit(b.linear(b.node("Concat", y, flat, total, shape=(1, 9), axis=1), 4))
    return b


@pytest.mark.parametrize("made", [residual, inception, nested, vectors])
@pytest.mark.parametrize("cycles", [150, pytest.param(3000, marks=pytest.mark.slow)])
def test_every_kernel_agrees_with_the_file(
    made: Any, cycles: int, builder: type, through: Any, tmp_path: Path
) -> None:
    path = made(builder(SHAPE)).save(tmp_path / "model.onnx")
    accelerator, images, _ = through.compiled(path, SHAPE, cycles=cycles, frames=6)
    assert any(len(n.inputs) == 2 for chain in accelerator.chains for n in chain.nodes)
    assert len(images) == 6


@pytest.mark.sim
@pytest.mark.parametrize("made", [residual, pytest.param(inception, marks=pytest.mark.slow),
                                  pytest.param(nested, marks=pytest.mark.slow)])  # fmt: skip
def test_every_image_through_the_rtl(
    made: Any, builder: type, through: Any, tmp_path: Path
) -> None:
    path = made(builder(SHAPE)).save(tmp_path / "model.onnx")
    accelerator, images, config = through.compiled(path, SHAPE, cycles=400, frames=24)
    images = np.concatenate([images, images[::-1]])
    through.simulated(accelerator, images, config, tmp_path / "run")
