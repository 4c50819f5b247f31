"""What a network asks of kernels: its layers, before any folding, and the foldings of one.

A kind registers for the class of the layers that it implements; FINN's layers, the layers of a
config and those of `exeunt.samples` are all described with these, so that nobody names a kind.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, TypeAlias, TypeVar

from exeunt.graph import IntArray, Integer
from exeunt.kernels.parts.accumulate import Function
from exeunt.window import Window

Shape = tuple[int, int, int]
Style: TypeAlias = Literal["", "lut", "dsp", "packed", "constant", "scheduled", "codebook"]
"""What multiplies; "": as the synthesis tool likes; "constant": additions for these weights;
"scheduled": those by weights that are not zero; "codebook": tables of shared weights."""
BYTE = Integer(8)
CONVERTER = 8  # lanes that a width converter and the queue behind it are worth
Self = TypeVar("Self", bound="Layer")


@dataclass(frozen=True)
class Fold:
    """One layer's folding. `window` lanes enter the sliding window, if it has one."""

    simd: int  # lanes into the matrix, pool or thresholds
    pe: int  # lanes out of it
    window: int = 0
    parallel: bool = False
    period: int = 0  # cycles a frame
    multipliers: int = 0
    converters: int = 0  # width converters inside the layer
    area: int = 0  # of accumulators, windows and streams, to choose between equals
    multiplier: Style = ""
    block: int = 0  # of a schedule: weights side by side that are left out together
    banks: int = 0  # of a schedule: blocks in a step; 0: no block is left out

    @property
    def lanes_in(self) -> int:
        """Lanes of the stream that the layer takes."""
        return self.window or self.simd

    @property
    def cost(self) -> tuple[int, int]:
        """What folding minimises, the first first."""
        return self.multipliers, self.area + CONVERTER * self.converters


@dataclass(frozen=True)
class Layer:
    """One thing to fold; shapes are (H, W, C) of the streams into and out of it.

    `arrays` are its integers by name, none where only cost is asked for. `finn` are the FINN nodes
    that it was, the one that carries PE last; `where` is its place in a config. `behind` says for
    each of its inputs how many layers back the one that feeds it stands in the list of layers:
    1 for the one before it, which in front of the first layer is what enters.
    """

    input: Shape
    source: Integer
    output: Shape
    result: Integer
    window: Window | None = field(default=None, kw_only=True)
    finn: tuple[str, ...] = field(default=(), kw_only=True)
    where: str = field(default="", kw_only=True)
    flat: bool = field(default=False, kw_only=True)  # takes the flattened map, or reduces all of it
    behind: tuple[int, ...] = field(default=(1,), kw_only=True)
    arrays: Mapping[str, IntArray] = field(
        default_factory=dict, kw_only=True, compare=False, repr=False
    )

    @property
    def inputs(self) -> tuple[tuple[Shape, Integer], ...]:
        """Shape and type of each stream that it takes."""
        return ((self.input, self.source),)

    @property
    def vectors(self) -> int:
        """Output pixels of a frame."""
        return self.output[0] * self.output[1]

    def without_widths(self: Self) -> Self:
        """The layer with all widths alike: its folding does not depend on them."""
        return dataclasses.replace(self, source=BYTE, result=BYTE)


@dataclass(frozen=True)
class Matrix(Layer):
    """y = W x of every window or vector, `levels` thresholds of a row behind it, 0 for none.

    With `groups` the channels and the rows fall into so many parts, each row sees its part alone,
    and `columns` are those of a part. With `signs` every weight is -1, 0 or 1, of a single bit -1
    or 1. Arrays: `weights` (rows, columns); with levels `thresholds` (rows, levels), ascending.
    """

    columns: int = field(default=1, kw_only=True)
    groups: int = field(default=1, kw_only=True)
    weight_bits: int = field(default=0, kw_only=True)
    signs: bool = field(default=False, kw_only=True)
    levels: int = field(default=0, kw_only=True)
    bias: int = field(default=0, kw_only=True)
    accumulator: Integer = field(default=Integer(32, signed=True), kw_only=True)

    @property
    def rows(self) -> int:
        """MH, the rows of the matrix."""
        return self.output[2]

    @property
    def weights(self) -> int:
        """Number of weights."""
        return self.rows * self.columns

    def without_widths(self) -> Matrix:
        """The layer with all widths alike: its folding does not depend on them."""
        same = super().without_widths()
        return dataclasses.replace(same, weight_bits=0, signs=False, levels=0, accumulator=BYTE)


@dataclass(frozen=True)
class Pooling(Layer):
    """Maximum or sum over windows; without a window over the whole map."""

    function: Function = field(default="max", kw_only=True)


@dataclass(frozen=True)
class Levels(Layer):
    """y = bias + #{t : x >= t}. Array: `thresholds` (C, levels), ascending."""

    levels: int = field(default=1, kw_only=True)
    bias: int = field(default=0, kw_only=True)


@dataclass(frozen=True)
class Windows(Layer):
    """Every window of the map as one vector, (block, ky, kx, c), of `blocks` equal ones."""

    blocks: int = field(default=1, kw_only=True)


@dataclass(frozen=True)
class Reduction(Layer):
    """Maximum or sum over each `count` successive vectors."""

    function: Function = field(default="max", kw_only=True)
    count: int = field(default=1, kw_only=True)


@dataclass(frozen=True)
class Lanes(Layer):
    """The same elements, other lanes."""


@dataclass(frozen=True)
class Copies(Layer):
    """The same stream for two readers."""


@dataclass(frozen=True)
class Joining(Layer):
    """Two streams become one: elements of the first times factors[0], of the other factors[1]."""

    other: Shape = field(default=(1, 1, 1), kw_only=True)
    other_source: Integer = field(default=BYTE, kw_only=True)
    factors: tuple[int, int] = field(default=(1, 1), kw_only=True)
    behind: tuple[int, ...] = field(default=(1, 2), kw_only=True)

    @property
    def inputs(self) -> tuple[tuple[Shape, Integer], ...]:
        """Shape and type of both."""
        return ((self.input, self.source), (self.other, self.other_source))

    def without_widths(self) -> Joining:
        """The layer with all widths alike: its folding does not depend on them."""
        return dataclasses.replace(self, source=BYTE, result=BYTE, other_source=BYTE)


@dataclass(frozen=True)
class Addition(Joining):
    """The sum of both, element by element."""


@dataclass(frozen=True)
class Concatenation(Joining):
    """The channels of the first, then those of the other."""


def divisors(value: int) -> list[int]:
    """All divisors, ascending."""
    return [d for d in range(1, value + 1) if value % d == 0]
