"""The cost model against fresh counts: corners that are not in its table."""

from __future__ import annotations

from typing import Any

import cost_sizes
import pytest

from exeunt.kernels.mvu import unit
from exeunt.kernels.parts import levels

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
    {"kind": "threshold", "channels": 12, "pe": 2, "in_bits": 13, "levels": 15},
]


@pytest.mark.synth
@pytest.mark.slow
def test_fresh_corners_are_predicted() -> None:
    table = cost_sizes.TABLE.read_text()
    for row in cost_sizes.counted(FRESH, "cost_fresh"):
        values = {k: v for k, v in row.items() if k not in ("kind", "dsp", "luts")}
        name = cost_sizes.name(row)
        if row["kind"] == "threshold":
            size = levels.size(**values)
            assert abs(size.lut - row["luts"]["lut"]) <= ERROR * (row["luts"]["lut"] + 40), name
            continue
        assert f'"columns": {row["columns"]}, "simd": {row["simd"]}, "pe": {row["pe"]}' not in table
        for mapped in ("luts", "dsp"):
            size, counted = unit(**values, dsp=mapped == "dsp"), row[mapped]
            assert abs(size.lut - counted["lut"]) <= ERROR * (counted["lut"] + 40), (name, mapped)
            assert (size.dsp, size.bram18) == (counted["dsp"], counted["bram18"]), (name, mapped)
