"""The accelerator graph: kernels, the streams between them, segments and heads.

The compiler (`exeunt.hls`) makes it, the integer and cycle references run it, the stitcher turns
it into RTL, and the manifest stores it. It knows neither FINN nor torch, and no kernel kind: those
are in `exeunt.kernels`.

A stream carries one tensor of shape (H, W, D) per frame, row by row, pixel by pixel, D innermost,
`lanes` elements a beat, element 0 in the least significant bits, one frame after another.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from itertools import accumulate
from typing import Any, ClassVar, TypeAlias, get_type_hints

import numpy as np
import numpy.typing as npt

from exeunt import criteria, rules
from exeunt.errors import InputError
from exeunt.rules.rule import RuleSet

IntArray: TypeAlias = "npt.NDArray[np.integer[Any]]"  # a text: NumPy 1.21 cannot subscript it


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
        return cls(max(int(max(high, 0)).bit_length(), int(-low - 1).bit_length()) + 1, signed=True)


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
    """One kernel instance; each kind in `exeunt.kernels` has a class of its own.

    `name` is unique in the accelerator and a Verilog identifier. Fields of a kind are integers,
    texts, booleans, tuples of them, `Integer` or `Stream`, so that JSON can hold them.
    """

    kind: ClassVar[str]
    name: str
    input: Stream
    output: Stream
    finn: tuple[str, ...] = field(default=(), kw_only=True)  # FINN nodes it implements
    backend: str = field(default="exeunt", kw_only=True)  # "exeunt" or "finn"

    @property
    def inputs(self) -> tuple[Stream, ...]:
        """The streams that it takes; a kind that joins several has more than one."""
        return (self.input,)

    @property
    def outputs(self) -> tuple[Stream, ...]:
        """The streams that it gives; a kind that copies has more than one."""
        return (self.output,)

    def completed(self, arrays: Mapping[str, IntArray]) -> dict[str, IntArray]:
        """The arrays by their short names; a kind that stores them packed unpacks them."""
        return dict(arrays)


ENTRY = -1  # the stream that enters a segment or head, where streams have numbers
Reads: TypeAlias = tuple[tuple[int, ...], ...]


def in_a_row(count: int) -> Reads:
    """What `count` kernels one behind the other read."""
    return tuple((k - 1,) for k in range(count))


@dataclass(frozen=True)
class Dataflow:
    """A segment or a head: kernels, each behind those that feed it, and the streams between them.

    Streams have the numbers in which the nodes give them, from 0; ENTRY is the one that enters.
    Each has one reader, and the last one leaves: a stream that two read is copied by a kernel.

    Attributes:
        name: "seg0", "head0", ...
        input: the stream that enters.
        nodes: the kernels.
        fifos: depth of the FIFO behind each stream that a node gives.
        reads: for each node the numbers of the streams that it takes; empty: one behind the other.
    """

    name: str
    input: Stream
    nodes: tuple[Node, ...]
    fifos: tuple[int, ...] = ()
    reads: Reads = ()

    def __post_init__(self) -> None:
        if not self.reads:
            object.__setattr__(self, "reads", in_a_row(len(self.nodes)))
        streams, read = self.streams, set[int]()
        done = 0
        for node, sources in zip(self.nodes, self.reads, strict=True):
            for stream, number in zip(node.inputs, sources, strict=True):
                assert number < done, f"{node.name} reads stream {number}, which is not there yet"
                found = self.input if number == ENTRY else streams[number]
                assert number not in read, f"{node.name} reads stream {number}, as another does"
                assert found.carries(stream), f"{node.name} reads {found}, needs {stream}"
                read.add(number)
            done += len(node.outputs)
        unread = {ENTRY, *range(done)} - read
        assert unread == {done - 1}, f"{self.name}: streams {sorted(unread)} have no reader"

    @property
    def streams(self) -> tuple[Stream, ...]:
        """Every stream that a node gives, by its number."""
        return tuple(stream for node in self.nodes for stream in node.outputs)

    @property
    def first_streams(self) -> tuple[int, ...]:
        """For each node the number of the first stream that it gives."""
        counts = [len(node.outputs) for node in self.nodes]
        return tuple(accumulate(counts, initial=0))[:-1]

    @property
    def output(self) -> Stream:
        """What leaves (the input itself when there is no node)."""
        return self.streams[-1] if self.nodes else self.input

    def then(self, other: Dataflow) -> Dataflow:
        """This one with `other` behind it."""
        given = len(self.streams)
        moved = tuple(tuple(number + given for number in sources) for sources in other.reads)
        return Dataflow(
            self.name,
            self.input,
            self.nodes + other.nodes,
            self.fifos + other.fifos,
            self.reads + moved,
        )


@dataclass(frozen=True)
class Accelerator:
    """Segments and heads of a network with `len(heads)` exits; the arrays of every node.

    `segments[i]` feeds `heads[i]` and, through a frame buffer, `segments[i + 1]`.
    `arrays["<node>.<array>"]` holds weights and thresholds as integers.
    `logit_scales[i]` times the integer logits of head i are the network's real logits.
    `criterion` says when a frame leaves at an exit, see `exeunt.criteria`.
    `offsets[i][c]` is taken off the score of an answer c at exit i; none: nothing is.
    `image` is the shape of the images where the first kernel takes them in another one.
    `rules` modify a frame before segment 0, see `exeunt.rules`; None: nothing does.
    """

    name: str
    segments: tuple[Dataflow, ...]
    heads: tuple[Dataflow, ...]
    logit_scales: tuple[float, ...]
    arrays: Mapping[str, IntArray]
    criterion: str = criteria.DEFAULT
    offsets: tuple[tuple[int, ...], ...] = ()
    image: tuple[int, int, int] | None = None
    rules: RuleSet | None = None

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(H, W, C) of an image, whose elements come in the order of the first stream."""
        return self.image or self.segments[0].input.shape

    @property
    def classes(self) -> int:
        """Number of classes."""
        return self.heads[-1].output.elements

    @property
    def chains(self) -> tuple[Dataflow, ...]:
        """Segments and heads in pipeline order: seg0, head0, seg1, head1, ..."""
        return tuple(c for pair in zip(self.segments, self.heads, strict=True) for c in pair)

    def logits(self, exit_index: int) -> criteria.Logits:
        """What the score block of an exit is given."""
        stream = self.heads[exit_index].output
        looks = len(self.rules.looks) if self.rules and exit_index == 0 else 0
        bits = stream.dtype.bits + looks  # those of further looks are added
        return criteria.Logits(stream.elements, stream.lanes, bits, self.logit_scales[exit_index])

    def of(self, node: Node) -> dict[str, IntArray]:
        """The arrays of `node`, by their short names.

        Raises:
            CheckFailed: stored arrays that contradict each other.
        """
        prefix = node.name + "."
        found = {k[len(prefix) :]: v for k, v in self.arrays.items() if k.startswith(prefix)}
        return node.completed(found)


def to_json(value: Any) -> Any:
    """Plain JSON data of a graph value (`Dataflow`, `Node`, `Stream`, ...); arrays are left out."""
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
            **({"offsets": [list(row) for row in value.offsets]} if value.offsets else {}),
            **({"image": list(value.image)} if value.image else {}),
            **({} if value.rules is None else {rules.KEY: rules.to_json(value.rules)}),
        }
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_json(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, (list, tuple)):
        return [to_json(v) for v in value]
    return value


_hints = cache(get_type_hints)


def _value(hint: Any, data: Any) -> Any:
    """Plain JSON data as a value of the type `hint`."""
    if dataclasses.is_dataclass(hint) and isinstance(hint, type):
        hints = _hints(hint)
        return hint(**{key: _value(hints[key], value) for key, value in data.items()})
    if isinstance(data, list):
        return tuple(data)
    return data


def node_from_json(data: Mapping[str, Any], kinds: Mapping[str, type[Node]]) -> Node:
    """The node that `to_json` described.

    Raises:
        InputError: a kind that is not among `kinds`.
    """
    fields = dict(data)
    kind = fields.pop("kind")
    if kind not in kinds:
        raise InputError(
            f"the kernel kind of {data.get('name')} must be one of {', '.join(sorted(kinds))}, got "
            f"{kind}: use the Exeunt that compiled it, or compile again"
        )
    node: Node = _value(kinds[kind], fields)
    return node


def from_json(
    data: Mapping[str, Any],
    arrays: Mapping[str, IntArray],
    kinds: Mapping[str, type[Node]],
) -> Accelerator:
    """The accelerator that `to_json` described, with its arrays put back.

    Args:
        data: plain JSON data.
        arrays: integers by "<node>.<array>".
        kinds: class of nodes by kind, `exeunt.kernels.registry.nodes()`.

    Raises:
        InputError: a node of a kind that is not among `kinds`.
    """

    def chain(found: Mapping[str, Any]) -> Dataflow:
        nodes = tuple(node_from_json(n, kinds) for n in found["nodes"])
        reads = tuple(tuple(sources) for sources in found.get("reads", ()))
        source = _value(Stream, found["input"])
        return Dataflow(found["name"], source, nodes, tuple(found["fifos"]), reads)

    return Accelerator(
        name=data["name"],
        segments=tuple(chain(c) for c in data["segments"]),
        heads=tuple(chain(c) for c in data["heads"]),
        logit_scales=tuple(data["logit_scales"]),
        arrays=dict(arrays),
        criterion=data.get("criterion", criteria.DEFAULT),
        offsets=tuple(tuple(row) for row in data.get("offsets", ())),
        image=tuple(data["image"]) if "image" in data else None,
        rules=rules.from_json(data[rules.KEY]) if rules.KEY in data else None,
    )
