"""An explanation engine: the parameters and tables of `ex_explain`, and its steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from exeunt.explain.backward import Scales
from exeunt.explain.program import Shape
from exeunt.explain.taps import Tap
from exeunt.runtime.maps import CODES

# Fields in the order in which they are loaded. A sweep begins with `across`.
SCATTER = (
    "class_step", "last_channel", "first_channel", "length", "kernel_u", "kernel_line",
    "kernel_row", "last_kx", "value_base", "mask_base", "last_ky", "clear", "table_base",
)  # fmt: skip
SWEEP = ("across", "header", "value_base", "mask_base", "prune", "shift", "table_base")
WALK = (
    "every_x", "every_y", "line_width", "rows", "line_step", "line_first", "u_step", "u_first",
    "row_step", "row_first", "way_base", "tap", "last_lane", "last_g", "last_y", "last_x", "flags",
)  # fmt: skip

SWEEPS, FINAL, MASKS, CONTEXT, FEATURES, CLASS, ROUTED, TILED, PIXELS, SCALED, POSITIVE = (
    1 << k for k in range(11)
)
LEFT = 11  # lowest bit of `left` in the flags


@dataclass(frozen=True)
class Step:
    """One scatter or sweep as the engine runs it.

    Attributes:
        fields: by name.
        shape: (rows, columns, words of a position) of the walk.
        beats: cycles of an item, 1 in a sweep.
        clears: words of a bank that are cleared first.
        stream: of gradients that a scatter takes, -1 where its words come from elsewhere.
        tap: of the context, -1 without.
        channels: the first and the last one that a scatter takes.
        map: whether its values go to the encoder.
        again: whether they come once more, in the next step.
        inputs: of each output of the max pool in front of which it takes gradients, 1 without.
    """

    fields: Mapping[str, int]
    shape: tuple[int, int, int]
    beats: int
    clears: int = 0
    stream: int = -1
    tap: int = -1
    channels: tuple[int, int] = (0, 1 << 30)
    map: bool = False
    again: bool = False
    inputs: int = 1

    @property
    def sweeps(self) -> bool:
        """Whether it is a sweep."""
        return bool(self.fields["flags"] & SWEEPS)

    @property
    def count(self) -> int:
        """Fields."""
        return len(SWEEP if self.sweeps else SCATTER) + len(WALK)


@dataclass(frozen=True)
class Engine:
    """`ex_explain` for some exits and methods.

    Attributes:
        parameters: of the module, without files.
        tables: words of each file, by the parameter that names it.
        widths: bits of a word of each file.
        taps: by their numbers.
        steps: of each (method, exit).
        shapes: (H, W, C) of the maps as they are decoded.
        scales: of each (method, exit).
    """

    parameters: Mapping[str, int]
    tables: Mapping[str, Sequence[int]]
    widths: Mapping[str, int]
    taps: tuple[Tap, ...]
    steps: Mapping[tuple[str, int], tuple[Step, ...]]
    shapes: Mapping[tuple[int, str], Shape]
    scales: Mapping[tuple[str, int], Scales]

    @property
    def code(self) -> str:
        """How values of maps are stored."""
        return CODES[self.parameters["CODE"]]

    def hex(self, name: str) -> str:
        """The file of a table, as $readmemh takes it."""
        digits = -(-self.widths[name] // 4)
        return "".join(f"{word:0{digits}x}\n" for word in self.tables[name])
