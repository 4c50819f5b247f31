"""How much of LUT, DSP and BRAM a design may take."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from exeunt.kernels.parts.size import Size

NAMES: Mapping[str, str] = {"lut": "LUT", "dsp": "DSP", "bram18": "BRAM18"}


@dataclass(frozen=True)
class Budget:
    """The most that a design may take of each resource, None for as much as it likes.

    Attributes:
        lut: LUTs of 7-series or UltraScale+.
        dsp: DSP blocks.
        bram18: blocks of 18 kbit.
    """

    lut: int | None = None
    dsp: int | None = None
    bram18: int | None = None

    def items(self) -> Iterator[tuple[str, int]]:
        """The resources that have a limit, with it."""
        for name in NAMES:
            limit = getattr(self, name)
            if limit is not None:
                yield name, limit

    def less(self, size: Size) -> Budget:
        """What is left beside something; may be below zero."""
        return Budget(**{name: limit - getattr(size, name) for name, limit in self.items()})

    def within(self, other: Budget) -> bool:
        """Whether it allows no more of anything than another one."""
        return all(
            limit is not None and limit <= most
            for name, most in other.items()
            for limit in (getattr(self, name),)
        )

    def excess(self, size: Size) -> dict[str, int]:
        """By how much a design is too large, by resource."""
        over = {name: getattr(size, name) - limit for name, limit in self.items()}
        return {name: value for name, value in over.items() if value > 0}


def share(available: Budget, use: float) -> Budget:
    """That fraction of every resource, rounded down.

    Args:
        available: all that there is.
        use: above 0, at most 1.
    """
    return Budget(**{name: int(limit * use + 1e-9) for name, limit in available.items()})


def told(size: Size | Mapping[str, int]) -> str:
    """Resources in words, such as "1,200 LUT, 30 DSP"."""
    values = size if isinstance(size, Mapping) else {name: getattr(size, name) for name in NAMES}
    return ", ".join(f"{value:,} {NAMES[name]}" for name, value in values.items())
