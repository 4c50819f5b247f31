"""The kernel kinds that there are: every module in `exeunt.kernels` that registers one."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from exeunt import kernels
from exeunt.graph import Node
from exeunt.kernels.kind import Kind, Times
from exeunt.kernels.layer import Fold, Layer

OURS = "exeunt"
_kinds: dict[str, Kind] = {}
_times: dict[tuple[str, str], Times] = {}


def register(kind: Kind) -> Kind:
    """Make a kind known; a module in `exeunt.kernels` calls it when it is imported.

    Raises:
        ValueError: there is another one of its name.
    """
    name = kind.node.kind
    known = _kinds.get(name)
    if known is not None and known.node.__module__ != kind.node.__module__:
        raise ValueError(
            f"a kernel kind must have a name of its own, got {name} from {kind.node.__module__} "
            f"and {known.node.__module__}: rename one"
        )
    _kinds[name] = kind
    register_times(name, OURS, kind.times)
    return kind


def register_times(kind: str, backend: str, times: Times) -> None:
    """Make known when the RTL of another backend takes and gives words, see `Kind.times`."""
    _times[kind, backend] = times


@cache
def _discover() -> None:
    for module in pkgutil.walk_packages(kernels.__path__, f"{kernels.__name__}."):
        importlib.import_module(module.name)


def kinds() -> Mapping[str, Kind]:
    """Every kind by its name, in order of name."""
    _discover()
    return dict(sorted(_kinds.items()))


def nodes() -> Mapping[str, type[Node]]:
    """The class of nodes of every kind, by its name: what `graph.from_json` asks for."""
    return {name: kind.node for name, kind in kinds().items()}


def of(node: Node) -> Kind:
    """The kind of a node."""
    _discover()
    return _kinds[node.kind]


def _implementing(layer: Layer) -> Kind:
    for kind in kinds().values():
        if kind.layer is type(layer):
            return kind
    raise AssertionError(f"no kind implements a {type(layer).__name__}")


def foldings(layer: Layer) -> Iterator[Fold]:
    """Every folding that the kernels support for a layer."""
    found = _implementing(layer).foldings
    assert found is not None, f"a {type(layer).__name__} is part of another layer"
    return found(layer)


def lower(lowering: Any, layer: Layer, fold: Fold) -> None:
    """Append the nodes of a folded layer to a `lowering.Lowering`."""
    found = _implementing(layer).lower
    assert found is not None, f"a {type(layer).__name__} has no nodes"
    found(lowering, layer, fold)


def times(node: Node) -> Times:
    """When the RTL of a node takes and gives words, by its kind and backend."""
    _discover()
    return _times[node.kind, node.backend]
