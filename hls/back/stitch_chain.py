"""SystemVerilog of one segment or head: kernel instances with FIFOs between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from exeunt.graph import ENTRY, Accelerator, Dataflow, IntArray, Node, Stream
from exeunt.hls.back.kernels import registry
from exeunt.kernels.registry import OURS

TAP_GUARD = "EX_TAPS"
NOTHING: Mapping[str, Watch] = MappingProxyType({})


@dataclass(frozen=True)
class Tap:
    """A stream the tap build records: `name` is a node, or `<chain>.input`."""

    index: int
    name: str
    chain: str
    stream: Stream


@dataclass(frozen=True)
class Watch:
    """A stream that is watched for explanations: that of a node, or the images.

    Attributes:
        name: of the node, or "image".
        chain: the segment or head that it is in, "" for the images.
        segment: index of that segment, or of the one in front of that head.
        stream: what is watched.
        data: whether its words are needed.
        edges: of its quantizer, int64 (C, 2), where that has to tell them; None: it has not.
    """

    name: str
    chain: str
    segment: int
    stream: Stream
    data: bool = False
    edges: IntArray | None = None

    @property
    def ports(self) -> tuple[tuple[str, int], ...]:
        """Name and width of what its chain gives: whether a word moves, the word, the edges."""
        found = [(f"see_{self.name}_take", 1)]
        if self.data:
            found.append((f"see_{self.name}_data", self.stream.width))
        if self.edges is not None:
            found.append((f"see_{self.name}_edge", self.stream.lanes))
        return tuple(found)

    def drive(self, wire: str) -> list[str]:
        """Assignments to these ports of the stream on `wire`, but for the edges."""
        found = [f"  assign see_{self.name}_take = {wire}_valid && {wire}_ready;"]
        if self.data:
            found.append(f"  assign see_{self.name}_data = {wire}_data;")
        return found


def taps(accelerator: Accelerator) -> tuple[Tap, ...]:
    """Every stream a tap build records, in pipeline order: each chain's input and its nodes.

    Of a node that gives the same stream twice the first is recorded.
    """
    found: list[Tap] = []
    for chain in accelerator.chains:
        found.append(Tap(len(found), f"{chain.name}.input", chain.name, chain.input))
        for node in chain.nodes:
            found.append(Tap(len(found), node.name, chain.name, node.output))
    return tuple(found)


def tap_bits(accelerator: Accelerator) -> int:
    """Width of the tap function's word: the widest stream, in whole 32 bit words."""
    return -(-max(t.stream.width for t in taps(accelerator)) // 32) * 32


def literal(value: int | str) -> str:
    """A parameter as SystemVerilog."""
    if isinstance(value, str):
        return f'"{value}"'
    return f"{value}" if value >= 0 else f"-{-value}"


def _wire(name: str, width: int) -> str:
    return f"  wire  [{width - 1}:0] {name};"


def _describe(stream: Stream) -> str:
    sign = "int" if stream.dtype.signed else "uint"
    shape = "x".join(str(n) for n in stream.shape)
    return f"{shape} {sign}{stream.dtype.bits}, {stream.lanes} a beat, {stream.words} beats"


def _instance(
    module: str, name: str, parameters: Mapping[str, int | str], ports: str, *, clock: str = "clk"
) -> str:
    head = f"  {module}"
    if parameters:
        rows = ",\n".join(f"      .{key}({literal(v)})" for key, v in parameters.items())
        head += f" #(\n{rows}\n  )"
    return f"{head} u_{name} (\n      .clk({clock}), .rst(rst),\n{ports}\n  );"


def _port(port: str, wire: str) -> str:
    return (
        f"      .{port}_valid({wire}_valid), .{port}_ready({wire}_ready), .{port}_data({wire}_data)"
    )


def _ports(sources: Sequence[str], sinks: Sequence[str]) -> str:
    """Ports s, or s0, s1, ..., and m, or m0, m1, ..., to wires."""
    lines = []
    for letter, wires in (("s", sources), ("m", sinks)):
        names = [letter] if len(wires) == 1 else [f"{letter}{k}" for k in range(len(wires))]
        lines += [_port(name, wire) for name, wire in zip(names, wires, strict=True)]
    return ",\n".join(lines)


def _fifo(name: str, width: int, depth: int, source: str, sink: str, clock: str) -> list[str]:
    ports = _ports([source], [sink]) + ",\n      .count()"
    return [_instance("ex_fifo", name, {"WIDTH": width, "DEPTH": depth}, ports, clock=clock)]


def _declare(name: str, width: int) -> list[str]:
    return [f"  wire  {name}_valid, {name}_ready;", _wire(f"{name}_data", width)]


def _gate(name: str, streams: Sequence[str], busy: str = "1'b0") -> str:
    """The clock of a unit, `name`_clk, which ticks when a word moves on a stream or it is busy."""
    valid, ready = (", ".join(f"{s}_{end}" for s in streams) for end in ("valid", "ready"))
    return (
        f"  ex_gate #(.STREAMS({len(streams)})) u_{name}_gate (\n"
        f"      .clk(clk), .busy({busy}), .gated({name}_clk),\n"
        f"      .valid({{{valid}}}), .ready({{{ready}}})\n  );"
    )


def built(
    accelerator: Accelerator, node: Node, watch: Watch | None
) -> tuple[registry.Parameters, registry.Texts]:
    """Parameters and memory files of a node, with edges where its watch wants them."""
    backend, arrays = registry.of(node), accelerator.of(node)
    if watch is None or watch.edges is None:
        return backend.parameters(node), backend.memories(node, arrays)
    return registry.with_edges(node, arrays, watch.edges)


def _see(watched: Mapping[str, Watch]) -> list[str]:
    """The ports of what is watched."""
    found = [port for watch in watched.values() for port in watch.ports]
    lines = [f"    output wire [{width - 1}:0] {name}" for name, width in found]
    return [f"{line}," for line in lines[:-1]] + lines[-1:]


def _tap_block(found: Iterable[tuple[Tap, str, str]], bits: int) -> list[str]:
    """Simulation only: report every transfer once `+ex_taps` is among the arguments.

    Args:
        found: a tap, its stream, and a clock that ticks whenever a word moves there.
        bits: width of the reported word.
    """
    lines = [f"`ifdef {TAP_GUARD}"]
    lines.append(
        f'  import "DPI-C" function void ex_tap(input int index, input bit [{bits - 1}:0] word);'
    )
    lines.append("  logic taps_on;")
    lines.append('  initial taps_on = $test$plusargs("ex_taps") != 0;')
    for tap, wire, clock in found:
        lines.append(f"  always_ff @(posedge {clock}) begin")
        lines.append(f"    if (taps_on && !rst && {wire}_valid && {wire}_ready)")
        lines.append(f"      ex_tap({tap.index}, {bits}'({wire}_data));")
        lines.append("  end")
    lines.append("`endif")
    return lines


def render(
    accelerator: Accelerator,
    chain: Dataflow,
    *,
    entry: int = 0,
    watched: Mapping[str, Watch] = NOTHING,
) -> str:
    """The module `chain.name`: clk, rst, s_*, m_*; every transfer of a tapped stream is reported.

    A node and the FIFOs behind it share a clock, which stands still in the bulk simulation while
    neither has anything to do (see ex_gate); other people's kernels cannot say so and have clk.

    Args:
        accelerator: numbers the taps.
        chain: `fifos[i]` words of FIFO behind stream i; 0 leaves the FIFO out.
        entry: words of a FIFO before the first node; 0: none.
        watched: nodes of it whose streams are told to the outside, by name.
    """
    streams = chain.streams
    assert len(chain.fifos) == len(streams), f"{chain.name}: a FIFO depth for every stream"
    mine = [t for t in taps(accelerator) if t.chain == chain.name]
    body: list[str] = []
    wires: list[str] = []
    tapped: list[tuple[Tap, str, str]] = []
    shown = {ENTRY: "s"}  # the wires on which a stream comes to its reader
    if entry and chain.nodes:
        wires += [*_declare("entry", chain.input.width), "  wire  entry_clk;"]
        body += _fifo("entry", chain.input.width, entry, "s", "entry", "entry_clk")
        body.append(_gate("entry", ["s", "entry"]))
        tapped.append((mine[0], "s", "entry_clk"))
        shown[ENTRY] = "entry"
    for i, (node, sources) in enumerate(zip(chain.nodes, chain.reads, strict=True)):
        backend = registry.of(node)
        first = chain.first_streams[i]
        taken = [shown[source] for source in sources]
        given: list[str] = []
        queued: list[str] = []
        sleeps = node.backend == OURS
        clock = f"{node.name}_clk" if sleeps else "clk"
        buffers: list[str] = []
        for number in range(first, first + len(node.outputs)):
            depth, stream = chain.fifos[number], streams[number]
            final = number + 1 == len(streams)
            port = "" if len(node.outputs) == 1 else str(number - first)
            name = f"{node.name}{port and f'_{port}'}"
            leaves = "m" if final else f"{name}_q" if depth else name
            enters = name if depth else leaves
            given.append(enters)
            shown[number] = leaves
            if enters != "m":
                wires += _declare(enters, stream.width)
            if depth:
                queued.append(leaves)
                if leaves != "m":
                    wires += _declare(leaves, stream.width)
                buffers += _fifo(f"{name}_fifo", stream.width, depth, enters, leaves, clock)
        ports = _ports(taken, given)
        if sleeps:
            ports += f",\n      .busy({node.name}_busy)"
            wires.append(f"  wire  {clock}, {node.name}_busy;")
        watch = watched.get(node.name)
        edge = f"see_{node.name}_edge" if watch and watch.edges is not None else ""
        if backend.edges is not None:
            ports += f",\n      .m_edge({edge})"
        module, parameters = backend.module(node), built(accelerator, node, watch)[0]
        body.append(_instance(module, node.name, parameters, ports, clock=clock))
        if i == 0 and not tapped:
            tapped.append((mine[0], taken[0], clock))
        tapped.append((mine[i + 1], given[0], clock))
        body += buffers
        if watch:
            body.append("\n".join(watch.drive(given[0])))
        if sleeps:
            body.append(_gate(node.name, [*taken, *queued], f"{node.name}_busy"))
    if not chain.nodes:
        body += [
            "  assign m_valid = s_valid;",
            "  assign m_data = s_data;",
            "  assign s_ready = m_ready;",
        ]
        tapped.append((mine[0], "s", "clk"))
    lines = [
        "// Generated by `exeunt compile`; do not edit.",
        f"// {chain.name}: {_describe(chain.input)}",
        f"//   -> {_describe(chain.output)}.",
        "// Valid never waits for ready; after rst it is empty and waits for a frame's first beat.",
        "`default_nettype none",
        "",
        f"module {chain.name} (",
        "    input  wire clk,",
        "    input  wire rst,",
        "    input  wire s_valid,",
        "    output wire s_ready,",
        f"    input  wire [{chain.input.width - 1}:0] s_data,",
        "    output wire m_valid,",
        "    input  wire m_ready,",
        f"    output wire [{chain.output.width - 1}:0] m_data{',' if watched else ''}",
        *_see(watched),
        ");",
    ]
    if not chain.nodes:
        lines.append("  wire unused = clk & rst;")
    lines += [*wires, "", "\n\n".join(body), ""]
    lines += _tap_block(tapped, tap_bits(accelerator))
    lines += ["", "endmodule", "", "`default_nettype wire", ""]
    return "\n".join(lines)
