"""What report.html says of explanations: heat maps, relevance of layers, faithfulness."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from exeunt.report import figures, heatmaps
from exeunt.report import images as pictures
from exeunt.report.page import Part, percent, read_json, section, table

_FIGURES = (
    ("completeness_error", "completeness error"),
    ("completeness_error_captum", "Captum's"),
    ("flip_auc", "flip AUC"),
    ("flip_auc_random", "in random order"),
    ("randomised_spearman", "rho, shuffled weights"),
    ("spearman_vs_float", "rho, float network"),
    ("top10_overlap", "top tenth shared"),
)
_QUANTUS = (
    ("pixel_flipping", "pixel flipping"),
    ("faithfulness_correlation", "faithfulness correlation"),
    ("mprt", "MPRT"),
    ("max_sensitivity", "max sensitivity"),
    ("sparseness", "sparseness"),
)


def explanation(run_dir: Path) -> Part | None:
    """What `exeunt explain` found, None before."""
    found = read_json(run_dir / "explain.json")
    if not isinstance(found, Mapping):
        return None
    parts: list[Part | None] = []
    try:
        with np.load(run_dir / "explain" / "maps.npz", allow_pickle=False) as file:
            images, maps = file["images"], file["maps"]
        drawn = pictures.heat(images, maps, found["images"], pictures.class_names(run_dir))
        drawn["caption"] = (
            f"Test images, and {found['method']} at every exit against the reference "
            f'"{found["reference"]}". Every map is scaled to its own strongest pixel. The framed '
            "exit is where the image leaves."
        )
        parts.append(drawn)
    except (OSError, ValueError, KeyError):
        pass
    if found.get("layers"):
        parts.append(
            {
                "svg": relevance(found["layers"]),
                "caption": "What the outputs of every layer contribute to the answer of each "
                f"exit, mean over {found.get('layers_images', '?')} test images, in units of the "
                "logit: for it to the right, against it to the left. Where a method is complete "
                "the two differ by the same number in every layer.",
            }
        )
    measured = f"{found.get('measured')} test images"
    ours = found.get("faithfulness") or {}
    if ours:
        parts.append(_methods(ours, _FIGURES, f"Faithfulness at the last exit, {measured}"))
        parts.append(
            {
                "notes": [
                    "Completeness: how far the contributions are from summing to the difference "
                    "of the output; 0 is exact. LRP gives biases their share.",
                    "Flip AUC: probability of the answer while the most relevant pixels are taken "
                    "away first; below that in random order the map knows what matters.",
                    "rho: rank correlation with the map of another network: near 0 when the "
                    "weights are shuffled, near 1 when only the quantizers go.",
                ]
            }
        )
    theirs = {method: row["quantus"] for method, row in ours.items() if row.get("quantus")}
    if theirs:
        parts.append(_methods(theirs, _QUANTUS, f"The same maps by Quantus, {measured}"))
        parts.append(
            {
                "notes": [
                    "Pixel flipping: mean probability of the answer while the most relevant "
                    "features go first; small is good. Faithfulness correlation: of the relevance "
                    "of random subsets with what removing them costs; large is good.",
                    "MPRT: mean rank correlation with the maps of networks randomised layer by "
                    "layer; near 0 is good. Max sensitivity: relative change under noise of two "
                    "grey levels; small is good. Sparseness: Gini index.",
                ]
            }
        )
    return section("explanation", "What the answers rest on", *parts)


def _methods(
    figures: Mapping[str, Mapping[str, Any]], columns: Sequence[tuple[str, str]], title: str
) -> Part | None:
    """A row for each method, a column for each figure (its key, its name)."""
    rows = [
        (method, *(_shown(key, row.get(key)) for key, _ in columns))
        for method, row in sorted(figures.items())
    ]
    return table(("method", *(name for _, name in columns)), rows, title=title)


def _shown(key: str, value: float | None) -> str:
    if value is None:
        return "-"
    if key.startswith("completeness"):
        return f"{value:.1e}" if value < 1e-3 else percent(value)
    return f"{value:.3f}"


def relevance(rows: Sequence[Mapping[str, Any]]) -> str:
    """Bars of what speaks for and against the answer, layer by layer, an axis for each exit."""
    exits = sorted({row["exit"] for row in rows})
    longest = max(sum(row["exit"] == e for row in rows) for e in exits)
    figure, axes = figures.new(8.6, 0.6 + 0.28 * longest, len(exits))
    for exit, place in zip(exits, axes, strict=True):
        here = [row for row in rows if row["exit"] == exit]
        places = np.arange(len(here))
        place.barh(places, [r["for"] for r in here], color=_rgb(heatmaps.FOR))
        place.barh(places, [r["against"] for r in here], color=_rgb(heatmaps.AGAINST))
        place.set(yticks=places, ylim=(longest - 0.5, -0.5), title=f"exit {exit}")
        place.set_yticklabels(_layers([r["layer"] for r in here]), fontsize=8)
        place.axvline(0, color=figures.INK, linewidth=0.6)
    return figures.svg(figure, "contributions of every layer for and against the answer")


def _layers(names: Sequence[str]) -> list[str]:
    """`segments.0.3` and the like as "segment 0, layer 2", counted from 1; other names as is."""
    told, counts = [], Counter[str]()
    for name in names:
        part, _, rest = name.partition("s.")
        index = rest.partition(".")[0]
        if part in ("segment", "head") and index.isdigit():
            place = f"{part} {index}"
            counts[place] += 1
            told.append(f"{place}, layer {counts[place]}")
        else:
            told.append(name)
    return told


def _rgb(colour: tuple[int, int, int]) -> tuple[float, float, float]:
    return (colour[0] / 255, colour[1] / 255, colour[2] / 255)
