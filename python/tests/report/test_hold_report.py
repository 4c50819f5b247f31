"""The section of report.html about thresholds that follow."""

from __future__ import annotations

import copy
from typing import Any

from exeunt.report import document, hold

WINDOWS = [{"at": [15, 31, 47], "rate": [0.5, 0.25, 0.3]}, {"at": [40], "rate": [0.75]}]
REPORT: dict[str, Any] = {
    "hold": {
        "images": 1200, "half": 600, "factor": 2.0, "window": 16,
        "off": {
            "mismatches": 0, "windows": WINDOWS, "frames_exact": 1200,
            "rates": [[0.6, 0.2], [0.5, 0.5], [1.0, 1.0]],
            "cycles_per_image": [100.0, 1234.56], "accuracy": [0.99, 0.97],
        },
        "on": {
            "mismatches": 0, "windows": WINDOWS, "frames_exact": 1200,
            "rates": [[0.6, 0.45], [0.5, 0.6], [1.0, 1.0]],
            "cycles_per_image": [101.0, 200.0], "accuracy": [0.99, 0.95],
        },
        "exits": [
            {"threshold": 240, "limits": [0.5, 0.7], "step": 30, "floor": -240, "ceiling": 240,
             "offset": -90, "raised": 2, "lowered": 5,
             "path": [[0, 0], [40, -30], [600, -90]]},
            {"threshold": 1500, "limits": [0.4, 0.6], "step": 188, "floor": -1500,
             "ceiling": 1500, "offset": 0, "raised": 0, "lowered": 0, "path": [[3, 0]]},
        ],
        "latency": {
            "limit": 2119, "limits": [0.05, 0.15], "late_off": [0.1, 0.42],
            "late_on": [0.09, 0.16], "offsets": [-90, -188], "raised": [1, 0], "lowered": [4, 1],
            "decisions": 1839, "exact": 1836,
        },
    },
}  # fmt: skip


def test_rates_cycles_and_changes() -> None:
    found = hold.hold(REPORT)
    assert found is not None
    assert found["text"] == (
        "1,200 test images go through the RTL twice, with thresholds that stay and with thresholds "
        "that hold the rate of each exit, each window of 16 decisions within its limits. From "
        "image 600 on 2 times as many go on as in the validation set. Every answer, every offset "
        "and every count of changes is the reference's."
    )
    drawn, halves, exits, latency = found["parts"]
    assert drawn["svg"].count("<svg") == 1
    assert halves["rows"][1] == ["thresholds stay, second half", "20.0%, 50.0%", "1,234.6",
                                 "97.0%", "0"]  # fmt: skip
    assert halves["rows"][3] == ["thresholds follow, second half", "45.0%, 60.0%", "200.0",
                                 "95.0%", "0"]  # fmt: skip
    assert exits["rows"][0] == ["exit 0", "50.0% to 70.0%", "240", "30", "-240 to 240", "-90",
                                "2", "5"]  # fmt: skip
    assert latency["rows"][1] == ["later than the limit, thresholds follow", "9.0%", "16.0%"]
    assert latency["title"].startswith(
        "5.0% to 15.0% of the results later than 2,119 cycles; raised and lowered by exit 1 and 4, "
        "0 and 1; 1,836 of 1,839 decisions done again exactly"
    )


def test_nothing_is_said_of_what_is_not_there(tmp_path) -> None:
    assert hold.hold({}) is None
    assert "hold" in [s["id"] for s in document.sections(tmp_path, REPORT)]
    without = copy.deepcopy(REPORT)
    del without["hold"]["latency"]
    found = hold.hold(without)
    assert found is not None
    assert len(found["parts"]) == 3
