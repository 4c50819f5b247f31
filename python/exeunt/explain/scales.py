"""The shifts of an engine, chosen on calibration images, and its pruning thresholds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from exeunt.errors import InputError
from exeunt.explain import backward
from exeunt.explain.backward import Rounding, Scales
from exeunt.explain.context import Context
from exeunt.explain.program import Program, Sweep, checked_bits
from exeunt.explain.slopes import mantissas

MANTISSA = 8  # bits of a slope
SATURATED = 1e-3  # of the values that are not 0


def calibrated(
    program: Program,
    context: Context,
    classes: npt.NDArray[np.int64],
    *,
    bits: int = 8,
    prune: float | Sequence[float] = 0.0,
    mantissa: int = MANTISSA,
    saturated: float = SATURATED,
) -> Scales:
    """Every sweep's shift: the smallest with which few of its values are clipped.

    Sweep by sweep, each on what those before it give. Gradients become as large as `bits` hold.

    Args:
        program: of one exit and method.
        context: of calibration images.
        classes: int64 (N,), what their maps explain.
        bits: of a gradient, 4 to 16.
        prune: what is below this share of the largest gradient becomes 0; one number for all
            sweeps, or one each, the map's last.
        mantissa: bits of a slope.
        saturated: share of the values that are not 0 which may be clipped.

    Raises:
        InputError: widths or shares that cannot be.
    """
    checked_bits(bits)
    if not 1 <= mantissa <= 16:
        raise InputError(
            f"slopes must have 1 to 16 bits, got {mantissa}: 8 is what the engine is made for"
        )
    shares = _shares(prune, max(len(program.sweeps), 1))
    scales = Scales(bits, ())
    streams = [backward.start(classes, program.classes)]
    exponents = [0]
    if program.features is not None:
        found = backward.cam(program, context, classes)
        shift = _shift(found, scales.limit, saturated)
        prune_at = _threshold(shares[0], found, shift, scales.limit)
        one = Rounding(shift, prune_at, exponent=shift)
        return Scales(bits, (one,))
    made: list[Rounding] = []
    for sweep, share in zip(program.sweeps, shares, strict=True):
        table, fraction = _slope(sweep, mantissa)
        lowest = min(exponents[t.stream] for t in sweep.scatters)
        left = tuple(exponents[t.stream] - lowest for t in sweep.scatters)
        first = Rounding(0, 0, table, left)
        total = backward.sums(sweep, first, streams, context)
        found = backward.products(sweep, first, total, context)
        shift = _shift(found, scales.limit, saturated)
        exponent = lowest - fraction + shift
        prune_at = _threshold(share, found, shift, scales.limit)
        made.append(replace(first, shift=shift, prune=prune_at, exponent=exponent))
        values, _ = backward.rounded(found, shift, scales.limit, prune_at)
        streams.append(values)
        exponents.append(exponent)
    return Scales(bits, tuple(made))


def _shares(prune: float | Sequence[float], count: int) -> list[float]:
    shares = [float(p) for p in prune] if isinstance(prune, Sequence) else [float(prune)] * count
    if len(shares) != count:
        raise InputError(
            f"prune must be one share or one for each of {count} sweeps, got {len(shares)}: give "
            f"{count}, the map's last"
        )
    for share in shares:
        if not 0.0 <= share < 1.0:
            raise InputError(
                f"prune must be a share of the largest gradient from 0 to below 1, got {share}: "
                "0.03 drops what is below 3%"
            )
    return shares


def _threshold(share: float, found: npt.NDArray[np.int64], shift: int, limit: int) -> int:
    """The smallest magnitude that is kept: that share of the largest one that occurs."""
    if share == 0.0:
        return 0
    largest = int(np.abs(backward.rounded(found, shift, limit, 0)[0]).max(initial=0))
    return math.ceil(share * largest)


def _slope(sweep: Sweep, bits: int) -> tuple[tuple[int, ...], int]:
    """Mantissas, and the bits behind their point."""
    if sweep.slope is None:
        return (), 0
    table, fraction = mantissas(sweep.slope, bits)
    return tuple(int(m) for m in table), fraction


def _shift(found: npt.NDArray[np.int64], limit: int, saturated: float) -> int:
    """The smallest shift that clips no more than a share of what is not 0."""
    sizes = np.abs(found[found != 0])
    if not len(sizes):
        return 0
    allowed = int(saturated * len(sizes))
    largest = int(np.partition(sizes, len(sizes) - 1 - allowed)[len(sizes) - 1 - allowed])
    shift = 0
    while ((largest + ((1 << shift) >> 1)) >> shift) > limit:
        shift += 1
    return shift
