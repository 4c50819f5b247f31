"""Reading a QONNX file into one plain form, so that everything behind it reads the same.

In that form there is one image in, one tensor of logits per exit out, nodes in order, names for
all of them, every attribute written out, constants folded, weights straight behind their
quantizers, and nothing left that stands for nothing (Identity, Dropout, Squeeze). What no reader
behind it could take is refused here with the node's name.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from exeunt.errors import InputError
from exeunt.qonnx import form, layers, layouts, literals, operators, qcdq, quantizer
from exeunt.qonnx import image as images
from exeunt.qonnx.layers import QUANTIZERS, Array, Node, Tensors
from exeunt.qonnx.preprocess import Preprocess
from exeunt.qonnx.shapes import Shape

if TYPE_CHECKING:
    from onnx import ModelProto

MAX_EXITS = 8
INPUT = "images"
_DOMAIN = "qonnx.custom_op.general"
_DOMAINS = ("", "ai.onnx", _DOMAIN, "finn.custom_op.general", "onnx.brevitas")
_OPSET, _NEW_OPSET = 17, 20
_CONTROL = ("If", "Loop", "Scan")
_NEWER = ("Gelu", "Mish")  # which the older one does not have
_NUMBERED = re.compile(r"exit\d+")
_TABLE = "see the table of operators in hls/README.md"
_MAPS = (3, 4)  # dimensions
_REARRANGE = ("Transpose", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Identity")


@dataclass(frozen=True)
class Graph:
    """A network in the plain form, see the module's text."""

    where: str  # the file, for messages
    image: str  # the tensor that goes in
    nodes: tuple[Node, ...]  # each behind those whose results it takes
    constants: Mapping[str, Array]
    outputs: tuple[str, ...]  # logits, one per exit
    shapes: Mapping[str, Shape]  # of the tensors, for one image
    numbered: bool = False  # whether the file says which exit is which, by exit0, exit1, ...

    @property
    def producers(self) -> dict[str, Node]:
        """The node behind every tensor."""
        return {node.output: node for node in self.nodes}

    def with_outputs(self, outputs: tuple[str, ...]) -> Graph:
        """The same network with its exits in another order, which is meant."""
        return replace(self, outputs=outputs, numbered=True)


def load(
    path: Path,
    *,
    preprocess: Preprocess | None = None,
    exits: tuple[str, ...] = (),
    shape: tuple[int, int, int] | None = None,
) -> Graph:
    """The network in `path`, its weights beside it if need be.

    Args:
        path: the file.
        preprocess: what makes the network's input of integers from 0 to 255; None: nothing.
        exits: names of its outputs that are exits, in order; none: all of them.
        shape: (H, W, C) of the images, where the file's input does not say it: channels last, or a
            vector; None: as it says.

    Raises:
        InputError: no such file, not ONNX, or a network that nothing here can take.
    """
    import onnx
    from google.protobuf.message import DecodeError

    path = Path(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; export the network first or give another path")
    try:
        model = onnx.load(str(path))
    except (DecodeError, onnx.checker.ValidationError, OSError, ValueError) as error:
        raise InputError(
            f"{path}: an ONNX model was expected but it cannot be read "
            f"({literals.first_line(error)}); export it again, with its .data file beside it"
        ) from error
    if not model.graph.node or not model.graph.output:
        raise InputError(
            f"{path}: an ONNX model was expected but the file holds no graph; export it again"
        )
    return read(model, str(path), preprocess=preprocess, exits=exits, shape=shape)


def read(
    model: ModelProto,
    where: str,
    *,
    trained: bool = False,
    preprocess: Preprocess | None = None,
    exits: tuple[str, ...] = (),
    shape: tuple[int, int, int] | None = None,
) -> Graph:
    """A model in the plain form.

    Args:
        model: as a file holds it.
        where: its name in messages.
        trained: it is trained here, so the order of its outputs is meant, and a Softmax behind
            the logits is refused; in a file that somebody else trained it is taken away.
        preprocess: as for `load`.
        exits: as for `load`.
        shape: as for `load`.

    Raises:
        InputError: a network that nothing here can take, `where` first.
    """
    if model.functions:
        from onnx import inliner

        try:
            model = inliner.inline_local_functions(model)
        except Exception as error:  # of the C++ library, which says no more of what it may be
            raise InputError(
                f"{where}: its functions must be such that can be written out but are not "
                f"({literals.first_line(error)}); export it without them"
            ) from error
    try:
        reader = _Reader(model, where, trained, exits)
        reader.shape = shape
        return reader.graph(preprocess)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


class _Reader:
    """Walks the nodes of a model once and keeps what is left of them."""

    def __init__(
        self, model: ModelProto, where: str, trained: bool, exits: tuple[str, ...]
    ) -> None:
        self.model, self.where, self.trained, self.exits = model, where, trained, exits
        self.shape: tuple[int, int, int] | None = None  # of the images, where somebody knows it
        self.found = Tensors()
        self.codes = qcdq.Codes(self.found)
        self.others: dict[str, Node] = {}  # results of nodes behind their first one
        self.last: set[str] = set()  # results of channels-last operators
        self.opset = next(
            (o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), _OPSET
        )
        self.found.opset = self.opset
        form.check(model, _DOMAINS, self.opset)
        for tensor in model.graph.initializer:
            self.found.constants[tensor.name] = literals.numbers(
                tensor, f"the initializer {tensor.name}"
            )

    def graph(self, preprocessed: Preprocess | None) -> Graph:
        """Everything read."""
        found = self.found
        image = images.put(found, self.model.graph, preprocessing=preprocessed, shape=self.shape)
        outputs = self._outputs()
        nodes = _ordered(self._nodes(), outputs)
        for node in nodes:
            _known(node)
        takers = [(n.label, n.inputs) for n in nodes]
        for taker, taken in [*takers, ("the network", tuple(outputs))]:
            for name in taken:
                if name in self.others:
                    _known(self.others[name])
                    raise InputError(
                        f"{self.others[name].label} may be used for its first result alone but "
                        f"{taker} takes another one, {name}; leave it out"
                    )
        if not any(n.operator in (*QUANTIZERS, "DequantizeLinear") for n in nodes):
            raise InputError(
                "the network has no quantizers (no Quant node); "
                "train it with Brevitas and export it with export_qonnx"
            )
        for node in nodes:
            self._read(node)
        logits = tuple(self._logits(name) for name in outputs)
        if len(set(logits)) != len(logits):
            raise InputError("every exit must have logits of its own but two outputs are the same")
        kept = _used(found.nodes, logits)
        for node in kept:
            _check_finite(node, found.constants)
        names = {name for node in kept for name in node.inputs}
        constants = {k: v for k, v in found.constants.items() if k in names}
        numbered = bool(self.exits) or self.trained
        numbered = numbered or all(_NUMBERED.fullmatch(name) for name in outputs)
        return Graph(self.where, image, kept, constants, logits, found.shapes, numbered)

    def _nodes(self) -> list[Node]:
        """All nodes, with names."""
        import onnx

        nodes: list[Node] = []
        names: set[str] = set()
        for node in self.model.graph.node:
            output = node.output[0] if node.output else ""
            name = base = node.name or output
            while name in names:
                name = f"{base}_{len(names)}"
            names.add(name)
            operator = {"IntQuant": "Quant"}.get(node.op_type, node.op_type)
            if node.domain not in (*_DOMAINS, layouts.DOMAIN):
                operator = f"{node.domain}::{operator}"
            attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
            made = Node(operator, name, tuple(node.input), output, attributes)
            self.others.update({other: made for other in node.output[1:] if other})
            if operator in ("Sum", "Max", "Min"):
                nodes += _added(made)
            else:
                nodes.append(made)
                if node.domain == layouts.DOMAIN:
                    self.last.add(output)
        return nodes

    def _outputs(self) -> list[str]:
        """Names of the logits; exit0, exit1, ... are in that order, those asked for in theirs."""
        outputs = [o.name for o in self.model.graph.output]
        for name in self.exits:
            if name not in outputs:
                raise InputError(
                    f"model.exits must name outputs of the file, {', '.join(outputs)}, got {name}: "
                    "change it"
                )
        if self.exits:
            return list(self.exits)
        if not 1 <= len(outputs) <= MAX_EXITS:
            raise InputError(
                f"1 to {MAX_EXITS} exits are supported, one output each, but the graph has "
                f"{len(outputs)}; leave some out"
            )
        if not self.trained and all(_NUMBERED.fullmatch(name) for name in outputs):
            outputs.sort(key=lambda name: int(name[4:]))
        return outputs

    def _read(self, node: Node) -> None:
        """Keep the node, or what it stands for."""
        found = self.found
        node = replace(node, inputs=tuple(found.same.get(i, i) for i in node.inputs))
        for name in node.inputs:
            if name in found.softmax:
                to = int(node.attributes.get("to", 1))
                nothing = node.operator in ("Identity", "Dropout") and not node.inputs[1:]
                if nothing or (node.operator == "Cast" and to in (1, 11)):
                    found.softmax[node.output] = found.softmax[name]
                    return
                raise InputError(
                    f"{found.softmax[name].label} must be the last operator of an exit but feeds "
                    f"{node.label}; leave it out"
                )
            places = (found.constants, found.shapes, found.pads, self.codes.coded)
            if name and not any(name in x for x in places):
                raise InputError(f"{node.label} takes {name}, which nothing gives; export it again")
        if node.output in self.last and node.inputs[0] in found.shapes:
            self.last.remove(node.output)
            for inner in layouts.channels_first(node, len(found.shapes[node.inputs[0]])):
                self._read(inner)
            return
        coded = [i in self.codes.coded for i in node.inputs]
        rank = len(found.shapes.get(node.inputs[0], ())) if node.inputs else 0
        if node.operator == "MatMul" and rank in _MAPS and self._along_channels(node):
            for inner in layouts.pointwise(node, rank):
                self._read(inner)
            return
        if node.operator in qcdq.OPERATORS or any(coded):
            if node.operator not in (*qcdq.OPERATORS, "Clip") or any(coded[1:]):
                raise InputError(
                    f"{node.label} must not work on integers but takes those of a QuantizeLinear; "
                    "put a DequantizeLinear in front of it"
                )
            made = self.codes.quant(node)
            if made is not None:
                self._read(made)
            return
        if node.operator == "Shape" and node.inputs[0] not in found.pads:
            first = node.inputs[0]
            shape = found.shapes[first] if first in found.shapes else found.constants[first].shape
            sizes = list(shape)[node.attributes.get("start", 0) : node.attributes.get("end")]
            found.constants[node.output] = np.array(sizes, np.int64)
        elif all(not name or name in found.constants for name in node.inputs):
            self._fold(node)
        elif node.operator not in operators.NAMES:
            raise InputError(f"the operator {node.label} is not supported on activations; {_TABLE}")
        else:
            if node.operator in QUANTIZERS:
                node = self._quantizer(node)[0]
            layers.add(found, node)

    def _along_channels(self, node: Node) -> bool:
        """Whether a MatMul works on the last dimension of a map of several pixels."""
        shape, weights = self.found.shapes[node.inputs[0]], self.found.quantized.get(node.inputs[1])
        if weights is None or int(np.prod(shape)) == shape[-1]:
            return False
        size = self.found.constants[node.inputs[1]].shape
        return len(size) == 2 and size[0] == shape[-1]

    def _quantizer(self, node: Node) -> tuple[Node, quantizer.Quantizer]:
        """The node with parameters of no more dimensions than they need, and what it means."""
        values = [self.found.constants.get(i) for i in node.inputs[1:] if i]
        parsed = quantizer.parse(node.operator, node.attributes, values, node.label)
        names = [
            self.found.constant(f"{node.output}.{key}", np.asarray(value, np.float32))
            for key, value in (
                ("scale", parsed.scale),
                ("zero", parsed.zero),
                ("bits", parsed.bits),
            )
        ]
        count = 1 if node.operator == "BipolarQuant" else 3
        return replace(node, inputs=(node.inputs[0], *names[:count])), parsed

    def _fold(self, node: Node) -> None:
        """A node of constants becomes a constant; a quantizer is also kept, for weights."""
        found = self.found
        if node.operator in QUANTIZERS:
            node, parsed = self._quantizer(node)
            values = found.constants[node.inputs[0]]
            layers.check_parameters(found, node, values.shape)
            integers = parsed.constants(values)
            found.constants[node.output] = np.asarray(integers * parsed.scale, np.float32)
            found.quantized[node.output] = node
        elif node.operator == "Constant":
            found.constants[node.output] = literals.of_node(node)
        elif node.operator in ("Dropout", "Softmax", "LogSoftmax") or (
            node.operator not in operators.CONSTANT and node.operator not in _EVALUATED
        ):
            raise InputError(f"the operator {node.label} is not supported on constants; {_TABLE}")
        elif _rearranges(node) and node.inputs[0] in found.quantized:
            self._rearrange(node, found.quantized[node.inputs[0]])
        else:
            found.constants[node.output] = literals.evaluate(self.found, node, node.inputs)

    def _rearrange(self, node: Node, before: Node) -> None:
        """Rearranged quantized weights are rearranged weights, quantized."""
        constants = self.found.constants
        shape, names = constants[before.inputs[0]].shape, list(before.inputs)
        for k in range(min(3, len(names))):
            if k == 0 or constants[names[k]].size > 1:
                whole = np.broadcast_to(constants[names[k]], shape)
                names[k] = self.found.constant(f"{node.output}.{k}", whole)
                constants[names[k]] = literals.evaluate(
                    self.found, node, (names[k], *node.inputs[1:])
                )
        self._fold(replace(before, inputs=tuple(names), output=node.output))

    def _logits(self, name: str) -> str:
        found = self.found
        name = found.same.get(name, name)
        node = found.softmax.get(name)
        if node is not None:
            if self.trained:
                raise InputError(
                    f"an exit must give logits but ends in {node.label}; leave it out, training "
                    "and exit criteria need what is in front of it"
                )
            name = node.inputs[0]
            layers.check_softmax(found, node, found.shapes.get(name, ()))
        if name not in found.shapes or name not in {n.output for n in found.nodes}:
            raise InputError(
                f"the output {name} must depend on the image through a layer but does not; "
                "connect it"
            )
        return name


_EVALUATED = ("Add", "Clip", "Flatten", "Relu", "ReduceMean", "ReduceSum", "ReduceMax", "Pad",
              "Max", "Min", "Where", "Greater", "Less", "And", "Or", "Not")  # fmt: skip


def _rearranges(node: Node) -> bool:
    """Whether the result has the very numbers of the first input."""
    return node.operator in _REARRANGE or (
        node.operator == "Cast" and int(node.attributes.get("to", 0)) == 1  # float32, as they are
    )


def _known(node: Node) -> None:
    """Refuse an operator that is in no list."""
    if node.operator in _CONTROL:
        raise InputError(
            f"{node.label} is control flow but a network in hardware does the same for "
            "every image; export it without"
        )
    if node.operator not in (*operators.NAMES, *operators.CONSTANT):
        raise InputError(f"the operator {node.label} is not supported; {_TABLE}")


def _check_finite(node: Node, constants: Mapping[str, Array]) -> None:
    """Refuse numbers that are none; limits of a Clip may be infinite."""
    for name in node.inputs:
        value = constants.get(name)
        if value is None or value.dtype.kind != "f":
            continue
        if np.isnan(value).any() or (node.operator != "Clip" and np.isinf(value).any()):
            raise InputError(
                f"{node.label} must have finite parameters but has not; train the network again"
            )


def _added(node: Node) -> list[Node]:
    """A sum, or a maximum or minimum, of any number of tensors as those of two."""
    operator = "Add" if node.operator == "Sum" else node.operator
    if len(node.inputs) == 1:
        return [replace(node, operator="Identity")]
    made, total = [], node.inputs[0]
    for k, name in enumerate(node.inputs[1:], start=2):
        last = k == len(node.inputs)
        output = node.output if last else f"{node.output}.{k}"
        made.append(
            Node(operator, node.name if last else f"{node.name}.{k}", (total, name), output)
        )
        total = output
    return made


def _ordered(nodes: list[Node], outputs: list[str]) -> list[Node]:
    """The nodes that the outputs need, each behind those it takes from."""
    makers = {node.output: node for node in nodes}
    done: dict[str, Node] = {}
    begun: set[str] = set()
    stack = [(name, False) for name in reversed(outputs)]
    while stack:
        name, left = stack.pop()
        node = makers.get(name)
        if node is None or name in done:
            continue
        if left:
            done[name] = node
            continue
        if name in begun:
            raise InputError(
                f"the graph must not have a loop but {node.label} is in one; unroll it"
            )
        begun.add(name)
        stack.append((name, True))
        stack.extend((i, False) for i in reversed(node.inputs) if i and i not in done)
    return list(done.values())


def _used(nodes: list[Node], outputs: tuple[str, ...]) -> tuple[Node, ...]:
    """The nodes that the outputs rest on."""
    wanted, kept = set(outputs), []
    for node in reversed(nodes):
        if node.output in wanted:
            wanted.update(node.inputs)
            kept.append(node)
    return tuple(kept[::-1])


def to_model(graph: Graph) -> ModelProto:
    """The plain form as a QONNX file again: "images" in, exit0, exit1, ... out, shapes noted."""
    from onnx import TensorProto, helper, numpy_helper

    names = {name: f"exit{i}" for i, name in enumerate(graph.outputs)} | {graph.image: INPUT}
    taken = set(names.values())

    def name_of(name: str) -> str:
        return names.get(name) or (f"{name}.inner" if name in taken else name)

    nodes = [
        helper.make_node(
            node.operator,
            [name_of(i) for i in node.inputs],
            [name_of(node.output)],
            name=node.name,
            domain=_DOMAIN if node.operator in QUANTIZERS else "",
            **node.attributes,
        )
        for node in graph.nodes
    ]
    made = {node.output for node in graph.nodes}
    truths = {node.output for node in graph.nodes if node.operator in layers.CONDITIONS}

    def value(name: str) -> Any:
        shape = graph.shapes[name] if name in graph.shapes else graph.constants[name].shape
        kind = TensorProto.BOOL if name in truths else TensorProto.FLOAT
        return helper.make_tensor_value_info(name_of(name), kind, shape)

    inner = [value(node.output) for node in graph.nodes if node.output not in names]
    constants = [
        numpy_helper.from_array(np.array(v, order="C"), name_of(k))
        for k, v in graph.constants.items()
        if k not in made
    ]
    outputs = [value(name) for name in graph.outputs]
    found = helper.make_graph(
        nodes, "network", [value(graph.image)], outputs, constants, value_info=inner
    )
    newer = any(node.operator in _NEWER for node in graph.nodes)
    version, form = (_NEW_OPSET, 9) if newer else (_OPSET, 8)
    opsets = [helper.make_opsetid("", version), helper.make_opsetid(_DOMAIN, 1)]
    return helper.make_model(found, opset_imports=opsets, ir_version=form, producer_name="exeunt")
