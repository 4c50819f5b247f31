"""The rendered core with stubs for segments and heads: what is built and what it must answer.

A frame is 12 beats of 16 bits: the 4 logits of exit 0, then of exit 1, then of exit 2, 14 bits
each. Segment 1 passes on the 8 words behind exit 0's, segment 2 the last 4.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from exeunt.hls.back.stitch_core import CoreDescription, ExitDescription, render_core, render_top

HERE = Path(__file__).parent
EXITS = 3
CLASSES = 4
BITS = 14
WIDTH = 16
WORDS = (12, 8, 4)  # words a frame behind each segment
IN_FLIGHT = 8
HASH = 0x1234ABCD


@dataclass(frozen=True)
class Design:
    """Timing of the stubs and sizes of the controller; `early` heads decide in mid-frame."""

    name: str
    latencies: tuple[int, int, int]
    head_latencies: tuple[int, int, int]
    paces: tuple[int, int, int]
    lanes: tuple[int, int, int]
    early: tuple[bool, bool, bool]
    buffers: tuple[int, int]
    decision_depth: int
    criterion: str = "margin"


DESIGNS = {
    "early": Design(
        "early", (3, 9, 2), (1, 5, 2), (1, 2, 3), (2, 4, 1), (True, True, False), (36, 16), 1
    ),
    "tight": Design(
        "tight", (1, 1, 30), (40, 3, 25), (1, 1, 1), (1, 2, 4), (False, True, True), (12, 8), 1
    ),
    "carried": Design(
        "carried",
        (2, 1, 9),
        (3, 1, 5),
        (1, 1, 2),
        (1, 4, 2),
        (False, True, True),
        (24, 8),
        2,
        criterion="exclusion",
    ),
}


def describe(design: Design) -> CoreDescription:
    """The description of the core around the stubs."""
    return CoreDescription(
        name=f"controller test {design.name}",
        input_width=WIDTH,
        input_words=WORDS[0],
        classes=CLASSES,
        exits=tuple(
            ExitDescription(
                segment_width=WIDTH,
                segment_words=WORDS[i],
                logits_lanes=design.lanes[i],
                logits_bits=BITS,
                buffer_depth=design.buffers[i] if i < 2 else 0,
                decision_depth=design.decision_depth,
                segment_depth=2 * (i != 1),
            )
            for i in range(EXITS)
        ),
        in_flight=IN_FLIGHT,
        hash=HASH,
        criterion=design.criterion,
    )


PORTS = """  input wire clk, input wire rst, input wire s_valid, output wire s_ready,
  input wire [{a}:0] s_data, output wire m_valid, input wire m_ready, output wire [{b}:0] m_data"""
CONNECT = (
    ".clk(clk), .rst(rst), .s_valid(s_valid), .s_ready(s_ready), .s_data(s_data),\n"
    "    .m_valid(m_valid), .m_ready(m_ready), .m_data(m_data)"
)


def sources(design: Design) -> dict[str, str]:
    """Every generated file: core, top, seg<i>, head<i> and the bench around the top."""
    description = describe(design)
    texts = {"exeunt_core.sv": render_core(description), "exeunt_top.sv": render_top(description)}
    for i in range(EXITS):
        words = WORDS[i - 1] if i else WORDS[0]
        ports = PORTS.format(a=WIDTH - 1, b=WIDTH - 1)
        texts[f"seg{i}.sv"] = (
            f"module seg{i} (\n{ports}\n);\n"
            f"  stub_segment #(.WIDTH({WIDTH}), .WORDS({words}), .SKIP({words - WORDS[i]}),\n"
            f"    .LATENCY({design.latencies[i]}), .PACE({design.paces[i]})) u (\n"
            f"    {CONNECT});\nendmodule\n"
        )
        ports = PORTS.format(a=WIDTH - 1, b=design.lanes[i] * BITS - 1)
        texts[f"head{i}.sv"] = (
            f"module head{i} (\n{ports}\n);\n"
            f"  stub_head #(.WIDTH({WIDTH}), .WORDS({WORDS[i]}), .CLASSES({CLASSES}),\n"
            f"    .PE({design.lanes[i]}), .BITS({BITS}), .LATENCY({design.head_latencies[i]}),\n"
            f"    .WHOLE(1'b{int(not design.early[i])})) u (\n"
            f"    {CONNECT});\nendmodule\n"
        )
    texts["bench.sv"] = bench()
    return texts


def bench() -> str:
    """A top with an active-high reset and visible ports around exeunt_top."""
    ports = {
        "s_axis_tvalid": 1, "s_axis_tdata": WIDTH, "s_axis_tlast": 1, "m_axis_tready": 1,
        "s_axil_awvalid": 1, "s_axil_awaddr": 12, "s_axil_awprot": 3, "s_axil_wvalid": 1,
        "s_axil_wdata": 32, "s_axil_wstrb": 4, "s_axil_bready": 1, "s_axil_arvalid": 1,
        "s_axil_araddr": 12, "s_axil_arprot": 3, "s_axil_rready": 1,
    }  # fmt: skip
    outputs = {
        "s_axis_tready": 1, "m_axis_tvalid": 1, "m_axis_tdata": 128, "m_axis_tkeep": 16,
        "m_axis_tlast": 1, "s_axil_awready": 1, "s_axil_wready": 1, "s_axil_bvalid": 1,
        "s_axil_bresp": 2, "s_axil_arready": 1, "s_axil_rvalid": 1, "s_axil_rdata": 32,
        "s_axil_rresp": 2,
    }  # fmt: skip
    public = "/* verilator public_flat_rw */"
    lines = [f"  input wire {name} {public}" for name in ("clk", "rst")]
    for kind, group in (("input", ports), ("output", outputs)):
        for name, width in group.items():
            size = f"[{width - 1}:0] " if width > 1 else ""
            lines.append(f"  {kind} wire {size}{name} {public}")
    wires = ", ".join(f".{name}({name})" for name in (*ports, *outputs))
    return (
        "module bench (\n" + ",\n".join(lines) + "\n);\n"
        f"  exeunt_top u (.aclk(clk), .aresetn(!rst), {wires});\nendmodule\n"
    )


def beats(logits: np.ndarray) -> list[int]:
    """Input beats of frames: logits int (N, EXITS, CLASSES), sign-extended to a beat."""
    return (logits.reshape(-1) & ((1 << WIDTH) - 1)).tolist()


def frames_for(exits: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Logits (N, EXITS, CLASSES) whose margins are >= 100 first at each frame's exit."""
    count = len(exits)
    logits = rng.integers(-4000, 4000, (count, EXITS, CLASSES))
    top = rng.integers(0, CLASSES, (count, EXITS))
    n, e = np.indices(top.shape)
    logits[n, e, top] = -5000
    high = logits.max(axis=2)
    leaves = np.arange(EXITS)[None, :] >= exits[:, None]
    margins = np.where(leaves, rng.integers(100, 900, high.shape), rng.integers(0, 100, high.shape))
    logits[n, e, top] = high + margins
    return logits
