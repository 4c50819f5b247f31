"""Dividers of an ECP5's EHXPLLL that make one clock from another."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from exeunt.errors import InputError

# MHz, of the ECP5 family data sheet: phase detector and oscillator of the PLL
DETECTOR = (Fraction("3.125"), Fraction(400))
OSCILLATOR = (Fraction(400), Fraction(800))
MIDDLE = Fraction(600)
INPUT = range(1, 129)
FEEDBACK = range(1, 81)
OUTPUT = range(1, 129)
TOLERANCE = Fraction(1, 1000)


@dataclass(frozen=True)
class Pll:
    """One output, fed back: output = input / `clki` * `clkfb`, the PLL's oscillator * `clkop`.

    Attributes:
        clki: divider of the input.
        clkfb: divider of the feedback.
        clkop: divider of the output.
        mhz: the frequency that comes out.
        oscillator_mhz: the frequency inside, 400 to 800 MHz.
    """

    clki: int
    clkfb: int
    clkop: int
    mhz: Fraction
    oscillator_mhz: Fraction

    @property
    def cphase(self) -> int:
        """CPHASE of the output; any does, since nothing depends on the phase to the input."""
        return (self.clkop - 1) // 2


def exact(mhz: float | str) -> Fraction:
    """The number as it is written in decimals: 0.1 is a tenth."""
    return Fraction(str(mhz))


def solve(input_mhz: float, output_mhz: float) -> Pll:
    """The dividers nearest to `output_mhz`, then with the oscillator nearest to 600 MHz.

    Raises:
        InputError: nothing within 0.1 % of it; the sentence names the nearest that can be made.
    """
    source, wanted = exact(input_mhz), exact(output_mhz)
    found: list[tuple[tuple[Fraction, Fraction, int], Pll]] = []
    for clki in INPUT:
        detector = source / clki
        if not DETECTOR[0] <= detector <= DETECTOR[1]:
            continue
        for clkfb in FEEDBACK:
            made = detector * clkfb
            for clkop in _near_the_middle(made):
                inside = made * clkop
                rank = (abs(made - wanted), abs(inside - MIDDLE), clki)
                found.append((rank, Pll(clki, clkfb, clkop, made, inside)))
    if not found:
        raise InputError(
            f"a PLL must be fed 3.125 to 400 MHz, got {input_mhz:g} MHz: correct oscillator_mhz"
        )
    best = min(found, key=lambda pair: pair[0])[1]
    if abs(best.mhz - wanted) > wanted * TOLERANCE:
        raise InputError(
            f"clock_mhz must be one that the PLL can make from {input_mhz:g} MHz, "
            f"got {output_mhz:g}: the nearest is {float(best.mhz):g}"
        )
    return best


def _near_the_middle(made: Fraction) -> list[int]:
    """Output dividers beside MIDDLE / made that keep the oscillator in its range."""
    middle = int(MIDDLE / made)
    return [
        n for n in (middle, middle + 1)
        if n in OUTPUT and OSCILLATOR[0] <= made * n <= OSCILLATOR[1]
    ]  # fmt: skip
