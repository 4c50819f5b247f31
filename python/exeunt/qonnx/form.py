"""What every node of a file must be before it is read: its inputs, attributes and results.

ONNX's own checker knows its operators; QONNX's are in a table here. What a shape or a number must
be is said where the node is read.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from exeunt.errors import InputError
from exeunt.qonnx import layouts, operators

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

_AGAIN = "export it again"
# Inputs of QONNX's operators, all of them needed, and attributes that are 0 or 1.
_QONNX = {"Quant": (4, 4), "IntQuant": (4, 4), "BipolarQuant": (2, 2), "Trunc": (5, 6)}
_ANY = 1000  # inputs: as many as there are
_FLAGS = ("signed", "narrow", "ceil_mode", "count_include_pad", "keepdims", "transA", "transB")
_KNOWN = frozenset((*operators.NAMES, *operators.CONSTANT))
_SUBJECT = re.compile(r"^(Node ?\([^)]*\) |with schema\([^)]*\) |has )*")


def check(model: ModelProto, domains: tuple[str, ...], version: int) -> None:
    """Refuse a file whose nodes are not what their operators must be.

    Args:
        model: as a file holds it; operators that nobody here knows are left to the reader.
        domains: of the operators that are ONNX's or QONNX's.
        version: of ONNX's operators.

    Raises:
        InputError: two things of one name, inputs that are missing or too many, attributes that the
            operator does not have.
    """
    givers = {tensor.name: "the initializer" for tensor in model.graph.initializer}
    givers |= {i.name: "the input" for i in model.graph.input if i.name not in givers}
    for node in model.graph.node:
        for name in filter(None, node.output):
            if name in givers:
                raise InputError(
                    f"every tensor must come from one place but {name} comes from {givers[name]} "
                    f"and from {_label(node)}; {_AGAIN}"
                )
            givers[name] = _label(node)
        for attribute in node.attribute:
            if attribute.type == attribute.STRING and not _is_text(attribute.s):
                raise InputError(
                    f"{_label(node)} must have text for {attribute.name} but has "
                    f"{attribute.s!r}; {_AGAIN}"
                )
        if node.op_type in _KNOWN and node.domain in (*domains, layouts.DOMAIN):
            _node(node, version, model.ir_version)


def _is_text(value: bytes) -> bool:
    try:
        value.decode()
    except UnicodeDecodeError:
        return False
    return True


def _label(node: NodeProto) -> str:
    return f"{node.op_type} (node {node.name or (node.output[0] if node.output else '')})"


def _node(node: NodeProto, version: int, form: int) -> None:
    import onnx
    from onnx import checker, defs

    if not node.output or not node.output[0]:
        raise InputError(f"{_label(node)} must give something but names no result; {_AGAIN}")
    _flags(node)
    if node.op_type in _QONNX:
        _inputs(node, *_QONNX[node.op_type])
        return
    try:
        schema = defs.get_schema(node.op_type, version, "")
    except defs.SchemaError:
        raise InputError(
            f"{_label(node)} must be an operator of ONNX {version}, which the file is of, but is "
            f"not; {_AGAIN}"
        ) from None
    needed = sum(i.option != defs.OpSchema.FormalParameterOption.Optional for i in schema.inputs)
    _inputs(node, min(needed, schema.min_input), schema.max_input)
    plain = onnx.NodeProto()
    plain.CopyFrom(node)
    plain.domain = ""
    context = checker.C.CheckerContext()
    context.ir_version, context.opset_imports = form, {"": version}
    try:
        checker.check_node(plain, context)
    except checker.ValidationError as error:
        said = _SUBJECT.sub("", str(error).strip().splitlines()[0]).rstrip(".")
        raise InputError(
            f"{_label(node)} must be as ONNX {version} says but is not ({said}); {_AGAIN}"
        ) from None


def _inputs(node: NodeProto, least: int, most: int) -> None:
    """Refuse a node without an input that it needs, or with more than it may have."""
    count = len(node.input)
    if not least <= count <= most:
        ends = {least: f"{least} input{'s' * (least != 1)}", least + 1: f"{least} or {most} inputs"}
        wanted = ends.get(most, f"{least} or more inputs" if most > _ANY else (
            f"{least} to {most} inputs"))  # fmt: skip
        raise InputError(f"{_label(node)} must have {wanted} but has {count}; {_AGAIN}")
    for number, name in enumerate(node.input[:least], start=1):
        if not name:
            raise InputError(
                f"{_label(node)} must have its input number {number} but names none there; {_AGAIN}"
            )


def _flags(node: NodeProto) -> None:
    import onnx

    for attribute in node.attribute:
        value: Any = onnx.helper.get_attribute_value(attribute)
        if attribute.name in _FLAGS and value not in (0, 1):
            raise InputError(
                f"{_label(node)} must have 0 or 1 for {attribute.name} but has {value!r}; {_AGAIN}"
            )
