"""Where the exits leave: their order, and the parts between them.

Every exit's path from the image to its logits is a chain. Two exits in a row share the beginning
of it; the last tensor that they share feeds both the head of the earlier one and the next segment,
so there is the cut. It must hold a quantizer's integers (pooled, possibly).

The last exit has no fork: its head begins behind the last quantizer in front of the flattening,
global average or first linear layer (or simply behind the last quantizer).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from exeunt.errors import InputError
from exeunt.qonnx.integers import IntegerNetwork, Matrix, Operation, Pool, Tensor, Threshold


@dataclass(frozen=True)
class Part:
    """A segment or head: its operations in order, what enters and what leaves."""

    name: str  # "seg0", "head0", ...
    operations: tuple[Operation, ...]
    source: Tensor
    result: Tensor
    scale: float  # of the integer 1 in what leaves; a segment's is not asked for


def ordered(network: IntegerNetwork, *, numbered: bool) -> IntegerNetwork:
    """The network with its exits by depth.

    Args:
        network: exits in the order of the file.
        numbered: that order is meant; otherwise the cheapest to reach comes first.

    Raises:
        InputError: there is no order in which they can leave one behind the other.
    """
    totals = [_alone(network, i) for i in range(len(network.exits))]
    by_cost = sorted(range(len(totals)), key=lambda i: totals[i])
    found = replace(network, exits=tuple(network.exits[i] for i in by_cost))
    if by_cost == list(range(len(totals))) or not _legal(found):
        parts(network)
        return network
    if not numbered:
        return found
    if _legal(network):
        return network
    first = next(i for i, k in enumerate(by_cost) if i != k)
    raise InputError(
        f"the exits must be ordered by depth but exit {by_cost[first]} can answer before exit "
        f"{first}; give its logits first"
    )


def _alone(network: IntegerNetwork, index: int) -> int:
    """Multiplications up to one exit's logits."""
    return replace(network, exits=(network.exits[index],)).multiplies()[0]


def _legal(network: IntegerNetwork) -> bool:
    try:
        parts(network)
    except InputError:
        return False
    return True


def parts(network: IntegerNetwork) -> list[Part]:
    """Segments and heads in pipeline order seg0, head0, seg1, head1, ...

    Raises:
        InputError: exits out of order, or a cut that is not at a quantizer with one scale.
    """
    paths = [network.path(e.logits.name) for e in network.exits]
    cuts: list[int] = []
    for i, (here, after) in enumerate(itertools.pairwise(paths)):
        cut = _shared(here, after)
        if cuts and cut <= cuts[-1]:
            raise InputError(
                f"exit {i} must leave the backbone behind exit {i - 1} but leaves it at or before "
                f"the same tensor ({here[cut]}); order the exits by depth"
            )
        _check_cut(network, here[cut], i)
        cuts.append(cut)
    cuts.append(_last_cut(network, paths[-1], cuts[-1] if cuts else 0))
    found = []
    for i, e in enumerate(network.exits):
        start = cuts[i - 1] if i else 0
        found.append(_part(network, f"seg{i}", paths[i][start : cuts[i] + 1], 1.0))
        found.append(_part(network, f"head{i}", paths[i][cuts[i] :], e.scale))
    return found


def _shared(a: Sequence[str], b: Sequence[str]) -> int:
    """Index of the last tensor that two paths share."""
    index = 0
    while index + 1 < min(len(a), len(b)) and a[index + 1] == b[index + 1]:
        index += 1
    return index


def _check_cut(network: IntegerNetwork, tensor: str, index: int) -> None:
    if tensor in network.cuts:
        return
    made = network.makers.get(tensor)
    if isinstance(made, Threshold):
        raise InputError(
            f"exit {index} leaves the backbone at {made.label} with one scale per channel but a "
            "cut needs one scale; use per-tensor scaling there"
        )
    what = "the image" if made is None else made.label
    raise InputError(
        f"exit {index} must leave the backbone at the output of an activation quantizer but "
        f"leaves it behind {what}; quantize the tensor there first"
    )


def _last_cut(network: IntegerNetwork, path: Sequence[str], start: int) -> int:
    best, flattened = None, False
    for index in range(start + 1, len(path) - 1):
        made = network.makers[path[index]]
        whole = (
            isinstance(made, Pool) and made.function == "sum" and made.result.shape[:2] == (1, 1)
        )
        flattened = flattened or whole or (isinstance(made, Matrix) and made.window is None)
        if path[index] in network.quantized and (best is None or not flattened):
            best = index
    if best is None:
        where = "behind the exit before it" if start else "of its own"
        raise InputError(
            f"the last exit needs a quantized layer before its head but has none {where}; "
            "add a layer or drop the exit"
        )
    return best


def _part(network: IntegerNetwork, name: str, path: Sequence[str], scale: float) -> Part:
    makers = network.makers
    operations = tuple(makers[tensor] for tensor in path[1:])
    source = makers[path[0]].result if path[0] in makers else network.image
    result = operations[-1].result if operations else source
    return Part(name, operations, source, result, scale)
