"""The section of the report about what stands beside the kernels."""

from __future__ import annotations

from typing import Any

from exeunt.report import beside, optimised

SIZES = {
    "explanations": {"lut": 2410, "dsp": 9, "bram18": 19},
    "rules": {"lut": 343, "dsp": 1, "bram18": 2},
    "hold": {"lut": 493, "dsp": 0, "bram18": 0},
}


def test_each_has_a_row_and_what_yosys_counts() -> None:
    block = {"level": 1, "lut": 2300, "ff": 1900, "dsp": 9, "bram18": 18}
    other = {"level": 2, "lut": 5, "ff": 5, "dsp": 0, "bram18": 0}
    report: dict[str, Any] = {
        "compile": {"beside": SIZES},
        "synthesis": [
            {"target": "ecp5", "blocks": []},
            {
                "target": "xc7",
                "blocks": [{"name": "explain", **block}, {"name": "rules", **other}],
            },
        ],
    }
    part = beside.beside(report)
    assert part is not None
    rows = part["parts"][0]["rows"]
    assert rows[0] == ["explanations", "2,410", "9", "19", "2,300 LUT, 9 DSP, 18 BRAM18"]
    assert rows[1] == ["rules and further looks", "343", "1", "2", "-"]
    assert rows[2][0] == "what holds a rate or a latency"
    assert beside.beside({"compile": {}}) is None
    assert beside.beside({}) is None


def test_the_picture_of_a_filled_board_has_their_parts() -> None:
    found = {
        "predicted": {"lut": 6000, "dsp": 30, "bram18": 40},
        "beside": SIZES,
        "nodes": [{"chain": "seg0", "lut": 1500, "dsp": 10, "bram18": 12}],
    }
    parts = dict(optimised._parts(found))
    assert list(parts) == ["stage 0", *SIZES, "controller and the rest"]
    assert parts["controller and the rest"]["lut"] == 6000 - 1500 - 2410 - 343 - 493
