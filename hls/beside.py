"""What a design has beside its kernels as the config asks for it, and what that takes.

Explanations, rules in front of the first stage with further looks, and what holds a rate. The sizes
are those of `exeunt.cost.beside`, of the blocks that the stitcher would build.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from exeunt import criteria, rules
from exeunt.cost import beside as cost
from exeunt.explain.hardware import Explained
from exeunt.graph import Accelerator, Node
from exeunt.hls import explained
from exeunt.hls.back import stitch_core, stitch_explain
from exeunt.hls.back.stitch_core import CoreDescription
from exeunt.hls.back.stitch_explain import ExplainDescription
from exeunt.kernels.parts.size import Size
from exeunt.rules.rule import RuleSet

if TYPE_CHECKING:
    from exeunt.config.explain import Hardware
    from exeunt.config.tree import Config
    from exeunt.reference.frames import Room

EXPLAINED, RULED, HELD = "explanations", "rules", "hold"
ROUGH = 16  # validation images by which the engine is sized, before it is made with more of them
Numbers = Mapping[str, Any]


@dataclass
class Beside:
    """What stands beside the kernels of a network.

    Attributes:
        hardware: what is asked of explanations; None: nothing.
        images: uint8 (N, H, W, C), by which an engine is sized; None without explanations.
        ruled: rules in front of the first stage; None: there are none.
        holds: whether thresholds can follow a rate.
        criterion: name of what the exits go by.
        offsets: of each class at each exit; none: nothing is taken off.
    """

    hardware: Hardware | None = None
    images: npt.NDArray[np.uint8] | None = None
    ruled: RuleSet | None = None
    holds: bool = False
    criterion: str = criteria.DEFAULT
    offsets: tuple[tuple[int, ...], ...] = ()
    _made: dict[Any, Explained] = field(default_factory=dict)

    @property
    def empty(self) -> bool:
        """Whether there is nothing."""
        return self.hardware is None and self.ruled is None and not self.holds

    def dressed(self, accelerator: Accelerator) -> Accelerator:
        """The accelerator with its criterion, offsets and rules."""
        return dataclasses.replace(
            accelerator, criterion=self.criterion, offsets=self.offsets, rules=self.ruled
        )

    def sizes(self, accelerator: Accelerator, room: Room, *, dsp: bool = True) -> dict[str, Size]:
        """What each of it takes beside a network.

        Args:
            accelerator: the network, folded.
            room: what its frames wait in.
            dsp: multipliers may be DSPs.

        Raises:
            InputError: something that cannot be built beside it.
        """
        found: dict[str, Size] = {}
        for name, block, numbers in self.blocks(accelerator, room):
            found[name] = found.get(name, Size()) + cost.size(block, numbers, dsp=dsp)
        return found

    def blocks(self, accelerator: Accelerator, room: Room) -> Iterator[tuple[str, str, Numbers]]:
        """All of its blocks: what each is part of, its module, its parameters.

        Args:
            accelerator: the network, folded.
            room: what its frames wait in.

        Raises:
            InputError: something that cannot be built beside it.
        """
        if self.empty:
            return
        whole = self.dressed(accelerator)
        known = stitch_core.describe(
            whole, buffer_frames=room.buffers, in_flight=room.in_flight, holds=self.holds,
            explain=stitch_explain.describe(whole, self._explained(whole)),
        )  # fmt: skip
        if known.explain is not None:
            for block, numbers in _explaining(known.explain, whole, room.in_flight):
                yield EXPLAINED, block, numbers
        for block, numbers in _ruled(known):
            yield RULED, block, numbers
        if known.holds:
            yield HELD, cost.HOLD, {"EXITS": len(known.exits) - 1, "HELD": known.held}

    def _explained(self, accelerator: Accelerator) -> Explained | None:
        """An engine for it; scales are chosen once."""
        if self.hardware is None:
            return None
        key = tuple((node.name, type(node)) for chain in accelerator.chains for node in chain.nodes)
        if key not in self._made:
            assert self.images is not None, "explanations come with images"
            before = next(iter(self._made.values()), None)
            self._made[key] = explained.made(accelerator, self.hardware, self.images, before)
        return self._made[key]


NOTHING = Beside()


def of(config: Config, exits: Mapping[str, Any], run_dir: Path) -> Beside:
    """What a config and a calibration ask for.

    Args:
        config: with the sections [explain] and [compile].
        exits: the contents of exits.json.
        run_dir: the run folder, with validation images.

    Raises:
        InputError: explanations without validation images.
    """
    wanted = config.explain.hardware
    return dataclasses.replace(
        of_exits(exits, holds=config.compile.hold is not None),
        hardware=wanted,
        images=None if wanted is None else explained.images(run_dir, ROUGH),
    )


def of_exits(exits: Mapping[str, Any], *, holds: bool) -> Beside:
    """What a calibration asks for, without explanations.

    Args:
        exits: the contents of exits.json.
        holds: whether thresholds can follow a rate.
    """
    return Beside(
        ruled=rules.found_in(exits),
        holds=holds,
        criterion=criteria.get(exits.get("criterion", criteria.DEFAULT)).name,
        offsets=tuple(tuple(map(int, row)) for row in exits.get("offsets", ())),
    )


def told(sizes: Mapping[str, Size]) -> dict[str, dict[str, int]]:
    """`compile.beside` of report.json."""
    return {name: dataclasses.asdict(size) for name, size in sizes.items()}


def together(sizes: Iterable[Size]) -> Size:
    """All of them."""
    return sum(sizes, Size())


def _explaining(
    known: ExplainDescription, accelerator: Accelerator, in_flight: int
) -> Iterator[tuple[str, Numbers]]:
    """The blocks that explain frames, with their parameters."""
    exits = len(accelerator.heads)
    slots = {"SLOTS": known.slots, "EXITS": exits}
    yield cost.ENGINE, known.numbers
    for kept in known.kept:
        numbers = {**kept.gather.parameters(), "SLOTS": known.slots, "IN_FLIGHT": in_flight}
        yield "ex_explain_tap", numbers
    for one in known.pools:
        yield "ex_explain_pool", one.numbers
    nodes = {node.name: node for chain in accelerator.chains for node in chain.nodes}
    for watch in known.watches.values():
        if watch.edges is not None:
            yield cost.EDGES, _quantizer(nodes[watch.name])
    yield "ex_explain_choose", {**slots, "CLASS_BITS": known.class_bits}
    yield "ex_explain_slots", {**slots, "IN_FLIGHT": in_flight}
    yield "ex_explain_registers", slots
    yield "ex_explain_port", {}


def _quantizer(node: Node) -> Numbers:
    """Of a node with thresholds what its edges depend on."""
    lanes = int(getattr(node, "search", 0) or node.output.lanes)
    dtype = getattr(node, "accumulator", node.input.dtype)
    return {"lanes": lanes, "in_bits": dtype.bits, "folds": node.output.shape[2] // lanes}


def _ruled(known: CoreDescription) -> Iterator[tuple[str, Numbers]]:
    """The rule unit, and where frames are looked at again what that needs."""
    if known.rules is None:
        return
    unit = known.rules.unit
    yield cost.RULES, unit.parameters
    if known.looks:
        first = known.exits[0]
        logits = {"PE": first.logits_lanes, "BITS": first.logits_bits, "CLASSES": known.classes}
        yield "ex_looks", {**logits, "LOOKS": known.looks, "SLOTS": unit.slots}
        yield "ex_again", {}
        yield cost.LOOKED, {"WIDTH": first.segment_width, "FRAME": first.segment_words,
                            "DEPTH": first.buffer_depth}  # fmt: skip
