"""Criteria side by side: the same budget, the same fine-tuning, several seeds, paired.

A *cell* is one pass with one criterion and budget on the network of one seed; its result is one
file, so an interrupted comparison goes on with the next cell. All that is chosen is chosen on
validation images of the first seed; what the table says is of the test images.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from exeunt.config.compress import AnyPass, Compare, Compress, Filters
from exeunt.config.tree import Config, hash_of
from exeunt.errors import InputError
from exeunt.progress import Progress, part, silent
from exeunt.quant.compress.passes import do_pass, figures
from exeunt.quant.compress.subject import Subject
from exeunt.quant.compress.work import Work
from exeunt.quant.data.datasets import Splits, load
from exeunt.quant.needs import needs
from exeunt.quant.train import (
    CHECKPOINT,
    fingerprint,
    is_trained,
    load_checkpoint,
    one_thread,
    train,
)
from exeunt.report import store
from exeunt.scheduler import HERE, Machines, Task
from exeunt.splits import SPLITS, read_fingerprint

FOLDER = "compare"
SCHEMA = 1
_DRAW = 1000  # between the seeds of two draws on one network
_TRAINING = 20  # of a hundred of the time, for networks of other seeds
_KEYS = ("accuracy_before", "accuracy_after", "last_before", "last_after")


@dataclasses.dataclass(frozen=True)
class Cell:
    """One pass on the network of one seed."""

    spec: AnyPass
    seed: int
    draw: int = 0  # of the criterion "random"

    @property
    def name(self) -> str:
        """Kind, criterion, budget, seed and draw, as a file name."""
        name = f"{self.spec.kind}-{self.spec.criterion}-{self.spec.budget:g}-seed{self.seed}"
        return f"{name}-draw{self.draw}" if self.draw else name


def compare(
    config: Config,
    run_dir: Path,
    data_dir: Path,
    *,
    progress: Progress = silent,
    machines: Machines = HERE,
) -> list[dict[str, Any]]:
    """Do all cells that are not there yet; writes the rows to report.json.

    A network of another seed than the config's is trained in `run_dir`/compare when it is absent.
    Every such training and every cell is a task for `machines`.

    Returns:
        one row a cell: kind, criterion, budget, seed, draw, accuracies of the test images and mean
        multiplies of one with early exit (macs_mean) before and after fine-tuning, macs of the full
        path, weight_bits, predicted_cycles; of widths also bits and the predicted lut.

    Raises:
        InputError: [compress.compare] names a setting that a pass does not have, or a pass cannot
            do what it is told.
    """
    section = config.compress or Compress(passes=(Filters(kind="filters"),))
    cells = cells_of(section)
    images = read_fingerprint(run_dir / SPLITS)
    stamps = [_stamp(config, section, cell, images) for cell in cells]
    paths = [run_dir / _path(cell) for cell in cells]
    known = [_read(path, stamp) for path, stamp in zip(paths, stamps, strict=True)]
    missing = [number for number, row in enumerate(known) if row is None]
    data_dir = data_dir.absolute()
    if missing:
        machines.agree(needs(config, data_dir))
    seeds = dict.fromkeys(cells[number].seed for number in missing)
    networks(config, run_dir, data_dir, list(seeds), progress=part(progress, 0, _TRAINING),
             machines=machines)  # fmt: skip

    def tell() -> list[dict[str, Any]]:
        rows = [{k: v for k, v in row.items() if k != "stamp"} for row in known if row is not None]
        store.update(run_dir, {"compression": {"criteria": rows, "statistics": verdicts(rows)}})
        return rows

    def finished(number: int, row: dict[str, Any]) -> None:
        known[missing[number]] = row
        tell()

    tasks = [
        Task(
            cells[number].name,
            run_dir,
            (config, section, cells[number], stamps[number], data_dir),
            (SPLITS, *_network_of(config, cells[number].seed)),
        )
        for number in missing
    ]
    machines.map(_cell, tasks, progress=part(progress, _TRAINING, 100), finished=finished)
    progress(100, 100, f"{len(cells)} cells")
    return tell()


def networks(
    config: Config,
    run_dir: Path,
    data_dir: Path,
    seeds: Sequence[int],
    *,
    progress: Progress = silent,
    machines: Machines = HERE,
) -> None:
    """Train the networks of these seeds that are absent, a task each."""
    images = read_fingerprint(run_dir / SPLITS)
    tasks = []
    for seed in seeds:
        own, folder = seed_folder(config, run_dir, seed)
        if own is not config and not is_trained(own, folder, images):
            tasks.append(Task(f"training, seed {seed}", folder, (own, data_dir)))
    machines.map(_train, tasks, progress=progress)


def _train(folder: Path, config: Config, data_dir: Path, *, progress: Progress) -> None:
    train(config, folder, data_dir, progress=progress)


def _path(cell: Cell) -> Path:
    """The result of a cell, in the run folder."""
    return Path(FOLDER, "cells", f"{cell.name}.json")


def _network_of(config: Config, seed: int) -> list[str]:
    """The files of the network of a seed, in the run folder."""
    folder = seed_folder(config, Path(), seed)[1]
    return [str(folder / name) for name in (CHECKPOINT, SPLITS)]


@dataclasses.dataclass
class _Memory:
    """What the cells of one comparison have in common in one process."""

    splits: Splits
    originals: dict[str, dict[str, Any]] = dataclasses.field(default_factory=dict)
    known: dict[str, list[float]] = dataclasses.field(default_factory=dict)


_KEPT: dict[str, _Memory] = {}  # of the last comparison


def _memory(config: Config, data_dir: Path, images: str) -> _Memory:
    """That of this config and of the images with this fingerprint."""
    key = f"{hash_of(config)} {data_dir} {images}"
    if key not in _KEPT:
        _KEPT.clear()
        shape, classes = config.model.input, config.model.classes
        _KEPT[key] = _Memory(load(config.data, data_dir, shape=shape, classes=classes))
    return _KEPT[key]


def _cell(
    run_dir: Path,
    config: Config,
    section: Compress,
    cell: Cell,
    stamp: str,
    data_dir: Path,
    *,
    progress: Progress,
) -> dict[str, Any]:
    """Do one cell; its row, which is written too."""
    row = _measure(config, section, cell, run_dir, data_dir)
    row["stamp"] = stamp
    store.write_text(run_dir / _path(cell), json.dumps(row, indent=1, sort_keys=True) + "\n")
    progress(1, 1, cell.name)
    return row


def cells_of(section: Compress) -> list[Cell]:
    """All cells of a [compress] section, one seed after the other."""
    plan = section.compare
    return [
        Cell(spec, seed, draw)
        for seed in plan.seeds
        for base in section.passes
        for criterion in plan.criteria
        if criterion != "uniform" or base.kind in ("sharing", "precision")
        for spec in _specs(base, criterion, plan)
        for draw in range(plan.draws if criterion == "random" else 1)
    ]


def _specs(base: AnyPass, criterion: str, plan: Compare) -> list[AnyPass]:
    settings = plan.settings.get(criterion, {})  # type: ignore[call-overload]
    known = type(base).model_fields
    strange = [k for k in settings if k not in known or k in ("kind", "criterion", "epochs")]
    if strange:
        raise InputError(
            f"compress.compare.settings.{criterion} must have settings of a {base.kind} pass, got "
            f"{strange[0]!r}: choose of {', '.join(sorted(known))}"
        )
    values = {**base.model_dump(), **settings, "criterion": criterion, "epochs": plan.epochs}
    spec = type(base).model_validate(values)
    return [spec.with_budget(b) for b in plan.budgets] if plan.budgets else [spec]


def _measure(
    config: Config,
    section: Compress,
    cell: Cell,
    run_dir: Path,
    data_dir: Path,
) -> dict[str, Any]:
    own, folder = seed_folder(config, run_dir, cell.seed)
    memory = _memory(config, data_dir, read_fingerprint(run_dir / SPLITS))
    originals = memory.originals
    network = hashlib.sha256((folder / CHECKPOINT).read_bytes()).hexdigest()
    work = Work(
        own,
        section,
        memory.splits,
        run_dir / FOLDER / ".stages",
        label=cell.name,
        seed=cell.seed + _DRAW * cell.draw,
        split="test",
        known=memory.known,
    )
    subject = Subject(load_checkpoint(own, folder), own.model)
    with one_thread(cell.seed):
        if network not in originals:
            originals[network] = figures(subject, work)
        original = originals[network]
        compressed, entry = do_pass(cell.spec, subject, work)
    for stage in (run_dir / FOLDER / ".stages").glob(f"{cell.name}-*.pt"):
        stage.unlink()
    before, after = entry["before"], entry["after"]
    return {
        "kind": cell.spec.kind,
        "criterion": cell.spec.criterion,
        "budget": cell.spec.budget,
        "seed": cell.seed,
        "draw": cell.draw,
        "epochs": cell.spec.epochs * cell.spec.rounds,
        "images": after["images"],
        "accuracy_original": original["accuracy"]["early_exit"],
        "accuracy_before": before["early_exit"],
        "accuracy_after": after["early_exit"],
        "last_original": original["accuracy"]["last"],
        "last_before": before["last"],
        "last_after": after["last"],
        "exits_before": before["exits"],
        "exits_after": after["exits"],
        "macs_mean_original": original["accuracy"]["macs_mean"],
        "macs_mean_before": before["macs_mean"],
        "macs_mean_after": after["macs_mean"],
        "macs_original": original["macs"],
        "macs": entry["macs"],
        "weight_bits_original": original["weight_bits"],
        "weight_bits": entry["weight_bits"],
        "predicted_cycles": predicted_cycles(config, compressed, original["accuracy"]["rates"]),
        "predicted_cycles_original": predicted_cycles(
            config, subject, original["accuracy"]["rates"]
        ),
        "layers": entry.get("layers", []),
        "bits": entry.get("bits"),
        "lut_original": entry.get("uniform", {}).get("lut"),
        "lut": entry.get("chosen", {}).get("lut"),
        "settings": cell.spec.model_dump(mode="json"),
    }


def seed_folder(config: Config, run_dir: Path, seed: int) -> tuple[Config, Path]:
    """The config with this seed, and where its trained network is or will be."""
    if seed == config.train.seed:
        return config, run_dir
    section = config.train.model_copy(update={"seed": seed})
    return config.model_copy(update={"train": section}), run_dir / FOLDER / f"seed{seed}"


def predicted_cycles(config: Config, subject: Subject, rates: Sequence[float]) -> float | None:
    """Cycles an image with the multipliers that the original network has; None: not a config's.

    `rates` are the fractions of the images that leave the original network at each exit.
    """
    if config.model.kind != "config":
        return None
    from exeunt import cost

    reach = [max(0.0, 1.0 - float(r)) for r in np.cumsum([0.0, *rates[:-1]])]
    plan = config.compile
    whole = cost.network(config.model, target_cycles=plan.cycles, reach=reach, headroom=plan.spare)
    small = cost.at_multipliers(
        subject.model, multipliers=whole.multipliers, reach=reach, headroom=plan.spare
    )
    return float(small.cycles)


def verdicts(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Each criterion against each other one: mean paired difference, its 95% interval, the verdict.

    Differences are those of networks of the same seed, over the mean of several draws; the interval
    is Student's t. "level": it includes zero; "ahead", "behind": it does not. With one seed there
    is no interval. Beside the accuracies: "multiplies_after", the mean multiplies of an image with
    early exit as a fraction of the original network's, of which fewer are ahead.
    """
    table: dict[tuple[str, float, str], dict[int, list[Mapping[str, Any]]]] = {}
    for row in rows:
        group = table.setdefault((row["kind"], row["budget"], row["criterion"]), {})
        group.setdefault(row["seed"], []).append(row)
    keys = _KEYS + (("multiplies_after",) if all("macs_mean_after" in r for r in rows) else ())
    found = []
    for (kind, budget, one), mine in table.items():
        for (other_kind, other_budget, two), theirs in table.items():
            if (kind, budget) != (other_kind, other_budget) or one == two:
                continue
            seeds = sorted(mine.keys() & theirs.keys())
            for key in keys:
                gaps = [_mean(mine[s], key) - _mean(theirs[s], key) for s in seeds]
                found.append(
                    {"kind": kind, "budget": budget, "criterion": one, "against": two, "key": key}
                    | _paired(gaps, fewer=key not in _KEYS)
                )
    return found


def _mean(draws: Sequence[Mapping[str, Any]], key: str) -> float:
    if key in _KEYS:
        return float(np.mean([row[key] for row in draws]))
    return float(np.mean([row["macs_mean_after"] / row["macs_mean_original"] for row in draws]))


def _paired(gaps: Sequence[float], *, fewer: bool = False) -> dict[str, Any]:
    mean = float(np.mean(gaps)) if gaps else 0.0
    if len(gaps) < 2:
        return {"seeds": len(gaps), "mean": mean, "interval": None, "verdict": None}
    from scipy import stats

    error = float(np.std(gaps, ddof=1)) / len(gaps) ** 0.5
    reach = float(stats.t.ppf(0.975, len(gaps) - 1)) * error
    low, high = mean - reach, mean + reach
    verdict = "ahead" if low > 0 else "behind" if high < 0 else "level"
    if fewer:
        verdict = {"ahead": "behind", "behind": "ahead"}.get(verdict, verdict)
    return {"seeds": len(gaps), "mean": mean, "interval": [low, high], "verdict": verdict}


def _stamp(config: Config, section: Compress, cell: Cell, images: str) -> str:
    """What the result of a cell depends on; `images` is the fingerprint of the splits."""
    own = config.model_copy(update={"train": config.train.model_copy(update={"seed": cell.seed})})
    parts = (fingerprint(own), images, config.calibrate, config.compile.cycles)
    parts += (section.images, section.learning_rate, cell.spec)  # type: ignore[assignment]
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _read(path: Path, stamp: str) -> dict[str, Any] | None:
    """The row in `path`, None when it is absent, damaged or of other settings."""
    try:
        row = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return row if isinstance(row, dict) and row.get("stamp") == stamp else None
