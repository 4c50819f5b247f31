"""The explanation path beside segments and heads: what is watched, and what keeps it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property

from exeunt import registers
from exeunt.errors import InputError
from exeunt.explain.hardware import ASKED, Explained
from exeunt.explain.program import METHODS, Route
from exeunt.explain.store import Gather
from exeunt.explain.taps import Place, Tap
from exeunt.graph import Accelerator, Dataflow, IntArray, Node
from exeunt.hls.back.stitch_chain import Watch, literal
from exeunt.kernels import registry
from exeunt.kernels.parts.back import Same

IMAGE = "image"  # the stream that enters segment 0


@dataclass(frozen=True)
class Kept:
    """A place of the context: `ex_explain_tap`, behind an `ex_explain_pool` where `pool` names one.

    `bits` are those of a lane as it comes, `tap.bits` as it is kept.
    """

    tap: Tap
    watch: Watch
    pool: str
    bits: int

    @property
    def take(self) -> str:
        """The wire that says that a word comes."""
        return f"{self.pool}_valid" if self.pool else f"see_{self.watch.name}_take"

    @property
    def word(self) -> str:
        """The wire on which it comes."""
        if self.pool:
            return f"{self.pool}_{'mask' if self.tap.kind == 'mask' else 'way'}"
        return f"see_{self.watch.name}_{'edge' if self.tap.kind == 'mask' else 'data'}"

    @property
    def address_bits(self) -> int:
        """Bits of the address of one of its words."""
        return max(1, (self.tap.words - 1).bit_length())

    @property
    def gather(self) -> Gather:
        """How its words are made."""
        return Gather(self.tap.shape, self.tap.bits, self.watch.stream.lanes)


@dataclass(frozen=True)
class Pool:
    """An `ex_explain_pool`: what it watches, and where its windows are."""

    name: str
    watch: Watch
    route: Route

    @property
    def numbers(self) -> Mapping[str, int]:
        """Its parameters, but for the sign."""
        stream, (height, width, channels) = self.watch.stream, self.route.shape
        return {
            "LANES": stream.lanes, "IN_BITS": stream.dtype.bits, "C": channels, "H": height,
            "W": width, "KH": self.route.kernel[0], "KW": self.route.kernel[1],
        }  # fmt: skip

    @property
    def parameters(self) -> Mapping[str, str]:
        """As SystemVerilog."""
        signed = f"1'b{int(self.watch.stream.dtype.signed)}"
        return {**{key: literal(n) for key, n in self.numbers.items()}, "IN_SIGNED": signed}

    @property
    def way_bits(self) -> int:
        """Bits of a place in its window."""
        return max(1, (self.route.kernel[0] * self.route.kernel[1] - 1).bit_length())


@dataclass(frozen=True)
class ExplainDescription:
    """Everything that the template of exeunt_explain needs."""

    explained: Explained
    watches: Mapping[str, Watch]
    pools: tuple[Pool, ...]
    kept: tuple[Kept, ...]

    @property
    def slots(self) -> int:
        """Frames whose context is kept."""
        return self.explained.slots

    @property
    def asked(self) -> int:
        """Ids that can be asked for ahead."""
        return ASKED

    @property
    def method(self) -> int:
        """Number of the method that a reset chooses."""
        return METHODS.index(self.explained.methods[0])

    @property
    def addresses(self) -> Mapping[str, str]:
        """Parameters of ex_explain_registers."""
        places = {**registers.explain_parameters(), "A_CONTROL": registers.address("control")}
        return {key: f"{registers.ADDRESS_BITS}'d{value}" for key, value in places.items()}

    @cached_property
    def parameters(self) -> Mapping[str, str]:
        """Parameters of ex_explain."""
        engine = self.explained.engine
        found = {key: literal(value) for key, value in engine.parameters.items()}
        return found | {key: literal(self._file(key)) for key in engine.tables}

    @property
    def numbers(self) -> Mapping[str, int]:
        """The same as numbers."""
        return self.explained.engine.parameters

    @cached_property
    def memories(self) -> dict[str, str]:
        """Memory-init files of the engine, name -> text."""
        engine = self.explained.engine
        return {self._file(key): engine.hex(key) for key in engine.tables}

    @staticmethod
    def _file(table: str) -> str:
        return f"explain_{table.removesuffix('_FILE').lower()}.hex"

    @property
    def class_bits(self) -> int:
        """Bits of a class."""
        return max(1, (max(p.classes for p in self.explained.programs.values()) - 1).bit_length())

    @property
    def ports(self) -> tuple[tuple[str, int], ...]:
        """Name and width of everything that is watched."""
        return tuple(port for watch in self.watches.values() for port in watch.ports)

    def of_chain(self, name: str) -> dict[str, Watch]:
        """The watched nodes of a segment or head, by their names."""
        return {key: watch for key, watch in self.watches.items() if watch.chain == name}

    def ports_of(self, name: str) -> tuple[tuple[str, int], ...]:
        """Those of a segment or head."""
        return tuple(port for watch in self.of_chain(name).values() for port in watch.ports)


def describe(accelerator: Accelerator, explained: Explained | None) -> ExplainDescription | None:
    """The explanation path of an accelerator; None without.

    Raises:
        InputError: a stream that cannot be watched so.
    """
    if explained is None:
        return None
    if accelerator.rules is not None and accelerator.rules.looks:
        raise InputError(
            "explanations in hardware must go without further looks, got "
            f"{len(accelerator.rules.looks)}: leave the looks out, or explain.hardware"
        )
    return _Places(accelerator).describe(explained)


class _Places:
    def __init__(self, accelerator: Accelerator) -> None:
        self._accelerator = accelerator
        self._where = {
            node.name: (node, i // 2, chain, k)
            for i, chain in enumerate(accelerator.chains)
            for k, node in enumerate(chain.nodes)
        }
        self._watches: dict[str, Watch] = {}
        self._pools: dict[str, Pool] = {}

    def describe(self, explained: Explained) -> ExplainDescription:
        found = [self._kept(tap) for tap in explained.engine.taps]
        kept = tuple(replace(k, watch=self._watches[k.watch.name]) for k in found)
        pools = tuple(replace(p, watch=self._watches[p.watch.name]) for p in self._pools.values())
        for one in kept:
            assert one.gather.words == one.tap.words, one
        return ExplainDescription(explained, self._watches, pools, kept)

    def _kept(self, tap: Tap) -> Kept:
        if tap.kind == "pixels":
            return Kept(tap, self._image(tap), "", 8)
        if tap.kind == "features":
            watch = self._watch(self._source(tap.place), data=True)
            return Kept(tap, watch, "", watch.stream.dtype.bits)
        routes = tap.routes
        if tap.kind == "way":
            assert tap.program is not None
            routes = tuple(r for r in tap.program.routes if r.tensor == tap.tensor)
        edges = None
        if tap.kind == "mask":
            assert tap.sweep is not None
            assert tap.sweep.mask is not None
            edges = tap.sweep.mask.edges
        place = self._source(tap.place)
        if not routes:
            return Kept(tap, self._watch(place, edges=edges), "", 1)
        pool = self._pool(place, routes[0], edges)
        return Kept(tap, pool.watch, pool.name, 1 if tap.kind == "mask" else pool.way_bits)

    def _image(self, tap: Tap) -> Watch:
        stream = self._accelerator.segments[0].input
        if tap.shape[2] % stream.lanes:
            raise InputError(
                f"images must come with a divisor of their {tap.shape[2]} channels a beat to be "
                f"kept for explanations, got {stream.lanes}: fold the first layer less, or choose "
                "a method that does not multiply with the image"
            )
        watch = Watch(IMAGE, "", 0, stream, data=True)
        self._watches[IMAGE] = watch
        return watch

    def _watch(self, place: Place, *, data: bool = False, edges: IntArray | None = None) -> Watch:
        node, segment, chain, _ = self._where[place.node]
        new = Watch(node.name, chain.name, segment, node.output)
        found = self._watches.get(node.name, new)
        found = replace(
            found,
            data=found.data or data,
            edges=found.edges if edges is None else edges,
        )
        self._watches[node.name] = found
        Gather(node.output.shape, 1, node.output.lanes)  # refuses lanes that make no words
        return found

    def _pool(self, place: Place, route: Route, edges: IntArray | None) -> Pool:
        if route.overlapping or any(route.pad) or route.stride != route.kernel:
            raise InputError(
                f"a max pool must have windows side by side to be explained in hardware, got "
                f"kernel {route.kernel}, stride {route.stride} and padding {route.pad} behind "
                f"{place.node}: use one of kernel and stride 2, or leave explain.hardware out"
            )
        watch = self._watch(place, data=True, edges=edges)
        made = self._pools.setdefault(watch.name, Pool(f"pool_{watch.name}", watch, route))
        assert made.route.kernel == route.kernel, f"{watch.name} in front of two max pools"
        return made

    def _source(self, place: Place) -> Place:
        """The first place that has the same elements in the same order.

        Copies and width converters repeat what comes; frames that enter a segment have left the
        one before.
        """
        while True:
            node, _, chain, k = self._where[place.node]
            if len(node.inputs) != 1 or not self._repeats(node):
                return Place(node.name)
            before = self._before(chain, chain.reads[k][0])
            if before is None or before.output.shape != node.output.shape:
                return Place(node.name)
            place = Place(before.name)

    def _repeats(self, node: Node) -> bool:
        back = registry.of(node).back
        return back is not None and back(node, self._accelerator.of(node)) == ((Same(),),)

    def _before(self, chain: Dataflow, number: int) -> Node | None:
        """The node that gives a stream of a chain; None: the images enter there."""
        for node, first in zip(chain.nodes, chain.first_streams, strict=True):
            if first <= number < first + len(node.outputs):
                return node
        chains = self._accelerator.chains
        where = chains.index(chain)
        segment = where - 1 if where % 2 else where - 2  # a head reads its segment
        return chains[segment].nodes[-1] if segment >= 0 and chains[segment].nodes else None
