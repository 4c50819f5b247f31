"""What a rule does to a frame: geometry, border, filter and table, in this order, in integers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from exeunt.errors import InputError
from exeunt.rules.statistics import Frames, Shape
from exeunt.rules.table import Table

MAX_SHEAR = 64
COEFFICIENTS = 9
COEFFICIENT_MIN, COEFFICIENT_MAX = -8, 7
MAX_RIGHT = 7


@dataclass(frozen=True)
class Modification:
    """What becomes of a frame (H, W, C) of uint8; each step may be left out.

    1. dx, dy, shear: m[y, x] = p[y - dy, x - dx - s], s = floor((shear * (2 y - H + 1) + 16) / 32):
       dx pixels to the right, dy down, and each row shear / 16 of a pixel further to the right than
       the one above, around the middle row. What comes from outside is zero.
    2. border: so many rows and columns at the edges become zero: (top, left, bottom, right).
    3. filter: m[y, x] = (sum of the nine coefficients times the 3x3 values around it, row by row,
       zero outside, + 2 ** right / 2) >> right, from 0 to 255, in each channel by itself.
    4. table: entry p of it.

    Raises:
        InputError: a value out of its range, whatever the frame's shape is.
    """

    dx: int = 0
    dy: int = 0
    shear: int = 0
    border: tuple[int, int, int, int] = (0, 0, 0, 0)
    filter: tuple[int, ...] = ()
    right: int = 0
    table: Table | None = None

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if abs(self.shear) > MAX_SHEAR:
            raise InputError(
                f"the shear of a rule must be -{MAX_SHEAR} to {MAX_SHEAR} sixteenths of a pixel a "
                f"row, got {self.shear}: lower it"
            )
        if len(self.border) != 4 or min(self.border) < 0:
            raise InputError(
                "the border of a rule must be four numbers from 0 on (top, left, bottom, right), "
                f"got {self.border}: correct it"
            )
        if len(self.filter) not in (0, COEFFICIENTS):
            raise InputError(
                f"the filter of a rule must have {COEFFICIENTS} coefficients, 3x3 row by row, got "
                f"{len(self.filter)}: give them all"
            )
        for value in self.filter:
            if not COEFFICIENT_MIN <= value <= COEFFICIENT_MAX:
                raise InputError(
                    f"a coefficient of a rule's filter must be {COEFFICIENT_MIN} to "
                    f"{COEFFICIENT_MAX}, got {value}: scale the filter and its right shift"
                )
        if not 0 <= self.right <= MAX_RIGHT:
            raise InputError(
                f"the right shift of a rule's filter must be 0 to {MAX_RIGHT}, got {self.right}: "
                "scale the coefficients"
            )

    @property
    def moves(self) -> bool:
        """Whether values change their place."""
        return bool(self.dx or self.dy or self.shear)

    @property
    def nothing(self) -> bool:
        """Whether the frame stays as it is."""
        return not (self.moves or any(self.border) or self.filter or self.table)

    def check(self, shape: Shape) -> None:
        """Refuse what moves or masks the whole frame.

        Raises:
            InputError: a shift or a border as large as the frame.
        """
        height, width = shape[:2]
        for name, value, size in (("dx", self.dx, width), ("dy", self.dy, height)):
            if abs(value) >= size:
                raise InputError(
                    f"{name} of a rule must be below {size}, the size of the image, got {value}: "
                    "lower it"
                )
        top, left, bottom, right = self.border
        if top + bottom >= height or left + right >= width:
            raise InputError(
                f"the border of a rule must leave some of the {height}x{width} image, got "
                f"{self.border}: lower it"
            )

    def shifts(self, height: int) -> list[int]:
        """How many pixels each row moves to the right by the shear alone."""
        return [(self.shear * (2 * y - height + 1) + 16) // 32 for y in range(height)]

    def apply(self, frames: Frames) -> Frames:
        """The modified frames, uint8 (N, H, W, C).

        Args:
            frames: uint8 (N, H, W, C).

        Raises:
            InputError: a shift or a border as large as the frame.
        """
        _, height, width, channels = frames.shape
        self.check((height, width, channels))
        found = frames
        if self.moves:
            found = np.zeros_like(frames)
            for y, moved in enumerate(self.shifts(height)):
                source, by = y - self.dy, self.dx + moved
                if 0 <= source < height and abs(by) < width:
                    first, end = max(0, by), min(width, width + by)
                    found[:, y, first:end] = frames[:, source, first - by : end - by]
        if any(self.border):
            top, left, bottom, right = self.border
            inner = slice(top, height - bottom), slice(left, width - right)
            kept = np.zeros_like(found)
            kept[:, inner[0], inner[1]] = found[:, inner[0], inner[1]]
            found = kept
        if self.filter:
            wide = np.pad(found.astype(np.int64), ((0, 0), (1, 1), (1, 1), (0, 0)))
            total = np.full(found.shape, (1 << self.right) >> 1, np.int64)
            for k, value in enumerate(self.filter):
                y, x = divmod(k, 3)
                total += value * wide[:, y : y + height, x : x + width]
            found = np.clip(total >> self.right, 0, 255).astype(np.uint8)
        if self.table is not None:
            found = np.array(self.table.entries, np.uint8)[found]
        return found


NOTHING = Modification()
