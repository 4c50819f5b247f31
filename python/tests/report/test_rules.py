"""What report.html says of rules."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from exeunt.report.rules import lines, rules, sentences
from exeunt.report.store import EXAMPLES, REASONS

LEARNED: dict[str, Any] = {
    "images": 1222, "learner": "covering", "looks": [1], "text": ["Look 1: Always: gain 0.7."],
}  # fmt: skip
SIDE: dict[str, Any] = {
    "rates": [0.9, 0.1], "right": 0.9812, "lost": 0.0025, "multiplies": 1234.0,
}  # fmt: skip
LOOKED: dict[str, Any] = {
    "images": 400, "looks": 1, "look_reach": [0.25], "share_of_a_look": 0.03,
    "rules": [{"place": "look 1", "text": "Always: gain 0.7.", "fired": 100, "left": 61}],
    "with": SIDE, "without": {**SIDE, "rates": [0.8, 0.2], "multiplies": 2345.0},
}  # fmt: skip
NOTHING = {**LOOKED, "looks": 0, "look_reach": [], "rules": []}


def test_without_rules_there_is_no_section(tmp_path: Path) -> None:
    assert rules(tmp_path, {}) is None
    assert lines({}) == []


def test_rules_and_how_often_they_fired(tmp_path: Path) -> None:
    made = rules(tmp_path, {"rules": {"learned": LEARNED, "calibrated": LOOKED}})
    assert made is not None
    for text in ("further look 1", "Always: gain 0.7.", "25.0%", "at most once", "1,222", "'61'"):
        assert text in str(made)
    without, with_rules = made["parts"][0]["rows"]
    assert without == ["without rules", "80.0%", "20.0%", "98.12%", "0.25%", "2,345"]
    assert with_rules == ["with rules", "90.0%", "10.0%", "98.12%", "0.25%", "1,234"]


def test_rules_that_do_not_pay_are_said_to_be_left_out() -> None:
    (first, second) = sentences({"learned": LEARNED, "calibrated": NOTHING})
    assert "1,222 training images" in first
    assert second.endswith("so the network goes without them.")
    assert "at most once" in sentences({"learned": LEARNED, "calibrated": LOOKED})[1]


def test_no_rule_learned_is_said() -> None:
    found = sentences({"learned": {**LEARNED, "looks": [], "text": []}, "calibrated": NOTHING})
    assert found[1:] == ["No rule lowers the cost at the same loss, so there is none."]


def test_a_report_of_an_older_calibration_is_drawn(tmp_path: Path) -> None:
    older = {key: value for key, value in LOOKED.items() if key not in ("with", "without")}
    older["rules"] = [{"place": "look 1", "text": "Always: gain 0.7.", "fired": 100}]
    made = rules(tmp_path, {"rules": {"learned": LEARNED, "calibrated": older}})
    assert made is not None
    assert "25.0%" in str(made)


def test_pictures_of_reasons_and_examples(tmp_path: Path) -> None:
    images = np.zeros((2, 4, 4, 1), np.uint8)
    maps = np.ones((2, 2, 4, 4), np.float32)
    np.savez(
        tmp_path / REASONS, images=images, maps=maps, overlap=[0.25, 0.75], labels=[3, 4],
        answers=[[3, 3], [5, 4]], stays=[True, False],
    )  # fmt: skip
    np.savez(
        tmp_path / EXAMPLES, before=images, after=images + 9, maps=maps, labels=[3, 4],
        answers=[[3, 3], [5, 4]], lists=[1, 1], rules=[0, 0],
    )  # fmt: skip
    made = rules(tmp_path, {"rules": {"learned": LEARNED, "calibrated": LOOKED}})
    assert made is not None
    examples, reasons = (p["pictures"] for p in made["parts"] if "pictures" in p)
    assert [row["title"] for row in reasons] == ["stays, 25% shared", "leaves, 75% shared"]
    assert [cell["text"] for cell in reasons[1]["cells"]] == ["4", "said 5, is 4", "4"]
    assert examples[0]["title"] == "further look 1: Always: gain 0.7."
    assert [cell["text"] for cell in examples[1]["cells"]] == [
        "before", "said 5, is 4", "after", "4",
    ]  # fmt: skip
    assert examples[0]["cells"][0]["source"] != examples[0]["cells"][2]["source"]
    (tmp_path / REASONS).write_bytes(b"no archive")
    again = rules(tmp_path, {"rules": {"learned": LEARNED, "calibrated": LOOKED}})
    assert again is not None
    assert len([p for p in again["parts"] if "pictures" in p]) == 1
