"""What early exits gain over the same network without them, at equal LUT.

Both are mapped with all multipliers made of LUT, so that LUT are all that is spent. The compiler
leaves foldings of the network without exits on either side of the design's predicted LUT; they are
counted until the fastest one is found that has no more LUT than the design. Its cycles are those of
the cycle reference, which is compared with the RTL by `exeunt simulate`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from exeunt import cost, manifest
from exeunt.manifest import Manifest
from exeunt.report import store
from exeunt.synth.counts import Target

LADDER = "baseline/ladder"
EFFORT = 1.8  # of mapping multipliers to LUT, beside mapping them to DSP
IMAGES = 2000  # at most, through the network without exits


@dataclass(frozen=True)
class Rung:
    """A folding of the network without exits: its folder, and the LUT that are predicted."""

    folder: Path
    cycles: int  # a frame, of its slowest part
    predicted: int


def of_luts(target: Target) -> Target:
    """The same family with all multipliers made of LUT."""
    return dataclasses.replace(
        target,
        name=f"{target.name}_luts",
        command=f"{target.command} -nodsp",
        effort=EFFORT * target.effort,
    )


def predicted(design: Manifest) -> int:
    """LUT of a compiled design by the cost model, with all multipliers made of LUT."""
    size = cost.network(design.accelerator(), dsp=False)
    return size.lut + size.control


def rungs(run_dir: Path) -> list[Rung]:
    """The foldings that the compiler left, from slow to fast."""
    found = []
    for path in (run_dir / LADDER).glob(f"*/{manifest.NAME}"):
        folder = path.parent
        found.append(Rung(folder, int(folder.name), predicted(manifest.read(folder))))
    return sorted(found, key=lambda rung: -rung.cycles)


def first(ladder: Sequence[Rung], ours: int) -> Rung:
    """The rung to begin with: the fastest that is predicted to have no more than `ours` LUT."""
    fitting = [rung for rung in ladder if rung.predicted <= ours]
    return fitting[-1] if fitting else ladder[0]


def climb(
    ladder: Sequence[Rung], start: Rung, lut: int, counted: Callable[[Rung], int]
) -> tuple[Rung | None, bool]:
    """The fastest rung that has at most `lut` LUT, as `counted` says of one rung after the other.

    Returns:
        The rung, None when the slowest has more; and whether it is the last one, so that a faster
        one might have fitted.
    """
    at = ladder.index(start)
    if counted(ladder[at]) <= lut:
        while at + 1 < len(ladder) and counted(ladder[at + 1]) <= lut:
            at += 1
        return ladder[at], at + 1 == len(ladder)
    while at > 0:
        at -= 1
        if counted(ladder[at]) <= lut:
            return ladder[at], False
    return None, False


def entry(
    target: Target, ours: Mapping[str, int], rung: Rung | None, base: Mapping[str, int], last: bool
) -> dict[str, Any]:
    """`hardware.equal.lut` of report.json, without the speedup, which needs a simulation.

    Args:
        target: that was mapped to.
        ours: resources of the design.
        rung: the network without exits, None when no folding fits.
        base: its resources.
        last: whether a faster folding might have fitted.
    """
    found: dict[str, Any] = {
        "target": target.name,
        "ours": {"resources": dict(ours)},
        "baseline": None,
        "speedup": None,
    }
    if rung is not None:
        folder = f"{LADDER}/{rung.folder.name}"
        found["baseline"] = {"folder": folder, "resources": dict(base), "fastest_folding": last}
    return found


def settle(run_dir: Path) -> None:
    """Complete `hardware.equal.lut` by the cycles of both, when both are known.

    The network without exits gets as many images as the simulation had, IMAGES at most.
    """
    report = store.read(run_dir)
    equal = ((report.get("hardware") or {}).get("equal") or {}).get("lut")
    simulation = report.get("simulation") or {}
    if not equal or not equal.get("baseline") or not simulation.get("cycles_per_image"):
        return
    images = min(int(simulation["images"]), IMAGES)
    design = manifest.read(run_dir / equal["baseline"]["folder"])
    cycles = cycles_per_image(design, images)
    ours = float(simulation["cycles_per_image"])
    found = {
        "speedup": cycles / ours,
        "ours": {"cycles_per_image": ours},
        "baseline": {"cycles_per_image": cycles, "images": images},
    }
    store.update(run_dir, {"hardware": {"equal": {"lut": found}}})


def cycles_per_image(design: Manifest, images: int) -> float:
    """Cycles of `images` images through a design with one exit, per image, by the reference."""
    from exeunt.reference import system

    sizes = system.Sizes.of(design.data)
    exits = np.zeros(images, np.int64)
    return system.predict(design.accelerator(), exits, sizes=sizes, gives=False).cycles / images


def said(report: Mapping[str, Any]) -> list[str]:
    """The comparison in a few words, when it was made."""
    found = ((report.get("hardware") or {}).get("equal") or {}).get("lut")
    if not found:
        return []
    if not found["baseline"]:
        return ["no folding without exits has as few LUT"]
    if not found.get("speedup"):
        return ["the speedup at equal LUT needs `exeunt simulate`"]
    return [f"{found['speedup']:.1f} times as fast as without exits at equal LUT"]
