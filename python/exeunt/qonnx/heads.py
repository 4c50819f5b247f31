"""Early exits for a network that has none: where heads can leave, and the network with them.

A head is an average pool and a linear layer, between them a convolution where there is room for
one, on the integers of a quantizer that every way from the image to the logits passes. It takes
nothing away from the network, so the logits that were there stay what they were.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt.errors import InputError
from exeunt.qonnx import layers, meaning
from exeunt.qonnx.activations import standard
from exeunt.qonnx.file import Graph
from exeunt.qonnx.integers import BATCH, IntArray, IntegerNetwork, Matrix, View
from exeunt.qonnx.plain import Node, Tensors
from exeunt.qonnx.shapes import Shape

GRID = 4  # rows and columns at most that a pool leaves of a map
LEVELS = 15  # largest integer behind the convolution of a head, of 4 bits

_STEP = 1e-6  # of a step: what integers computed from reals may be off


@dataclass(frozen=True)
class Place:
    """A tensor at which a head can leave.

    `shape` (H, W, C) of it; the integer 1 in it stands for `step`; `multiplies` of a frame up to
    here.
    """

    tensor: str
    shape: tuple[int, int, int]
    step: float
    multiplies: int

    def window(self, classes: int, budget: float) -> tuple[int, int] | None:
        """The smallest pool that leaves at most `GRID` x `GRID` and a linear layer in `budget`.

        None where even one pixel for a whole map has more multiplications.
        """
        h, w, c = self.shape
        for size in range(-(-max(h, w) // GRID), max(h, w) + 1):
            window = (min(size, h), min(size, w))
            if (h // window[0]) * (w // window[1]) * c * classes <= budget:
                return window
        return None

    def grid(self, window: tuple[int, int]) -> tuple[int, int, int]:
        """Channels, rows and columns behind a pool."""
        return self.shape[2], self.shape[0] // window[0], self.shape[1] // window[1]


@dataclass(frozen=True)
class Hidden:
    """The convolution of a head, without padding, and what makes integers 0 to `LEVELS` of it.

    `weights` int64 (filters, channels, rows, columns), symmetric, of `bits`; `scale` is what the
    weight 1 stands for; `gain` and `bias` float64 (filters,) of the sums; the integer 1 behind it
    stands for `step`.
    """

    weights: IntArray
    bits: int
    scale: float
    gain: npt.NDArray[np.float64]
    bias: npt.NDArray[np.float64]
    step: float


@dataclass(frozen=True)
class Head:
    """A head at a place: its pool, and its weights and biases in integers.

    `weights` int64 (classes, features), symmetric, of `bits`; `scale` is what the weight 1 stands
    for; `bias` int64 (classes,) in steps of the integer logits. Features are the integers behind
    the convolution, behind the pool where there is none, channels first.
    """

    place: Place
    window: tuple[int, int]
    weights: IntArray
    bits: int
    scale: float
    bias: IntArray
    hidden: Hidden | None = None

    @property
    def multiplies(self) -> int:
        """Multiplications of a frame."""
        return int(self.weights.size) + self._convolving

    @property
    def _convolving(self) -> int:
        if self.hidden is None:
            return 0
        pixels = self.weights.shape[1] // len(self.hidden.weights)
        return pixels * int(self.hidden.weights.size)

    @property
    def logit_scale(self) -> float:
        """What a logit of 1 stands for."""
        if self.hidden is not None:
            return self.scale * self.hidden.step
        return self.scale * self.place.step / int(np.prod(self.window))


def places(graph: Graph, network: IntegerNetwork) -> list[Place]:
    """Where a head can leave, from the image on.

    Args:
        graph: with one output.
        network: what it means.
    """
    (answer,) = network.exits
    makers = network.makers
    found = []
    for name in network.spine(answer.logits.name)[:-1]:
        view = network.views.get(name)
        if name not in network.quantized or view is None or name not in graph.shapes:
            continue
        affine = view.function.affine
        if affine is None or affine[0].ndim or affine[1].ndim:
            continue
        a, b = abs(float(affine[0])), abs(float(affine[1]))
        step = b if b and np.isclose(a, 2 * b, rtol=1e-9) else a  # bits stand for -b and b
        if b and step != b:
            continue
        made = (makers.get(n) for n in network.behind(name))
        cost = sum(m.multiplies for m in made if isinstance(m, Matrix))
        shape = makers[name].result.shape
        found.append(Place(name, shape, step, cost))
    return found


def pooled(
    network: IntegerNetwork,
    images: npt.NDArray[np.uint8],
    wanted: Sequence[tuple[Place, tuple[int, int]]],
) -> tuple[list[npt.NDArray[np.signedinteger[Any]]], IntArray]:
    """What heads see, sums over the windows of their pools in integers, and the network's answers.

    Args:
        network: one with one exit that has these places.
        images: uint8 (N, H, W, C).
        wanted: places and windows.

    Returns:
        (N, channels, rows, columns) for each head, int16 where that holds them, otherwise int32;
        logits int64 (N, classes).
    """
    answer = network.exits[0].logits
    logits = np.empty((len(images), answer.elements), np.int64)
    views = [network.views[place.tensor] for place, _ in wanted]
    result: list[npt.NDArray[np.signedinteger[Any]]] = []
    for (place, window), view in zip(wanted, views, strict=True):
        base = network.makers[view.base].result
        factor, offset = _steps(place, view)
        largest = max(abs(factor * base.low + offset), abs(factor * base.high + offset))
        small = largest * int(np.prod(window)) < 1 << 15
        shape = (len(images), *place.grid(window))
        result.append(np.empty(shape, np.int16 if small else np.int32))
    for start in range(0, len(images), BATCH):
        frames = images[start : start + BATCH]
        values = network.tensors(frames, keep=[answer.name, *(v.base for v in views)])
        logits[start : start + BATCH] = values[answer.name].reshape(len(frames), -1)
        for out, view, (place, window) in zip(result, views, wanted, strict=True):
            out[start : start + BATCH] = _sums(values[view.base], view, place, window)
    return result, logits


def _steps(place: Place, view: View) -> tuple[int, int]:
    """(a, b): the integer n of the base is a * n + b steps."""
    assert view.function.affine is not None
    found = [float(part) / place.step for part in view.function.affine]
    a, b = (round(part) for part in found)
    assert max(abs(found[0] - a), abs(found[1] - b)) < _STEP, place.tensor
    return a, b


def _sums(
    values: npt.NDArray[Any], view: View, place: Place, window: tuple[int, int]
) -> npt.NDArray[np.float64]:
    """Steps over the windows of a pool, (N, channels, rows, columns), of integers of the base."""
    h, w, c = place.shape
    kh, kw = window
    _, rows, columns = place.grid(window)
    if np.array_equal(view.index.reshape(-1), standard(place.shape).reshape(-1)):
        x = values.reshape(-1, h, w, c)
    else:
        x = values.reshape(len(values), -1)[:, view.index.reshape(-1)]
        x = x.reshape(-1, c, h, w).transpose(0, 2, 3, 1)
    whole = x[:, : rows * kh, : columns * kw].reshape(-1, rows, kh, columns, kw, c)
    sums = whole.sum(axis=(2, 4), dtype=np.float64).transpose(0, 3, 1, 2)
    factor, offset = _steps(place, view)
    return np.asarray(factor * sums + offset * kh * kw)


def attached(graph: Graph, heads: Sequence[Head]) -> Graph:
    """The network with heads, in the order of their places, and its own logits last.

    Raises:
        InputError: the network has several exits, or would have something that integers cannot
            compute.
    """
    if len(graph.outputs) != 1:
        raise InputError(
            f"{graph.where}: heads are for a network with one exit but it has "
            f"{len(graph.outputs)}; name one of them in model.exits"
        )
    found = Tensors(
        constants=dict(graph.constants), shapes=dict(graph.shapes), nodes=list(graph.nodes)
    )
    exits = tuple(_head(found, k, head) for k, head in enumerate(heads))
    made = replace(
        graph,
        nodes=tuple(found.nodes),
        constants=found.constants,
        shapes=found.shapes,
        outputs=(*exits, *graph.outputs),
        numbered=True,
    )
    meaning.integers(replace(made, numbered=False))
    return made


def _head(found: Tensors, number: int, head: Head) -> str:
    """Put the nodes of a head behind the others; the name of its logits."""
    base = f"attached{number}"
    while any(name.startswith(base) for name in (*found.shapes, *found.constants)):
        base += "_"

    def name(key: str, value: npt.ArrayLike) -> str:
        return found.constant(f"{base}.{key}", np.array(value))

    def quantized(key: str, integers: IntArray, scale: float, bits: int) -> str:
        weights = name(f"{key}quantized", (integers * scale).astype(np.float32))
        taken = (
            name(f"{key}weights", found.constants[weights]),
            name(f"{key}scale", np.float32(scale)),
            name(f"{key}zero", np.float32(0.0)),
            name(f"{key}bits", np.float32(bits)),
        )
        about = {"signed": 1, "narrow": 1, "rounding_mode": "ROUND"}
        found.quantized[weights] = Node("Quant", f"{base}.{key}quantizer", taken, weights, about)
        return weights

    h, w, c = head.place.shape
    tensor = _shaped(found, head.place.tensor, (1, c, h, w), f"{base}.map")
    if int(np.prod(head.window)) > 1:
        pool = {"kernel_shape": list(head.window), "strides": list(head.window)}
        layers.add(found, Node("AveragePool", f"{base}.pool", (tensor,), f"{base}.pool", pool))
        tensor = f"{base}.pool"
    if head.hidden is not None:
        layer = head.hidden
        weights = quantized("hidden.", layer.weights, layer.scale, layer.bits)
        layers.add(found, Node("Conv", f"{base}.conv", (tensor, weights), f"{base}.conv"))
        norm = (
            name("gain", layer.gain.astype(np.float32)),
            name("shift", layer.bias.astype(np.float32)),
            name("mean", np.zeros(len(layer.gain), np.float32)),
            name("variance", np.ones(len(layer.gain), np.float32)),
        )
        about = {"epsilon": 0.0}
        taken = (f"{base}.conv", *norm)
        layers.add(found, Node("BatchNormalization", f"{base}.norm", taken, f"{base}.norm", about))
        layers.add(found, Node("Relu", f"{base}.relu", (f"{base}.norm",), f"{base}.relu"))
        inputs = (
            f"{base}.relu",
            name("step", np.float32(layer.step)),
            name("none", np.float32(0.0)),
            name("levels", np.float32(LEVELS.bit_length())),
        )
        signs = {"signed": 0, "narrow": 0, "rounding_mode": "ROUND"}
        tensor = f"{base}.hidden"
        layers.add(found, Node("Quant", f"{base}.quantizer", inputs, tensor, signs))
    tensor = _shaped(found, tensor, (1, int(np.prod(found.shapes[tensor]))), f"{base}.flat")
    weights = quantized("", head.weights, head.scale, head.bits)
    bias = name("bias", (head.bias * np.float64(head.logit_scale)).astype(np.float32))
    linear = Node("Gemm", f"{base}.linear", (tensor, weights, bias), base, {"transB": 1})
    layers.add(found, linear)
    return base


def _shaped(found: Tensors, tensor: str, shape: Shape, result: str) -> str:
    """The tensor in that shape, the name of it."""
    if found.shapes[tensor] == shape:
        return tensor
    wanted = found.constant(f"{result}.shape", np.array(shape, np.int64))
    layers.add(found, Node("Reshape", result, (tensor, wanted), result))
    return result
