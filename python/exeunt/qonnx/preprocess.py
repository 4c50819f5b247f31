"""What is done to an image before the network: (pixel * scale - mean) / std, as nodes in front."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import numpy.typing as npt

from exeunt.qonnx import layers
from exeunt.qonnx.layers import Node, Tensors

Column = npt.NDArray[np.float32]


class Preprocess(Protocol):
    """y = (x * scale - mean) / std of integers x from 0 to 255.

    `mean` and `std` have one entry for all channels or one for each; none is 0 and 1.
    """

    @property
    def scale(self) -> float:
        """Factor of the pixels."""

    @property
    def mean(self) -> tuple[float, ...]:
        """What is taken away."""

    @property
    def std(self) -> tuple[float, ...]:
        """Divisor behind it."""


def column(values: tuple[float, ...], channels: int, *, default: float) -> Column:
    """A parameter as float32 (1, channels, 1, 1); `values` has no, one or `channels` entries."""
    row = np.broadcast_to(np.asarray(values or (default,), np.float32), (channels,))
    return row.reshape(1, channels, 1, 1)


def put(found: Tensors, image: str, preprocess: Preprocess) -> str:
    """Put the preprocessing in front of the tensor `image`; the name of the integers before it.

    Args:
        found: what was read so far, the image's shape (1, C, H, W) in it; grows.
        image: the tensor that the network takes.
        preprocess: what makes it.
    """
    shape = found.shapes.pop(image)
    pixels = f"{image}.pixels"
    found.shapes[pixels] = shape
    last = pixels
    scale = np.full((1, shape[1], 1, 1), preprocess.scale, np.float32)
    mean = column(preprocess.mean, shape[1], default=0.0)
    std = column(preprocess.std, shape[1], default=1.0)
    for operator, constant in (("Mul", scale), ("Sub", mean), ("Div", std)):
        name = found.constant(f"{image}.{operator}.constant", constant)
        result = image if operator == "Div" else f"{image}.{operator}"
        layers.add(found, Node(operator, f"preprocess.{operator}", (last, name), result))
        last = result
    return pixels
