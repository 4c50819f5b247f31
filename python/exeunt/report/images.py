"""Images on a page: pictures as data in the page itself, in grids that fit any width."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt.report import figures, heatmaps
from exeunt.report.page import Part

Images = npt.NDArray[np.uint8]

SCALE: Part = {
    "colours": [
        "#{:02x}{:02x}{:02x}".format(*c) for c in (heatmaps.AGAINST, heatmaps.NOTHING, heatmaps.FOR)
    ],
    "low": "against the answer",
    "high": "for the answer",
}
"""The colours of `heat` and of other maps, for the bar above them."""


def source(picture: npt.NDArray[np.uint8]) -> str:
    """A picture uint8 (H, W, 3) as a data address of a PNG."""
    from PIL import Image

    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


def class_names(run_dir: Path) -> list[str]:
    """The names of the classes in splits.npz, none where it has none."""
    try:
        with np.load(run_dir / "splits.npz", allow_pickle=False) as splits:
            return [str(name) for name in splits["classes"]]
    except (OSError, KeyError, ValueError):
        return []


def named(names: Sequence[str], index: int) -> str:
    """The name of a class, its number where it has none."""
    return names[index] if index < len(names) else str(index)


def verdict(names: Sequence[str], label: int, answer: int) -> str:
    """The class of an image that was answered right; else what was said and what it is."""
    if label == answer:
        return named(names, label)
    return f"said {named(names, answer)}, is {named(names, label)}"


def heat(
    images: Images,
    maps: npt.NDArray[np.floating],
    rows: Sequence[Mapping[str, Any]],
    names: Sequence[str],
) -> Part:
    """Every image beside its heat map at each exit, with a scale.

    Args:
        images: uint8 (N, H, W, C), C 1 or 3.
        maps: (N, E, H, W), any scale.
        rows: `label`, `answers` and `leaves` of each image, as explain.json has them.
        names: of the classes; a class without one is shown by its number.
    """
    found = []
    for k, row in enumerate(rows):
        label = int(row["label"])
        cells: list[dict[str, Any]] = [
            {"source": source(heatmaps.plain(images[k])), "text": named(names, label)}
        ]
        for exit, answer in enumerate(row["answers"]):
            cells.append(
                {
                    "source": source(heatmaps.diverging(maps[k, exit])),
                    "title": f"exit {exit}",
                    "text": verdict(names, label, int(answer)),
                    "wrong": int(answer) != label,
                    "frame": figures.colour(exit) if row["leaves"] == exit else "",
                }
            )
        found.append({"cells": cells})
    return {"pictures": found, "scale": SCALE, "beside": True}
