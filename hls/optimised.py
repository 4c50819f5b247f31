"""Folds a network for what a board holds, see `exeunt.optimise`.

What the optimiser does not know when it chooses, the depths of the FIFOs and the exact latency, is
found afterwards with the cycle reference. Where the design turns out too large or too slow by it,
the choice is made again with what was learned.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from exeunt import cost
from exeunt.boards import targets
from exeunt.errors import InputError
from exeunt.graph import Accelerator
from exeunt.hls import folded
from exeunt.hls.back import folding
from exeunt.hls.back.folding import Overrides
from exeunt.hls.folded import Compiled
from exeunt.kernels.layer import Layer
from exeunt.kernels.parts.size import Size, entry
from exeunt.optimise import budget as budgets
from exeunt.optimise import search
from exeunt.optimise.budget import NAMES, Budget
from exeunt.optimise.choose import Asked, Choice, choose
from exeunt.optimise.problem import Problem, problem, waiting
from exeunt.reference import system

if TYPE_CHECKING:
    from exeunt.config.compile import Compile
    from exeunt.config.tree import Config
    from exeunt.hls.front.network import Network

KEPT_FRAMES = 2  # that wait before a later segment
VERDICTS = 4  # that wait before a frame buffer
ROUNDS = 5
FAMILIES = ("xc7", "xcup")  # whose LUT and blocks the sizes of kernels are of
PLAYED = 2000  # frames, at most
PERCENTILES = (50, 95, 99)


@dataclass(frozen=True)
class Limits:
    """What a design may take, and of what."""

    budget: Budget
    available: Budget
    title: str


def limits(section: Compile) -> Limits:
    """What the section [compile] lets the design take.

    Raises:
        InputError: no such board, one whose resources are of another kind, or more than it has.
    """
    given = Budget(**({} if section.resources is None else section.resources.model_dump()))
    if not section.board:
        return Limits(given, given, "the given resources")
    board = targets.load(section.board)
    if board.family not in FAMILIES:
        raise InputError(
            f"compile.board must be a board of family {' or '.join(FAMILIES)}, whose LUT the sizes "
            f"of kernels are of, got {board.name} of family {board.family}: give "
            "compile.resources in LUT6, or target_cycles"
        )
    found = board.resources
    available = Budget(found.lut, found.dsp, found.bram18)
    for name, value in given.items():
        if value > getattr(available, name):
            raise InputError(
                f"compile.resources.{name} must be at most the {getattr(available, name):,} "
                f"{NAMES[name]} of board {board.name}, got {value:,}: give less, or leave out board"
            )
    budget = budgets.share(available, section.use)
    both = {name: min(limit, getattr(budget, name)) for name, limit in given.items()}
    kept = {name: limit for name, limit in budget.items() if name not in both}
    return Limits(Budget(**kept, **both), available, f"{section.use:.0%} of {board.title}")


def asked(section: Compile) -> Asked:
    """What the section [compile] asks for, in cycles."""
    assert section.objective != "energy"
    latency = section.latency_us
    return Asked(
        section.objective,
        section.asked,
        None if latency is None else int(latency * section.clock_mhz),
        section.percentile,
        section.clock_mhz,
    )


def build(
    network: Network,
    *,
    config: Config,
    reach: Sequence[float] | None,
    sequence: str | None = None,
) -> Compiled:
    """The network folded for what the config asks for, its FIFOs sized.

    Args:
        network: the layers.
        config: name and the [compile] section.
        reach: fraction of the frames that reach each exit; None: all reach all.
        sequence: exits of frames in the order in which they come, a digit each; None: that many as
            `reach` says, in random order.

    Raises:
        InputError: a folding file that does not fit the network, a budget that is too small, a
            target that is out of reach, or a sequence with other exits.
    """
    started = time.perf_counter()
    section = config.compile
    overrides = folded.read_folding(section.folding)
    folding.check_names(overrides, network.nodes)
    found = _settled(
        network.layers[0::2], network.layers[1::2], limits(section), asked(section),
        name=config.name, network=network, section=section, overrides=overrides, reach=reach,
        frames=_frames(sequence, reach, network.exits),
    )  # fmt: skip
    folded.check_values(found.accelerator, network)
    assert found.optimised is not None
    found.optimised["seconds"] = round(time.perf_counter() - started, 1)
    return found


def twin(network: Network, *, name: str, section: Compile, size: Size) -> Compiled:
    """The network without early exits, the fastest that takes no more than `size` of anything.

    Raises:
        InputError: not even the smallest one does.
    """
    backbone = tuple(layer for segment in network.layers[0::2] for layer in segment)
    budget = Budget(size.lut, size.dsp, size.bram18)
    found = _settled(
        [backbone], [network.layers[-1]], Limits(budget, budget, "what the design takes"),
        Asked("throughput", clock_mhz=section.clock_mhz), name=name, network=network,
        section=section, overrides={}, reach=None, frames=_frames(None, None, 1),
    )  # fmt: skip
    folded.check_values(found.accelerator, network)
    return found


def total(accelerator: Accelerator, buffer_frames: int) -> Size:
    """What a design with sized FIFOs takes, its controller and frame buffers included."""
    found = cost.network(accelerator)
    size = Size(found.lut + found.control, found.dsp, found.bram18)
    for segment in accelerator.segments[1:]:
        held = waiting(segment.input, buffer_frames, KEPT_FRAMES)
        size += Size(0, 0, held.bram18 - entry(segment.input.width).bram18)
    return size


def sizes(accelerator: Accelerator, section: Compile) -> system.Sizes:
    """The sizes that the stitcher will give the controller."""
    words = [segment.output.words for segment in accelerator.segments]
    return system.Sizes(
        buffers=tuple(section.buffer_frames * w for w in words[:-1]),
        verdicts=VERDICTS,
        in_flight=section.in_flight,
        entries=(0, *(KEPT_FRAMES * s.input.words for s in accelerator.segments[1:])),
    )


def latencies(accelerator: Accelerator, section: Compile) -> list[int]:
    """Cycles from the first beat to the result of a frame that is alone, for each exit."""
    known = sizes(accelerator, section)
    return [
        int(system.predict(accelerator, np.array([i]), sizes=known, gives=False).reported[0])
        for i in range(len(accelerator.heads))
    ]


def rates(reach: Sequence[float] | None, exits: int) -> list[float]:
    """Fraction of the frames that leaves at each exit; None: all leave at the last one."""
    shares = [1.0] * exits if reach is None else [min(1.0, r) for r in reach]
    return [a - b for a, b in zip(shares, [*shares[1:], 0.0], strict=True)]


def pace(accepts: npt.NDArray[np.int64]) -> float:
    """Cycles between frames by when their first beats were taken, once the accelerator is full."""
    full = accepts[len(accepts) // 4 :]
    return float(full[-1] - full[0]) / max(1, len(full) - 1)


def _frames(
    sequence: str | None, reach: Sequence[float] | None, exits: int
) -> npt.NDArray[np.int64]:
    """The exits that are played, int64 (at most PLAYED,)."""
    if not sequence:
        counts = np.round(np.array(rates(reach, exits)) * PLAYED).astype(int)
        frames = np.repeat(np.arange(exits, dtype=np.int64), counts)
        np.random.default_rng(0).shuffle(frames)
        return frames
    known = "01234567"[:exits]
    wrong = next((c for c in str(sequence) if c not in known), None)
    if wrong is not None:
        raise InputError(
            f"sequence of exits.json must be a text of exits 0 to {exits - 1}, a digit each, got "
            f"{wrong!r} in it: calibrate again, or take it out"
        )
    return np.array([int(c) for c in sequence[:PLAYED]], np.int64)


def percentile(cycles: Sequence[int], leaves: Sequence[float], part: int) -> int:
    """Latency that `part` % of the frames keep, by latency and rate of each exit."""
    reached = 0.0
    for latency, rate in sorted(zip(cycles, leaves, strict=True)):
        reached += rate
        if reached >= part / 100 - 1e-9:
            return latency
    return max(cycles)


def _settled(
    segments: Sequence[Sequence[Layer]],
    heads: Sequence[Sequence[Layer]],
    allowed: Limits,
    wish: Asked,
    *,
    name: str,
    network: Network,
    section: Compile,
    overrides: Overrides,
    reach: Sequence[float] | None,
    frames: npt.NDArray[np.int64],
) -> Compiled:
    """The best choice of which also the cycle reference says that it fits."""
    choices = {
        label: folding.choices(layers, overrides)
        for i, pair in enumerate(zip(segments, heads, strict=True))
        for label, layers in zip((f"seg{i}", f"head{i}"), pair, strict=True)
    }
    space = problem(
        segments, heads, choices, buffer_frames=section.buffer_frames,
        kept_frames=KEPT_FRAMES, dsp=allowed.budget.dsp != 0,
    )  # fmt: skip
    share = search.shares(reach, len(heads), section.headroom)
    first, more = cost.totals.CONTROL
    beside = Size(first + more * (len(heads) - 1))
    stretch = 1.0
    for _ in range(ROUNDS):
        choice = choose(
            space, allowed.budget.less(beside), wish, share=share, reach=reach, stretch=stretch
        )
        made = _assembled(name, segments, heads, space, choice, share, network)
        taken = total(made.accelerator, section.buffer_frames)
        waits = latencies(made.accelerator, section)
        late = 1.0
        if wish.latency is not None:
            late = percentile(waits, rates(reach, len(heads)), wish.percentile) / wish.latency
        if not allowed.budget.excess(taken) and late <= 1.0:
            break
        spent = choice.solution.size
        beside = Size(*(
            max(getattr(beside, n), getattr(taken, n) - getattr(spent, n)) for n in NAMES
        ))  # fmt: skip
        stretch *= max(1.0, late * 1.001)
    return _told(made, space, choice, share, allowed, wish, section, taken, waits, reach, frames)


def _assembled(
    name: str,
    segments: Sequence[Sequence[Layer]],
    heads: Sequence[Sequence[Layer]],
    space: Problem,
    choice: Choice,
    share: Sequence[float],
    network: Network,
) -> Compiled:
    folds = {k: [[f] for f in v] for k, v in space.folds(choice.solution.chosen).items()}
    labels = [f"{kind}{i}" for i in range(len(heads)) for kind in ("seg", "head")]
    slowest = [1] * len(heads)
    for place, option in zip(space.places, choice.solution.chosen, strict=True):
        slowest[place.stage] = max(slowest[place.stage], option.period)
    cycles = slowest if choice.cycles is None else search.bounds(choice.cycles, share)
    scales = [part.scale for part in network.parts[1::2]][-len(heads) :]
    made = folded.assemble(
        name, segments, heads, scales=scales, cycles=cycles,
        choices={label: folds.get(label, []) for label in labels}, image=network.shape,
    )  # fmt: skip
    return folded.sized(made)


def _told(
    made: Compiled,
    space: Problem,
    choice: Choice,
    share: Sequence[float],
    allowed: Limits,
    wish: Asked,
    section: Compile,
    taken: Size,
    waits: Sequence[int],
    reach: Sequence[float] | None,
    frames: npt.NDArray[np.int64],
) -> Compiled:
    """The design with what report.json says of it."""
    exits = len(waits)
    leaves = rates(reach, exits)
    played = system.predict(
        made.accelerator, frames, sizes=sizes(made.accelerator, section), gives=False
    )
    hertz = section.clock_mhz * 1e6
    per_image = pace(played.accepts)
    found: dict[str, Any] = {
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
        "predicted": dataclasses.asdict(taken),
        "kernels": dataclasses.asdict(choice.solution.size),
        "cycles": choice.cycles,
        "cycles_per_image": per_image,
        "fps": hertz / per_image,
        "gap": choice.solution.gap,
        "latency": {
            "exits": list(waits),
            "alone": {f"p{p}": percentile(waits, leaves, p) for p in PERCENTILES},
            "busy": {f"p{p}": float(np.percentile(played.reported, p)) for p in PERCENTILES},
            "frames": len(frames),
        },
        "nodes": _nodes(space, choice, share),
    }
    return dataclasses.replace(made, optimised=found)


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
    text = f"for {found['title']}: {', '.join(parts)} predicted, {found['fps']:,.0f} frames/s, "
    p = found["percentile"]
    text += f"p{p} of the latency {found['latency']['alone'][f'p{p}']:,} cycles"
    if found["gap"]:
        text += f", at most {found['gap']:.1%} from the best choice"
    return f"{text}, chosen in {found['seconds']:.1f} s"
