"""The node of a sliding window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from exeunt.graph import Node


@dataclass(frozen=True)
class Swg(Node):
    """Sliding window: (H, W, C) -> (OH, OW, KH*KW*C), zero padding, D ordered (ky, kx, c).

    OH = (H + top + bottom - KH) // SH + 1, OW likewise. Serial: output lanes = input lanes.
    Parallel: input lanes = C and output lanes = KH*KW*C, one whole window a beat.
    """

    kind: ClassVar[str] = "swg"
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    pad: tuple[int, int, int, int] = (0, 0, 0, 0)  # top, left, bottom, right
    parallel: bool = False
