"""SystemVerilog of one segment or head: kernel instances with FIFOs between them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from exeunt.graph import Accelerator, Dataflow, Stream
from exeunt.hls.back.kernels import registry
from exeunt.kernels.registry import OURS

TAP_GUARD = "EX_TAPS"


@dataclass(frozen=True)
class Tap:
    """A stream the tap build records: `name` is a node, or `<chain>.input`."""

    index: int
    name: str
    chain: str
    stream: Stream


def taps(accelerator: Accelerator) -> tuple[Tap, ...]:
    """Every stream a tap build records, in pipeline order: each chain's input and its nodes."""
    found: list[Tap] = []
    for chain in accelerator.chains:
        found.append(Tap(len(found), f"{chain.name}.input", chain.name, chain.input))
        for node in chain.nodes:
            found.append(Tap(len(found), node.name, chain.name, node.output))
    return tuple(found)


def tap_bits(accelerator: Accelerator) -> int:
    """Width of the tap function's word: the widest stream, in whole 32 bit words."""
    return -(-max(t.stream.width for t in taps(accelerator)) // 32) * 32


def _literal(value: int | str) -> str:
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
        rows = ",\n".join(f"      .{key}({_literal(v)})" for key, v in parameters.items())
        head += f" #(\n{rows}\n  )"
    return f"{head} u_{name} (\n      .clk({clock}), .rst(rst),\n{ports}\n  );"


def _ports(source: str, sink: str, *, last: bool) -> str:
    out = "m" if last else sink
    lines = [
        f"      .s_valid({source}_valid), .s_ready({source}_ready), .s_data({source}_data),",
        f"      .m_valid({out}_valid), .m_ready({out}_ready), .m_data({out}_data)",
    ]
    return "\n".join(lines)


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


def render(accelerator: Accelerator, chain: Dataflow, *, entry: int = 0) -> str:
    """The module `chain.name`: clk, rst, s_*, m_*; every transfer of a tapped stream is reported.

    A node and the FIFO behind it share a clock, which stands still in the bulk simulation while
    neither has anything to do (see ex_gate); other people's kernels cannot say so and have clk.

    Args:
        accelerator: numbers the taps.
        chain: `fifos[i]` words of FIFO behind node i; 0 leaves the FIFO out.
        entry: words of a FIFO before the first node; 0: none.
    """
    assert len(chain.fifos) == len(chain.nodes), f"{chain.name}: a FIFO depth for every node"
    mine = [t for t in taps(accelerator) if t.chain == chain.name]
    body: list[str] = []
    wires: list[str] = []
    tapped: list[tuple[Tap, str, str]] = []
    source = "s"
    if entry and chain.nodes:
        wires += [*_declare("entry", chain.input.width), "  wire  entry_clk;"]
        ports = _ports("s", "entry", last=False) + ",\n      .count()"
        depths = {"WIDTH": chain.input.width, "DEPTH": entry}
        body.append(_instance("ex_fifo", "entry", depths, ports, clock="entry_clk"))
        body.append(_gate("entry", ["s", "entry"]))
        tapped.append((mine[0], "s", "entry_clk"))
        source = "entry"
    for i, node in enumerate(chain.nodes):
        backend = registry.of(node)
        final = i + 1 == len(chain.nodes)
        depth = chain.fifos[i]
        direct = final and not depth
        given = "m" if direct else node.name
        queued = ("m" if final else f"{node.name}_q") if depth else given
        sleeps = node.backend == OURS
        clock = f"{node.name}_clk" if sleeps else "clk"
        ports = _ports(source, given, last=False)
        if sleeps:
            ports += f",\n      .busy({node.name}_busy)"
            wires.append(f"  wire  {clock}, {node.name}_busy;")
        if not direct:
            wires += _declare(node.name, node.output.width)
        module, parameters = backend.module(node), backend.parameters(node)
        body.append(_instance(module, node.name, parameters, ports, clock=clock))
        if i == 0 and not tapped:
            tapped.append((mine[0], source, clock))
        tapped.append((mine[i + 1], given, clock))
        if depth:
            if not final:
                wires += _declare(queued, node.output.width)
            ports = _ports(given, queued, last=False) + ",\n      .count()"
            depths = {"WIDTH": node.output.width, "DEPTH": depth}
            body.append(_instance("ex_fifo", f"{node.name}_fifo", depths, ports, clock=clock))
        if sleeps:
            streams = [source, queued] if depth else [source]
            body.append(_gate(node.name, streams, f"{node.name}_busy"))
        source = queued
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
        f"    output wire [{chain.output.width - 1}:0] m_data",
        ");",
    ]
    if not chain.nodes:
        lines.append("  wire unused = clk & rst;")
    lines += [*wires, "", "\n\n".join(body), ""]
    lines += _tap_block(tapped, tap_bits(accelerator))
    lines += ["", "endmodule", "", "`default_nettype wire", ""]
    return "\n".join(lines)
