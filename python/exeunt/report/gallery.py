"""Which images leave where: some of each exit, with the answers of the RTL."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

from exeunt.report import figures, heatmaps
from exeunt.report import images as pictures
from exeunt.report.page import Part, read_json, section
from exeunt.splits import SPLITS, read_split

ACROSS = 12  # images of one exit

Labels = npt.NDArray[np.int64]


def gallery(run_dir: Path) -> Part | None:
    """Some test images of each exit, with the answers of the RTL."""
    answers = (read_json(run_dir / "simulation.json") or {}).get("answers")
    if not answers or not (run_dir / SPLITS).is_file():
        return None
    test = read_split(run_dir / SPLITS, "test")
    indices = np.array(answers.get("index", range(len(answers["exit"]))), np.int64)
    if not len(indices) or indices.max() >= len(test.labels):
        return None
    images, labels = test.images[indices], test.labels[indices]
    left, classes = np.array(answers["exit"], np.int64), np.array(answers["class"], np.int64)
    exits = (read_json(run_dir / "exits.json") or {}).get("thresholds", ())
    names = pictures.class_names(run_dir)
    rows = []
    for exit in range(max(len(exits), int(left.max()) + 1)):
        chosen = _sample(labels, np.flatnonzero(left == exit), ACROSS)
        rows.append(
            {
                "title": f"exit {exit}",
                "colour": figures.colour(exit),
                "cells": [
                    {
                        "source": pictures.source(heatmaps.plain(images[i])),
                        "text": pictures.verdict(names, int(labels[i]), int(classes[i])),
                        "wrong": bool(labels[i] != classes[i]),
                    }
                    for i in chosen
                ],
            }
        )
    caption = "Test images by the exit at which they left, as the RTL answered them."
    return section("images", "Who leaves where", {"pictures": rows, "caption": caption})


def _sample(labels: Labels, members: Labels, count: int) -> list[int]:
    """Up to `count` of `members`, one class after the other."""
    seen: dict[int, int] = {}
    order = []
    for i in members:
        seen[int(labels[i])] = seen.get(int(labels[i]), 0) + 1
        order.append((seen[int(labels[i])], int(labels[i]), int(i)))
    return [i for _, _, i in sorted(order)[:count]]
