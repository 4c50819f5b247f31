"""The node of a sliding window."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from exeunt.graph import Node
from exeunt.window import extent


@dataclass(frozen=True)
class Swg(Node):
    """Sliding window: (H, W, C) -> (OH, OW, KH*KW*C), zero padding, D ordered (block, ky, kx, c).

    A block is C / `blocks` successive channels. With EH = (KH - 1) * dilation + 1 rows from the
    first to the last of a window OH = (H + top + bottom - EH) // SH + 1, OW likewise. Serial:
    output lanes = input lanes. Parallel: input lanes = C and output lanes = KH*KW*C, one whole
    window a beat.
    """

    kind: ClassVar[str] = "swg"
    kernel: tuple[int, int] = (1, 1)
    stride: tuple[int, int] = (1, 1)
    pad: tuple[int, int, int, int] = (0, 0, 0, 0)  # top, left, bottom, right
    parallel: bool = False
    dilation: tuple[int, int] = (1, 1)
    blocks: int = 1

    @property
    def extent(self) -> tuple[int, int]:
        """Rows and columns from the first to the last element of a window."""
        return extent(self.kernel, self.dilation)
