"""Bit rate of the serial port and its divisor, from the clock of the design."""

from __future__ import annotations

from dataclasses import dataclass

from exeunt.errors import InputError

RATES = (3_000_000, 2_000_000, 1_500_000, 1_000_000, 500_000, 250_000, 115_200)
LEAST = 8  # clocks a bit that the receiver needs
TOLERANCE = 0.01  # of the rate; two ends that differ by 4 % lose the last bit of a byte


@dataclass(frozen=True)
class Rate:
    """`baud` bits a second as the host sets it, `divisor` clocks a bit."""

    baud: int
    divisor: int


def fastest(clock_mhz: float) -> Rate:
    """The highest usual rate whose bit is a whole number of clocks, to one per cent.

    Raises:
        InputError: the clock is too slow for any of them.
    """
    hertz = clock_mhz * 1e6
    for baud in RATES:
        divisor = round(hertz / baud)
        if divisor >= LEAST and abs(hertz / divisor / baud - 1) <= TOLERANCE:
            return Rate(baud, divisor)
    raise InputError(
        f"clock_mhz must be {LEAST * RATES[-1] / 1e6:.2f} or more for a serial port of "
        f"{RATES[-1]} bits a second, got {clock_mhz:g}: raise clock_mhz"
    )
