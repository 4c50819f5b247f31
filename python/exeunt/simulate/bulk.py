"""Runs images through the compiled model: one process per core, each a slice of the images."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from exeunt import packing, registers
from exeunt.errors import CheckFailed, ToolError
from exeunt.graph import Stream
from exeunt.manifest import Manifest
from exeunt.progress import Progress
from exeunt.scheduler import HERE, Machines, Task
from exeunt.simulate import apart, verilator, worker
from exeunt.simulate.library import Bytes, Cycles, Trace

SPARE_CYCLES = 100_000


@dataclass(frozen=True)
class Settings:
    """How the images are offered and taken: fractions of idle and stalled cycles, their seed.

    `map_stall`: fraction of cycles in which no word of a map is taken. `spacing`: cycles between
    the images of the source; 0: all are there at once.
    """

    idle: float = 0.0
    stall: float = 0.0
    seed: int = 0
    order: int = registers.ORDER_ARRIVAL
    map_stall: float = 0.0
    spacing: int = 0


CONTINUOUS = Settings()


@dataclass(frozen=True)
class Slice:
    """The images `first` to `end` - 1 that one process simulated, and what came of it.

    `seconds`: wall time of the simulation alone; `processor`: processor time of it.
    """

    first: int
    end: int
    trace: Trace
    seconds: float
    processor: float
    taps: dict[int, tuple[Bytes, Cycles]] = field(default_factory=dict)


@dataclass(frozen=True)
class Window:
    """Words `first` to `end` - 1 of a tapped stream, to be kept."""

    tap: int
    width: int
    first: int
    end: int


def input_stream(manifest: Manifest) -> Stream:
    """The stream of the images."""
    return manifest.accelerator().segments[0].input


def writes(
    manifest: Manifest, *, thresholds: Sequence[int] | None = None, order: int = 0
) -> list[tuple[int, int]]:
    """Register writes that set thresholds and order: (byte address, 32 bit value)."""
    values = manifest.thresholds if thresholds is None else tuple(thresholds)
    values = (*values[:-1], *manifest.look_thresholds, values[-1])
    found = [
        (registers.address("threshold", i), registers.threshold_word(t))
        for i, t in enumerate(values)
    ]
    found.append((registers.address("order"), order))
    commit = registers.BY_NAME["control"].fields["commit"].put(1)
    found.append((registers.address("control"), commit))
    return found


def split(count: int, parts: int) -> list[tuple[int, int]]:
    """`count` images in at most `parts` slices of nearly equal size."""
    parts = max(1, min(parts, count))
    edges = [count * i // parts for i in range(parts + 1)]
    return [(edges[i], edges[i + 1]) for i in range(parts)]


def cycle_limit(manifest: Manifest, frames: int, settings: Settings) -> int:
    """Cycles after which a simulation is taken to hang: every frame through every chain, thrice."""
    per_frame = sum(c["interval"] + c["last_word"] for c in manifest.data["cycles"].values())
    patience = 3.0 / max(0.05, 1.0 - settings.idle) / max(0.05, 1.0 - settings.stall)
    return int(SPARE_CYCLES + frames * (per_frame * patience + settings.spacing))


def run(
    manifest: Manifest,
    library: Path,
    images: npt.NDArray[np.uint8],
    *,
    processes: int = 1,
    thresholds: Sequence[int] | None = None,
    settings: Settings = CONTINUOUS,
    taps: int = 0,
    windows: Sequence[Window] = (),
    waves: Path | None = None,
    wave_cycles: tuple[int, int] = (0, 1 << 62),
    limit: int | None = None,
    more: Sequence[tuple[int, int]] = (),
    reads: Sequence[int] = (),
    linger: int = 0,
    progress: Callable[[int, int], None] | None = None,
    machines: Machines = HERE,
) -> list[Slice]:
    """Simulate all images.

    Args:
        manifest: a verified run folder.
        library: its compiled model.
        images: uint8 (N, H, W, C).
        processes: simulators side by side.
        thresholds: one per exit to write instead of the manifest's.
        settings: idle and stalled cycles, result order.
        taps: streams of the tap build; 0 for the plain one.
        windows: tapped words to keep.
        waves: file for waves (of a build that has them).
        wave_cycles: cycles from and to which waves are written.
        limit: cycles to give up after; chosen from the predictions unless given.
        more: register writes behind those of thresholds and order: (byte address, value).
        reads: registers to read behind the last result, byte addresses.
        linger: see `Model.run`.
        progress: called with (images done, cycles so far).
        machines: each slice is a task for them, of a build without taps and waves.

    Raises:
        CheckFailed: an assertion of the RTL failed.
        ToolError: a simulator process died.
    """
    stream = input_stream(manifest)
    slices = split(len(images), processes)
    with tempfile.TemporaryDirectory(prefix="exeunt-") as scratch:
        folder = Path(scratch)
        words = packing.pack(stream, images.reshape(-1, *stream.shape))
        jobs: list[dict[str, Any]] = []
        for i, (first, end) in enumerate(slices):
            job: dict[str, Any] = {
                "first": first * stream.words,
                "end": end * stream.words,
                "frames": end - first,
                "exits": len(manifest.data["exits"]),
                "writes": [*writes(manifest, thresholds=thresholds, order=settings.order), *more],
                "reads": list(reads),
                "linger": linger,
                "map_stall": settings.map_stall,
                "limit": limit or cycle_limit(manifest, end - first, settings),
                "idle": settings.idle,
                "spacing": settings.spacing,
                "stall": settings.stall,
                "seed": settings.seed + i,
                "taps": taps,
                "windows": [vars(w) for w in windows],
                "waves": str(waves.resolve()) if waves else "",
                "wave_cycles": wave_cycles,
            }
            jobs.append(job)
        if machines.here:
            _run(jobs, words, library, manifest.folder / "rtl", folder, progress)
        else:
            assert not taps, "taps stay here"
            assert waves is None, "so do waves"
            _away(manifest, jobs, words, library, folder, progress, machines)
        found = []
        for i, (first, end) in enumerate(slices):
            trace, seconds, processor = worker.load(folder / f"out{i}.npz")
            taken = _tapped(folder, i, windows)
            found.append(Slice(first, end, trace, seconds, processor, taken))
    return found


def _run(
    jobs: Sequence[dict[str, Any]],
    words: npt.NDArray[Any],
    library: Path,
    rtl: Path,
    folder: Path,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """A process for each job; their outcomes are out0.npz, out1.npz, ... in `folder`."""
    np.save(folder / "words.npy", words)
    running: list[_Process] = []
    try:
        for i, job in enumerate(jobs):
            places = {
                "library": str(library.resolve()),
                "folder": str(rtl.resolve()),
                "words": str(folder / "words.npy"),
                "tapped": str(folder / f"tapped{i}.npz"),
                "out": str(folder / f"out{i}.npz"),
            }
            path = folder / f"job{i}.json"
            path.write_text(json.dumps({**job, **places}))
            running.append(_Process(path))
        _wait(running, progress)
    finally:
        for process in running:
            process.kill()


def _away(
    manifest: Manifest,
    jobs: Sequence[dict[str, Any]],
    words: npt.NDArray[Any],
    library: Path,
    folder: Path,
    progress: Callable[[int, int], None] | None,
    machines: Machines,
) -> None:
    """As `_run`, a task for each job."""
    done, cycles = 0, 0

    def finished(number: int, outcome: bytes) -> None:
        nonlocal done, cycles
        path = folder / f"out{number}.npz"
        path.write_bytes(outcome)
        done, cycles = done + jobs[number]["frames"], cycles + worker.load(path)[0].cycles
        if progress is not None:
            progress(done, cycles)

    with apart.packed(manifest, library) as design:
        tasks = [
            Task(
                f"slice {number}",
                design,
                (manifest, job, words[job["first"] : job["end"]], verilator.processor()),
                apart.READS,
            )
            for number, job in enumerate(jobs)
        ]
        machines.map(_slice, tasks, finished=finished)


def _slice(
    folder: Path,
    manifest: Manifest,
    job: dict[str, Any],
    words: npt.NDArray[Any],
    processor: str,
    *,
    progress: Progress,
) -> bytes:
    """One job as a task: its out0.npz."""
    mine, library = apart.unpacked(manifest, folder, processor)
    whole = {**job, "first": 0, "end": len(words)}
    with tempfile.TemporaryDirectory(prefix="exeunt-") as scratch:
        _run([whole], words, library, mine.folder / "rtl", Path(scratch))
        progress(1, 1)
        return (Path(scratch) / "out0.npz").read_bytes()


def _tapped(folder: Path, index: int, windows: Sequence[Window]) -> dict[int, tuple[Bytes, Cycles]]:
    if not windows:
        return {}
    with np.load(folder / f"tapped{index}.npz") as data:
        return {w.tap: (data[f"words{w.tap}"], data[f"cycles{w.tap}"]) for w in windows}


class _Process:
    """A worker and the thread that reads its progress."""

    def __init__(self, job: Path) -> None:
        self.results = 0
        self.cycles = 0
        self._errors = job.with_suffix(".err").open("w+")
        self._child = subprocess.Popen(
            [sys.executable, "-m", "exeunt.simulate.worker", str(job)],
            stdout=subprocess.PIPE, stderr=self._errors, text=True,
            env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
        )  # fmt: skip
        assert self._child.stdout is not None
        self._reader = threading.Thread(target=self._read, args=(self._child.stdout,), daemon=True)
        self._reader.start()

    def _read(self, lines: IO[str]) -> None:
        for line in lines:
            words = line.split()
            if len(words) == 2 and words[0].isdigit():
                self.results, self.cycles = int(words[0]), int(words[1])

    def done(self) -> bool:
        """Wait a moment; whether the worker has ended well."""
        try:
            code = self._child.wait(timeout=0.05)
        except subprocess.TimeoutExpired:
            return False
        self._reader.join()
        if code == 0:
            return True
        self._errors.seek(0)
        text = [line.strip() for line in self._errors if line.strip()]
        if code == worker.FAILED and text:
            raise CheckFailed(text[-1])
        raise ToolError(
            f"A simulator process must end with 0 and ended with {code}; "
            f"its last words: {text[-1] if text else 'none'}"
        )

    def kill(self) -> None:
        """End it if it still runs."""
        if self._child.poll() is None:
            self._child.kill()
        self._child.wait()
        self._reader.join()
        if self._child.stdout is not None:
            self._child.stdout.close()
        self._errors.close()


def _wait(running: Sequence[_Process], progress: Callable[[int, int], None] | None) -> None:
    left = list(running)
    while left:
        left = [p for p in left if not p.done()]
        if progress is not None:
            progress(sum(p.results for p in running), sum(p.cycles for p in running))
