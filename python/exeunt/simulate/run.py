"""The simulate step: the test set through the RTL, every answer against the reference."""

from __future__ import annotations

import dataclasses
import json
import os
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from exeunt import manifest as manifests
from exeunt import report
from exeunt.errors import CheckFailed, InputError
from exeunt.manifest import Manifest
from exeunt.progress import Progress, silent
from exeunt.reference import controller, network, pipeline, system
from exeunt.simulate import bulk, localise, verilator
from exeunt.simulate.library import Cycles, decode

if TYPE_CHECKING:
    from exeunt.config import Config

OUTPUT = "simulation.json"
BASELINE = "baseline"
CACHE = ".sim"
TIMELINE = 48
FIELDS = ("class", "exit", "score")

Images = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Answers:
    """What the RTL answered for N images, in the order of the images, and what was expected.

    `got`, `want`: int64 (N,) by field name; `latency`: int64 (N,), the results' own field.
    `slices`: the raw runs. `seconds`: wall time of the simulation alone.
    """

    got: Mapping[str, npt.NDArray[np.int64]]
    want: Mapping[str, npt.NDArray[np.int64]]
    latency: Cycles
    slices: tuple[bulk.Slice, ...]
    seconds: float

    @property
    def wrong(self) -> npt.NDArray[np.int64]:
        """Images whose answer differs in any field."""
        differ = np.zeros(len(self.latency), bool)
        for name in self.want:
            differ |= self.got[name] != self.want[name]
        return np.flatnonzero(differ)

    @property
    def cycles(self) -> int:
        """Cycles of all slices together."""
        return sum(s.trace.cycles for s in self.slices)


def load_images(run_dir: Path, manifest: Manifest, count: int) -> tuple[Images, Cycles]:
    """The first `count` test images (0: all) uint8 (N, H, W, C) and labels int64 (N,).

    Raises:
        InputError: no test images, or images that do not fit the accelerator.
    """
    path = run_dir / "splits.npz"
    if not path.is_file():
        raise InputError(
            f"{path} must hold the test images and is missing; run `exeunt train` first."
        )
    try:
        with np.load(path, allow_pickle=False) as data:
            images, labels = data["test_images"], data["test_labels"]
    except (ValueError, KeyError, OSError, EOFError):
        raise InputError(
            f"{path} must be an .npz with test_images and test_labels and is not; "
            "run `exeunt train` again."
        ) from None
    shape = tuple(manifest.data["input"]["shape"])
    if images.dtype != np.uint8 or images.shape[1:] != shape:
        raise InputError(
            f"The test images in {path} must be uint8 of shape {shape} as the accelerator takes "
            f"them and are {images.dtype} of shape {images.shape[1:]}; run `exeunt compile` again."
        )
    keep = len(images) if count == 0 else min(count, len(images))
    return np.ascontiguousarray(images[:keep]), labels[:keep].astype(np.int64)


def answer(
    manifest: Manifest,
    library: Path,
    images: Images,
    logits: Sequence[npt.NDArray[np.int64]],
    *,
    processes: int = 1,
    thresholds: Sequence[int] | None = None,
    settings: bulk.Settings = bulk.CONTINUOUS,
    progress: Progress = silent,
) -> Answers:
    """Put images through the RTL and set its answers beside the reference's.

    Args:
        manifest: a verified run folder.
        library: its compiled model.
        images: uint8 (N, H, W, C).
        logits: int64 (N, classes) per exit, of the reference.
        processes: simulators side by side.
        thresholds: margins, if not the manifest's.
        settings: idle and stalled cycles, result order.
        progress: told of images done.

    Raises:
        CheckFailed: an assertion of the RTL failed, or results stayed out.
        ToolError: a simulator process died.
    """
    margins = manifest.thresholds if thresholds is None else tuple(thresholds)
    started = time.perf_counter()

    def tell(done: int, cycles: int) -> None:
        rate = cycles / max(1e-9, time.perf_counter() - started)
        progress(done, len(images), f"{rate / 1e6:.2f} M cycles a second")

    slices = bulk.run(
        manifest, library, images, processes=processes, thresholds=margins, settings=settings,
        progress=tell,
    )  # fmt: skip
    seconds = time.perf_counter() - started
    bulk.check_complete(slices)
    expected = controller.decide(logits, margins)
    want = {
        "class": expected.classes,
        "exit": expected.exits,
        "score": expected.scores,
        "flags": np.zeros(len(images), np.int64),
    }
    columns = {name: np.full(len(images), -1, np.int64) for name in (*want, "latency", "count")}
    columns["count"][:] = 0
    for part in slices:
        table = decode(part.trace.results)
        index = table["id"] + part.first
        inside = (index >= part.first) & (index < part.end)
        np.add.at(columns["count"], index[inside], 1)
        for name in (*want, "latency"):
            columns[name][index[inside]] = table[name][inside]
    # bit 1 of the flags says which threshold bank was in force, which is not an answer
    columns["flags"] &= ~2
    want["count"] = np.ones(len(images), np.int64)  # every id exactly once
    latency = columns.pop("latency")
    return Answers(columns, want, latency, tuple(slices), seconds)


def predict(manifest: Manifest, accelerator: Any, exits: Cycles) -> system.Prediction:
    """The cycle reference for one slice whose frames take these exits."""
    sizes = system.Sizes(
        buffers=tuple(manifest.data["buffers"]),
        verdicts=max(2, int(manifest.data["buffer_frames"])),
        in_flight=int(manifest.data["in_flight"]),
    )
    return system.predict(accelerator, exits, sizes=sizes)
