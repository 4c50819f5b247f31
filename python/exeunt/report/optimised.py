"""The section of report.html about a folding that fills a board: what was chosen, and why."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from exeunt.report import figures
from exeunt.report.page import KINDS, Part, counted, number, percent, section, table

WIDE = ("lut", "dsp", "bram18")
WORDS = {
    "throughput": "most frames a second",
    "latency": "least latency",
    "area": "fewest LUT",
    "energy": "least energy of an image",
}


def optimised(report: Mapping[str, Any]) -> Part | None:
    """What was asked, what the design is predicted to take of the board, and every layer."""
    found = (report.get("compile") or {}).get("optimiser")
    if not isinstance(found, Mapping):
        return None
    drawn = {
        "svg": _picture(found),
        "caption": f"Predicted, in percent of what there is ({found['title']} may be used: the "
        "dashed line); before place and route.",
    }
    return section(
        "optimised", "What fills the board", drawn, _totals(found, report), _waits(found),
        _layers(found), text=_text(found),
    )  # fmt: skip


def _text(found: Mapping[str, Any]) -> str:
    targets = found.get("targets") or {}
    units = {"fps": "frames a second", "latency_us": "us of latency", "target_cycles": "cycles"}
    wish = WORDS[found["objective"]]
    if targets:
        fewest = {"area": "fewest LUT", "energy": wish}
        wish = fewest.get(found["objective"], "fewest resources") + " for "
        wish += " and ".join(f"{value:,g} {units[key]}" for key, value in targets.items())
    gap = found.get("gap") or 0.0
    proof = (
        "No other choice is better by the cost model."
        if not gap
        else f"No other choice is better by more than {percent(gap)} by the cost model."
    )
    per_image = found["cycles_per_image"]
    if found["objective"] == "energy":
        proof += (
            f" An image takes {found['nanojoules']:,.1f} nJ by an estimate of sizes and cycles "
            "(1/8 toggle of each output in a cycle, 1 pF at 1 V), without controller and power at "
            "rest."
        )
    return (
        f"Asked for: {wish} within {found['title']}. {proof} By the cycle reference the design "
        f"takes {per_image:,.0f} cycles per image with the exits of the validation images, "
        f"{found['fps']:,.0f} images a second. Runners-up are other ways to build one layer with "
        "all others as they are; behind each is what the design would take more, converters "
        "included."
    )


def _totals(found: Mapping[str, Any], report: Mapping[str, Any]) -> Part:
    yosys = [entry["resources"] for entry in counted(report) if entry["target"] == "xc7"]
    rows = []
    for name in WIDE:
        value = found["predicted"][name]
        there, limit = found["available"].get(name), found["budget"].get(name)
        rows.append(
            (
                KINDS[name],
                number(value),
                number(yosys[0].get(name)) if yosys else "-",
                number(limit) if limit is not None else "any",
                number(there) if there is not None else "any",
                percent(value / there) if there else "-",
            )
        )
    head = ("resource", "predicted", "counted by Yosys (xc7)", "may use", "there are", "predicted")
    return table(head, rows, title="The design")


def _waits(found: Mapping[str, Any]) -> Part:
    latency = found["latency"]
    rows = [(f"exit {i}", number(cycles), "-") for i, cycles in enumerate(latency["exits"])] + [
        (name, number(latency["alone"][name]), number(latency["busy"][name]))
        for name in latency["alone"]
    ]
    head = ("latency in cycles", "alone in the accelerator", "one frame behind the other")
    return table(head, rows, title="Latency")


def _layers(found: Mapping[str, Any]) -> Part:
    rows = []
    for node in found["nodes"]:
        first, *more = [_other(other) for other in node["others"]] or ["-"]
        rows.append(
            (
                node["name"],
                _built(node),
                f"{number(node['cycles'])} of {number(node['allowed'])}",
                *(number(node[name]) for name in WIDE),
                first,
                "; ".join(more) or "-",
            )
        )
    head = ("layer", "built as", "cycles of allowed", *(KINDS[n] for n in WIDE),
            "next best", "then")  # fmt: skip
    return table(head, rows, title="Every layer")


def _built(node: Mapping[str, Any]) -> str:
    """A folding in words."""
    text = f"PE {node['pe']}, SIMD {node['simd']}"
    if node["parallel_window"]:
        text += ", whole windows"
    elif node.get("window"):
        text += f", windows by {node['window']}"
    where = {
        "lut": ", products in LUT",
        "dsp": ", products in DSP",
        "packed": ", several products in a DSP",
        "constant": ", weights as additions",
        "scheduled": f", zeros left out by {node.get('block', 0)}",
        "codebook": f", shared weights by {node.get('block', 0)}",
    }
    return text + where.get(node["multiplier"], "")


def _other(other: Mapping[str, Any]) -> str:
    more = [f"{other[name]:+,} {KINDS[name]}" for name in WIDE if other[name]]
    return f"{_built(other)}: {', '.join(more) or 'the same'}"


def _picture(found: Mapping[str, Any]) -> str:
    """A bar for each resource, its parts the segments and heads."""
    available = found["available"]
    names = [name for name in WIDE if available.get(name)]
    figure, (axes,) = figures.new(8.6, 0.9 + 0.4 * len(names))
    place = np.arange(len(names))
    left = np.zeros(len(names))
    for i, (label, parts) in enumerate(_parts(found)):
        width = np.array([100 * parts[name] / available[name] for name in names])
        axes.barh(place, width, left=left, color=figures.colour(i), height=0.6, label=label)
        left += width
    for k, name in enumerate(names):
        axes.text(left[k] + 1, k, f"{found['predicted'][name]:,}", va="center")
        limit = found["budget"].get(name)
        if limit is not None:
            edge = 100 * limit / available[name]
            axes.plot([edge, edge], [k - 0.42, k + 0.42], "--", color=figures.INK, linewidth=1)
    axes.set_yticks(place, [KINDS[name] for name in names])
    axes.invert_yaxis()
    axes.set_xlim(0, max(105.0, float(left.max(initial=0.0)) + 12))
    axes.set(xlabel="percent of what there is")
    axes.grid(axis="y", visible=False)
    figure.legend(loc="outside upper center", ncols=8)
    return figures.svg(figure, "predicted resources of each stage in percent of the board")


def _parts(found: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, int]]]:
    """What the layers of each stage take, what stands beside them, then the rest.

    That is the controller, converters and deeper queues.
    """
    nodes: Sequence[Mapping[str, Any]] = found["nodes"]
    stages = list(dict.fromkeys(node["chain"].lstrip("seghad") for node in nodes))
    rest = dict(found["predicted"])
    for stage in stages:
        here = [n for n in nodes if n["chain"].lstrip("seghad") == stage]
        parts = {name: sum(n[name] for n in here) for name in WIDE}
        rest = {name: rest[name] - parts[name] for name in WIDE}
        yield f"stage {stage}", parts
    for name, parts in (found.get("beside") or {}).items():
        rest = {kind: rest[kind] - parts[kind] for kind in WIDE}
        yield name, parts
    yield "controller and the rest", {name: max(0, value) for name, value in rest.items()}
