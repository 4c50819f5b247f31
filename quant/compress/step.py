"""The `compress` step: the passes of [compress], one behind the other, on the trained network."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from torch import nn

from exeunt.config.compress import AnyPass, Blocks, Filters, Weights
from exeunt.config.tree import Config
from exeunt.errors import InputError
from exeunt.progress import Progress, silent
from exeunt.quant.compress.passes import do_pass, figures
from exeunt.quant.compress.subject import COMPRESSED, Subject, fingerprint, save
from exeunt.quant.compress.work import FOLDER, Work
from exeunt.quant.data.datasets import load
from exeunt.quant.train import load_checkpoint, one_thread
from exeunt.report import store
from exeunt.scheduler import HERE, Machines

_LEFT = {"macs": "multiplications", "weight_bits": "weight bits"}
COMPRESSION = "compression.json"
SCHEMA = 1


def compress(
    config: Config,
    run_dir: Path,
    data_dir: Path,
    *,
    progress: Progress = silent,
    compare: bool | None = None,
    choose: bool | None = None,
    machines: Machines = HERE,
) -> nn.Module | None:
    """Compress the trained network; leaves compressed.pt and compression.json.

    An interrupted compression goes on behind the last epoch of its fine-tuning. With `compare` or
    `choose` nothing is compressed, see `exeunt.quant.compress.compare` and `choice`; `machines` do
    the cells of a comparison.

    Raises:
        InputError: no [compress] section, no checkpoint, or a pass that cannot do what it is told.
    """
    if compare or choose:
        from exeunt.quant.compress import choice
        from exeunt.quant.compress import compare as comparison

        if choose:
            choice.choose(config, run_dir, data_dir, progress=progress)
        if compare:
            comparison.compare(config, run_dir, data_dir, progress=progress, machines=machines)
        return None
    section = config.compress
    if section is None:
        raise InputError(
            f"config {config.name} must have a section [compress] to be compressed, got none: add "
            'one, such as passes = [{ kind = "filters", budget = 0.5 }]'
        )
    splits = load(config.data, data_dir, shape=config.model.input, classes=config.model.classes)
    total = sum(p.rounds * p.epochs for p in section.passes)
    folder = run_dir / FOLDER
    work = Work(config, section, splits, folder, seed=section.seed, progress=progress, total=total)
    subject = Subject(load_checkpoint(config, run_dir), config.model)
    with one_thread(section.seed):
        whole = figures(subject, work)
        entries = []
        for number, spec in enumerate(section.passes):
            work.label = f"{number} {spec.kind}"
            subject, entry = do_pass(spec, subject, work)
            entries.append(entry)
        after = figures(subject, work)
    save(run_dir / COMPRESSED, subject, stamp=fingerprint(config))
    data = {"schema": SCHEMA, "original": whole, "passes": entries, "compressed": after}
    store.write_text(run_dir / COMPRESSION, json.dumps(data, indent=1, sort_keys=True) + "\n")
    chosen: dict[str, Any] = {
        "passes": [e["kind"] for e in entries],
        "original": whole,
        "compressed": after,
    }
    chosen["budgets"] = [b for b in map(_budget, section.passes, entries) if b]
    chosen["scored_images"] = len(work.scored.labels)  # of the training set, by the criteria
    store.update(run_dir, {"compression": {"chosen": chosen}})
    shutil.rmtree(folder, ignore_errors=True)
    left = [f"{after[k] / whole[k]:.0%} of the {name} left" for k, name in _LEFT.items()]
    accuracy = [f"{100 * part['accuracy']['early_exit']:.2f}%" for part in (whole, after)]
    right = f"{' before and '.join(accuracy)} after of the validation images right"
    progress(total, total, f"{', '.join(left)}, {right}")
    return subject.network


def _budget(spec: AnyPass, entry: dict[str, Any]) -> dict[str, Any] | None:
    """What a pass left beside its budget, as fractions, and what to change to come nearer."""
    if isinstance(spec, Filters):
        share = entry["macs"] / entry["macs_before"]
        found = {"of": "multiplies", "budget": spec.budget}
    elif isinstance(spec, Weights | Blocks):
        layers = entry["layers"]
        share = sum(y["nonzero"] for y in layers) / sum(y["weights"] for y in layers)
        found = {"of": "weights", "budget": spec.budget}
    else:
        return None
    return {"kind": spec.kind, "left": share, "advice": advice(spec), **found}


def advice(spec: Filters | Weights | Blocks) -> str:
    """What makes the steps of a pass smaller, which it takes towards its budget."""
    if isinstance(spec, Filters):
        if spec.multiple > 1:
            return f"lower its multiple, {spec.multiple}"
        return f"lower its floor, {spec.floor}" if spec.floor else "change its budget"
    if spec.group == 0:
        return "give it a group that divides the outputs of every layer; 1 always does"
    if spec.group > 1:
        return f"lower its group, {spec.group}"
    if isinstance(spec, Blocks) and spec.block > 1:
        return f"lower its block, {spec.block}"
    return "change its sparsity"
