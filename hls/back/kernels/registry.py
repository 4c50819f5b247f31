"""The RTL that implements each kernel kind: every module in this package that registers one."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias

from exeunt.graph import IntArray, Node
from exeunt.hls.back import kernels
from exeunt.hls.back.kernels.operators import Operator
from exeunt.kernels.registry import OURS

Parameters: TypeAlias = dict[str, int | str]
Texts: TypeAlias = dict[str, str]  # file name -> text


def nothing(node: Any, arrays: Mapping[str, IntArray]) -> dict[str, Any]:
    """Of a kind without memory files, or without more for the manifest."""
    return {}


def no_sources(node: Any) -> Texts:
    """Of a kind whose SystemVerilog is in hls/rtl."""
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
        sources: SystemVerilog that is made when a network is compiled.
        facts: (node, arrays) -> more entries for the node in the manifest.
        unsupported: why it cannot implement the node, as the end of a sentence; None when it can.
    """

    module: Callable[[Any], str]
    parameters: Callable[[Any], Parameters]
    modules: tuple[str, ...] = ()
    memories: Callable[[Any, Mapping[str, IntArray]], Texts] = nothing
    sources: Callable[[Any], Texts] = no_sources
    facts: Callable[[Any, Mapping[str, IntArray]], dict[str, Any]] = nothing
    unsupported: Callable[[Any], str | None] = everything


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


def unsupported(node: Node, name: str) -> str | None:
    """Why the backend `name` cannot implement a node, as the end of a sentence; None: it can."""
    _discover()
    found = _backends.get((node.kind, name))
    if found is None:
        return f"{name.upper()} has no RTL kernel of kind {node.kind}"
    return found.unsupported(node)
