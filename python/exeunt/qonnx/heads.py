"""Early exits for a network that has none: where heads can leave, and the network with them.

A head is an average pool and one linear layer on the integers of a quantizer that every way from
the image to the logits passes. It takes nothing away from the network, so the logits that were
there stay what they were.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from exeunt.errors import InputError
from exeunt.qonnx import layers, meaning
from exeunt.qonnx.exits import parts
from exeunt.qonnx.file import Graph
from exeunt.qonnx.integers import BATCH, IntArray, IntegerNetwork, Matrix
from exeunt.qonnx.plain import Node, Tensors

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
        """The smallest pool behind which a linear layer has at most `budget` multiplications.

        None where even one pixel for a whole map is more.
        """
        h, w, c = self.shape
        for size in range(1, max(h, w) + 1):
            window = (min(size, h), min(size, w))
            if (h // window[0]) * (w // window[1]) * c * classes <= budget:
                return window
        return None

    def features(self, window: tuple[int, int]) -> int:
        """Integers in front of the linear layer behind a pool."""
        return (self.shape[0] // window[0]) * (self.shape[1] // window[1]) * self.shape[2]


@dataclass(frozen=True)
class Head:
    """A head at a place: its pool, and its weights and biases in integers.

    `weights` int64 (classes, features), symmetric, of `bits`; `scale` is what the weight 1 stands
    for; `bias` int64 (classes,) in steps of the integer logits.
    """

    place: Place
    window: tuple[int, int]
    weights: IntArray
    bits: int
    scale: float
    bias: IntArray

    @property
    def multiplies(self) -> int:
        """Multiplications of a frame."""
        return int(self.weights.size)

    @property
    def logit_scale(self) -> float:
        """What a logit of 1 stands for."""
        return self.scale * self.place.step / int(np.prod(self.window))

    def logits(self, pooled: npt.NDArray[np.integer]) -> IntArray:
        """Integer logits int64 (N, classes) of what `pooled` gives, (N, features)."""
        return np.asarray(pooled.astype(np.int64) @ self.weights.T + self.bias, np.int64)


def places(graph: Graph, network: IntegerNetwork) -> list[Place]:
    """Where a head can leave, from the image on.

    Args:
        graph: with one output.
        network: what it means.
    """
    (answer,) = network.exits
    last = parts(network)[-1].source.name  # what is behind it is the head that is there
    spine = network.spine(answer.logits.name)
    ends = spine[: spine.index(last) + 1] if last in spine else spine
    makers = network.makers
    found = []
    for name in ends:
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
) -> list[npt.NDArray[np.int32]]:
    """What the linear layer of a head sees: sums over the windows of its pool, in integers.

    Args:
        network: one that has these places.
        images: uint8 (N, H, W, C).
        wanted: places and windows.

    Returns:
        int32 (N, features) each; features in the order of the file, channels first.
    """
    names = [place.tensor for place, _ in wanted]
    views = [network.views[name] for name in names]
    result = [np.empty((len(images), place.features(w)), np.int32) for place, w in wanted]
    for start in range(0, len(images), BATCH):
        values = network.tensors(images[start : start + BATCH], keep=[v.base for v in views])
        for (place, window), view, out in zip(wanted, views, result, strict=True):
            h, w, c = place.shape
            reals = view(values[view.base]).reshape(-1, c, h, w) / place.step
            steps = np.rint(reals)
            assert np.abs(reals - steps).max(initial=0) < _STEP, place.tensor
            kh, kw = window
            whole = steps[:, :, : h // kh * kh, : w // kw * kw]
            sums = whole.reshape(len(steps), c, h // kh, kh, w // kw, kw).sum(axis=(3, 5))
            out[start : start + len(steps)] = sums.reshape(len(steps), -1)
    return result


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
    meaning.integers(made)
    return made


def _head(found: Tensors, number: int, head: Head) -> str:
    """Put the nodes of a head behind the others; the name of its logits."""
    base = f"attached{number}"
    while any(name.startswith(base) for name in (*found.shapes, *found.constants)):
        base += "_"

    def name(key: str, value: npt.ArrayLike) -> str:
        return found.constant(f"{base}.{key}", np.array(value))

    tensor, shape = head.place.tensor, found.shapes[head.place.tensor]
    size = int(np.prod(head.window))
    if size > 1:
        pool = {"kernel_shape": list(head.window), "strides": list(head.window)}
        layers.add(found, Node("AveragePool", f"{base}.pool", (tensor,), f"{base}.pool", pool))
        tensor, shape = f"{base}.pool", found.shapes[f"{base}.pool"]
    flat = (1, int(np.prod(shape)))
    if shape != flat:
        wanted = name("shape", np.array(flat, np.int64))
        layers.add(found, Node("Reshape", f"{base}.flat", (tensor, wanted), f"{base}.flat"))
        tensor = f"{base}.flat"
    weights = name("quantized", (head.weights * head.scale).astype(np.float32))
    taken = (
        name("weights", found.constants[weights]),
        name("scale", np.float32(head.scale)),
        name("zero", np.float32(0.0)),
        name("bits", np.float32(head.bits)),
    )
    about = {"signed": 1, "narrow": 1, "rounding_mode": "ROUND"}
    found.quantized[weights] = Node("Quant", f"{base}.quantizer", taken, weights, about)
    grid = np.float32(head.scale) * np.float64(head.place.step) / size
    bias = name("bias", (head.bias * grid).astype(np.float32))
    linear = Node("Gemm", f"{base}.linear", (tensor, weights, bias), base, {"transB": 1})
    layers.add(found, linear)
    return base
