"""The accelerator graph: kernels, the streams between them, segments and heads.

The compiler (`exeunt.hls`) makes it, the integer and cycle references run it, the stitcher turns
it into RTL, and the manifest stores it. It knows neither FINN nor torch.

A stream carries one tensor of shape (H, W, D) per frame, row by row, pixel by pixel, D innermost,
`lanes` elements a beat, element 0 in the least significant bits, one frame after another.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from exeunt import criteria
from exeunt.errors import CheckFailed

IntArray: TypeAlias = "npt.NDArray[np.integer[Any]]"  # a text: NumPy 1.21 cannot subscript it
Function = Literal["max", "sum"]


@dataclass(frozen=True)
class Integer:
    """An integer element type: `bits` wide, two's complement when `signed`."""

    bits: int
    signed: bool = False

    @property
    def min(self) -> int:
        """Smallest value."""
        return -(1 << (self.bits - 1)) if self.signed else 0

    @property
    def max(self) -> int:
        """Largest value."""
        return (1 << (self.bits - 1)) - 1 if self.signed else (1 << self.bits) - 1

    @classmethod
    def covering(cls, low: int, high: int) -> Integer:
        """The narrowest type that holds every value from `low` to `high`."""
        if low >= 0:
            return cls(max(1, int(high).bit_length()))
        return cls(max(int(high).bit_length(), int(-low - 1).bit_length()) + 1, signed=True)


@dataclass(frozen=True)
class Stream:
    """How one tensor travels: `shape` (H, W, D) a frame, `lanes` elements a beat."""

    shape: tuple[int, int, int]
    dtype: Integer
    lanes: int

    def __post_init__(self) -> None:
        assert self.shape[2] % self.lanes == 0, f"lanes {self.lanes} must divide D of {self.shape}"

    @property
    def elements(self) -> int:
        """Elements in a frame."""
        return self.shape[0] * self.shape[1] * self.shape[2]

    @property
    def words(self) -> int:
        """Beats in a frame."""
        return self.elements // self.lanes

    @property
    def width(self) -> int:
        """Bits in a beat."""
        return self.lanes * self.dtype.bits

    def carries(self, other: Stream) -> bool:
        """Whether this stream can feed a port that expects `other`: same beats in same order."""
        return (self.elements, self.dtype, self.lanes) == (
            other.elements,
            other.dtype,
            other.lanes,
        )


@dataclass(frozen=True)
class Node:
    """One kernel instance. `name` is unique in the accelerator and a Verilog identifier."""

    kind: ClassVar[str]
    name: str
    input: Stream
    output: Stream
    finn: tuple[str, ...] = field(default=(), kw_only=True)  # FINN nodes it implements
    backend: str = field(default="exeunt", kw_only=True)  # "exeunt" or "finn"


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


@dataclass(frozen=True)
class Mvu(Node):
    """Matrix-vector unit: y = W x for each of the H*W vectors, SIMD = input, PE = output lanes.

    Arrays: `weights` (MH, MW) signed, `weight_bits` wide; with `levels` > 0 also `thresholds`
    (MH, levels), ascending, and y = bias + #{t : acc >= t}; otherwise y = acc.

    With a `codebook` the weights are shared: `indices`, uint8 (MH, MW), into it, and where
    `signs`, int8 (MH,), are there, times the row's sign.
    """

    kind: ClassVar[str] = "mvu"
    weight_bits: int = 4
    accumulator: Integer = Integer(32, signed=True)
    levels: int = 0
    bias: int = 0
    codebook: tuple[int, ...] = ()

    @property
    def index_bits(self) -> int:
        """Bits of an index into the codebook, 0 without one."""
        return max(1, (len(self.codebook) - 1).bit_length()) if self.codebook else 0


@dataclass(frozen=True)
class Threshold(Node):
    """y = bias + #{t : x >= t}. Array: `thresholds` (C, levels), ascending; PE = lanes."""

    kind: ClassVar[str] = "threshold"
    levels: int = 1
    bias: int = 0


@dataclass(frozen=True)
class Pool(Node):
    """Non-overlapping pool: (H, W, C) -> (H // KH, W // KW, C), max or sum; the rest is dropped."""

    kind: ClassVar[str] = "pool"
    function: Function = "max"
    kernel: tuple[int, int] = (2, 2)


@dataclass(frozen=True)
class Reduce(Node):
    """Max or sum over each `count` successive C-vectors: a global pool, or behind a `Swg` a pool.

    C = output D; the input has count * H' * W' vectors of C elements for an output (H', W', C).
    """

    kind: ClassVar[str] = "reduce"
    function: Function = "max"
    count: int = 1


@dataclass(frozen=True)
class Width(Node):
    """Width converter: the same elements, other lanes; one of the two divides the other."""

    kind: ClassVar[str] = "width"


KINDS: Mapping[str, type[Node]] = {k.kind: k for k in (Swg, Mvu, Threshold, Pool, Reduce, Width)}


@dataclass(frozen=True)
class Chain:
    """A segment or a head: kernels one behind the other, `fifos[i]` the depth behind node i."""

    name: str  # "seg0", "head0", ...
    input: Stream
    nodes: tuple[Node, ...]
    fifos: tuple[int, ...] = ()

    @property
    def output(self) -> Stream:
        """What leaves the last node (the input itself when there is none)."""
        return self.nodes[-1].output if self.nodes else self.input


@dataclass(frozen=True)
class Accelerator:
    """Segments and heads of a network with `len(heads)` exits; the arrays of every node.

    `segments[i]` feeds `heads[i]` and, through a frame buffer, `segments[i + 1]`.
    `arrays["<node>.<array>"]` holds weights and thresholds as integers.
    `logit_scales[i]` times the integer logits of head i are the network's real logits.
    `criterion` says when a frame leaves at an exit, see `exeunt.criteria`.
    """

    name: str
    segments: tuple[Chain, ...]
    heads: tuple[Chain, ...]
    logit_scales: tuple[float, ...]
    arrays: Mapping[str, IntArray]
    criterion: str = criteria.DEFAULT

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.heads[-1].output.elements

    @property
    def chains(self) -> tuple[Chain, ...]:
        """Segments and heads in pipeline order: seg0, head0, seg1, head1, ..."""
        return tuple(c for pair in zip(self.segments, self.heads, strict=True) for c in pair)

    def logits(self, exit_index: int) -> criteria.Logits:
        """What the score block of an exit is given."""
        stream = self.heads[exit_index].output
        return criteria.Logits(
            stream.elements, stream.lanes, stream.dtype.bits, self.logit_scales[exit_index]
        )

    def of(self, node: Node) -> dict[str, IntArray]:
        """The arrays of `node`, by their short names; shared weights are those of its codebook.

        Raises:
            CheckFailed: indices that do not give the weights that are stored as well.
        """
        prefix = node.name + "."
        found = {k[len(prefix) :]: v for k, v in self.arrays.items() if k.startswith(prefix)}
        if isinstance(node, Mvu) and node.codebook:
            weights = from_codebook(node, found)
            if "weights" in found and not np.array_equal(weights, found["weights"]):
                wrong = tuple(int(i) for i in np.argwhere(weights != found["weights"])[0])
                raise CheckFailed(
                    f"the codebook of {node.name} must give its weights, got "
                    f"{int(weights[wrong])} for {int(found['weights'][wrong])} at {wrong}: compile "
                    "again"
                )
            found["weights"] = weights
        return found


def from_codebook(node: Mvu, arrays: Mapping[str, IntArray]) -> IntArray:
    """The weights (MH, MW), int64, that a node's codebook and `indices` stand for."""
    weights = np.asarray(node.codebook, np.int64)[arrays["indices"]]
    if "signs" in arrays:
        weights = weights * arrays["signs"].astype(np.int64)[:, None]
    return weights


def to_json(value: Any) -> Any:
    """Plain JSON data of a graph value (`Chain`, `Node`, `Stream`, ...); arrays are left out."""
    if isinstance(value, Node):
        fields = {f.name: to_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
        return {"kind": value.kind, **fields}
    if isinstance(value, Accelerator):
        return {
            "name": value.name,
            "segments": to_json(value.segments),
            "heads": to_json(value.heads),
            "logit_scales": list(value.logit_scales),
            "criterion": value.criterion,
        }
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, (list, tuple)):
        return [to_json(v) for v in value]
    return value


def _integer(data: Mapping[str, Any]) -> Integer:
    return Integer(data["bits"], data["signed"])


def _stream(data: Mapping[str, Any]) -> Stream:
    h, w, d = data["shape"]
    return Stream((h, w, d), _integer(data["dtype"]), data["lanes"])


def _node(data: Mapping[str, Any]) -> Node:
    values = dict(data)
    cls = KINDS[values.pop("kind")]
    for key, value in values.items():
        if key in ("input", "output"):
            values[key] = _stream(value)
        elif key == "accumulator":
            values[key] = _integer(value)
        elif isinstance(value, list):
            values[key] = tuple(value)
    return cls(**values)


def _chain(data: Mapping[str, Any]) -> Chain:
    nodes = tuple(_node(n) for n in data["nodes"])
    return Chain(data["name"], _stream(data["input"]), nodes, tuple(data["fifos"]))


def from_json(data: Mapping[str, Any], arrays: Mapping[str, IntArray]) -> Accelerator:
    """The accelerator that `to_json` described, with its arrays put back."""
    return Accelerator(
        name=data["name"],
        segments=tuple(_chain(c) for c in data["segments"]),
        heads=tuple(_chain(c) for c in data["heads"]),
        logit_scales=tuple(data["logit_scales"]),
        arrays=dict(arrays),
        criterion=data.get("criterion", criteria.DEFAULT),
    )
