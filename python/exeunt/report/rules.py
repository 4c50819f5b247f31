"""What report.html says of rules: which there are, how often they fire, what they bring."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt.report import figures, heatmaps
from exeunt.report import images as pictures
from exeunt.report.page import Part, number, percent, section, table
from exeunt.report.store import EXAMPLES, REASONS

_TIMES = ("never", "once", "twice")
_HEAD = ("for", "rule", "fired", "of the images", "left by it")


def rules(run_dir: Path, report: Mapping[str, Any]) -> Part | None:
    """The rules as sentences with how often each fired, why images stay, before and after.

    None where no rules were learned.
    """
    found = report.get("rules") or {}
    learned, calibrated = found.get("learned"), found.get("calibrated")
    if not learned:
        return None
    parts: list[Part | None] = [_sides(calibrated)]
    if calibrated and calibrated["rules"]:
        count = calibrated["images"]
        body = [
            (
                _place(row["place"]), row["text"], number(row["fired"]),
                percent(row["fired"] / count), number(row.get("left")),
            )
            for row in calibrated["rules"]
        ]  # fmt: skip
        parts.append(table(_HEAD, body, title=f"Rules, on {number(count)} test images"))
        parts.append(_examples(run_dir, calibrated["rules"]))
    parts.append(_reasons(run_dir))
    return section("rules", "Rules", *parts, text=" ".join(sentences(found)))


def _sides(calibrated: Mapping[str, Any] | None) -> Part | None:
    """Exit rates and what they cost, without rules and with them."""
    if not calibrated or not calibrated["rules"] or "with" not in calibrated:
        return None  # of an older calibration
    rows = []
    for name in ("without", "with"):
        side = calibrated[name]
        rates = [percent(rate) for rate in side["rates"]]
        rows.append(
            (f"{name} rules", *rates, percent(side["right"], 2), percent(side["lost"], 2),
             number(side["multiplies"]))
        )  # fmt: skip
    exits = [f"leave at exit {k}" for k in range(len(calibrated["with"]["rates"]))]
    title = f"Without and with rules, on {number(calibrated['images'])} test images"
    return table(("", *exits, "right", "lost", "multiplications per image"), rows, title=title)


def _reasons(run_dir: Path) -> Part | None:
    """Validation images that stay at exit 0 and that leave, and what both ends rest on."""
    data = _arrays(run_dir / REASONS, "images", "maps", "overlap", "labels", "answers", "stays")
    if data is None:
        return None
    names = pictures.class_names(run_dir)
    rows = []
    for k, stays in enumerate(data["stays"]):
        label = int(data["labels"][k])
        cells = [_plain(data["images"][k], pictures.named(names, label))]
        for end, title in enumerate(("exit 0", "last exit")):
            answer = int(data["answers"][k, end])
            cells.append(_map(data["maps"][k, end], title, names, label, answer))
        share = percent(float(data["overlap"][k]), 0)
        rows.append(
            {
                "title": f"{'stays' if stays else 'leaves'}, {share} shared",
                "colour": figures.colour(1 if stays else 0),
                "cells": cells,
            }
        )
    caption = (
        "Validation images that stay at exit 0 and some that leave there: the image, what exit 0 "
        "rests on and what the last exit rests on, for the class that the last exit answers. Where "
        "the two maps differ, exit 0 looks elsewhere. Shared: the overlap of what speaks for it."
    )
    return {"pictures": rows, "scale": pictures.SCALE, "beside": True, "caption": caption}


def _examples(run_dir: Path, listed: Sequence[Mapping[str, Any]]) -> Part | None:
    """Test images that left by a rule, before and after."""
    data = _arrays(
        run_dir / EXAMPLES, "before", "after", "maps", "labels", "answers", "lists", "rules"
    )
    if data is None:
        return None
    names = pictures.class_names(run_dir)
    places = list(dict.fromkeys(row["place"] for row in listed))
    texts = {place: [row["text"] for row in listed if row["place"] == place] for place in places}
    rows = []
    for k, label in enumerate(int(n) for n in data["labels"]):
        where = int(data["lists"][k])
        place = "rules" if not where else f"look {where}"
        answers = [int(n) for n in data["answers"][k]]
        rows.append(
            {
                "title": f"{_place(place)}: {texts[place][int(data['rules'][k])]}",
                "colour": figures.colour(where),
                "cells": [
                    _plain(data["before"][k], "before"),
                    _map(data["maps"][k, 0], "exit 0, before", names, label, answers[0]),
                    _plain(data["after"][k], "after"),
                    _map(data["maps"][k, 1], "exit 0, after", names, label, answers[1]),
                ],
            }
        )
    caption = (
        "Test images that left by a rule, before and after it, and what exit 0 rests on in each "
        "for the class that the last exit answers. An answer is that of one look alone; what "
        "decides is the sum of the looks so far."
    )
    return {"pictures": rows, "scale": pictures.SCALE, "beside": True, "caption": caption}


def _plain(image: npt.NDArray[np.uint8], text: str) -> dict[str, Any]:
    return {"source": pictures.source(heatmaps.plain(image)), "text": text}


def _map(
    heat: npt.NDArray[np.floating], title: str, names: Sequence[str], label: int, answer: int
) -> dict[str, Any]:
    return {
        "source": pictures.source(heatmaps.diverging(heat)),
        "title": title,
        "text": pictures.verdict(names, label, answer),
        "wrong": label != answer,
    }


def _arrays(path: Path, *names: str) -> dict[str, npt.NDArray[Any]] | None:
    """The arrays in a file; None where there is no such file or it is another one."""
    try:
        with np.load(path, allow_pickle=False) as data:
            return {name: data[name] for name in names}
    except (OSError, ValueError, KeyError):
        return None


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
    if why and why.get("images_stay") and why.get("images_leave"):
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
