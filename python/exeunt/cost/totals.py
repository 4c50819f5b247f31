"""Cycles and resources of a whole network, compiled or still a config."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from exeunt.cost import control, folding
from exeunt.cost.layers import Layers, chains, weighted
from exeunt.errors import InputError
from exeunt.graph import Accelerator, Dataflow, Node, Stream
from exeunt.kernels import registry
from exeunt.kernels.kind import Effort
from exeunt.kernels.layer import Fold
from exeunt.kernels.lowering import lower
from exeunt.kernels.parts.size import Size, fifo

if TYPE_CHECKING:
    from exeunt.config.tree import Model


KEPT = 2  # frames that wait in front of a later segment, unless it is said


@dataclass(frozen=True)
class Part:
    """A segment or head: its slowest kernel's cycles a frame, and what its kernels take."""

    name: str
    period: int
    reach: float  # fraction of the frames that come here
    multipliers: int
    size: Size


@dataclass(frozen=True)
class Cost:
    """What a network costs on xc7, before place and route.

    `cycles` is the mean time between frames at steady state: the largest period times reach.
    LUT, DSP and BRAM are those of the kernels and the queues between them; `control` are the LUT
    of everything else, see `exeunt.cost.control`. `weight_bits` and `macs` are
    of the full path: all segments and all heads.
    """

    cycles: float
    lut: int
    dsp: int
    bram18: int
    weight_bits: int
    macs: int
    multipliers: int
    control: int
    parts: tuple[Part, ...]


def network(
    model: Model | Accelerator,
    *,
    target_cycles: int | None = None,
    reach: Sequence[float] | None = None,
    headroom: float = 1.5,
    dsp: bool = True,
) -> Cost:
    """The cost of a network.

    Args:
        model: the [model] section of a config, folded as the compiler would; or a compiled graph,
            which is folded already.
        target_cycles: cycles a frame that the first stage may take; only for a config, which
            needs it.
        reach: fraction of the frames that reach exit i, from 1.0 down; None: all reach all.
        headroom: drift of reach that the folding allows for, `compile.headroom`.
        dsp: multipliers may become DSPs, as Yosys prefers it; False keeps all of them in LUTs.

    Raises:
        InputError: a config without a target or not described by stages, or not one reach for
            each exit.
    """
    if isinstance(model, Accelerator):
        exits = len(model.heads)
        folding.targets(exits, target=1, headroom=headroom, reach=reach)  # refuses a wrong reach
        return _cost(model.chains, reach or (1.0,) * exits, dsp=dsp)
    if target_cycles is None or target_cycles < 1:
        raise InputError(
            f"target_cycles must be at least 1 for a network that is not compiled, got "
            f"{target_cycles}: give compile.target_cycles"
        )
    segments, heads = chains(model)
    cycles = folding.targets(len(heads), target=target_cycles, headroom=headroom, reach=reach)
    return _cost(_folded(segments, heads, cycles), reach or (1.0,) * len(heads), dsp=dsp)


def at_multipliers(
    model: Model,
    *,
    multipliers: int,
    reach: Sequence[float] | None = None,
    headroom: float = 1.5,
    dsp: bool = True,
) -> Cost:
    """The cost when folded for the fewest cycles that `multipliers` (sum of PE * SIMD) allow.

    Found by bisection over the target, within a thousandth. A budget below one multiplier a
    matrix gives the smallest design there is.

    Raises:
        InputError: as `network`.
    """
    segments, heads = chains(model)
    shares = reach or (1.0,) * len(heads)

    def attempt(target: int) -> list[Dataflow]:
        cycles = folding.targets(len(heads), target=target, headroom=headroom, reach=reach)
        return _folded(segments, heads, cycles)

    def fits(found: Sequence[Dataflow]) -> bool:
        return sum(_multipliers(chain.nodes) for chain in found) <= multipliers

    low, high = 1, 1
    best = attempt(high)
    while not fits(best) and high <= 1 << 40:
        low, high = high, high * 4
        best = attempt(high)
    while high - low > max(1, high // 1000):
        middle = (low + high) // 2
        found = attempt(middle)
        if fits(found):
            high, best = middle, found
        else:
            low = middle
    return _cost(best, shares, dsp=dsp)


def compiled(
    model: Model,
    *,
    target_cycles: int,
    reach: Sequence[float] | None = None,
    headroom: float = 1.5,
) -> tuple[Dataflow, ...]:
    """The chains of kernels that the compiler would make, in pipeline order, without weights."""
    segments, heads = chains(model)
    cycles = folding.targets(len(heads), target=target_cycles, headroom=headroom, reach=reach)
    return tuple(_folded(segments, heads, cycles))


def _folded(
    segments: Sequence[Layers], heads: Sequence[Layers], cycles: Sequence[int]
) -> list[Dataflow]:
    lanes: int | None = None
    found = []
    for i, (segment, head) in enumerate(zip(segments, heads, strict=True)):
        for name, layers in ((f"seg{i}", segment), (f"head{i}", head)):
            folds = _folds(tuple(y.without_widths() for y in layers), cycles[i], lanes)
            first = layers[0]
            source = Stream(first.input, first.source, lanes or folds[0].lanes_in)
            made, _ = lower(name, layers, folds, source=source)
            found.append(made)
            if name.startswith("seg"):  # feeds its head and the next segment
                lanes = made.output.lanes
    return found


@lru_cache(maxsize=1024)
def _folds(layers: Layers, target: int, lanes: int | None) -> tuple[Fold, ...]:
    return folding.fold(layers, target=target, lanes=lanes).folds


def _cost(chains: Sequence[Dataflow], reach: Sequence[float], *, dsp: bool) -> Cost:
    parts = []
    efforts: list[Effort] = []
    total = Size()
    for number, chain in enumerate(chains):
        size = Size()
        for item in chain.nodes:
            size += registry.of(item).size(item, dsp)
        for stream, depth in zip(chain.streams, chain.fifos, strict=True):
            size += fifo(stream.width, depth) if depth else Size()
        if number and number % 2 == 0:  # frames wait here for the verdict of the exit before
            size += fifo(chain.input.width, chain.input.words * KEPT)
        found = [registry.of(item).effort(item) for item in chain.nodes]
        efforts += found
        period = max(f.period for f in found)
        share = float(reach[number // 2])
        parts.append(Part(chain.name, period, share, sum(f.multipliers for f in found), size))
        total += size
    return Cost(
        cycles=max(p.period * p.reach for p in parts),
        lut=total.lut,
        dsp=total.dsp,
        bram18=total.bram18,
        weight_bits=sum(f.weight_bits for f in efforts),
        macs=sum(f.multiplies for f in efforts),
        multipliers=sum(p.multipliers for p in parts),
        control=control.whole([head.output for head in chains[1::2]]),
        parts=tuple(parts),
    )


def _multipliers(nodes: Sequence[Node]) -> int:
    return sum(registry.of(n).effort(n).multipliers for n in nodes)


def layer_bits(model: Model) -> dict[str, int]:
    """Bits of the weights of every layer that has some, by its place in the config."""
    return {
        layer.where: layer.weights * layer.weight_bits
        for pair in zip(*chains(model), strict=True)
        for part in pair
        for layer in weighted(part)
    }
