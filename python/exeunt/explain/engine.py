"""In which cycles `ex_explain` takes requests and gives packets, exactly.

A step costs one cycle a field to load, a cycle for each word of a bank to clear, and its walk. In a
walk a word takes a cycle for each item in it, one without any; in a scatter an item takes the beats
of its row of weights, and words without items in front of the next one pass meanwhile. Cycles
depend on the masks of the gradients and of the context, on nothing else.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from exeunt.explain import encode
from exeunt.explain.backward import Maps
from exeunt.explain.context import Context
from exeunt.explain.design import CLASS, Engine, Step
from exeunt.explain.encoder import Encoder, word_cycles
from exeunt.explain.store import GROUP
from exeunt.runtime.maps import LEVELS, HeatMap

BEGIN = 4  # from a request to the first field
READ = 4  # from the first cycle of a walk to its first item
ADD = 3  # from the last beat of an item to its last sum
SWEEP = 12  # from the first cycle of a walk to the first value

Bits = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Timed:
    """Of one map, in cycles from the one in which its request is taken.

    Attributes:
        fixed: first cycle in which the first value of the map is offered to the encoder.
        values: number of values of the map, 16 a tile.
        ones: values of each tile that are not 0.
        words: of the packet.
        spacing: cycles from word to word.
        again: with levels, cycles from the last value that is measured, when it is taken, to the
            first one that is coded; -1 with tiles.
        shift: of the mean.
    """

    fixed: int
    values: int
    ones: list[int]
    words: int
    spacing: int
    again: int = -1
    shift: int = 0


@dataclass(frozen=True)
class Moves:
    """Of one engine whose packets are taken at once.

    Attributes:
        takes: cycle in which each request is taken.
        gives: cycle of each word of each packet.
    """

    takes: list[int]
    gives: list[int]


def bits_of(values: npt.NDArray[np.int64]) -> Bits:
    """Which lanes of the words of one frame are not 0: (H, W, C) to (words, 16)."""
    height, width, channels = values.shape
    groups = -(-channels // GROUP)
    whole = np.zeros((height, width, groups * GROUP), bool)
    whole[..., :channels] = values != 0
    return whole.reshape(-1, GROUP)


def walk(bits: Bits, beats: int, channels: tuple[int, int], groups: int) -> int:
    """Cycles of a scatter from its first to the one behind its last.

    Args:
        bits: (words, 16), items.
        beats: of an item.
        channels: the first and the last one that are taken.
        groups: words of a position.
    """
    count = bits.sum(axis=1)
    slots = np.maximum(count, 1)
    begin = np.cumsum(slots) - slots
    words, lanes = np.nonzero(bits)
    rank = np.arange(len(words)) - (np.cumsum(count) - count)[words]
    place = begin[words] + rank
    channel = words % groups * GROUP + lanes
    place = place[(channel >= channels[0]) & (channel <= channels[1])]
    total = int(slots.sum())
    if not len(place):
        return READ - 2 + total
    taken = READ + int(place[0]) + int(np.maximum(np.diff(place), beats).sum())
    return 1 + max(taken + beats + ADD, taken + total - 1 - int(place[-1]) - 2)


def _word_bits(step: Step, engine: Engine, context: Context, frame: int) -> Bits | None:
    """Of the words that come from the context; None: all lanes."""
    if step.tap < 0 or step.map:
        return None
    tap = engine.taps[step.tap]
    return bits_of(tap.values(context)[frame])


def timed(
    engine: Engine, method: str, exit: int, context: Context, maps: Maps, frame: int
) -> Timed:
    """What one map takes.

    Args:
        engine: see `lower`.
        method: of the map.
        exit: of the frame.
        context: of frames.
        maps: of these, with their streams.
        frame: which one.
    """
    now = BEGIN
    for step in engine.steps[method, exit]:
        now += step.count + step.clears
        if step.sweeps and step.map:
            break
        if step.sweeps:
            bits = _word_bits(step, engine, context, frame)
            if bits is None:
                height, width, groups = step.shape
                slots = height * width * (GROUP * (groups - 1) + step.fields["last_lane"] + 1)
            else:
                slots = int(np.maximum(bits.sum(axis=1), 1).sum())
            now += SWEEP + slots + 1
            continue
        if step.stream >= 0:
            bits = bits_of(maps.streams[step.stream][frame])
        elif engine.taps and step.tap >= 0:
            bits = bits_of(engine.taps[step.tap].values(context)[frame])
        else:
            bits = np.zeros((1, GROUP), bool)
            bits[0, 0] = True
        now += walk(bits, step.beats, step.channels, step.shape[2]) + 1
    values = maps.values[frame][None]
    parts = encode.in_tiles(values)[0]
    ones = np.count_nonzero(parts, axis=1)
    wide = engine.parameters["BITS"]
    words = int(encode.packet_bits(values, wide, engine.code, method)[0]) // 32
    spacing = word_cycles(wide, engine.code)
    if engine.code == LEVELS:
        last = engine.steps[method, exit][-1]
        again, shift = last.count + SWEEP + 2, last.fields["value_base"]
        return Timed(now + SWEEP, values.size, [], words, spacing, again, shift)
    return Timed(now + SWEEP, parts.size, ones.tolist(), words, spacing)


class Clock:
    """The engine's cycles, map by map; its packets are taken at once.

    Attributes:
        free: first cycle in which the next request may be taken.
    """

    def __init__(self) -> None:
        self.free = 0
        self._encoder = Encoder()

    def map(self, one: Timed, offered: int) -> tuple[int, int, list[int]]:
        """The next map, whose request is on offer from a cycle on.

        Returns:
            The cycles in which the request is taken, the slot is free again and words are given.
        """
        take = max(self.free, offered)
        first = take + one.fixed
        first_values = range(first, first + one.values)
        if one.again < 0:
            values, words = self._encoder.map(one.ones, one.words, first_values, one.spacing)
        else:
            first = self._encoder.measured(first_values, one.shift)[-1] + one.again
            again = range(first, first + one.values)
            values, words = self._encoder.coded(one.words, again, one.spacing)
        self.free = values[-1] + 2
        return take, values[-1] + 1, words


def moves(found: Sequence[Timed], offered: Sequence[int] | None = None) -> Moves:
    """Of maps one after another.

    Args:
        found: of each.
        offered: first cycle in which each request may be taken, all 0 unless given.
    """
    clock, takes, gives = Clock(), list[int](), list[int]()
    for k, one in enumerate(found):
        take, _, words = clock.map(one, offered[k] if offered is not None else 0)
        takes.append(take)
        gives += words
    return Moves(takes, gives)


def packets(engine: Engine, method: str, exit: int, maps: Maps, ids: Sequence[int]) -> list[bytes]:
    """What the engine gives for these maps, see `exeunt.runtime.maps`."""
    chosen = engine.scales[method, exit]
    return [
        encode.encode(
            HeatMap(
                maps.values[k], ids[k], exit, int(maps.classes[k]), method, maps.exponent,
                chosen.bits, int(maps.saturated[k]), engine.code,
            )
        )
        for k in range(len(maps.values))
    ]  # fmt: skip


def dense(engine: Engine, method: str, exit: int, *, pooled: bool = True) -> int:
    """Cycles from a request to the last value of its map if nothing were 0 and nothing masked.

    Args:
        engine: see `lower`.
        method: of the map.
        exit: of the frame.
        pooled: gradients in front of a max pool are those of its outputs; without, those of all
            its inputs, as in an engine that does not know where the largest ones are.
    """
    now = BEGIN
    for step in engine.steps[method, exit]:
        now += step.count + step.clears
        height, width, groups = step.shape
        if step.map and engine.code != LEVELS:
            return now + SWEEP + height * width * groups * GROUP
        channels = GROUP * (groups - 1) + step.fields["last_lane"] + 1
        slots = height * width * channels
        if step.map and not step.again:
            return now + SWEEP + slots
        if step.sweeps:
            now += SWEEP + slots + 1
        elif step.fields["flags"] & CLASS:
            now += READ + step.beats + ADD + 2
        else:
            inputs = 1 if pooled else step.inputs
            now += READ + slots * inputs * step.beats + ADD + 2
    raise AssertionError(f"no map at the end of {method}, exit {exit}")
