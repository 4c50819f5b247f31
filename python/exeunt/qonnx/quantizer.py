"""QONNX's quantizers: y = scale * (clip(round(x / scale + zero), low, high) - zero)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from exeunt.errors import InputError

Floats: TypeAlias = "npt.NDArray[np.floating[Any]]"  # a text: NumPy 1.21 cannot subscript it


def _away(x: Floats) -> Floats:
    return np.sign(x) * np.ceil(np.abs(x))


def _half_away(x: Floats) -> Floats:
    return np.sign(x) * np.floor(np.abs(x) + 0.5)


def _half_towards(x: Floats) -> Floats:
    return np.sign(x) * np.ceil(np.abs(x) - 0.5)


ROUNDING: Mapping[str, Callable[[Floats], Floats]] = {
    "ROUND": np.rint,  # halves to the even integer
    "HALF_EVEN": np.rint,
    "CEIL": np.ceil,
    "FLOOR": np.floor,
    "UP": _away,  # away from zero
    "DOWN": np.trunc,  # towards zero
    "ROUND_TO_ZERO": np.trunc,  # Brevitas's name for DOWN
    "HALF_UP": _half_away,  # halves away from zero
    "HALF_DOWN": _half_towards,  # halves towards zero
}

# Of a value, in units of the scale: scales such as 0.1 and 0.3 are meant to be one in three
# although float32 has neither, and what a layer gives a quantizer is a product of three of them
# (those of the weights, of what it takes, and of the quantizer), each off by 2^-24 of itself at
# most. So a value as close to a tie as this is the tie.
NOISE = 3 * 2.0**-24


MAX_ZERO = 1 << 24
MAX_BITS = 64  # that a quantizer in a file may have
SMALLEST = 2.0**-126  # scale: below, float32 loses digits, and products of it are zero


def meant(value: Floats) -> Floats:
    """The value, or the multiple of a half that it is but for noise: there all roundings jump.

    Noise is 3 * 2^-24 of the value, and of 1 where it is below.
    """
    near = np.rint(2.0 * value) / 2.0
    with np.errstate(invalid="ignore"):  # of infinite values, which are what they are
        close = np.abs(value - near) <= NOISE * np.maximum(1.0, np.abs(value))
    return np.asarray(np.where(close, near, value), np.float64)


@dataclass(frozen=True)
class Quantizer:
    """One quantizer; `scale` and `zero` broadcast against what it quantizes.

    `low` and `high` are the extreme integers before `zero` is taken away. A `bipolar` one gives
    -1 or 1 by the sign.
    """

    scale: Floats
    zero: Floats
    low: int
    high: int
    rounding: str = "ROUND"
    bipolar: bool = False
    bits: int = 1

    def levels(self, x: Floats, *, scale: Floats, zero: Floats) -> Floats:
        """The integers, less the zero point, of reals that are known up to float32 noise.

        Args:
            x: float64, any shape.
            scale: the scale for x, broadcast.
            zero: the zero point for x, broadcast.

        Returns:
            integers in float64, `low - zero` to `high - zero`.
        """
        value = meant(x / scale + zero)
        if self.bipolar:
            return np.where(value >= 0.0, 1.0, -1.0)
        rounded = ROUNDING[self.rounding](np.clip(value, self.low, self.high))
        return np.asarray(rounded - zero, np.float64)

    def constants(self, x: Floats) -> Floats:
        """The integers, less the zero point, of constants: float32 step by step, as QONNX does."""
        value = np.asarray(x, np.float32) / self.scale + self.zero
        if self.bipolar:
            return np.where(value >= 0.0, np.float32(1.0), np.float32(-1.0))
        value = np.clip(value, np.float32(self.low), np.float32(self.high))
        return np.asarray(ROUNDING[self.rounding](value) - self.zero, np.float32)


def parse(
    operator: str,
    attributes: Mapping[str, Any],
    parameters: list[npt.NDArray[Any] | None],
    label: str,
) -> Quantizer:
    """The quantizer that a node describes.

    Args:
        operator: Quant, IntQuant or BipolarQuant.
        attributes: of the node.
        parameters: scale, zero point and bit width (scale alone for BipolarQuant); None where
            they are no constants.
        label: what messages call the node.

    Raises:
        InputError: parameters that are no constants, or that no hardware can have.
    """
    if any(p is None for p in parameters):
        raise InputError(
            f"{label} must have a constant scale, zero point and bit width but computes one of "
            "them; export the network in evaluation mode"
        )
    scale, *others = (np.asarray(p, np.float32) for p in parameters if p is not None)
    if not scale.size or not np.isfinite(scale).all() or not scale.all():
        raise InputError(
            f"{label} must have a finite scale other than zero but has {_shown(scale)}; "
            "train the network again"
        )
    if (np.abs(scale) < SMALLEST).any():
        raise InputError(
            f"{label} must have a scale that float32 holds with all its digits, {SMALLEST:.3g} or "
            f"more, but has {_shown(scale)}; train the network again"
        )
    scale = _squeezed(scale)
    if operator == "BipolarQuant":
        return Quantizer(scale, np.zeros((), np.float32), -1, 1, bipolar=True)
    zero, width = others
    bits = float(width.reshape(-1)[0]) if width.size else 0.0
    one = bool(width.size) and bool((width == width.reshape(-1)[0]).all())
    if not one or not 1 <= bits <= MAX_BITS or bits != int(bits):
        raise InputError(
            f"{label} must have one whole bit width of 1 to {MAX_BITS} but has {_shown(width)}; "
            "use the same width for all of it"
        )
    if not zero.size or not np.isfinite(zero).all() or (zero != np.rint(zero)).any():
        raise InputError(
            f"{label} must have a whole zero point but has {_shown(zero)}; "
            "quantize with an integer zero point or none"
        )
    if (np.abs(zero) >= MAX_ZERO).any():
        raise InputError(
            f"{label} must have a zero point within {MAX_ZERO} of 0, where float32 holds every "
            f"integer, but has {_shown(zero)}; train the network again"
        )
    rounding = attributes.get("rounding_mode", b"ROUND")
    rounding = rounding.decode() if isinstance(rounding, bytes) else str(rounding)
    if rounding.upper() not in ROUNDING:
        known = ", ".join(ROUNDING)
        raise InputError(
            f"{label} must round by one of {known} but has the rounding mode {rounding}; "
            "use another one"
        )
    signed, narrow = bool(attributes.get("signed", 1)), bool(attributes.get("narrow", 0))
    bipolar = signed and bits == 1
    low, high = (-1, 1) if bipolar else limits(int(bits), signed=signed, narrow=narrow)
    if low >= high:
        raise InputError(f"{label} must have two levels or more but has one; use more bits")
    return Quantizer(
        scale,
        _squeezed(zero),
        low,
        high,
        rounding.upper(),
        bipolar=bipolar,
        bits=int(bits),
    )


def limits(bits: int, *, signed: bool, narrow: bool) -> tuple[int, int]:
    """Smallest and largest integer of a QONNX quantizer."""
    if signed:
        return -(1 << (bits - 1)) + narrow, (1 << (bits - 1)) - 1
    return 0, (1 << bits) - 1 - narrow


def _squeezed(value: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """A parameter of one element has no dimensions, whatever the file says."""
    return value.reshape(()) if value.size == 1 else value


def _shown(value: npt.NDArray[Any]) -> str:
    if value.size == 1:
        return f"{float(value.reshape(-1)[0]):g}"
    return f"{value.size} from {np.min(value):g} to {np.max(value):g}" if value.size else "none"
