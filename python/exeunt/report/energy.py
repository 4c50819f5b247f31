"""The section of report.html about toggles, and the energy that they stand for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exeunt.report import figures
from exeunt.report.page import Part, number, percent, section, table

SHOWN = 24  # blocks


def energy(report: Mapping[str, Any]) -> Part | None:
    """Energy of an image by block, as bars and as a table."""
    found = report.get("activity")
    if not found:
        return None
    each = found["picojoules_per_toggle"] / 1000
    rows = list(found["blocks"].items())
    drawn = {
        "svg": figures.resources([(n, each * t) for n, t in rows[:SHOWN]], "nJ"),
        "caption": "Energy of an image by block, estimated from toggles.",
    }
    body = [
        (name, number(count), number(each * count, 2), percent(count / found["toggles"]))
        for name, count in rows
    ]
    body.append(("all", number(found["toggles"]), number(found["nanojoules"], 1), percent(1.0)))
    head = ("block", "toggles per image", "nJ per image", "share")
    return section(
        "energy", "Energy, an estimate", drawn, table(head, body, total=True),
        text=" ".join(lines(report)),
    )  # fmt: skip


def lines(report: Mapping[str, Any]) -> list[str]:
    """What is said of it."""
    found = report["activity"]
    said = [
        f"{number(found['toggles'])} toggles per image over {number(found['images'])} images, "
        f"{number(found['nanojoules'], 1)} nJ at {found['picojoules_per_toggle']:g} pJ each "
        "(1/2 C V^2, C assumed: 1 pF at 1 V).",
    ]
    base = found.get("baseline")
    if base:
        said.append(
            f"Without exits {number(base['nanojoules'], 1)} nJ, "
            f"{base['nanojoules'] / found['nanojoules']:.2f} times as much."
        )
    said.append("Clock tree, insides of memories, glitches and power at rest are not in it.")
    return said
