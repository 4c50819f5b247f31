"""A QONNX file as folded-to-be layers: read, tidied, cut at the exits, taken through FINN."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from qonnx.core.datatype import DataType
from qonnx.core.modelwrapper import ModelWrapper
from qonnx.core.onnx_exec import execute_onnx
from qonnx.transformation.infer_shapes import InferShapes
from qonnx.util.cleanup import cleanup_model

from exeunt.errors import CheckFailed, InputError
from exeunt.graph import Integer
from exeunt.hls.front import finn_env, frontend, qonnx_file
from exeunt.hls.front.frontend import Lowered
from exeunt.hls.front.layers import Layer, layers
from exeunt.hls.front.passes.break_ties import BreakTies
from exeunt.hls.front.register import registered
from exeunt.hls.front.split import remove_input_quantizer, split

Progress = Callable[[str], None]
CHECK_FRAMES = 2  # on which every pass is checked; each costs about a second for three exits


@dataclass(frozen=True)
class Network:
    """Every part of the network, seg0, head0, seg1, ..., as FINN models and as layers."""

    name: str
    shape: tuple[int, int, int]  # of the image, (H, W, C)
    parts: tuple[Lowered, ...]
    layers: tuple[tuple[Layer, ...], ...]

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
    images: npt.NDArray[np.uint8] | None = None,
    progress: Progress = lambda text: None,
) -> Network:
    """Read `path` and take every part to FINN hardware layers, values checked on the way.

    Args:
        path: QONNX file, see `qonnx_file`.
        exits: how many exits there must be; None takes two or more.
        images: uint8 (N, H, W, C) to check the passes on, the first few are used.
        progress: called with the name of the part that begins.

    Raises:
        InputError: the file or the network is not supported.
        CheckFailed: a pass changed a value.
    """
    with finn_env.quiet():
        model = qonnx_file.load(path)
        shape = qonnx_file.check(model, path, exits=exits)
        try:
            model = model.transform(InferShapes())
            tidied = cleanup_model(ModelWrapper(model.model, make_deepcopy=True))
        except InputError:
            raise
        except Exception as error:
            first = (str(error).strip() or type(error).__name__).splitlines()[0]
            raise InputError(
                f"{path}: the shapes of the graph must follow from its input but QONNX says "
                f"{first}; export it again with one example image"
            ) from error
        if images is None:
            images = example_images(shape, CHECK_FRAMES)
        elif images.shape[1:] != shape:
            raise InputError(
                f"{path}: the network takes images of {shape} (H, W, C) but the check images are "
                f"{images.shape[1:]}; use the data it was trained on"
            )
        images = images[:CHECK_FRAMES]
        _same(model, tidied, images, path)
        remove_input_quantizer(tidied, str(path))
        tidied = tidied.transform(BreakTies())
        golden = _run(tidied, images)
        parts = split(tidied, str(path))
        lowered = []
        source, scale = DataType["UINT8"], 1.0
        frames = images.astype(np.int64)
        for part in parts:
            progress(part.name)
            done = frontend.lower(
                part, source=source, scale=scale, inputs=frames, golden=golden[part.result]
            )
            lowered.append(done)
            if part.name.startswith("seg"):
                _check_cut(done)
                result = done.model.get_tensor_datatype(done.model.graph.output[0].name)
                source, scale, frames = result, done.scale, done.outputs
        with registered():
            found = tuple(layers(part.model, part.name) for part in lowered)
    for done, chain in zip(lowered, found, strict=True):
        if not any(layer.kind == "matrix" for layer in chain):
            raise InputError(
                f"{path}: {done.name} must have at least one linear or convolution layer but has "
                "none; move the exit or add a layer"
            )
    return Network(path.stem, shape, tuple(lowered), found)


def _check_cut(part: Lowered) -> None:
    result: Integer = part.result
    if result.bits > 16:
        raise InputError(
            f"{part.name} must end in integers of at most 16 bits but ends in {result.bits}; "
            "put a quantizer at its end"
        )


def _run(model: ModelWrapper, images: npt.NDArray[np.uint8]) -> dict[str, npt.NDArray[np.floating]]:
    """Every tensor of the QONNX network for `images`, (N, ...) float64."""
    name = model.graph.input[0].name
    runs = [
        execute_onnx(model, {name: image.transpose(2, 0, 1)[None].astype(np.float32)}, True)
        for image in images
    ]
    dynamic = [t for n in model.graph.node for t in n.output]
    return {t: np.concatenate([r[t][None] for r in runs]).squeeze(1).astype(np.float64)
            if runs[0][t].ndim and runs[0][t].shape[0] == 1
            else np.stack([r[t] for r in runs]).astype(np.float64)
            for t in dynamic}  # fmt: skip


def _same(
    before: ModelWrapper, after: ModelWrapper, images: npt.NDArray[np.uint8], path: Path
) -> None:
    """Refuse a tidied model that computes other logits than the file."""
    first, second = _run(before, images[:1]), _run(after, images[:1])
    for i, (a, b) in enumerate(zip(before.graph.output, after.graph.output, strict=True)):
        difference = float(np.abs(first[a.name] - second[b.name]).max())
        if difference > 1e-4 * max(1.0, float(np.abs(first[a.name]).max())):
            raise CheckFailed(
                f"{path}: pass tidy changed the values of exit {i} by {difference:g}; "
                "please report the network"
            )
