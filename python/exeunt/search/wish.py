"""What is asked of a design, and what a network costs by it, before it is compiled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from exeunt import optimise
from exeunt.errors import InputError
from exeunt.kernels.parts.size import Size
from exeunt.optimise.choose import Asked

if TYPE_CHECKING:
    from exeunt.config.compile import Compile
    from exeunt.config.tree import Model
    from exeunt.optimise import Budget

RARELY = 1e-3  # of the frames go on, at best
USUAL = 4  # frames that wait for a decision, where the compiler is to find out


@dataclass(frozen=True)
class Price:
    """What a network costs.

    Attributes:
        cost: the less, the better: cycles between frames, or LUT.
        cycles: between frames.
        size: of the whole design, before FIFOs are sized.
    """

    cost: float
    cycles: int
    size: Size


@dataclass(frozen=True)
class Wish:
    """What the section [compile] asks for.

    Attributes:
        budget: what a design may take.
        asked: most frames, or fewest LUT for so many frames.
        headroom: drift of reach that is allowed for.
        buffer_frames: frames that wait for a decision.
    """

    budget: Budget
    asked: Asked
    headroom: float
    buffer_frames: int

    @property
    def by_lut(self) -> bool:
        """Whether LUT are the cost, not cycles."""
        return self.asked.objective == "area"

    def price(self, model: Model, reach: Sequence[float]) -> Price:
        """What a network costs, when it is folded as well as it can be.

        Args:
            model: with stages.
            reach: fraction of the frames that reach each exit, from 1.0 down.

        Raises:
            InputError: it does not fit, or not with as many frames as are asked for.
        """
        found = optimise.network(
            model, self.budget, asked=self.asked, reach=reach, headroom=self.headroom,
            buffer_frames=self.buffer_frames,
        )  # fmt: skip
        assert found.cycles is not None
        cost = found.size.lut if self.by_lut else found.cycles
        return Price(float(cost), found.cycles, found.size)

    def at_best(self, model: Model) -> Price:
        """What it would cost if nearly all images left at its first exit."""
        exits = len(model.stages)
        return self.price(model, (1.0, *[RARELY] * (exits - 1)))

    def images(self, price: Price) -> float:
        """Images a second."""
        return self.asked.clock_mhz * 1e6 / price.cycles


def wish(section: Compile, budget: Budget) -> Wish:
    """What [compile] asks for, where it fills a board.

    Args:
        section: the table.
        budget: what it lets a design take.

    Raises:
        InputError: neither board nor resources, or latency is what is best.
    """
    if not section.optimised:
        raise InputError(
            "a search must have compile.board or compile.resources to know what a network costs, "
            'got neither: add board = "pynq-z2", say'
        )
    if section.objective not in ("throughput", "area") or section.latency_us is not None:
        raise InputError(
            'a search must have compile.objective "throughput" or "area" and no latency_us, got '
            f'"{section.objective}"'
            + ("" if section.latency_us is None else f" and {section.latency_us:g}")
            + ": change it"
        )
    few = section.objective == "area" or section.asked is not None
    asked = Asked("area" if few else "throughput", section.asked, clock_mhz=section.clock_mhz)
    return Wish(budget, asked, section.spare, section.buffer_frames or USUAL)
