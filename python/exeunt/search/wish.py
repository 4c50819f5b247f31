"""What is asked of a design, and what a network costs by it, before it is compiled."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from exeunt import optimise
from exeunt.errors import InputError
from exeunt.kernels.parts.size import Size
from exeunt.optimise.choose import Asked

if TYPE_CHECKING:
    from exeunt.config.compile import Compile
    from exeunt.config.tree import Model
    from exeunt.optimise import Budget

RARELY = 1e-3  # of the frames go on, at best
Kind = Literal["throughput_fps", "latency_us", "lut"]
USUAL = 4  # frames that wait for a decision, where the compiler is to find out


@dataclass(frozen=True)
class Price:
    """What a network costs.

    Attributes:
        cost: the less, the better: cycles between frames, cycles of latency, or LUT.
        cycles: between frames.
        latency: of a frame alone in the accelerator, in cycles, see `compile.percentile`.
        size: of the whole design, before FIFOs are sized.
    """

    cost: float
    cycles: int
    latency: int
    size: Size


@dataclass(frozen=True)
class Wish:
    """What the section [compile] asks for.

    Attributes:
        budget: what a design may take.
        asked: most frames, least latency, or fewest LUT for so many frames or so little latency.
        headroom: drift of reach that is allowed for.
        buffer_frames: frames that wait for a decision.
    """

    budget: Budget
    asked: Asked
    headroom: float
    buffer_frames: int

    @property
    def kind(self) -> Kind:
        """What a cost is: the key of a network in report.json by which networks are compared."""
        kinds: dict[str, Kind] = {"area": "lut", "latency": "latency_us"}
        return kinds.get(self.asked.objective, "throughput_fps")

    def price(self, model: Model, reach: Sequence[float]) -> Price:
        """What a network costs, when it is folded as well as it can be.

        Args:
            model: with stages.
            reach: fraction of the frames that reach each exit, from 1.0 down.

        Raises:
            InputError: it does not fit, or not with what is asked for.
        """
        found = optimise.network(
            model, self.budget, asked=self.asked, reach=reach, headroom=self.headroom,
            buffer_frames=self.buffer_frames,
        )  # fmt: skip
        costs = {"lut": found.size.lut, "latency_us": found.latency}
        cost = costs.get(self.kind, found.cycles)
        return Price(float(cost), found.cycles, found.latency, found.size)

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
        InputError: neither board nor resources, or an objective that no search has.
    """
    if not section.optimised:
        raise InputError(
            "a search must have compile.board or compile.resources to know what a network costs, "
            'got neither: add board = "pynq-z2", say'
        )
    if section.objective == "energy":
        raise InputError(
            'a search must have compile.objective "throughput", "latency" or "area", got "energy": '
            'choose one of them, and compile what is found with "energy"'
        )
    limit = section.latency_us
    enough = limit is not None or (section.objective == "throughput" and section.asked is not None)
    asked = Asked(
        "area" if enough else section.objective, section.asked,
        None if limit is None else int(limit * section.clock_mhz), section.percentile,
        section.clock_mhz,
    )  # fmt: skip
    return Wish(budget, asked, section.spare, section.buffer_frames or USUAL)
