"""report.html tells of bitstreams, and of nothing where there are none."""

from __future__ import annotations

from pathlib import Path

from exeunt.report import document, store
from exeunt.report.bitstreams import bitstreams


def test_bitstreams_in_the_report(finished: Path) -> None:
    counted = {"target": "xc7", "tool": "Yosys", "resources": {"lut": 3}}
    assert bitstreams({"synthesis": [counted]}) is None
    made = {
        "board": "ulx3s-85f", "tool": "nextpnr-ecp5", "clock_mhz": 60.0, "fmax_mhz": 61.49,
        "bitstream": "bitstream/ulx3s-85f/exeunt.bit", "sha256": "a" * 64,
        "resources": {"lut": 20910, "ff": 4, "dsp": 5, "bram18": 6},
        "available": {"lut": 83640, "ff": 83640, "dsp": 156, "bram18": 208},
        "timing": {"worst_slack_ns": 0.404}, "power": None,
    }  # fmt: skip
    project = {"board": "pynq-z2", "tool": None, "bitstream": None, "sha256": None,
               "fmax_mhz": None, "clock_mhz": 100.0, "resources": None, "timing": None}  # fmt: skip
    part = bitstreams({"synthesis": [counted, made, project]})
    assert part is not None
    rows, used = (table["rows"] for table in part["parts"])
    assert rows == [
        ["ulx3s-85f", "nextpnr-ecp5", "60.0", "61.5", "0.40", "-", "bitstream/ulx3s-85f/exeunt.bit",
         "a" * 16],
        ["pynq-z2", "-", "100.0", "-", "-", "-", "project only", "-"],
    ]  # fmt: skip
    assert used == [
        ["ulx3s-85f", "20,910 of 83,640 (25.0%)", "4 of 83,640 (0.0%)", "5 of 156 (3.2%)",
         "6 of 208 (2.9%)"]
    ]  # fmt: skip
    assumed = "is assumed; nothing was placed, routed"
    assert assumed in document.write(finished).read_text(encoding="utf-8")
    store.update(finished, {"synthesis": [made, project]})
    html = document.write(finished).read_text(encoding="utf-8")
    assert "20,910 of 83,640 (25.0%)" in html
    assert assumed not in html
