"""Folding of FINN's layers: `exeunt.cost.folding` with FINN's names and a folding file.

Which folding is chosen, and why it differs from FINN's, is told there.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from exeunt.cost import folding as search
from exeunt.cost.folding import Folding
from exeunt.errors import InputError
from exeunt.hls.back.kernels import registry
from exeunt.hls.back.kernels.operators import pe_alone
from exeunt.kernels.layer import Fold, Layer
from exeunt.kernels.registry import foldings

__all__ = [
    "Choices",
    "Fold",
    "Folding",
    "Overrides",
    "attributes",
    "check_names",
    "choices",
    "fold",
]

Overrides = Mapping[str, Mapping[str, Any]]
Choices = Sequence[Sequence[Fold]]


def fold(
    chain: Sequence[Layer],
    *,
    target: int,
    lanes: int | None,
    overrides: Overrides | None = None,
    choices: Choices | None = None,
) -> Folding:
    """The cheapest folding of a chain that takes a frame in at most `target` cycles.

    Args:
        chain: layers in stream order.
        target: cycles per frame.
        lanes: lanes of the stream that enters, None to choose.
        overrides: FINN folding attributes by FINN node name; they win over the target.
        choices: what `choices` found for the chain, where it is folded again and again.

    Raises:
        InputError: an override that the layer cannot have.
    """
    if choices is None:
        choices = [_allowed(layer, overrides or {}) for layer in chain]
    return search.fold(chain, target=target, lanes=lanes, choices=choices)


def choices(chain: Sequence[Layer], overrides: Overrides | None = None) -> Choices:
    """Every folding of each layer that the overrides leave, as of `fold`.

    Raises:
        InputError: an override that a layer cannot have.
    """
    return [_allowed(layer, overrides or {}) for layer in chain]


def attributes(layer: Layer, item: Fold) -> dict[str, dict[str, int]]:
    """The folding as FINN attributes, by FINN node name."""
    result: dict[str, dict[str, int]] = {}
    for name in layer.finn:
        operator = registry.operator_of(name)
        result[name] = (operator.folding if operator else pe_alone)(item)
    return result


def check_names(overrides: Overrides, known: Sequence[str]) -> None:
    """Refuse a folding file that names a node which does not exist.

    Raises:
        InputError: with the nearest name.
    """
    for name in overrides:
        if name == "Defaults" or name in known:
            continue
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.0)
        raise InputError(
            f"the folding file names {name}, which is no FINN node of this network; "
            f"the nearest is {near[0] if near else 'none'}"
        )


def _allowed(layer: Layer, overrides: Overrides) -> list[Fold]:
    found = list(foldings(layer))
    for name in layer.finn:
        for key, value in overrides.get(name, {}).items():
            if key not in ("PE", "SIMD", "parallel_window"):
                continue
            allowed = sorted({a[key] for f in found if key in (a := attributes(layer, f)[name])})
            if not allowed:
                continue
            if value not in allowed:
                raise InputError(
                    f"the folding file gives {name} the {key} {value}, which must be one of "
                    f"{', '.join(map(str, allowed))}; choose a divisor"
                )
            found = [f for f in found if attributes(layer, f)[name].get(key) == value]
    return found
