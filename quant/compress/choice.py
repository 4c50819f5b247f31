"""Aggregation, reference and normalization of a filters pass, chosen on validation images.

Every criterion gets its turn, so that none is compared at its worst: first how layers are made
comparable, then, of DeepLIFT and LRP, what is explained and how contributions are summed up. A
choice is the one with the highest accuracy behind pruning and before fine-tuning, with early exit
and of the last exit added, on validation images, mean over the networks of the seeds in
`compress.compare.seeds`: the best setting of one network may give up half of a layer of the next.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from exeunt.config.compress import Compress, Filters
from exeunt.config.tree import Config
from exeunt.progress import Progress, silent
from exeunt.quant.compress.compare import FOLDER, networks, seed_folder
from exeunt.quant.compress.criteria import Scores
from exeunt.quant.compress.filters import apply
from exeunt.quant.compress.subject import Subject
from exeunt.quant.compress.work import Work
from exeunt.quant.data.datasets import load
from exeunt.quant.train import load_checkpoint, one_thread
from exeunt.report import store

CHOICE = "choice.json"
_IMAGES = 2000  # of the validation images: choices are many
NORMALIZE = ("none", "l2", "mean", "max", "rank")
ATTRIBUTED = {
    "aggregate": ("absolute", "net", "rms", "class-max", "class-net"),
    "reference": ("zeros", "mean", "blurred"),
    "objective": ("logit", "margin", "centred", "log-probability"),
}


class _Remembering(Work):
    """Scores of the same question are computed once."""

    def scores(self, subject: Subject, spec: Any, *, weights: bool = True) -> Scores:
        """As `Work.scores`, of filters alone."""
        del weights
        kept: dict[str, Scores] = self.__dict__.setdefault("kept", {})
        key = repr((spec.criterion, spec.aggregate, spec.reference, spec.objective))
        if key not in kept:
            kept[key] = super().scores(subject, spec, weights=False)
        return kept[key]


def choose(
    config: Config, run_dir: Path, data_dir: Path, *, progress: Progress = silent
) -> dict[str, dict[str, Any]]:
    """Settings by criterion for `compress.compare.settings`; all that was tried in choice.json.

    Raises:
        InputError: no checkpoint, or a budget that cannot be met.
    """
    section = config.compress or Compress(passes=(Filters(kind="filters"),))
    base = next((p for p in section.passes if isinstance(p, Filters)), Filters(kind="filters"))
    base = base.model_copy(update={"epochs": 0, "rounds": 1})
    splits = load(config.data, data_dir, shape=config.model.input, classes=config.model.classes)
    splits = dataclasses.replace(splits, validation=splits.validation.some(_IMAGES))
    trials = []
    networks(config, run_dir, data_dir, section.compare.seeds)
    for seed in section.compare.seeds:
        own, folder = seed_folder(config, run_dir, seed)
        work = _Remembering(own, section, splits, seed=seed)
        trials.append((Subject(load_checkpoint(own, folder), own.model), work))
    tried: list[dict[str, Any]] = []
    chosen: dict[str, dict[str, Any]] = {}
    criteria = [c for c in section.compare.criteria if c != "random"]
    with one_thread(config.train.seed):
        for number, criterion in enumerate(criteria):
            spec = base.model_copy(update={"criterion": criterion})
            pairs = itertools.product(NORMALIZE, (False, True))
            stages = [[{"normalize": n, "per_mac": m} for n, m in pairs]]
            if criterion in ("deeplift", "lrp"):
                keys = [k for k in ATTRIBUTED if (criterion, k) != ("lrp", "reference")]
                stages += [[{k: v} for v in ATTRIBUTED[k]] for k in keys]
            for stage in stages:
                rows = []
                for change in stage:
                    progress(number, len(criteria), f"{criterion} {change}")
                    rows.append(_try(spec.model_copy(update=change), trials))
                tried += rows
                best = max(rows, key=lambda r: r["early_exit"] + r["last"])
                spec = spec.model_copy(update=best["settings"])
            chosen[criterion] = {
                k: getattr(spec, k)
                for k in ("normalize", "per_mac", *ATTRIBUTED)
                if getattr(spec, k) != getattr(base, k)
            }
    data = {"chosen": chosen, "tried": tried, "budget": base.budget, "images": section.images}
    store.write_text(run_dir / FOLDER / CHOICE, json.dumps(data, indent=1, sort_keys=True) + "\n")
    return chosen


def _try(spec: Filters, trials: Sequence[tuple[Subject, Work]]) -> dict[str, Any]:
    """Means over the networks, and each by itself."""
    found = [apply(spec, subject, work)[1] for subject, work in trials]
    early = [float(data["before"]["early_exit"]) for data in found]
    last = [float(data["before"]["last"]) for data in found]
    settings = {k: getattr(spec, k) for k in ("normalize", "per_mac", *ATTRIBUTED)}
    return {
        "criterion": spec.criterion,
        "settings": settings,
        "early_exit": float(np.mean(early)),
        "last": float(np.mean(last)),
        "early_exit_of_seeds": early,
        "last_of_seeds": last,
        "macs": float(np.mean([data["macs"] for data in found])),
    }
