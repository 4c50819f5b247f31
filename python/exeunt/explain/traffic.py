"""How many bits move for an explanation, in the engine and in one without its schedule, and energy.

What moves: weights to the lanes, what a frame leaves behind (masks, ways through pools, pixels,
features) written and read, gradients (their masks and values) written and read, and the map. Sums
stay where they are added and are not counted.
"""

from __future__ import annotations

import math
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt.explain.backward import Maps
from exeunt.explain.context import Context
from exeunt.explain.design import CLASS, PIXELS, Engine, Step
from exeunt.explain.engine import bits_of
from exeunt.explain.program import IMAGE, Program
from exeunt.explain.store import GROUP
from exeunt.explain.taps import Tap

MEMORY_PJ = 0.16  # of a bit in or out of a memory of 8 KB: 5 pJ for 32 bits
MULTIPLY_PJ = 0.23  # of a multiplication of 8 bits and its addition


@dataclass(frozen=True)
class Reads:
    """Accesses of the engine for one map, as the RTL makes them.

    Attributes:
        weights: words of PE weights.
        context: words of the context.
        masks_read: words of gradient masks; `masks_written` likewise.
        values_read: gradients; `values_written` likewise.
    """

    weights: int = 0
    context: int = 0
    masks_read: int = 0
    masks_written: int = 0
    values_read: int = 0
    values_written: int = 0

    def __add__(self, other: Reads) -> Reads:
        return Reads(*(a + b for a, b in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True)
class Moved:
    """Bits of one map.

    Attributes:
        weights: to the lanes.
        context: what the frame left behind, written and read.
        gradients: written and read.
        map: what leaves.
        products: multiplications.
    """

    weights: int
    context: int
    gradients: int
    map: int
    products: int

    @property
    def total(self) -> int:
        """All bits."""
        return self.weights + self.context + self.gradients + self.map

    @property
    def energy(self) -> float:
        """Nanojoules: MEMORY_PJ a bit and MULTIPLY_PJ a product, figures of a chip in 45 nm.

        An estimate that tells maps apart, not what a device draws.
        """
        return (MEMORY_PJ * self.total + MULTIPLY_PJ * self.products) / 1000


def _taken(step: Step, bits: npt.NDArray[np.bool_]) -> int:
    """Items of these words that a scatter adds."""
    words, lanes = np.nonzero(bits)
    channel = words % step.shape[2] * GROUP + lanes
    low, high = step.channels
    return int(((channel >= low) & (channel <= high)).sum())


def reads(
    engine: Engine, method: str, exit: int, context: Context, maps: Maps, frame: int
) -> Reads:
    """Accesses of the engine for one map; arguments as of `engine.timed`."""
    found = Reads()
    stream = 0
    for step in engine.steps[method, exit]:
        words = math.prod(step.shape)
        if step.sweeps:
            pixels = step.fields["flags"] & PIXELS
            if step.map:
                channels = GROUP if engine.code != "levels" else step.fields["last_lane"] + 1
                found += Reads(context=words * channels if pixels else 0)
                continue
            stream += 1
            values = int(np.count_nonzero(maps.streams[stream][frame]))
            kept = words if step.tap >= 0 else 0
            found += Reads(context=kept, masks_written=words, values_written=values)
        elif step.stream >= 0:
            bits = bits_of(maps.streams[step.stream][frame])
            found += Reads(
                weights=_taken(step, bits) * step.beats,
                context=words if step.tap >= 0 else 0,
                masks_read=words,
                values_read=int(bits.sum()),
            )
        elif step.fields["flags"] & CLASS:
            found += Reads(weights=step.beats)
        else:
            bits = bits_of(engine.taps[step.tap].values(context)[frame])
            found += Reads(weights=_taken(step, bits) * step.beats, context=words)
    return found


def moved(
    engine: Engine, method: str, exit: int, context: Context, maps: Maps, frame: int, packet: int
) -> Moved:
    """Bits that the engine moves for one map.

    Args:
        engine: see `lower`.
        method: of the map.
        exit: of the frame.
        context: of frames.
        maps: of these, with their streams.
        frame: which one.
        packet: its bits.
    """
    number = engine.parameters
    found = reads(engine, method, exit, context, maps, frame)
    used = {step.tap for step in engine.steps[method, exit] if step.tap >= 0}
    kept = sum(_width(engine.taps[tap]) * engine.taps[tap].words for tap in used)
    read = 0
    for step in engine.steps[method, exit]:
        if step.tap >= 0:
            words = math.prod(step.shape)
            if step.map:
                words *= GROUP if engine.code != "levels" else step.fields["last_lane"] + 1
            read += words * _width(engine.taps[step.tap])
    masks = GROUP * (found.masks_read + found.masks_written)
    values = number["BITS"] * (found.values_read + found.values_written)
    lanes = number["PE"] * found.weights
    return Moved(lanes * number["W_BITS"], kept + read, masks + values, packet, lanes)


def _width(tap: Tap) -> int:
    """Bits of a context word."""
    return tap.bits * tap.lanes


def naive(engine: Engine, program: Program) -> Moved:
    """Bits that a map takes with the same lanes and weights, layer by layer, and nothing clever.

    Activations are stored and read back, every gradient is written and read in the shape of its
    activation, each takes its weights, whether it is 0 or not, and the map leaves dense.

    Args:
        engine: see `lower`.
        program: of a method and exit of that engine.
    """
    number = engine.parameters
    bits, lanes = number["BITS"], number["PE"]
    steps = engine.steps[program.method, program.exit]
    weights = activations = gradients = 0
    known: set[Any] = set()
    for step in steps:
        if step.tap >= 0:
            tap = engine.taps[step.tap]
            if tap.kind != "way" and (tap.kind, tap.tensor) not in known:
                known.add((tap.kind, tap.tensor))
                activations += 2 * _activations(tap, program)
        channels = GROUP * (step.shape[2] - 1) + step.fields["last_lane"] + 1
        size = math.prod(step.shape[:2]) * channels * step.inputs
        if step.sweeps:
            continue
        if step.fields["flags"] & CLASS:
            size = 1
        elif step.stream >= 0:
            gradients += 2 * size * bits
        weights += size * step.beats * lanes
    return Moved(
        weights * number["W_BITS"], activations, gradients, math.prod(program.shape) * bits, weights
    )


def _activations(tap: Tap, program: Program) -> int:
    """Bits of the activations of which a tap keeps something, in their own shape."""
    shape = tap.routes[0].shape if tap.routes else tap.shape
    if tap.tensor == IMAGE:
        return math.prod(shape) * 8
    streams = [stream for node in program.nodes for stream in node.outputs]
    return math.prod(shape) * streams[tap.tensor].dtype.bits
