"""One network in the forms that exporters give it: names, opsets, layouts, QCDQ, file.

No form changes what the network means.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from exeunt.config.preprocess import Preprocess
from exeunt.hls.front import finn_env
from exeunt.qonnx import layers

if TYPE_CHECKING:
    from random_files import Random

WORDS = ("aux", "main", "left", "deep", "logits", "42", "Gemm_7/out", "späte")
STREAM = ("Relu", "Quant", "IntQuant", "BipolarQuant", "Sigmoid", "Tanh", "Clip", "Mul", "Sub")

# Which have their axes as an input since version 13, and since 18.
REDUCING = ("ReduceSum", "ReduceMean", "ReduceMax")


@dataclass(frozen=True)
class Case:
    """A file, and what a config says of it.

    `exits`: as `model.exits`; none: all, as the file has them. `last`: the file takes (1, H, W, C).
    """

    path: Path
    shape: tuple[int, int, int]  # of the image, (H, W, C)
    preprocess: Preprocess | None
    exits: tuple[str, ...]
    last: bool
    forms: tuple[str, ...]


def save(network: Random, folder: Path) -> Case:
    """Write the network in a random form."""
    form = _Form(network)
    return form.save(folder)


class _Form:
    def __init__(self, network: Random) -> None:
        self.n = network
        self.model: ModelProto = network.b.model()
        self.graph = self.model.graph
        self.count = 0
        self.forms: list[str] = [f"opset {network.opset}"]
        self.last = False
        self.exits: tuple[str, ...] = ()
        self.shape = network.shape

    def save(self, folder: Path) -> Case:
        n = self.n
        self._opset()
        if n.row:
            self._row()
        elif n.chance(0.12):
            self._channels_last()
        elif n.chance(0.15):
            self._transposed()
        self._flat()
        self._products()
        self._vector()
        self._pads()
        self._nothing()
        self._constants()
        if n.plain:
            self._qcdq()
        elif n.chance(0.2):
            self._integers()
        self._names()
        if n.chance(0.2):
            self.forms.append("any batch")
            for value in (*self.graph.input, *self.graph.output):
                value.type.tensor_type.shape.dim[0].dim_param = "N"
        path = folder / "model.onnx"
        outside = n.chance(0.1)
        self.forms += ["external data"] * outside
        onnx.save(self.model, path, save_as_external_data=outside, size_threshold=0)
        return Case(path, self.shape, n.preprocess, self.exits, self.last, tuple(self.forms))

    # Helpers ----------------------------------------------------------------------------------

    def _name(self) -> str:
        self.count += 1
        return f"f{self.count}"

    def _constant(self, value: npt.NDArray[Any]) -> str:
        name = self._name()
        self.graph.initializer.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def _made(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> NodeProto:
        return helper.make_node(kind, inputs, [output], self._name(), **attributes)

    def _rewrite(self, one: Any) -> None:
        """Each node as the nodes that `one` makes of it."""
        nodes = [made for node in self.graph.node for made in one(node)]
        del self.graph.node[:]
        self.graph.node.extend(nodes)

    def _values(self) -> dict[str, npt.NDArray[Any]]:
        return {c.name: numpy_helper.to_array(c) for c in self.graph.initializer}

    @property
    def _outputs(self) -> set[str]:
        return {o.name for o in self.graph.output}

    # Forms ------------------------------------------------------------------------------------

    def _opset(self) -> None:
        n, values = self.n, self._values()
        for entry in self.model.opset_import:
            entry.version = n.truncs if entry.domain else n.opset
        for node in self.graph.node if n.opset < 18 else ():
            if node.op_type in REDUCING[n.opset >= 13 :]:
                axes = values[node.input.pop()].tolist()
                node.attribute.append(helper.make_attribute("axes", axes))

    def _row(self) -> None:
        """Layers in one dimension: tensors (1, C, L)."""
        self.forms.append("one dimension")
        if self.n.chance(0.4):  # of images that are a column
            self.forms.append("column")
            height, width, channels = self.n.shape
            self.shape = (width, height, channels)
        slopes = {n.input[1] for n in self.graph.node if n.op_type == "PRelu"}
        axes = {n.input[1] for n in self.graph.node if n.op_type in REDUCING and len(n.input) > 1}
        for c in self.graph.initializer:
            value = numpy_helper.to_array(c)
            if value.ndim == 4:
                value = value[:, :, 0]
            elif c.name in slopes and value.ndim == 3:
                value = value[:, 0]
            elif c.name in axes:
                value = value[:1]
            c.CopyFrom(numpy_helper.from_array(value, c.name))
        for node in self.graph.node:
            for a in node.attribute:
                if a.name in ("kernel_shape", "strides", "dilations") or (
                    a.name == "axes" and node.op_type in REDUCING
                ):
                    a.ints[:] = a.ints[:1] if a.name == "axes" else a.ints[1:]
                elif a.name == "pads":
                    a.ints[:] = [a.ints[1], a.ints[3]]
        dims = self.graph.input[0].type.tensor_type.shape.dim
        del dims[2]

    def _channels_last(self) -> None:
        """QONNX's own transformation."""
        with finn_env.quiet():
            from qonnx.core.modelwrapper import ModelWrapper
            from qonnx.core.onnx_exec import execute_onnx
            from qonnx.transformation.channels_last import ConvertToChannelsLastAndClean
            from qonnx.transformation.infer_shapes import InferShapes

            last = self.n.chance(0.5)
            x = self.n.random.integers(0, 256, (1, self.n.shape[2], *self.n.shape[:2]))
            try:
                before = ModelWrapper(self.model).transform(InferShapes())
                model = before.transform(ConvertToChannelsLastAndClean(last))
                taken = model.get_tensor_shape("image")
                self.last = taken != list(x.shape) or (
                    self.n.shape[2:] * 3 == self.n.shape and last
                )
                x = x.astype(np.float32)
                want = execute_onnx(before, {"image": x})
                x = x.transpose(0, 2, 3, 1) if self.last else x
                got = execute_onnx(model, {"image": x})
                same = all(
                    np.allclose(got[k], v, 1e-3, 1e-3 * np.abs(v).max()) for k, v in want.items()
                )
            except Exception:  # it does not know every network
                same = False
        if not same:
            self.last = False
            return
        self.model, self.graph = model.model, model.model.graph
        self.forms.append("QONNX's channels last")

    def _transposed(self) -> None:
        """Some elementwise operators on channels-last tensors, between two transpositions."""
        self.forms.append("transposed")
        values, shapes, outputs = self._values(), self.n.b.shapes, self._outputs

        def one(node: NodeProto) -> Iterator[NodeProto]:
            stream = [i for i in node.input if i not in values]
            map_ = len(shapes.get(node.output[0], ())) == 4 and stream == [node.input[0]]
            if node.op_type not in STREAM or not map_ or node.output[0] in outputs:
                yield node
                return
            if self.n.chance(0.5):
                yield node
                return
            before, after = self._name(), self._name()
            yield self._made("Transpose", [node.input[0]], before, perm=[0, 2, 3, 1])
            made = NodeProto()
            made.CopyFrom(node)
            made.input[0], made.output[0] = before, after
            for k, name in enumerate(node.input[1:], start=1):
                if values[name].ndim == 4:
                    made.input[k] = self._constant(values[name].transpose(0, 2, 3, 1))
            yield made
            yield self._made("Transpose", [after], node.output[0], perm=[0, 3, 1, 2])

        self._rewrite(one)

    def _axes(self, kind: str, x: str, y: str, axes: list[int]) -> NodeProto:
        """Squeeze or Unsqueeze, whose axes are an input since opset 13."""
        if self.n.opset < 13:
            return self._made(kind, [x], y, axes=axes)
        return self._made(kind, [x, self._constant(np.array(axes, np.int64))], y)

    def _flat(self) -> None:
        """Flatten by other words."""
        shapes, way = self.n.b.shapes, self.n.pick("", "", "", "Reshape", "Squeeze", "both")

        def one(node: NodeProto) -> Iterator[NodeProto]:
            y, shape = node.output[0], shapes.get(node.input[0], ())
            if node.op_type != "Flatten" or not way or "image" in node.input:
                yield node
            elif way == "Squeeze" and shape[2:] == (1, 1):
                yield self._axes("Squeeze", node.input[0], y, [2] if self.n.row else [3, 2])
            elif way == "both":
                inner, back = self._name(), self._name()
                node.output[0] = inner
                yield node
                yield self._axes("Unsqueeze", inner, back, [1])
                yield self._axes("Squeeze", back, y, [1])
            else:
                wanted = np.array([self.n.pick(0, 1), -1], np.int64)
                yield self._made("Reshape", [node.input[0], self._constant(wanted)], y)

        self._rewrite(one)

    def _products(self) -> None:
        """Linear layers as MatMul and Add."""
        if not self.n.chance(0.25):
            return
        self.forms.append("MatMul")

        def one(node: NodeProto) -> Iterator[NodeProto]:
            if node.op_type != "Gemm":
                yield node
                return
            across, inner = self._name(), self._name() if len(node.input) > 2 else node.output[0]
            yield self._made("Transpose", [node.input[1]], across, perm=[1, 0])
            yield self._made("MatMul", [node.input[0], across], inner)
            if len(node.input) > 2:
                yield self._made("Add", [inner, node.input[2]], node.output[0])

        self._rewrite(one)

    def _vector(self) -> None:
        """The image as a vector, where the network takes it so."""
        takers = [node for node in self.graph.node if "image" in node.input]
        if self.last or any(node.op_type != "Flatten" for node in takers) or self.n.chance(0.3):
            return
        self.forms.append("vector")
        dims = self.graph.input[0].type.tensor_type.shape.dim
        del dims[2:]
        dims[1].dim_value = int(np.prod(self.n.shape))
        for node in takers:
            node.CopyFrom(self._made("Identity", ["image"], node.output[0]))

    def _pads(self) -> None:
        """Padding by `auto_pad`, or by an operator of its own."""
        auto, apart = self.n.chance(0.15), self.n.chance(0.15)
        outputs = self._outputs

        def one(node: NodeProto) -> Iterator[NodeProto]:
            given = {a.name: a for a in node.attribute}
            pads = list(given["pads"].ints) if node.op_type == "Conv" and not node.domain else []
            kernel = list(given["kernel_shape"].ints) if pads else []
            plain = pads and all(i == 1 for k in ("strides", "dilations") for i in given[k].ints)
            half = [k // 2 for k in kernel] * 2
            if auto and plain and pads == half and all(k % 2 for k in kernel):
                node.attribute.remove(given["pads"])
                mode = self.n.pick("SAME_UPPER", "SAME_LOWER")
                node.attribute.append(helper.make_attribute("auto_pad", mode))
            elif auto and pads and not any(pads):
                node.attribute.remove(given["pads"])
                node.attribute.append(helper.make_attribute("auto_pad", "VALID"))
            elif apart and any(pads) and node.input[0] not in outputs:
                padded, half_way = self._name(), len(pads) // 2
                amounts = [0, 0, *pads[:half_way], 0, 0, *pads[half_way:]]
                name = self._constant(np.array(amounts, np.int64))
                yield self._made("Pad", [node.input[0], name], padded, mode="constant")
                node.input[0] = padded
                given["pads"].ints[:] = [0] * len(pads)
            yield node

        self._rewrite(one)

    def _nothing(self) -> None:
        """Operators that do nothing."""
        share, fixed = self.n.pick(0.0, 0.0, 0.1), set(self._values())

        def one(node: NodeProto) -> Iterator[NodeProto]:
            weights = fixed.issuperset(node.input)
            fixed.update(node.output if weights else ())
            if self.n.chance(share) and node.op_type not in layers.CONDITIONS:
                kinds = ("Identity", "Cast") if weights else ("Identity", "Cast", "Dropout")
                inner, kind = self._name(), self.n.pick(*kinds)
                more = {"to": TensorProto.FLOAT} if kind == "Cast" else {}
                made = self._made(kind, [inner], node.output[0], **more)
                node.output[0] = inner
                yield node
                yield made
            else:
                yield node

        self._rewrite(one)

    def _constants(self) -> None:
        """Some initializers as Constant nodes."""
        if not self.n.chance(0.15):
            return
        self.forms.append("constants as nodes")
        moved = [c for c in self.graph.initializer if self.n.chance(0.5)]
        for c in moved:
            self.graph.node.insert(0, helper.make_node("Constant", [], [c.name], c.name, value=c))
            self.graph.initializer.remove(c)

    def _integers(self) -> None:
        self.forms.append("IntQuant")
        for node in self.graph.node:
            if node.op_type == "Quant" and self.n.chance(0.5):
                node.op_type = "IntQuant"

    def _qcdq(self) -> None:
        """QONNX's own transformation, of the quantizers that it takes."""
        with finn_env.quiet():
            from qonnx.core.modelwrapper import ModelWrapper
            from qonnx.transformation.qonnx_to_qcdq import QuantToQCDQ

            model = ModelWrapper(self.model).transform(QuantToQCDQ())
        self.model, self.graph = model.model, model.model.graph
        self.forms.append("QCDQ")

    def _names(self) -> None:
        """Outputs in another order, by other names."""
        n = self.n
        names = [o.name for o in self.graph.output]
        order = [int(i) for i in n.random.permutation(len(names))]
        if n.chance(0.4):
            self.forms.append("names")
            words = dict(zip(names, n.random.permutation(WORDS).tolist(), strict=False))
            for node in self.graph.node:
                for tensors in (node.input, node.output):
                    tensors[:] = [words.get(t, t) for t in tensors]
            for o in self.graph.output:
                o.name = words[o.name]
            if n.chance(0.5):
                self.exits = tuple(words[name] for name in names)
        if n.chance(0.4):
            self.forms.append("order")
            outputs = [self.graph.output[i] for i in order]
            copies = [onnx.ValueInfoProto.FromString(o.SerializeToString()) for o in outputs]
            del self.graph.output[:]
            self.graph.output.extend(copies)
