"""What is asked of a design, and what a network costs by it, before it is compiled."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from exeunt import optimise
from exeunt.errors import InputError
from exeunt.kernels.parts.size import Size
from exeunt.optimise.choose import Asked

if TYPE_CHECKING:
    from exeunt.config.compile import Compile
    from exeunt.config.tree import Model
    from exeunt.hls.beside import Beside
    from exeunt.hls.designs import Design
    from exeunt.optimise import Budget
    from exeunt.qonnx.integers import IntegerNetwork

RARELY = 1e-3  # of the frames go on, at best
Kind = Literal["throughput_fps", "latency_us", "lut", "nanojoules"]
USUAL = 4  # frames that wait for a decision, where the compiler is to find out


@dataclass(frozen=True)
class Price:
    """What a network costs.

    Attributes:
        cost: the less, the better: cycles between frames, cycles of latency, LUT, or nanojoules.
        cycles: between frames, once the accelerator is full.
        latency: of a frame alone in the accelerator, in cycles, see `compile.percentile`.
        nanojoules: of an image, an estimate: see `exeunt.cost.energy`.
        size: of the whole design.
    """

    cost: float
    cycles: float
    latency: int
    nanojoules: float
    size: Size


@dataclass(frozen=True)
class Wish:
    """What the section [compile] asks for.

    Attributes:
        budget: what a design may take.
        asked: most frames, least latency, fewest LUT or least energy, the last two also for so many
            frames or so little latency.
        section: the table, for what it fixes.
    """

    budget: Budget
    asked: Asked
    section: Compile

    @property
    def kind(self) -> Kind:
        """What a cost is: the key of a network in report.json by which networks are compared."""
        kinds: dict[str, Kind] = {
            "area": "lut", "latency": "latency_us", "energy": "nanojoules"
        }  # fmt: skip
        return kinds.get(self.asked.objective, "throughput_fps")

    def design(
        self,
        model: Model,
        exits: Mapping[str, Any],
        network: IntegerNetwork | None = None,
        beside: Beside | None = None,
    ) -> Design:
        """The compiler's design for a network, before it is exported.

        As there the exits of the validation images are played, so that it has the same head room
        and the same places to wait in, and frames wait as they would.

        Args:
            model: with stages.
            exits: the contents of exits.json: `reach`, the fraction of the frames that reach each
                exit, from 1.0 down; `sequence`, exits of frames in the order in which they come, a
                digit each, may be absent: as `reach` says, in random order.
            network: its integers; None: no kernel that needs the weights is weighed.
            beside: what stands beside the kernels; None: what `exits` and the section say.

        Raises:
            InputError: it does not fit, or not with what is asked for.
        """
        from exeunt.hls import optimised
        from exeunt.hls.beside import of_exits
        from exeunt.hls.designs import Limits

        return optimised.foreseen(
            optimised.Unfolded.described(model, network), self.section,
            allowed=Limits(self.budget, self.budget, "the resources"), wish=self.asked,
            reach=exits["reach"], sequence=exits.get("sequence"),
            beside=beside or of_exits(exits, holds=self.section.hold is not None),
        )  # fmt: skip

    def price(
        self,
        model: Model,
        exits: Mapping[str, Any],
        network: IntegerNetwork | None = None,
        beside: Beside | None = None,
    ) -> Price:
        """What a network costs, when it is folded as well as it can be, see `design`."""
        from exeunt.hls import bursts

        found = self.design(model, exits, network, beside)
        leaves = bursts.rates(exits["reach"], len(model.stages))
        latency = bursts.percentile(found.waits, leaves, self.asked.percentile)
        return self._price(found.pace, latency, found.nanojoules, found.taken)

    def at_best(self, model: Model) -> Price:
        """What it would cost if nearly all images left at its first exit, none waiting.

        Its weights are not known yet, so no kernel is weighed that needs them, and nothing stands
        beside the kernels.

        Raises:
            InputError: it does not fit, or not with what is asked for.
        """
        exits = len(model.stages)
        found = optimise.network(
            model, self.budget, asked=self.asked, reach=(1.0, *[RARELY] * (exits - 1)),
            headroom=self.section.spare, buffer_frames=self.section.buffer_frames or USUAL,
        )  # fmt: skip
        return self._price(found.cycles, found.latency, found.nanojoules, found.size)

    def _price(self, cycles: float, latency: int, nanojoules: float, size: Size) -> Price:
        costs = {"lut": size.lut, "latency_us": latency, "nanojoules": nanojoules}
        return Price(float(costs.get(self.kind, cycles)), cycles, latency, nanojoules, size)

    def images(self, price: Price) -> float:
        """Images a second."""
        return self.asked.clock_mhz * 1e6 / price.cycles


def run(design: Design, left: Sequence[int], *, parts: int, criterion: str) -> float:
    """Cycles for each frame of a run that begins and ends with an empty accelerator.

    Args:
        design: as of `Wish.design`.
        left: the exit that each frame takes.
        parts: runs, one after the other, of nearly as many frames each.
        criterion: what the exits go by.
    """
    from exeunt.reference import system
    from exeunt.simulate import bulk

    accelerator = dataclasses.replace(design.compiled.accelerator, criterion=criterion)
    exits = np.asarray(left, np.int64)
    sizes = design.fit.room.sizes(accelerator)
    total = 0
    for first, end in bulk.split(len(exits), parts):
        some = exits[first:end]
        total += system.predict(accelerator, some, sizes=sizes, gives=False).cycles
    return total / len(exits)


def wish(section: Compile, budget: Budget) -> Wish:
    """What [compile] asks for, where it fills a board.

    Args:
        section: the table.
        budget: what it lets a design take.

    Raises:
        InputError: neither board nor resources.
    """
    if not section.optimised:
        raise InputError(
            "a search must have compile.board or compile.resources to know what a network costs, "
            'got neither: add board = "pynq-z2", say'
        )
    limit = section.latency_us
    enough = section.objective != "energy" and (
        limit is not None or (section.objective == "throughput" and section.asked is not None)
    )
    asked = Asked(
        "area" if enough else section.objective, section.asked,
        None if limit is None else int(limit * section.clock_mhz), section.percentile,
        section.clock_mhz,
    )  # fmt: skip
    return Wish(budget, asked, section)
