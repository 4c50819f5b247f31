"""A QONNX file as folded-to-be layers: read in integers, cut at the exits, taken through FINN."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from exeunt.errors import InputError
from exeunt.graph import Integer
from exeunt.hls.front import finn_env, finn_graph, frontend, limits, shadow
from exeunt.hls.front.frontend import Lowered
from exeunt.hls.front.layers import layers
from exeunt.hls.front.register import registered
from exeunt.kernels.layer import Layer
from exeunt.kernels.layer import Matrix as MatrixLayer
from exeunt.kernels.parts.weights import accumulator_range
from exeunt.qonnx import file, meaning
from exeunt.qonnx.exits import Part
from exeunt.qonnx.integers import IntArray, IntegerNetwork, Matrix, Threshold
from exeunt.qonnx.preprocess import Preprocess

Progress = Callable[[str], None]
CHECK_FRAMES = 2  # on which every pass is checked


@dataclass(frozen=True)
class Network:
    """Every part of the network, seg0, head0, seg1, ..., as FINN models and as layers."""

    name: str
    shape: tuple[int, int, int]  # of the image, (H, W, C)
    parts: tuple[Lowered, ...]
    layers: tuple[tuple[Layer, ...], ...]
    integers: IntegerNetwork

    @property
    def exits(self) -> int:
        """Number of exits."""
        return len(self.parts) // 2

    @property
    def nodes(self) -> list[str]:
        """Names of all FINN nodes, as a folding file may use them."""
        return [name for part in self.layers for layer in part for name in layer.finn]


def example_images(shape: tuple[int, int, int], count: int, top: int = 255) -> npt.NDArray:
    """Check frames when the user has none: random, half of the pixels dark; uint8 (N, H, W, C)."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, top + 1, (count, *shape))
    return (images * rng.integers(0, 2, images.shape)).astype(np.uint8)


def read(
    path: Path,
    *,
    exits: int | None = None,
    shape: tuple[int, int, int] | None = None,
    classes: int | None = None,
    images: npt.NDArray[np.uint8] | None = None,
    preprocess: Preprocess | None = None,
    outputs: tuple[str, ...] = (),
    progress: Progress = lambda text: None,
) -> Network:
    """Read `path` and take every part to FINN hardware layers, values checked on the way.

    Args:
        path: QONNX file, see `exeunt.qonnx`.
        exits: how many exits there must be; None takes any number.
        shape: (H, W, C) that the images must have; None takes any.
        classes: how many logits every exit must have; None takes any number.
        images: uint8 (N, H, W, C) to check the passes on, the first few are used.
        preprocess: what is done to an image before the network in the file.
        outputs: those of the file that are exits, in order; none: all.
        progress: called with the name of the part that begins.

    Raises:
        InputError: the file or the network is not supported.
        CheckFailed: a pass changed a value.
    """
    graph = file.load(path, preprocess=preprocess, exits=outputs, shape=shape)
    network = meaning.integers(graph)
    parts = limits.parts(network, exits=exits, shape=shape, classes=classes)
    shape = network.image.shape
    if images is None:
        images = example_images(shape, CHECK_FRAMES)
    elif images.shape[1:] != shape:
        raise InputError(
            f"{path}: the network takes images of {shape} (H, W, C) but the check images are "
            f"{images.shape[1:]}; use the data it was trained on"
        )
    images = images[:CHECK_FRAMES]
    with finn_env.quiet():
        values = network.tensors(images)
        shadow.check(graph, network, values)
        lowered = []
        for part in parts:
            progress(part.name)
            inputs = values[part.source.name].astype(np.int64)
            expected = values.get(part.result.name, inputs).astype(np.int64)
            lowered.append(frontend.lower(part, inputs=inputs, expected=expected))
        with registered():
            found = tuple(
                _ending(layers(done.model, done.name, _tables(part)), part)
                for done, part in zip(lowered, parts, strict=True)
            )
    return Network(Path(path).stem, shape, tuple(lowered), found, network)


def _ending(found: tuple[Layer, ...], part: Part) -> tuple[Layer, ...]:
    """The layers with what FINN does not know at its end.

    FINN gives a pool of unsigned integers no result that is signed, as logits must be, and a matrix
    no constants to add.
    """
    made, last = part.operations[-1], found[-1]
    if isinstance(made, Matrix) and made.offsets is not None:
        assert isinstance(last, MatrixLayer)
        low, high = accumulator_range(last.arrays["weights"], last.source)
        dtype = Integer.covering(
            min(low, low + int(made.offsets.min()), -2),
            max(high, high + int(made.offsets.max()), 1),
        )
        arrays = {**last.arrays, "offsets": made.offsets}
        last = dataclasses.replace(last, arrays=arrays, accumulator=dtype, result=dtype)
        return (*found[:-1], last)
    return (*found[:-1], dataclasses.replace(found[-1], result=part.result.dtype)) if (
        part.result.dtype.signed and not found[-1].result.signed
    ) else found  # fmt: skip


def _tables(part: Part) -> dict[str, IntArray]:
    return {
        finn_graph.table(index): o.thresholds
        for index, o in enumerate(part.operations)
        if isinstance(o, Threshold)
    }
