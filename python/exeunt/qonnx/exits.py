"""Where the exits leave: their order, and the parts between them.

Some tensors lie on every way from the image to an exit's logits: in a chain all of them, elsewhere
those where streams that part have met again. An exit and all later ones share the beginning of
these. The cut is the last one in there that is the image or holds integers with one scale; what
lies between it and the fork is done twice, in the head of the earlier exit and in the next segment.
A segment without operations passes its integers on.

The last exit has no fork: its head begins behind the last quantizer in front of the flattening,
global average or first linear layer (or simply behind the last quantizer).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from exeunt.errors import InputError
from exeunt.qonnx.integers import IntegerNetwork, Matrix, Operation, Pool, Reshape, Tensor
from exeunt.window import Window


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
    empty, least = (sum(not p.operations for p in _parts(n)) for n in (network, found))
    if empty < least or by_cost == list(range(len(totals))):
        return network  # in the other order segments would have nothing to do
    if not numbered:
        return found
    if empty == least:
        return network
    first = next(i for i, k in enumerate(by_cost) if i != k)
    raise InputError(
        f"the exits must be ordered by depth but exit {by_cost[first]} can answer before exit "
        f"{first}; give its logits first"
    )


def _alone(network: IntegerNetwork, index: int) -> int:
    """Multiplications up to one exit's logits."""
    return replace(network, exits=(network.exits[index],)).multiplies()[0]


def parts(network: IntegerNetwork) -> list[Part]:
    """Segments and heads in pipeline order seg0, head0, seg1, head1, ..., none of them empty."""
    return [_passing(part) for part in _parts(network)]


def _parts(network: IntegerNetwork) -> list[Part]:
    paths = [network.spine(e.logits.name) for e in network.exits]
    cuts: list[int] = []
    for i, here in enumerate(paths[:-1]):
        shared = min(len(here) - 2, *(_shared(here, after) for after in paths[i + 1 :]))
        start = cuts[-1] if cuts else 0  # which all that follow share
        legal = (k for k in range(start, shared + 1) if k == start or here[k] in network.cuts)
        cuts.append(max(legal, default=start))
        _check_arms(network, paths, i)
    cuts.append(_last_cut(network, paths[-1], cuts[-1] if cuts else 0))
    found = []
    for i, e in enumerate(network.exits):
        start = cuts[i - 1] if i else 0
        first, cut, last = paths[i][start], paths[i][cuts[i]], paths[i][-1]
        found.append(_part(network, f"seg{i}", first, cut, 1.0))
        found.append(_part(network, f"head{i}", cut, last, e.scale))
    return found


def _passing(part: Part) -> Part:
    """The part with a pool of single pixels where it has nothing to do."""
    if not all(isinstance(o, Reshape) for o in part.operations):
        return part
    result = replace(part.source, name=f"{part.source.name}.{part.name}")
    single = Window((1, 1), (1, 1), (0, 0, 0, 0))
    pool = Pool(part.name, part.source, result, single)
    shapes = tuple(replace(o, source=result) for o in part.operations if isinstance(o, Reshape))
    last = shapes[-1].result if shapes else result
    return replace(part, operations=(pool, *shapes), result=last)


def _shared(a: Sequence[str], b: Sequence[str]) -> int:
    """Index of the last tensor that two paths share."""
    index = 0
    while index + 1 < min(len(a), len(b)) and a[index + 1] == b[index + 1]:
        index += 1
    return index


def _check_arms(network: IntegerNetwork, paths: Sequence[Sequence[str]], index: int) -> None:
    """Refuse an exit that hangs on one of several ways that meet again behind it."""
    here = network.behind(network.exits[index].logits.name)
    for e, path in zip(network.exits[index + 1 :], paths[index + 1 :], strict=True):
        fork = path[_shared(paths[index], path)]
        arms = (here & network.behind(e.logits.name)) - network.behind(fork)
        if arms:
            made = next(o for o in network.operations if o.result.name in arms)
            raise InputError(
                f"exit {index} must leave the backbone where all of it passes but hangs on "
                f"{made.label}, on one of several ways that meet again behind it; move the exit in "
                "front of where they part or behind where they meet"
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
    return start if best is None else best


def _part(network: IntegerNetwork, name: str, first: str, last: str, scale: float) -> Part:
    """What makes the tensor `last` of `first`, which every way to it passes."""
    wanted = network.behind(last) - network.behind(first)
    operations = tuple(o for o in network.operations if o.result.name in wanted)
    makers = network.makers
    source = makers[first].result if first in makers else network.image
    result = operations[-1].result if operations else source
    return Part(name, operations, source, result, scale)
