"""The plain form while it grows: nodes, and what is known of a graph's tensors."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt.errors import InputError
from exeunt.qonnx.shapes import Quad, Shape

Array = npt.NDArray[Any]

QUANTIZERS = ("Quant", "BipolarQuant")
TABLE = "see the table of operators in hls/README.md"


@dataclass(frozen=True)
class Node:
    """One operator with one result; `inputs` are names of tensors and constants."""

    operator: str
    name: str
    inputs: tuple[str, ...]
    output: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    written: str = ""  # the operator in the file, where it is another one here

    @property
    def label(self) -> str:
        """What messages call it."""
        return f"{self.written or self.operator} (node {self.name})"


@dataclass
class Tensors:
    """What is known of a graph while it is read: constants, tensors on the way, nodes kept."""

    constants: dict[str, Array] = field(default_factory=dict)
    shapes: dict[str, Shape] = field(default_factory=dict)  # of one image's tensors
    nodes: list[Node] = field(default_factory=list)
    quantized: dict[str, Node] = field(default_factory=dict)  # quantizers of constants, by result
    same: dict[str, str] = field(default_factory=dict)  # tensors that are another one
    pads: dict[str, tuple[str, Quad]] = field(default_factory=dict)  # padded: of what, how much
    softmax: dict[str, Node] = field(default_factory=dict)
    opset: int = 17  # of the file
    truths: set[str] = field(default_factory=set)  # tensors of conditions

    def keep(self, node: Node, shape: Shape) -> None:
        """A node of the plain form, whose result has `shape`."""
        self.nodes.append(node)
        self.shapes[node.output] = shape

    def constant(self, name: str, value: Array) -> str:
        """A constant of that name."""
        self.constants[name] = value
        return name

    def nothing(self, node: Node) -> None:
        """A node that changes nothing."""
        self.same[node.output] = node.inputs[0]
        self.shapes[node.output] = self.shapes[node.inputs[0]]


def quantizer_attributes(node: Node) -> dict[str, Any]:
    """A quantizer's attributes with their defaults, under QONNX's names."""
    if node.operator == "BipolarQuant":
        return {}
    mode = node.attributes.get("rounding_mode", b"ROUND")
    mode = (mode.decode() if isinstance(mode, bytes) else str(mode)).upper()
    return {
        "signed": int(node.attributes.get("signed", 1)),
        "narrow": int(node.attributes.get("narrow", 0)),
        "rounding_mode": {"ROUND_TO_ZERO": "DOWN"}.get(mode, mode),
    }


def to_shape(found: Tensors, node: Node, shape: Shape) -> None:
    """Keep a node that gives its stream the shape, or nothing where it has it.

    Raises:
        InputError: a batch of other than one.
    """
    if shape == found.shapes[node.inputs[0]]:
        found.nothing(node)
        return
    if not shape or shape[0] != 1:
        raise InputError(
            f"{node.label} must keep the batch of one image in front but gives {shape}; "
            "flatten to (1, -1)"
        )
    wanted = found.constant(f"{node.output}.shape", np.array(shape, np.int64))
    found.keep(Node("Reshape", node.name, (node.inputs[0], wanted), node.output), shape)


def axes_of(found: Tensors, node: Node, rank: int) -> list[int] | None:
    """The axes of a node, from its attribute or its second input.

    Raises:
        InputError: a tensor of that rank does not have them, or they stand there twice.
    """
    axes = given_axes(found, node)
    if axes is None:
        return None
    known = [axis_of(node, axis, rank) for axis in axes]
    if len(set(known)) != len(known):
        raise InputError(f"{node.label} must name every axis once but has {axes}; export it again")
    return known


def given_axes(found: Tensors, node: Node) -> list[int] | None:
    """The axes as a node has them, negative ones from the end; None where it has none.

    Raises:
        InputError: they are computed, or no integers.
    """
    axes = node.attributes.get("axes")
    if axes is None and len(node.inputs) > 1 and node.inputs[1]:
        axes = found.constants.get(node.inputs[1])
        if axes is None or axes.dtype.kind not in "iu":
            raise InputError(
                f"{node.label} must have axes of constant integers but does not; {TABLE}"
            )
    return None if axes is None else [int(a) for a in np.asarray(axes).reshape(-1)]


def axis_of(node: Node, axis: int, rank: int) -> int:
    """An axis of a node, counted from the first.

    Raises:
        InputError: a tensor of that rank does not have it.
    """
    if not -rank <= axis < rank:
        raise InputError(
            f"{node.label} must have an axis of a tensor of {rank} dimensions but has {axis}; "
            "export it again"
        )
    return axis % rank


def transpose(found: Tensors, node: Node, shape: Shape) -> None:
    """Keep a Transpose of a tensor of that shape.

    Raises:
        InputError: it moves the batch, or is no order of the dimensions.
    """
    perm = [int(p) for p in node.attributes.get("perm") or reversed(range(len(shape)))]
    if sorted(perm) != list(range(len(shape))):
        raise InputError(
            f"{node.label} must put the {len(shape)} dimensions of {shape} into an order but has "
            f"{perm}; export it again"
        )
    if perm[0] != 0:
        raise InputError(
            f"{node.label} must keep the batch in front but has the order {perm}; leave it out"
        )
    found.keep(replace(node, attributes={"perm": perm}), tuple(shape[p] for p in perm))
