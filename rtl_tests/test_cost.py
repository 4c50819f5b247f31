"""The cost model against fresh counts: corners that are not in its table."""

from __future__ import annotations

from typing import Any

import cost_sizes
import pytest
import sizes
from add.corners import node as add_node
from concat.corners import node as concat_node
from duplicate.corners import node as duplicate_node
from lib.bench import BUILD, kernel_corner
from lib.yosys import measure

from exeunt.graph import Integer
from exeunt.kernels import registry
from exeunt.kernels.layer import Style
from exeunt.kernels.mvu.products import unit
from exeunt.kernels.parts import levels
from exeunt.kernels.parts.size import Size, fifo
from exeunt.synth.counts import XC7, XC7_LUTS

ERROR = 0.25  # of the count, 40 LUT more for small blocks, as in the fit


def mvu(rows: int, columns: int, simd: int, pe: int, widths: tuple[int, int, int]) -> Any:
    in_bits, weight_bits, acc_bits = widths
    return {
        "kind": "mvu", "rows": rows, "columns": columns, "simd": simd, "pe": pe,
        "in_bits": in_bits, "weight_bits": weight_bits, "acc_bits": acc_bits,
    }  # fmt: skip


FRESH = [
    mvu(12, 45, 5, 2, (4, 3, 11)),
    mvu(10, 96, 3, 1, (3, 5, 13)),
    mvu(6, 25, 1, 3, (8, 2, 13)),
    mvu(12, 60, 4, 6, (4, 4, 14)),
    {"kind": "threshold", "channels": 12, "pe": 2, "in_bits": 13, "levels": 15},
]


U4, U8, S6 = Integer(4), Integer(8), Integer(6, signed=True)

JOINS = [
    kernel_corner(add_node((U4, S6), (1, 1), lanes=6)),
    kernel_corner(add_node((U4, U4), (3, -5), lanes=3)),
    kernel_corner(add_node((U8, S6), (9, -19), lanes=4)),
    kernel_corner(concat_node((U4, U4), (1, 1), (3, 2), lanes=12)),
    kernel_corner(concat_node((U4, S6), (6, -7), (4, 4), lanes=5)),
    kernel_corner(concat_node((U8, U8), (11, 1), (4, 4), lanes=3)),
    kernel_corner(duplicate_node(20, 3, 5)),
]
QUEUES = ((12, 2), (9, 7), (24, 30), (5, 50), (40, 64), (18, 300), (64, 1000))


@pytest.mark.synth
@pytest.mark.slow
def test_joins_and_queues_are_predicted() -> None:
    """Kernels with several streams, with and without DSPs, and FIFOs by their depth."""
    queues = [sizes.fifo(*queue) for queue in QUEUES]
    lines: list[tuple[str, Size, dict[str, int]]] = []
    for target in (XC7, XC7_LUTS):
        counted = measure(BUILD / f"cost_joins_{target.name}", [*JOINS, *queues], target)
        for corner, count in zip(JOINS, counted, strict=False):
            node = corner.node
            assert node is not None
            lines.append((node.name, registry.of(node).size(node, target is XC7), count))
        for queue, count in zip(QUEUES, counted[len(JOINS) :], strict=True):
            lines.append((f"fifo {queue}", fifo(*queue), count))
    wrong = [
        f"{name}: {size}, counted {count}"
        for name, size, count in lines
        if abs(size.lut - count["lut"]) > ERROR * (count["lut"] + 40)
        or (size.dsp, size.bram18) != (count["dsp"], count["bram18"])
    ]
    assert not wrong, "\n".join(wrong)


STYLES: dict[str, Style] = {"adders": "lut", "packed": "packed"}


@pytest.mark.synth
@pytest.mark.slow
def test_fresh_corners_are_predicted() -> None:
    table = cost_sizes.TABLE.read_text()
    for row in cost_sizes.counted(FRESH, "cost_fresh"):
        values = {k: v for k, v in row.items() if k not in ("kind", *cost_sizes.SIZES)}
        name = cost_sizes.name(row)
        if row["kind"] == "threshold":
            size = levels.size(**values)
            assert abs(size.lut - row["luts"]["lut"]) <= ERROR * (row["luts"]["lut"] + 40), name
            continue
        assert f'"columns": {row["columns"]}, "simd": {row["simd"]}, "pe": {row["pe"]}' not in table
        for mapped in cost_sizes.SIZES:
            if mapped == "packed" and not cost_sizes.shares(row):
                continue  # no lanes that could share a DSP
            size = unit(
                **values, dsp=mapped in ("dsp", "packed"), multiplier=STYLES.get(mapped, "")
            )
            counted = row[mapped]
            assert abs(size.lut - counted["lut"]) <= ERROR * (counted["lut"] + 40), (name, mapped)
            assert (size.dsp, size.bram18) == (counted["dsp"], counted["bram18"]), (name, mapped)
