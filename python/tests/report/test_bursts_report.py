"""The sections of report.html about frames that wait."""

from __future__ import annotations

import copy
from typing import Any

from exeunt.report import bursts, document

ROW = {"images": 60, "p50": 131, "p95": 200, "p99": 236, "max": 240, "curve": [131, 131, 236, 240]}
REPORT: dict[str, Any] = {
    "hardware": {"clock_mhz": 50.0},
    "compile": {
        "bursts": {
            "buffers": [3], "queues": [5], "in_flight": 16, "intervals": [64.0, 96.0],
            "headroom": [1.0, 1.321], "frames": 5000, "cycles_per_image": 66.0, "ideal": 64.0,
            "of_ideal": 64 / 66, "found": True,
            "worst": {"hard": {"frames": 200, "cycles_per_image": 96.0, "ideal": 96.0}},
        },
    },
    "pace": {"images": 900, "cycles_per_image": 65.5, "ideal": 64.0, "of_ideal": 64 / 65.5},
    "drift": {
        "points": [
            {"factor": f, "reach": [1.0, 0.4 * f], "frames": 2000, "cycles_per_image": 64.0 * f,
             "latency": {"p50": 131, "p95": 400, "p99": 4000}}
            for f in (0.5, 1.0, 2.0)
        ],
        "checked": [{"factor": 2.0, "images": 120, "mismatches": 0, "frames_exact": 119,
                     "cycles_per_image": 120.5, "predicted": 120.4}],
    },
    "latency": {
        "spacing": 0, "exits": [{"index": 0, **ROW}, {"index": 1, "images": 0}], "all": ROW,
        "spaced": {"spacing": 70, "all": {**ROW, "images": 12}, "exits": [],
                   "promised": {"p50": 131, "p95": 190, "p99": 230}, "alone": False},
    },
}  # fmt: skip


def test_room_and_drift() -> None:
    found = bursts.bursts(REPORT)
    assert found is not None
    assert found["text"] == (
        "Head room, buffers, queues and the frames in flight are the least with which the exits of "
        "the validation images, in their order, pass at that pace. By the cycle reference 5,000 "
        "frames take 66.0 cycles each, 97.0% of the pace that the slowest stage would allow if no "
        "frame ever waited. In the RTL 900 test images take 65.5, 97.7% of theirs."
    )
    room, worst, drawn, drift, checked = found["parts"]
    assert room["title"] == "Room; 16 frames in flight at most"
    assert room["rows"] == [
        ["stage 0", "64", "1.00", "-", "3"], ["stage 1", "96", "1.32", "5", "-"]
    ]  # fmt: skip
    assert worst["rows"] == [["every frame stays to the end", "200", "96.0", "96.0"]]
    assert drawn["svg"].count("<svg") == 1
    assert drift["rows"][0] == ["0.5", "20.0%", "2,000", "32.0", "131", "400", "4,000"]
    assert checked["rows"] == [["2", "120", "0", "119", "120.5", "120.4"]]


def test_latency_in_cycles_and_microseconds() -> None:
    found = bursts.latency(REPORT)
    assert found is not None
    drawn, table, promised = found["parts"]
    assert drawn["svg"].count("<svg") == 1
    cells = ["131 (2.62)", "200 (4.00)", "236 (4.72)", "240 (4.80)"]
    assert table["rows"] == [
        ["exit 0", "60", *cells], ["exit 1", "0", "-", "-", "-", "-"], ["all", "60", *cells]
    ]  # fmt: skip
    assert table["head"][0] == "latency in cycles (us)"
    assert promised["rows"][1] == ["p95", "190 (3.80)", "200 (4.00)"]
    assert promised["head"] == ["", "promised", "12 validation images through the RTL"]
    assert promised["title"] == "Promised for a frame every 70 cycles"
    lone = copy.deepcopy(REPORT)
    lone["latency"]["spaced"]["alone"] = True
    again = bursts.latency(lone)
    assert again is not None
    assert again["parts"][2]["title"] == "Promised for frames alone (one every 70 cycles)"


def test_nothing_is_said_of_what_there_is_not(tmp_path: Any) -> None:
    assert bursts.bursts({}) is None
    assert bursts.latency({}) is None
    one = copy.deepcopy(REPORT)
    one["compile"]["bursts"]["buffers"] = []  # a single exit
    assert bursts.bursts(one) is None
    blind = copy.deepcopy(REPORT)
    blind["compile"]["bursts"]["found"] = False
    del blind["drift"]
    found = bursts.bursts(blind)
    assert found is not None
    assert found["text"].startswith("Nothing is known of the order in which frames leave")
    assert len(found["parts"]) == 2
    names = [s["id"] for s in document.sections(tmp_path, REPORT)]
    assert names.index("latency") < names.index("bursts")
