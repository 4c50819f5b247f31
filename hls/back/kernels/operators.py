"""FINN's operators: which kind is one, how it is read, folded and offered to FINN.

A kind's module registers the operators that it implements. FINN is imported by whoever asks for
its class, never here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from exeunt.graph import IntArray, Integer
from exeunt.kernels.layer import Fold, Layer, Shape
from exeunt.window import Window


@dataclass(frozen=True)
class Front:
    """What stands in front of the next layer, and is part of it."""

    pad: tuple[int, int, int, int] = (0, 0, 0, 0)
    window: Window | None = None
    factor: int = 1


@dataclass(frozen=True)
class Found:
    """An operator of a specialised FINN model, as it is read.

    Attributes:
        model: qonnx ModelWrapper.
        node: its ONNX node.
        get: the node's attributes by name.
        tables: thresholds (rows, levels) by the name of the input that they are.
        finn: names of the FINN nodes that make the layer, this one last.
        front: padding and window in front of it.
        input: shape of what enters the layer, (H, W, C).
        source: its type.
        output: shape of what leaves the operator.
        result: its type.
        other: the second stream of an operator that joins two: its type and factor.
    """

    model: Any
    node: Any
    get: Callable[[str], Any]
    tables: Mapping[str, IntArray]
    finn: tuple[str, ...]
    front: Front
    input: Shape
    source: Integer
    output: Shape
    result: Integer
    other: tuple[Integer, int] | None = None


def groups_of(weights: str) -> str:
    """The model's property that says into how many groups a matrix falls, by its input's name."""
    return f"groups of {weights}"


def pe_alone(fold: Fold) -> dict[str, int]:
    """The folding attributes of an operator with PE alone."""
    return {"PE": fold.pe}


@dataclass(frozen=True)
class Operator:
    """One of FINN's operators.

    Attributes:
        name: FINN's, without "_rtl" or "_hls".
        layer: FINN's class of it, "module:class".
        read: the layer that it is, or what it puts in front of the next one.
        modules: blocks of hls/rtl that it is made of.
        folding: FINN's folding attributes.
        methods: of FINN's class, what ours does otherwise, by name.
        attributes: types of attributes that FINN's class does not declare.
    """

    name: str
    layer: str
    read: Callable[[Found], Layer | Front]
    modules: tuple[str, ...] = ()
    folding: Callable[[Fold], dict[str, int]] = pe_alone
    methods: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
