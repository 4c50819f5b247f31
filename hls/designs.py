"""A design that was chosen, and within what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from exeunt.hls import bursts
from exeunt.hls.bursts import Case, Fit
from exeunt.hls.folded import Compiled
from exeunt.kernels.parts.size import Size
from exeunt.optimise.budget import Budget
from exeunt.optimise.choose import Asked, Choice


@dataclass(frozen=True)
class Limits:
    """What a design may take, and of what."""

    budget: Budget
    available: Budget
    title: str


@dataclass(frozen=True)
class Design:
    """A choice as it was made, and what the cycle reference says of it.

    Attributes:
        compiled: the accelerator with sized FIFOs.
        choice: what was chosen.
        share: of the cycles between frames that each stage has for its own.
        fit: what frames wait in, and how they do.
        taken: all resources.
        waits: latency of a frame alone, by exit.
        nanojoules: energy of an image, an estimate: see `exeunt.cost.energy`.
        beside: what of it stands beside kernels and controller, see `exeunt.hls.beside`.
    """

    compiled: Compiled
    choice: Choice
    share: tuple[float, ...]
    fit: Fit
    taken: Size
    waits: tuple[int, ...]
    nanojoules: float
    beside: Mapping[str, Size] = field(default_factory=dict)

    @property
    def pace(self) -> float:
        """Cycles between frames."""
        return self.fit.played.pace

    def late(self, wish: Asked, case: Case) -> float:
        """Latency of the percentile that is asked for.

        Of frames that come as often as is asked, one behind the other, in the order of `case`;
        where nothing is asked of that, of frames alone.
        """
        if wish.cycles is None:
            return bursts.percentile(
                self.waits, bursts.rates(case.reach, case.stages), wish.percentile
            )
        return bursts.spaced(self.fit, case, wish.cycles)[f"p{wish.percentile}"]
