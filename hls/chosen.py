"""What report.json and the command line say of a design that was chosen."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exeunt.hls import beside as besides
from exeunt.hls import bursts
from exeunt.hls.back import folding
from exeunt.hls.bursts import PERCENTILES, Case
from exeunt.hls.designs import Design, Limits
from exeunt.kernels.parts.size import Size
from exeunt.optimise import search
from exeunt.optimise.budget import NAMES
from exeunt.optimise.choose import Asked, Choice
from exeunt.optimise.problem import Problem

if TYPE_CHECKING:
    from exeunt.config.compile import Compile


def told(
    design: Design,
    space: Problem,
    allowed: Limits,
    wish: Asked,
    section: Compile,
    case: Case,
) -> dict[str, Any]:
    """`compile.optimiser` of report.json."""
    choice, played, waits = design.choice, design.fit.played, design.waits
    leaves = bursts.rates(case.reach, case.stages)
    per_image = design.pace
    hertz = section.clock_mhz * 1e6
    return {
        "title": allowed.title,
        "board": section.board and Path(section.board).name,
        "use": section.use,
        "objective": wish.objective,
        "targets": {
            key: value
            for key in ("target_cycles", "fps", "latency_us")
            if (value := getattr(section, key)) is not None
        },
        "percentile": wish.percentile,
        "budget": dict(allowed.budget.items()),
        "available": dict(allowed.available.items()),
        "predicted": dataclasses.asdict(design.taken),
        "kernels": dataclasses.asdict(choice.solution.size),
        "beside": besides.told(design.beside),
        "cycles": choice.cycles,
        "cycles_per_image": per_image,
        "fps": hertz / per_image,
        "gap": choice.solution.gap,
        "nanojoules": design.nanojoules,
        "latency": {
            "exits": list(waits),
            "alone": {f"p{p}": bursts.percentile(waits, leaves, p) for p in PERCENTILES},
            "busy": bursts.percentiles(played.found.reported),
            "frames": len(played.exits),
            **_spaced(design, case, wish),
        },
        "nodes": _nodes(space, choice, design.share),
    }


def _spaced(design: Design, case: Case, wish: Asked) -> dict[str, Any]:
    """Latency of frames that come evenly, as often as is asked."""
    if wish.cycles is None:
        return {}
    found = bursts.spaced(design.fit, case, wish.cycles)
    return {"spaced": found, "spacing": wish.cycles}


def _nodes(space: Problem, choice: Choice, share: Sequence[float]) -> list[dict[str, Any]]:
    """Every layer: what was chosen, and what the next best would have cost."""
    chosen = choice.solution.chosen
    slowest = [1] * space.stages
    for place, option in zip(space.places, chosen, strict=True):
        slowest[place.stage] = max(slowest[place.stage], option.period)
    bounds = slowest if choice.cycles is None else search.bounds(choice.cycles, share)
    found = []
    others = search.others(space, chosen, bounds)
    for place, option, next_best in zip(space.places, chosen, others, strict=True):
        if place.layer is None:
            continue
        found.append(
            {
                "name": place.name,
                "chain": place.chain,
                **_option(option.fold, option.period, option.size),
                "allowed": bounds[place.stage],
                "others": [_option(o.option.fold, o.option.period, o.more) for o in next_best],
            }
        )
    return found


def _option(fold: folding.Fold, period: int, size: Size) -> dict[str, Any]:
    return {
        "pe": fold.pe,
        "simd": fold.simd,
        "window": fold.window,
        "parallel_window": fold.parallel,
        "multiplier": fold.multiplier,
        "block": fold.block,
        "cycles": period,
        "lut": size.lut,
        "dsp": size.dsp,
        "bram18": size.bram18,
    }


def said(found: Mapping[str, Any]) -> str:
    """The choice in one line."""
    parts = [
        f"{found['predicted'][name]:,}"
        + (f" of {found['budget'][name]:,}" if name in found["budget"] else "")
        + f" {NAMES[name]}"
        for name in NAMES
    ]
    taken = [f"{name} {size['lut']:,}" for name, size in found["beside"].items()]
    told = f" ({', '.join(taken)} LUT of it)" if taken else ""
    text = f"for {found['title']}: {', '.join(parts)} predicted{told}, "
    text += f"{found['fps']:,.0f} frames/s, "
    p = found["percentile"]
    text += f"p{p} of the latency {found['latency']['alone'][f'p{p}']:,} cycles"
    if found["objective"] == "energy":
        text += f", {found['nanojoules']:,.1f} nJ an image by estimate"
    if found["gap"]:
        text += f", at most {found['gap']:.1%} from the best choice"
    return f"{text}, chosen in {found['seconds']:.1f} s"
