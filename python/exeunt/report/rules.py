"""What report.html says of rules: which there are, how often they fire, what they bring."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exeunt.report.page import Part, number, percent, section, table

_TIMES = ("never", "once", "twice")
_HEAD = ("for", "rule", "fired", "of the images")


def rules(report: Mapping[str, Any]) -> Part | None:
    """The rules as sentences with how often each fired, and why images stay.

    None where no rules were learned.
    """
    found = report.get("rules") or {}
    learned, calibrated = found.get("learned"), found.get("calibrated")
    if not learned:
        return None
    parts: list[Part | None] = []
    if calibrated and calibrated["rules"]:
        count = calibrated["images"]
        body = [
            (_place(row["place"]), row["text"], number(row["fired"]), percent(row["fired"] / count))
            for row in calibrated["rules"]
        ]
        parts.append(table(_HEAD, body, title=f"Rules, on {number(count)} test images"))
    return section("rules", "Rules", *parts, text=" ".join(sentences(found)))


def lines(report: Mapping[str, Any]) -> list[str]:
    """What was learned and what it brings, as text: a line for each rule, then the figures."""
    found = report.get("rules") or {}
    return [*(found.get("learned") or {}).get("text", []), *sentences(found)]


def sentences(found: Mapping[str, Any]) -> list[str]:
    """What the rules are, and what they bring, from `rules` of report.json."""
    learned, calibrated, why = (found.get(k) for k in ("learned", "calibrated", "why"))
    said = []
    if learned:
        said.append(
            f"Learned on {number(learned['images'])} training images by the learner "
            f'"{learned["learner"]}"; a rule asks for statistics of the image alone.'
        )
        if not learned["text"]:
            said.append("No rule lowers the cost at the same loss, so there is none.")
    if calibrated and calibrated["looks"]:
        shares = " and ".join(percent(share) for share in calibrated["look_reach"])
        said.append(
            "An image that would stay at exit 0 is looked at again, at most "
            f"{_TIMES[calibrated['looks']]}: {shares} of the validation images. A look costs "
            f"{percent(calibrated['share_of_a_look'])} of the network's multiplications."
        )
    elif learned and learned["text"] and calibrated and not calibrated["rules"]:
        said.append(
            "On the validation images they save no multiplications at the permitted loss, so the "
            "network goes without them."
        )
    if why and why["images_stay"] and why["images_leave"]:
        said.append(
            f"Of what exit 0 rests on, {percent(why['overlap_leave'])} is shared with the last "
            f"exit for images that leave there, {percent(why['overlap_stay'])} for those that stay "
            f"({number(why['images_leave'])} and {number(why['images_stay'])} validation images, "
            f"{why['method']})."
        )
    return said


def _place(place: str) -> str:
    """What a list is for, for people."""
    return "every image" if place == "rules" else f"further {place}"
