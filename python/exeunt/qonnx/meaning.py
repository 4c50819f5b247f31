"""From the plain form of a QONNX file to the network in integers.

Every tensor of activations is, element by element, a function of one integer tensor: the image, a
sum of a matrix or pool, or a quantizer's integers. Operators extend the function; a quantizer ends
it, as a table; a matrix needs integers with one scale. Nothing is matched by the names of several
operators in a row, so their order does not matter.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import numpy as np

from exeunt.errors import InputError
from exeunt.qonnx import bits, exits, quantizer, shapes
from exeunt.qonnx.activations import MAX_BITS, Value, standard
from exeunt.qonnx.file import Graph
from exeunt.qonnx.integers import (
    Exit,
    IntArray,
    IntegerNetwork,
    Join,
    Matrix,
    Pool,
    Reshape,
    Shape,
    Tensor,
    Threshold,
    View,
)
from exeunt.qonnx.joins import Again, Joins
from exeunt.qonnx.layers import QUANTIZERS, Array, Node
from exeunt.qonnx.ranges import PLAIN, summed
from exeunt.qonnx.tables import Function
from exeunt.window import Window


def integers(graph: Graph) -> IntegerNetwork:
    """The network of a graph, its exits from the first that can be answered to the last.

    Raises:
        InputError: something that integers cannot compute, with the node's name.
    """
    choices: Counter[str] = Counter()
    while True:
        try:
            found = _Reader(graph, choices).network()
            return bits.packed(exits.ordered(found, numbered=graph.numbered))
        except Again as again:
            choices[again.name] += 1
        except InputError as error:
            raise InputError(f"{graph.where}: {error}") from error


_GRID = 1e-3  # of the integer 1: what a quantized bias may be off in float32


class _Reader(Joins):
    def network(self) -> IntegerNetwork:
        """Everything, exits in the graph's order."""
        for node in self.graph.nodes:
            if node.operator in QUANTIZERS and node.inputs[0] not in self.values:
                self.weights[node.output] = node
                continue
            self.values[node.output] = self._read(node)
        found = tuple(self._exit(i, name) for i, name in enumerate(self.graph.outputs))
        shapes_alone = {k for k, o in self.made.found.items() if isinstance(o, Reshape)}
        return IntegerNetwork(
            where=self.graph.where,
            image=self.image,
            operations=tuple(self.made.found.values()),
            exits=found,
            cuts=frozenset(self.cuts - shapes_alone),
            quantized=frozenset(self.quantized - shapes_alone),
            views={k: self._view(v) for k, v in self.values.items() if not v.pools},
        )

    def _view(self, value: Value) -> View:
        signs = self.made.signs.get(value.base)
        function = value.function
        if signs is not None:
            function = Function((*Function().then("affine", signs).steps, *function.steps))
        return View(value.base, value.index, function)

    def _read(self, node: Node) -> Value:
        if node.operator in ("Conv", "Gemm", "MatMul"):
            return self._matrix(node)
        if node.operator in QUANTIZERS:
            return self.quantize(node)
        if node.operator in ("MaxPool", "AveragePool"):
            return self._pool(node)
        if node.operator in ("Reshape", "Transpose"):
            value = self.values[node.inputs[0]]
            index = value.index.transpose(node.attributes["perm"]) if (
                node.operator == "Transpose"
            ) else value.index.reshape(self.graph.shapes[node.output])  # fmt: skip
            return replace(value, index=index)
        if sum(name in self.values for name in node.inputs) > 1 or node.operator == "Concat":
            return self.joined(node, self.graph.shapes[node.output])
        return self.elementwise(node)

    # Pools ------------------------------------------------------------------------------------

    def _map(self, node: Node, value: Value) -> Value:
        """The value of a map (1, C, H, W), whose pixels are where the stream has them."""
        if not np.array_equal(value.index, standard(value.shape)):
            if value.index.ndim == 4:
                _, c, h, w = value.index.shape
                if np.array_equal(value.index, standard((h, w, c))):
                    return self.reshaped(node, value, (h, w, c))
            raise InputError(
                f"{node.label} must work on a map whose channels are those of the layer in front "
                "of it, or of the images, but they were rearranged; leave the Reshape or Transpose "
                "out, or give images whose channels come last"
            )
        return value

    def _pool(self, node: Node) -> Value:
        value = self._map(node, self.values[node.inputs[0]])
        window = _window(node)
        kernel, stride, pad = window.extent, window.stride, window.pad
        h, w, c = value.shape
        oh, ow = ((s + pad[i] + pad[2 + i] - kernel[i]) // stride[i] + 1
                  for i, s in enumerate((h, w)))  # fmt: skip
        shape = (oh, ow, c)
        window = trimmed(window, (h, w), (oh, ow))[0]
        if node.operator == "MaxPool":
            if value.function.ndim == 3:
                raise InputError(
                    f"{node.label} must pool values that depend on their channel alone but they "
                    "depend on the pixel; quantize in front of it"
                )
            pooled = replace(
                value, shape=shape, index=standard(shape), pools=(*value.pools, (node, window))
            )
            affine = value.function.affine
            quantized = affine is not None and (affine[0] > 0).all() and value.base in self.cuts
            return self.pooled(node, pooled, name=node.output) if quantized else pooled
        return self._average(node, value, window, shape)

    def _average(self, node: Node, value: Value, window: Window, shape: Shape) -> Value:
        value = self.pooled(node, value)
        self.exactly(value)
        affine = value.function.affine
        if affine is None:
            value = self.tabled(node, value)
            affine = value.function.affine
            assert affine is not None
        a, b = affine
        if a.ndim == 3 or b.ndim == 3:
            raise InputError(
                f"{node.label} must average values that depend on their channel alone but they "
                "depend on the pixel; quantize in front of it"
            )
        count = int(np.prod(node.attributes["kernel_shape"]))
        inside = int(np.prod(window.kernel))  # the others see padding alone, which is zero
        # a sum of negated integers is the negated sum, which would be a wider one to negate
        signs = np.where(np.atleast_1d(a) < 0, -1, 1)
        a = np.abs(a)
        source = self.made.tensors[self.made.signed(node, value.base, signs)]
        low, high = (inside * v for v in (source.dtype.min, source.dtype.max))
        if any(window.pad):
            low, high = min(low, 0), max(high, 0)
        result = Tensor(node.output, shape, low, high)
        self.made.add(Pool(node.label, source, result, window, "sum"))
        if value.base in self.cuts and not a.ndim and not b.any():
            self.cuts.add(node.output)
        if b.any():  # a shift, once for each pixel of the map in the window
            given = _window(node)
            pixels = shapes.counts(
                (1, value.shape[2], *value.shape[:2]),
                (given.kernel, given.stride, given.pad),
                (0, 0, 0, 0),
            )
            b = np.broadcast_to(b * (pixels.reshape(*shape[:2], 1) / count), shape)
        return Value(node.output, shape, standard(shape), Function().then("affine", a / count, b))

    # Matrices ---------------------------------------------------------------------------------

    def _on_integers(self, node: Node, value: Value) -> tuple[Value, float, Array]:
        """A value that is integers times one scale plus an offset, as a matrix takes it."""
        value = self.pooled(node, value)
        self.exactly(value)
        if value.function.affine is None:
            value = self.tabled(node, value)
        affine = value.function.affine
        assert affine is not None
        a, b = affine
        if a.ndim == 3:
            raise InputError(
                f"{node.label} must take integers with one scale but "
                f"{value.by or self.origin(value)} gives one from pixel to pixel; put a quantizer "
                "with one scale between them"
            )
        if a.ndim:
            joins = isinstance(self.made.found.get(value.base), Join)
            remedy = "give what it joins one scale" if joins else "use per-tensor scaling there"
            if value.scaled:
                remedy = "put a quantizer with one scale between them"
            raise InputError(
                f"{node.label} must take integers with one scale but {self.scaling(value)} gives "
                f"{a.size} scales from {a.min():.4g} to {a.max():.4g}; {remedy}"
            )
        if not float(a):
            raise InputError(f"{node.label} takes zeros alone; train the network again")
        return value, float(a), b

    def _matrix(self, node: Node) -> Value:
        weights = self.weights[node.inputs[1]]
        parameters = [self.graph.constants[i] for i in weights.inputs[1:]]
        found = quantizer.parse(weights.operator, weights.attributes, [*parameters], weights.label)
        if found.bits > MAX_BITS:
            raise InputError(
                f"the weights of {node.label} must have 1 to {MAX_BITS} bits but {weights.label} "
                f"gives {found.bits}; use fewer"
            )
        constants = self.graph.constants[weights.inputs[0]]
        w = np.asarray(found.constants(constants), np.int64)
        if node.operator != "Conv":
            across = node.attributes.get("transB", 0)
            w = w if across else w.T
        scale = self._row_scale(node, weights, found, constants.shape)
        bias = np.zeros(len(w))
        if len(node.inputs) > 2 and node.inputs[2]:
            bias = bias + self.constant(node.inputs[2]).reshape(-1)
        if node.operator == "Gemm":
            scale, bias = scale * node.attributes["alpha"], bias * node.attributes["beta"]
        value = self.values[node.inputs[0]]
        groups = int(node.attributes.get("group", 1))
        pixel = value.index.ndim == 4 and value.index.shape[2:] == (1, 1)
        dense = node.operator != "Conv" or (pixel and value.shape[:2] != (1, 1))
        if not dense:
            value = self._map(node, value)
        elif node.operator == "Conv":  # on a flattened map, of which it sees one "pixel"
            _, rows, columns = trimmed(_window(node), (1, 1), (1, 1))
            if self.graph.shapes[node.output][2:] != (1, 1):
                value = self._map(node, value)
            w = spread(w, groups)[:, :, rows, columns].reshape(len(w), -1)
        value, step, shift = self._on_integers(node, value)
        source = self.made.tensors[self.made.signed(node, value.base, PLAIN)]
        if not dense:
            matrix = self._convolution(node, source, w)
            sums_of = spread(w, groups).sum(axis=(2, 3)) if shift.ndim < 3 else None
        else:
            ordered = np.zeros((len(w), source.elements), np.int64)
            ordered[:, value.index.ravel()] = w
            result = summed(node.output, (1, 1, len(w)), ordered, source, padding=False)
            matrix = Matrix(node.label, source, result, ordered, None, ordered.size)
            sums_of = ordered.reshape(len(w), *source.shape)
        if shift.any():
            if sums_of is None or any(node.attributes.get("pads", ())):
                raise InputError(
                    f"{node.label} pads activations that are shifted by a constant, where a "
                    "padded zero is no integer; quantize them in front of it or leave the shift out"
                )
            axes = tuple(range(1, sums_of.ndim))
            bias = bias + scale * (sums_of * shift).sum(axis=axes)
        self.made.add(matrix)
        out = matrix.result.shape
        index = standard(out) if not dense else np.arange(out[2])
        index = index.reshape(self.graph.shapes[node.output])
        return Value(node.output, out, index, Function().then("affine", step * scale, bias))

    def _row_scale(
        self, node: Node, weights: Node, found: quantizer.Quantizer, shape: tuple[int, ...]
    ) -> Array:
        """(O,): the scale of each row of the weights."""
        full = np.broadcast_to(np.asarray(found.scale, np.float64), shape)
        rows = full.reshape(len(full), -1)
        if node.operator != "Conv" and not node.attributes.get("transB", 0):
            rows = full.T.reshape(full.shape[1], -1)
        if (rows != rows[:, :1]).any():
            raise InputError(
                f"the weights of {node.label} must have one scale or one per output channel but "
                f"{weights.label} has others; use per-tensor or per-channel scaling"
            )
        return np.asarray(rows[:, 0], np.float64)

    def _convolution(self, node: Node, source: Tensor, w: IntArray) -> Matrix:
        h, width, _ = source.shape
        out = self.graph.shapes[node.output][2:]
        size = (out[0], out[1])
        multiplies = w.size * out[0] * out[1]
        window, rows, columns = trimmed(_window(node), (h, width), size)
        w = w[:, :, rows, columns].transpose(0, 2, 3, 1)
        result = summed(node.output, (*size, len(w)), w, source, padding=any(window.pad))
        groups = int(node.attributes["group"])
        return Matrix(node.label, source, result, w, window, multiplies, groups)

    # Exits ------------------------------------------------------------------------------------

    def _exit(self, index: int, name: str) -> Exit:
        node = self.graph.producers[name]
        value = self.pooled(node, self.values[name])
        self.exactly(value)
        affine = value.function.affine
        if affine is None:
            value = self.tabled(node, value, exit=index)
            affine = value.function.affine
            assert affine is not None
        a, b = affine
        self._check_constant(index, value)
        if a.ndim:
            raise InputError(
                f"exit {index} must end in one scale but {self.scaling(value)} ends in {a.size} "
                f"scales from {a.min():.4g} to {a.max():.4g}; "
                + (
                    "leave it out"
                    if value.scaled
                    else "use one weight scale for the whole last layer"
                )
            )
        if not np.array_equal(value.index.ravel(), np.arange(value.index.size)):
            raise InputError(
                f"exit {index} must have its logits in the order of the stream but "
                f"{node.label} rearranges them; end in a linear layer"
            )
        scale = abs(float(a))
        base = self.made.signed(node, value.base, -PLAIN if a < 0 else PLAIN)
        if b.ndim:  # integers but for what all of them have alike
            offsets = np.rint(b / scale)
            left = b / scale - offsets
            moved = self.made.offset(base, offsets.astype(np.int64)) if b.ndim == 1 else None
            if moved is None or np.ptp(left) > _GRID + 1e-6 * np.abs(offsets).max():
                raise InputError(
                    f"exit {index} must end on the grid of its integer logits but "
                    f"{self.origin(value)} has a bias or shift behind it that is not; quantize the "
                    "bias of the last layer with the scale of its sums, or give it none"
                )
            base, b = moved, scale * left.mean()
        logits = self.made.two_signs(base)
        return Exit(logits, scale, name, float(b))

    def _check_constant(self, index: int, value: Value) -> None:
        """Refuse logits of which it is known that they are the same for every image."""
        affine, made = value.function.affine, self.made.found.get(value.base)
        while isinstance(made, Pool | Threshold | Reshape):
            made = self.made.found.get(made.source.name)
        dead = isinstance(made, Matrix) and not made.weights.any()
        why = "all its weights are zero" if dead else "they are multiplied by zero"
        if dead or (affine is not None and not affine[0].any()):
            raise InputError(
                f"exit {index} must have logits that depend on the image but those of "
                f"{self.origin(value)} are the same for every image, "
                f"{why}; train the network again, or leave the exit out"
            )


def _window(node: Node) -> Window:
    kernel, stride, dilation = (
        (int(v[0]), int(v[1]))
        for v in (node.attributes.get(k, (1, 1)) for k in ("kernel_shape", "strides", "dilations"))
    )
    top, left, bottom, right = (int(p) for p in node.attributes["pads"])
    return Window(kernel, stride, (top, left, bottom, right), dilation)


def spread(w: IntArray, groups: int) -> IntArray:
    """Weights (O, C / groups, ...) as those (O, C, ...) of a convolution without groups."""
    if groups == 1:
        return w
    filters, channels = len(w) // groups, w.shape[1]
    found = np.zeros((len(w), groups * channels, *w.shape[2:]), w.dtype)
    for g in range(groups):
        rows = slice(g * filters, (g + 1) * filters)
        found[rows, g * channels : (g + 1) * channels] = w[rows]
    return found


def trimmed(
    window: Window, size: tuple[int, int], out: tuple[int, int]
) -> tuple[Window, slice, slice]:
    """The window without rows and columns that see padding alone, and which those are.

    Along an axis with one output the part of the kernel over the map is all that counts, as in
    maps with a side of 1.
    """
    kernel, stride, pad = list(window.kernel), list(window.stride), list(window.pad)
    kept = [slice(0, kernel[0]), slice(0, kernel[1])]
    apart = list(window.dilation)
    for axis in range(2):
        if out[axis] != 1 or pad[axis] >= window.extent[axis] or pad[axis] % apart[axis]:
            continue
        first = pad[axis] // apart[axis]
        last = min(kernel[axis], first + -(-size[axis] // apart[axis]))
        kept[axis] = slice(first, last)
        kernel[axis] = last - first
        apart[axis] = apart[axis] if kernel[axis] > 1 else 1
        pad[axis] = pad[2 + axis] = 0
        over = (kernel[axis] - 1) * apart[axis] + 1
        rest = size[axis] - over  # of the map, which no window may begin in
        stride[axis] = over if rest < over else rest + 1
    pads = (pad[0], pad[1], pad[2], pad[3])
    made = Window((kernel[0], kernel[1]), (stride[0], stride[1]), pads, (apart[0], apart[1]))
    return made, kept[0], kept[1]
