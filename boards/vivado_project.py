"""The Vivado project of a design on a Zynq: an IP, a block design, and the script that builds it.

Everything that Vivado reads lies in one folder, so that it can be built on another machine; memory
contents stand in the sources, so that none stays empty for want of a file. The same manifest and
board give the same bytes.
"""

from __future__ import annotations

import math
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exeunt import registers
from exeunt.boards import contents
from exeunt.boards.targets import Board
from exeunt.errors import InputError
from exeunt.manifest import Manifest

if TYPE_CHECKING:
    import jinja2

RELEASES = ("2022.2", "2023.1", "2023.2", "2024.1", "2024.2")
"""Versions of Vivado that the scripts are written for."""
END = "exeunt: end of build"
RESULT_BYTES = 16
MAP_BYTES = 4
MOST_STREAM_BYTES = 128
"""Widest stream of the AXI DMA."""
MOST_CONVERTER_BYTES = 512
"""Widest word inside the AXI4-Stream width converter."""
RUN_MEMORY = 6
"""Gigabytes that a run of Vivado is given: no more of them at once than the memory has room for."""
EXPLAIN = "explain"
"""What a manifest has for accelerators that give heat maps."""
SCRIPTS = ("build.tcl", "package.tcl", "design.tcl")

_AXIL = (
    ("in", "awvalid", 1), ("out", "awready", 1), ("in", "awaddr", registers.ADDRESS_BITS),
    ("in", "awprot", 3), ("in", "wvalid", 1), ("out", "wready", 1), ("in", "wdata", 32),
    ("in", "wstrb", 4), ("out", "bvalid", 1), ("in", "bready", 1), ("out", "bresp", 2),
    ("in", "arvalid", 1), ("out", "arready", 1), ("in", "araddr", registers.ADDRESS_BITS),
    ("in", "arprot", 3), ("out", "rvalid", 1), ("in", "rready", 1), ("out", "rdata", 32),
    ("out", "rresp", 2),
)  # fmt: skip
_MAPS = (
    ("out", "tvalid", 1), ("in", "tready", 1), ("out", "tdata", 8 * MAP_BYTES),
    ("out", "tkeep", MAP_BYTES), ("out", "tlast", 1),
)  # fmt: skip
_VLNV = {
    "s_axis": "xilinx.com:interface:axis:1.0",
    "m_axis": "xilinx.com:interface:axis:1.0",
    "m_axis_map": "xilinx.com:interface:axis:1.0",
    "s_axil": "xilinx.com:interface:aximm:1.0",
}


@dataclass(frozen=True)
class Dma:
    """How the DMA feeds the accelerator: bits of its memory port, bytes a beat of its stream."""

    memory_bits: int
    stream_bytes: int


def dma_of(word_bytes: int, port_bits: int) -> Dma:
    """The widths of a DMA that feeds words of `word_bytes` bytes through a port of `port_bits`.

    The stream is as wide as a word where the DMA has that width. Otherwise a converter takes the
    words out of wider beats, without gaps between them: it works on the least common multiple of
    both, so the widest stream is taken for which it can.

    Raises:
        InputError: a word is wider than the converter.
    """
    if word_bytes > MOST_CONVERTER_BYTES:
        raise InputError(
            f"an input beat must have at most {MOST_CONVERTER_BYTES} bytes for the DMA, got "
            f"{word_bytes}: fold the first layer to fewer inputs at a time"
        )
    widths = [2**k for k in range(8)]
    if word_bytes in widths:
        best = word_bytes
    else:
        enough = 1 << (word_bytes - 1).bit_length()
        fits = [
            w for w in widths if w <= enough and math.lcm(w, word_bytes) <= MOST_CONVERTER_BYTES
        ]
        best = max(fits)
    return Dma(max(port_bits, 32, 8 * best), best)


def _mega(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")


def _system(board: Board) -> dict[str, Any]:
    """What differs between the processing systems: ports, pins, address map."""
    vivado = board.vivado
    assert vivado is not None
    clock = _mega(board.clock_mhz)
    if board.family == "xc7":
        return {
            "ip": "processing_system7",
            "ports": {
                "PCW_FPGA0_PERIPHERAL_FREQMHZ": clock,
                "PCW_EN_CLK0_PORT": "1",
                "PCW_EN_RST0_PORT": "1",
                "PCW_USE_M_AXI_GP0": "1",
                "PCW_USE_S_AXI_HP0": "1",
                "PCW_S_AXI_HP0_DATA_WIDTH": str(vivado.port_bits),
                "PCW_USE_FABRIC_INTERRUPT": "1",
                "PCW_IRQ_F2P_INTR": "1",
            },
            "external": {
                "DDR": "xilinx.com:interface:ddrx_rtl:1.0",
                "FIXED_IO": "xilinx.com:display_processing_system7:fixedio_rtl:1.0",
            },
            "clock": "clk_fpga_0",
            "master": "M_AXI_GP0",
            "slave": "S_AXI_HP0",
            "clock_out": "FCLK_CLK0",
            "clock_in": ("M_AXI_GP0_ACLK", "S_AXI_HP0_ACLK"),
            "reset": "FCLK_RESET0_N",
            "irq": "IRQ_F2P",
            "segments": (("S_AXI_HP0/HP0_DDR_LOWOCM", "0x00000000", "512M"),),
            "base": {
                "dma": "0x40400000",
                "maps": "0x40410000",
                "exeunt": "0x43C00000",
                "intc": "0x41800000",
            },
            "families": "zynq",
        }
    return {
        "ip": "zynq_ultra_ps_e",
        "ports": {
            "PSU__FPGA_PL0_ENABLE": "1",
            "PSU__CRL_APB__PL0_REF_CTRL__SRCSEL": "IOPLL",
            "PSU__CRL_APB__PL0_REF_CTRL__FREQMHZ": clock,
            "PSU__USE__FABRIC__RST": "1",
            "PSU__NUM_FABRIC_RESETS": "1",
            "PSU__USE__M_AXI_GP0": "1",
            "PSU__USE__M_AXI_GP1": "0",
            "PSU__USE__M_AXI_GP2": "0",
            "PSU__USE__S_AXI_GP2": "1",
            "PSU__SAXIGP2__DATA_WIDTH": str(vivado.port_bits),
            "PSU__USE__IRQ0": "1",
        },
        "external": {},
        "clock": "clk_pl_0",
        "master": "M_AXI_HPM0_FPD",
        "slave": "S_AXI_HP0_FPD",
        "clock_out": "pl_clk0",
        "clock_in": ("maxihpm0_fpd_aclk", "saxihp0_fpd_aclk"),
        "reset": "pl_resetn0",
        "irq": "pl_ps_irq0",
        "segments": (
            ("SAXIGP2/HP0_DDR_LOW", "0x00000000", "2G"),
            *((("SAXIGP2/HP0_DDR_HIGH", "0x800000000", "2G"),) if vivado.high_memory else ()),
        ),
        "base": {
            "dma": "0xA0000000",
            "exeunt": "0xA0010000",
            "intc": "0xA0020000",
            "maps": "0xA0030000",
        },
        "families": "zynquplus",
    }


def _wiring(board: Board, word_bytes: int, *, maps: bool = False) -> dict[str, Any]:
    """All of the block design that follows from the board and the accelerator's streams.

    `maps`: it gives heat maps, which have a DMA of their own.
    """
    ps = _system(board)
    assert board.vivado is not None
    dma = dma_of(word_bytes, board.vivado.port_bits)
    converter = dma.stream_bytes != word_bytes
    feed = [("dma_0/M_AXIS_MM2S", "exeunt_0/s_axis")]
    if converter:
        feed = [("dma_0/M_AXIS_MM2S", "width_0/S_AXIS"), ("width_0/M_AXIS", "exeunt_0/s_axis")]
    clocked = [
        *(f"ps_0/{pin}" for pin in ps["clock_in"]),
        "rst_0/slowest_sync_clk",
        "exeunt_0/aclk",
        "dma_0/s_axi_lite_aclk",
        "dma_0/m_axi_mm2s_aclk",
        "dma_0/m_axi_s2mm_aclk",
        *(["maps_0/s_axi_lite_aclk", "maps_0/m_axi_s2mm_aclk"] if maps else []),
        *(["width_0/aclk"] if converter else []),
        "control_0/aclk",
        "memory_0/aclk",
        "intc_0/s_axi_aclk",
    ]
    reset = [
        "exeunt_0/aresetn",
        "dma_0/axi_resetn",
        *(["maps_0/axi_resetn"] if maps else []),
        *(["width_0/aresetn"] if converter else []),
        "control_0/aresetn",
        "memory_0/aresetn",
        "intc_0/s_axi_aresetn",
    ]
    spaces = ["dma_0/Data_MM2S", "dma_0/Data_S2MM", *(["maps_0/Data_S2MM"] if maps else [])]
    memory = [
        (space, f"ps_0/{segment}", offset, size)
        for space in spaces
        for segment, offset, size in ps["segments"]
    ]
    streams = [("exeunt_0/m_axis_map", "maps_0/S_AXIS_S2MM")] if maps else []
    busses = [
        ("control_0/M03_AXI", "maps_0/S_AXI_LITE"),
        ("maps_0/M_AXI_S2MM", "memory_0/S02_AXI"),
    ]
    place = ("ps_0/Data", "maps_0/S_AXI_LITE/Reg", ps["base"]["maps"], "64K")
    return {
        "ps": ps,
        "dma": dma,
        "maps": maps,
        "spaces": spaces,
        "streams": [*feed, ("exeunt_0/m_axis", "dma_0/S_AXIS_S2MM"), *streams],
        "busses": [
            (f"ps_0/{ps['master']}", "control_0/S00_AXI"),
            ("control_0/M00_AXI", "dma_0/S_AXI_LITE"),
            ("control_0/M01_AXI", "exeunt_0/s_axil"),
            ("control_0/M02_AXI", "intc_0/s_axi"),
            ("dma_0/M_AXI_MM2S", "memory_0/S00_AXI"),
            ("dma_0/M_AXI_S2MM", "memory_0/S01_AXI"),
            *(busses if maps else []),
            ("memory_0/M00_AXI", f"ps_0/{ps['slave']}"),
        ],
        "nets": [
            ("clock", f"ps_0/{ps['clock_out']}", clocked),
            ("reset in", f"ps_0/{ps['reset']}", ["rst_0/ext_reset_in"]),
            ("reset", "rst_0/peripheral_aresetn", reset),
            ("mm2s", "dma_0/mm2s_introut", ["concat_0/In0"]),
            ("s2mm", "dma_0/s2mm_introut", ["concat_0/In1"]),
            *([("maps", "maps_0/s2mm_introut", ["concat_0/In2"])] if maps else []),
            ("requests", "concat_0/dout", ["intc_0/intr"]),
            ("interrupt", "intc_0/irq", [f"ps_0/{ps['irq']}"]),
        ],
        "used": [f"ps_0/{segment}" for segment, _, _ in ps["segments"]],
        "addresses": [
            ("ps_0/Data", "dma_0/S_AXI_LITE/Reg", ps["base"]["dma"], "64K"),
            ("ps_0/Data", "exeunt_0/s_axil/reg0", ps["base"]["exeunt"], "4K"),
            ("ps_0/Data", "intc_0/S_AXI/Reg", ps["base"]["intc"], "64K"),
            *([place] if maps else []),
            *memory,
        ],
    }


def _ports(word_bytes: int, *, maps: bool) -> list[tuple[str, str, str, int]]:
    """Interface, direction, signal and width of every port of exeunt_top but clock and reset."""
    bits = 8 * RESULT_BYTES
    return [
        ("s_axis", "in", "tvalid", 1),
        ("s_axis", "out", "tready", 1),
        ("s_axis", "in", "tdata", 8 * word_bytes),
        ("s_axis", "in", "tlast", 1),
        ("m_axis", "out", "tvalid", 1),
        ("m_axis", "in", "tready", 1),
        ("m_axis", "out", "tdata", bits),
        ("m_axis", "out", "tkeep", RESULT_BYTES),
        ("m_axis", "out", "tlast", 1),
        *((("m_axis_map", *port) for port in _MAPS) if maps else ()),
        *(("s_axil", way, signal, width) for way, signal, width in _AXIL),
    ]


@cache
def _environment() -> jinja2.Environment:
    import jinja2

    return jinja2.Environment(
        loader=jinja2.FunctionLoader(
            lambda name: (
                resources.files("exeunt.boards")
                .joinpath("common", name)
                .read_text(encoding="utf-8")
            )
        ),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def word_bytes_of(manifest: Manifest) -> int:
    """Bytes of a beat of the accelerator's input stream."""
    return -(-int(manifest.data["input"]["width"]) // 8)


def _listed(manifest: Manifest) -> list[Path]:
    return [manifest.folder / name for name in manifest.data["files"]]


def _memories(manifest: Manifest) -> list[Path]:
    """Files that the sources read their memories' contents from."""
    return [p for p in _listed(manifest) if p.suffix in (".hex", ".mem", ".dat")]


def render(manifest: Manifest, board: Board, *, memories: Sequence[str] = ()) -> dict[str, str]:
    """File name -> text of the scripts and of the IP's top module.

    Args:
        manifest: of the design.
        board: with a processing system.
        memories: files that the sources read their memories' contents from.

    Raises:
        InputError: the accelerator's input is too wide.
    """
    word_bytes = word_bytes_of(manifest)
    maps = EXPLAIN in manifest.data
    wiring = _wiring(board, word_bytes, maps=maps)
    ports = _ports(word_bytes, maps=maps)
    values = {
        **wiring,
        "board": board,
        "name": manifest.data["name"],
        "design_hash": manifest.data["design_hash"],
        "word_bytes": word_bytes,
        "registers": 1 << registers.ADDRESS_BITS,
        "family": wiring["ps"]["families"],
        "sources": [*(path.name for path in manifest.sources), "exeunt_ip.v"],
        "memories": sorted(memories),
        "ports": ports,
        "interfaces": list(dict.fromkeys(interface for interface, *_ in ports)),
        "vlnv": _VLNV,
        "releases": RELEASES,
        "clock_hz": round(board.clock_mhz * 1e6),
        "run_memory": RUN_MEMORY,
        "unknown_memory": 2 * RUN_MEMORY,
        "end": END,
    }
    names = (*SCRIPTS, "exeunt_ip.v")
    return {name: _environment().get_template(f"{name}.j2").render(values) for name in names}


def write(manifest: Manifest, board: Board, folder: Path) -> None:
    """Write the whole project into the new folder `folder`.

    Raises:
        InputError: the board has no preset, or the design does not suit it.
    """
    assert board.vivado is not None
    texts, left = contents.inline(
        {path.name: path.read_text(encoding="utf-8") for path in manifest.sources},
        {path.name: path.read_text(encoding="ascii") for path in _memories(manifest)},
    )
    scripts = render(manifest, board, memories=left)
    preset = board.file(board.vivado.preset)
    source = folder / "ip" / "src"
    source.mkdir(parents=True)
    for path in _listed(manifest):
        if path.suffix in (".svh", ".vh") or path.name in left:
            shutil.copyfile(path, source / path.name)
    texts["exeunt_ip.v"] = scripts.pop("exeunt_ip.v")
    for name, text in texts.items():
        (source / name).write_text(text, encoding="utf-8")
    shutil.copyfile(preset, folder / "preset.tcl")
    for name, text in scripts.items():
        (folder / name).write_text(text, encoding="ascii")
