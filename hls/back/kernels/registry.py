"""The RTL that implements each kernel kind: every module in this package that registers one."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

from exeunt.errors import InputError
from exeunt.graph import IntArray, Node
from exeunt.hls.back import kernels
from exeunt.hls.back.kernels.operators import Operator
from exeunt.kernels.registry import OURS

Parameters: TypeAlias = dict[str, int | str]
Texts: TypeAlias = dict[str, str]  # file name -> text
Edges: TypeAlias = Callable[[Any, Mapping[str, IntArray], IntArray], Any]


def nothing(node: Any, arrays: Mapping[str, IntArray]) -> dict[str, Any]:
    """Of a kind without memory files, or without more for the manifest."""
    return {}


def everything(node: Any) -> None:
    """Of a backend that implements every node of its kind."""


@dataclass(frozen=True)
class Backend:
    """How a node becomes an instance; every function takes the node first.

    Attributes:
        modules: files of the block library that it is made of, the kernel itself first.
        module: name of the RTL module.
        parameters: of the instance.
        memories: (node, arrays) -> memory-init files.
        sources: (node, arrays) -> SystemVerilog that is made when a network is compiled.
        facts: (node, arrays) -> more entries for the node in the manifest.
        unsupported: why it cannot implement the node, as the end of a sentence; None when it can.
        edges: (node, arrays, edges) -> more parameters and memory files, with which the module's
            output m_edge has a bit for each lane of m_data: edges[c][0] <= x < edges[c][1] of the
            x that its quantizer saw; it gives None for a node without one. None: the module has no
            m_edge.
    """

    module: Callable[[Any], str]
    parameters: Callable[[Any], Parameters]
    modules: tuple[str, ...] = ()
    memories: Callable[[Any, Mapping[str, IntArray]], Texts] = nothing
    sources: Callable[[Any, Mapping[str, IntArray]], Texts] = nothing
    facts: Callable[[Any, Mapping[str, IntArray]], dict[str, Any]] = nothing
    unsupported: Callable[[Any], str | None] = everything
    edges: Edges | None = None


_backends: dict[tuple[str, str], Backend] = {}
_operators: dict[str, Operator] = {}


def register(kind: str, backend: Backend, *, name: str = OURS) -> None:
    """Make the backend `name` of a kind known; a module here calls it when it is imported."""
    _backends[kind, name] = backend


def register_operator(operator: Operator) -> None:
    """Make known that a kind implements one of FINN's operators."""
    _operators[operator.name] = operator


def operators() -> Mapping[str, Operator]:
    """FINN's operators that there are kernels for, by name."""
    _discover()
    return dict(sorted(_operators.items()))


def operator_of(node: str) -> Operator | None:
    """The operator of a FINN node by the node's name, such as seg0_MVAU_rtl_0."""
    named = [o for o in operators().values() if o.name in node]
    return max(named, key=lambda o: len(o.name), default=None)


@cache
def _discover() -> None:
    for module in pkgutil.walk_packages(kernels.__path__, f"{kernels.__name__}."):
        if not module.name.endswith(".__main__"):
            importlib.import_module(module.name)


def backends() -> Mapping[tuple[str, str], Backend]:
    """Every backend by (kind, name), in order."""
    _discover()
    return dict(sorted(_backends.items()))


def of(node: Node) -> Backend:
    """The backend that implements a node."""
    _discover()
    return _backends[node.kind, node.backend]


def with_edges(
    node: Node, arrays: Mapping[str, IntArray], edges: IntArray
) -> tuple[Parameters, Texts]:
    """All parameters and memory files of a node that tells where its x lies.

    Args:
        node: a quantizer.
        arrays: of the node.
        edges: integers (C, 2), as of `exeunt.explain.slopes.line`.

    Raises:
        InputError: the node or its backend has no quantizer that could tell, or the edges are none.
    """
    backend = of(node)
    found = None if backend.edges is None else backend.edges(node, arrays, edges)
    if found is None:
        raise InputError(
            f"{node.name} must be a kernel of ours with thresholds to tell edges, got kind "
            f"{node.kind} of {node.backend}: take masks by levels"
        )
    return {**backend.parameters(node), **found[0]}, {**backend.memories(node, arrays), **found[1]}


def unsupported(node: Node, name: str) -> str | None:
    """Why the backend `name` cannot implement a node, as the end of a sentence; None: it can."""
    _discover()
    found = _backends.get((node.kind, name))
    if found is None:
        return f"{name.upper()} has no RTL kernel of kind {node.kind}"
    return found.unsupported(node)
