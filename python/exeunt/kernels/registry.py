"""The kernel kinds that there are: every module in `exeunt.kernels` that registers one."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

from exeunt import kernels
from exeunt.graph import IntArray, Node
from exeunt.kernels.kind import Kind, Resume
from exeunt.kernels.layer import Fold, Layer, Style
from exeunt.kernels.parts.fifo import Cycles

OURS = "exeunt"
_kinds: dict[str, Kind] = {}
_resume: dict[tuple[str, str], Resume] = {}
_implements: dict[tuple[type[Layer], Style], Kind] = {}  # which kind a layer becomes


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
    _implements.clear()
    register_resume(name, OURS, kind.resume)
    return kind


def register_resume(kind: str, backend: str, resume: Resume) -> None:
    """Make known when the RTL of another backend takes and gives words, see `Kind.resume`."""
    _resume[kind, backend] = resume


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


def _implementing(layer: Layer, style: Style = "") -> Kind:
    key = type(layer), style
    if key not in _implements:
        kind = type(layer)
        found = {s: k for k in kinds().values() if k.layer is kind for s in k.styles}
        assert found, f"no kind implements a {kind.__name__}"
        _implements[key] = found.get(style, found[""])
    return _implements[key]


def foldings(layer: Layer, style: Style = "") -> Iterator[Fold]:
    """Every folding that the kernels support for a layer; with a style those that have it."""
    found = _implementing(layer, style).foldings
    assert found is not None, f"a {type(layer).__name__} is part of another layer"
    return (fold for fold in found(layer) if fold.multiplier == style)


def lower(lowering: Any, layer: Layer, fold: Fold) -> None:
    """Append the nodes of a folded layer to a `lowering.Lowering`."""
    found = _implementing(layer, fold.multiplier).lower
    assert found is not None, f"a {type(layer).__name__} has no nodes"
    found(lowering, layer, fold)


def computed(
    node: Node, arrays: Mapping[str, IntArray], taken: Sequence[Any]
) -> tuple[IntArray, ...]:
    """`Kind.values` with one tensor for each input and each output, however many there are."""
    values = of(node).values
    found = values(node, arrays, taken[0] if len(node.inputs) == 1 else tuple(taken))
    return found if len(node.outputs) > 1 else (found,)


def resume(node: Node) -> Resume:
    """When the RTL of a node takes and gives words, by its kind and backend: see `Kind.resume`."""
    _discover()
    return _resume[node.kind, node.backend]


def transfers(
    node: Node, past: Cycles | None, offered: Sequence[Cycles], ready: Sequence[Cycles | None]
) -> tuple[tuple[Cycles, ...], tuple[Cycles, ...], Cycles]:
    """`Kind.resume` with one array for each input and each output, however many there are.

    Returns:
        when the words of each input are taken, when those of each output are given, the past.
    """
    found = resume(node)
    if len(node.inputs) == len(node.outputs) == 1:
        takes, gives, past = found(node, past, offered[0], ready[0])
        return (takes,), (gives,), past
    return found(node, past, tuple(offered), tuple(ready))


def times(node: Node, offered: Cycles, ready: Cycles | None = None) -> tuple[Cycles, Cycles]:
    """When the RTL of a node that starts empty takes and gives the words of whole frames.

    Args:
        node: of any kind and backend.
        offered: int64 (n,), first cycle in which input word k can be valid.
        ready: int64 (m,), first cycle in which output word m is accepted; None: always.

    Returns:
        takes int64 (n,), gives int64 (m,).
    """
    takes, gives, _ = resume(node)(node, None, offered, ready)
    return takes, gives
