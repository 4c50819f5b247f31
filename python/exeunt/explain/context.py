"""What a frame leaves behind for its explanation: masks, ways through max pools, features, pixels.

In hardware taps on the segments keep it while the frame passes: a bit for each element of a mask
(of the largest input alone, behind a max pool), the place in the window for each output of a max
pool, the image where the method multiplies with it, the features for Grad-CAM.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt.explain.program import IMAGE, Program, Route, Sweep
from exeunt.graph import Accelerator, IntArray
from exeunt.kernels import registry
from exeunt.reference.network import modified


@dataclass(frozen=True)
class Context:
    """What N frames leave behind.

    Attributes:
        images: uint8 (N, H, W, C) as the first kernel sees them.
        logits: int64 (N, classes) of the exit.
        streams: forward streams by number, integers (N, H, W, C).
        masks: where quantizers let a gradient pass, bool (N, H, W, C) by the stream they give.
        ways: of each max pool by the stream that it takes, see `winners`.
    """

    images: npt.NDArray[np.uint8]
    logits: npt.NDArray[np.int64]
    streams: Mapping[int, IntArray]
    masks: Mapping[int, npt.NDArray[np.bool_]]
    ways: Mapping[int, npt.NDArray[np.int64]]

    def __len__(self) -> int:
        """Frames."""
        return len(self.images)


def forward(accelerator: Accelerator, program: Program, images: npt.NDArray[np.uint8]) -> Context:
    """What a program needs of a forward pass.

    Args:
        accelerator: the compiled graph, whose rules modify the images first if it has some.
        program: of one exit.
        images: uint8 (N, H, W, C).
    """
    images = modified(accelerator, np.asarray(images)).reshape(-1, *accelerator.image_shape)
    number = IMAGE
    waiting: dict[int, Any] = {IMAGE: images}
    kept: dict[int, IntArray] = {IMAGE: images}
    tensors, wanted = program.tensors, program.masks
    masks: dict[int, npt.NDArray[np.bool_]] = {}
    for node, sources in zip(program.nodes, program.reads, strict=True):
        taken = [
            waiting.pop(source).reshape(-1, *stream.shape)
            for source, stream in zip(sources, node.inputs, strict=True)
        ]
        arrays = accelerator.of(node)
        for y in registry.computed(node, arrays, taken):
            number += 1
            waiting[number] = y
            if number in wanted:
                mask = wanted[number]
                levels = y
                if mask.probe is not None and mask.edges is not None:
                    edges = {**arrays, "thresholds": mask.edges}
                    (levels,) = registry.computed(mask.probe, edges, taken)
                inside = (levels > mask.low) & (levels < mask.high)
                masks[number] = inside.reshape(-1, *node.output.shape)
            if number in tensors:
                kept[number] = np.asarray(y).reshape(-1, *node.output.shape)
    logits = np.asarray(waiting[number], np.int64).reshape(len(images), -1)
    ways = {route.tensor: winners(route, kept[route.tensor]) for route in program.routes}
    return Context(images, logits, kept, masks, ways)


def winners(route: Route, x: IntArray) -> npt.NDArray[np.int64]:
    """The place in its window of the largest input, the first of several; int64 (N, OH, OW, C).

    Args:
        route: the max pool.
        x: integers (N, H, W, C) that it takes. Where none in a window is larger, an input comes
            before the padding.
    """
    x = np.asarray(x).reshape(-1, *route.shape)
    twice = 2 * x.astype(np.int32) + 1
    top, left, bottom, right = route.pad
    padded = np.pad(twice, ((0, 0), (top, bottom), (left, right), (0, 0)))
    (kh, kw), (sh, sw), (dh, dw) = route.kernel, route.stride, route.dilation
    oh = (padded.shape[1] - (kh - 1) * dh - 1) // sh + 1
    ow = (padded.shape[2] - (kw - 1) * dw - 1) // sw + 1
    best = np.full((len(x), oh, ow, x.shape[3]), np.iinfo(np.int32).min, np.int32)
    place = np.zeros(best.shape, np.int64)
    for ky in range(kh):
        for kx in range(kw):
            rows = slice(ky * dh, ky * dh + (oh - 1) * sh + 1, sh)
            columns = slice(kx * dw, kx * dw + (ow - 1) * sw + 1, sw)
            here = padded[:, rows, columns]
            larger = here > best
            np.copyto(best, here, where=larger)
            np.copyto(place, ky * kw + kx, where=larger)
    return place


def targets(
    route: Route, place: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Row and column of each largest input, and whether it lies within the map: (N, OH, OW, C)."""
    _, oh, ow, _ = place.shape
    rows = (np.arange(oh) * route.stride[0] - route.pad[0])[:, None, None]
    columns = (np.arange(ow) * route.stride[1] - route.pad[1])[:, None]
    y = rows + place // route.kernel[1] * route.dilation[0]
    x = columns + place % route.kernel[1] * route.dilation[1]
    inside = (y >= 0) & (y < route.shape[0]) & (x >= 0) & (x < route.shape[1])
    return y, x, inside


def gathered(
    routes: tuple[Route, ...], ways: Mapping[int, npt.NDArray[np.int64]], values: npt.NDArray[Any]
) -> npt.NDArray[Any]:
    """What stands at the largest inputs: (N, H', W', C) in the shape that the routes start from.

    Args:
        routes: max pools, the last one of the network first.
        ways: `winners` of each, by its tensor.
        values: (N, H, W, C) in the shape of what the last route takes; 0 outside of it.
    """
    for route in reversed(routes):
        y, x, inside = targets(route, ways[route.tensor])
        frames = np.arange(len(values))[:, None, None, None]
        channels = np.arange(values.shape[3])
        y, x = np.clip(y, 0, route.shape[0] - 1), np.clip(x, 0, route.shape[1] - 1)
        values = np.where(inside, values[frames, y, x, channels], values.dtype.type(0))
    return values


def passing(sweep: Sweep, context: Context) -> npt.NDArray[np.bool_] | None:
    """Which values of a sweep pass, bool (N, *sweep.shape); None: all."""
    if sweep.mask is None:
        return None
    return gathered(sweep.routes, context.ways, context.masks[sweep.mask.tensor])
