"""What report.html says of rules."""

from __future__ import annotations

from typing import Any

from exeunt.report.rules import lines, rules, sentences

LEARNED: dict[str, Any] = {
    "images": 1222, "learner": "covering", "looks": [1], "text": ["Look 1: Always: gain 0.7."],
}  # fmt: skip
LOOKED: dict[str, Any] = {
    "images": 400, "looks": 1, "look_reach": [0.25], "share_of_a_look": 0.03,
    "rules": [{"place": "look 1", "text": "Always: gain 0.7.", "fired": 100}],
}  # fmt: skip
NOTHING = {**LOOKED, "looks": 0, "look_reach": [], "rules": []}


def test_without_rules_there_is_no_section() -> None:
    assert rules({}) is None
    assert lines({}) == []


def test_rules_and_how_often_they_fired() -> None:
    made = rules({"rules": {"learned": LEARNED, "calibrated": LOOKED}})
    assert made is not None
    for text in ("further look 1", "Always: gain 0.7.", "25.0%", "at most once", "1,222"):
        assert text in str(made)


def test_rules_that_do_not_pay_are_said_to_be_left_out() -> None:
    (first, second) = sentences({"learned": LEARNED, "calibrated": NOTHING})
    assert "1,222 training images" in first
    assert second.endswith("so the network goes without them.")
    assert "at most once" in sentences({"learned": LEARNED, "calibrated": LOOKED})[1]


def test_no_rule_learned_is_said() -> None:
    found = sentences({"learned": {**LEARNED, "looks": [], "text": []}, "calibrated": NOTHING})
    assert found[1:] == ["No rule lowers the cost at the same loss, so there is none."]
