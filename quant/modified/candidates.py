"""The modifications that rules choose from: cheap in a stream, and the label stays true."""

from __future__ import annotations

from collections.abc import Sequence

from exeunt.config.rules import Family
from exeunt.errors import InputError
from exeunt.rules import NOTHING, Modification, background, black, gain, gamma

_MOVES = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1))
_SHEARS = (-8, -6, -4, -2, 2, 4, 6, 8)
_AROUND = ((0, 0), (1, 0), (-1, 0), (0, 1), (0, -1))  # a shear may come with a move


def candidates(shape: tuple[int, int, int], families: Sequence[Family]) -> tuple[Modification, ...]:
    """Modifications of these families for images (H, W, C); the first one changes nothing.

    "move": by one pixel; "shear": by 1/8 to 1/2 pixel a row, alone and with a move; "table": gain,
    gamma, black level, no background; "border": an edge of an eighth of the image becomes zero.

    Raises:
        InputError: none of them fits such an image.
    """
    found: list[Modification] = [NOTHING]
    if "move" in families:
        found += [Modification(dx=dx, dy=dy) for dx, dy in _MOVES]
    if "shear" in families:
        found += [
            Modification(dx=dx, dy=dy, shear=shear) for shear in _SHEARS for dx, dy in _AROUND
        ]
    if "table" in families:
        tables = [*map(gain, (0.7, 1.3, 1.6, 2.0)), *map(gamma, (0.5, 0.7, 1.5))]
        tables += [*map(black, (32, 64)), *map(background, (32, 64, 128))]
        found += [Modification(table=table) for table in tables]
    if "border" in families:
        height, width = shape[0] // 8, shape[1] // 8
        found += [Modification(border=(height, width, height, width))]
    fitting = [m for m in found if _fits(m, shape)]
    if len(set(fitting)) < 2:
        raise InputError(
            f"rules.families must have a modification that fits {shape[0]}x{shape[1]} images, got "
            f"{', '.join(families)}: add others"
        )
    return tuple(dict.fromkeys(fitting))


def _fits(modification: Modification, shape: tuple[int, int, int]) -> bool:
    try:
        modification.check(shape)
    except InputError:
        return False
    return True
