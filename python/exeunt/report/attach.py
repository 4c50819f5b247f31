"""The section of report.html about exits that `exeunt attach` found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from exeunt import promise
from exeunt.report.page import Part, number, percent, section, table

_HEAD = (
    "behind",
    "map",
    "mean over",
    "filters",
    "multiplications",
    "of them the head",
    "right alone",
    "kept",
)


def attach(report: Mapping[str, Any]) -> Part | None:
    """A row for each head that was tried."""
    found = report.get("attach")
    if not found:
        return None
    return section(
        "attach",
        "Exits put on this network",
        table(_HEAD, _rows(found)),
        text=" ".join(_sentences(found)),
    )


def lines(report: Mapping[str, Any]) -> list[str]:
    """The same as text."""
    return _sentences(report["attach"])


def counted(number: int, noun: str) -> str:
    """So many of them."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _rows(found: Mapping[str, Any]) -> list[tuple[str, ...]]:
    return [
        (
            row["tensor"],
            " x ".join(map(str, row["shape"])),
            " x ".join(map(str, row["window"])),
            number(row["filters"]) if row.get("filters") else "none",
            number(row["multiplies"] + row["head_multiplies"]),
            number(row["head_multiplies"]),
            percent(row["accuracy"]),
            "yes" if row["kept"] else "no",
        )
        for row in found["places"]
    ]


def _sentences(found: Mapping[str, Any]) -> list[str]:
    kept = [row["tensor"] for row in found["places"] if row["kept"]]
    places = len({row["tensor"] for row in found["places"]})
    said = promise.from_json(found.get(promise.KEY)).text
    rates = ", ".join(percent(rate) for rate in found["rates"][:-1])
    tried = len(found["places"])
    narrow = found.get("narrow", 0)
    return [
        f"{counted(tried, 'head')} {'was' if tried == 1 else 'were'} tried at "
        f"{counted(places, 'place')}, and kept behind {', '.join(kept)}.",
        *(
            [
                f"{counted(narrow, 'more place')} {'has' if narrow == 1 else 'have'} no room for a "
                "head: raise attach.share or lower attach.exits."
            ]
            if narrow
            else []
        ),
        f"Of {found['images']:,} test images {rates} leave there; {percent(found['saved'])} of the "
        "multiplications are saved.",
        f"{percent(found['accuracy'])} are right, {percent(found['accuracy_last_exit'])} without "
        "early exits.",
        f"The heads have {percent(found['head_share'])} of the network's multiplications.",
        *([f"{said[:1].upper()}{said[1:]}."] if said else []),
    ]
