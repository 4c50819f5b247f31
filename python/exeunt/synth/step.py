"""The synth step: which designs are counted for which family, what is kept, what is reported.

The hierarchy is kept, so that every block has its count. A count is kept with what it was made of,
so that an interrupted step goes on with the counts that are missing.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Lock
from typing import TYPE_CHECKING, Any

from exeunt import manifest, yowasp
from exeunt.errors import InputError, ToolError
from exeunt.manifest import Manifest
from exeunt.progress import Progress, silent
from exeunt.report import store
from exeunt.synth import yosys
from exeunt.synth.counts import TARGETS, TOP, Target, count
from exeunt.tool import Told, nobody

if TYPE_CHECKING:
    from exeunt.config.tree import Config

FOLDER = "synth"
JSON = "synth.json"
BASELINE = "baseline"
# Processor seconds of a count for xc7: a fixed part and one for each LUT that the cost model
# predicts, fitted to the shipped networks and their baselines.
SECONDS = (5.0, 0.006)
UNIT = 100  # of the progress, for each count


@dataclass(frozen=True)
class Job:
    """One count: the run folder of the design, the family, where its log and counts are kept."""

    label: str
    folder: Path
    target: Target
    keep: Path

    @property
    def kept(self) -> Path:
        """The file with the counts, and with what they were made of."""
        return self.keep / f"{self.target.name}.json"


def jobs(config: Config, run_dir: Path) -> list[Job]:
    """What there is to count: the design for every target, its baseline for the first one."""
    targets = [TARGETS[name] for name in config.synth.targets]
    found = [Job(target.name, run_dir, target, run_dir / FOLDER) for target in targets]
    if (run_dir / BASELINE / manifest.NAME).is_file():
        keep = run_dir / FOLDER / BASELINE
        found.append(Job("without exits", run_dir / BASELINE, targets[0], keep))
    return found


def key(program: Path, design: Manifest, target: Target, top: str) -> str:
    """Hex sha256 of all that decides about a count: Yosys, its script, the design's files."""
    names = [path.name for path in design.sources]
    files = {n: h for n, h in design.data["files"].items() if not n.endswith(".npz")}
    parts = [yowasp.version(program), yosys.script(target, names, top), target.cells, files]
    text = json.dumps(parts, sort_keys=True, default=dict)
    return hashlib.sha256(text.encode()).hexdigest()


def map_design(
    folder: Path,
    target: Target,
    keep: Path,
    *,
    top: str = TOP,
    told: Told = nobody,
    stop: Event | None = None,
) -> dict[str, Any]:
    """Count the resources of the run folder `folder` on `target`; log and counts go to `keep`.

    A count that is there already, of the same files by the same Yosys, is not made again.

    Raises:
        InputError: the RTL is missing, not what the manifest recorded, or FINN's.
        ToolError: Yosys is missing or failed.
    """
    program = yosys.find()
    design = manifest.read(folder)
    names = [path.name for path in design.sources]
    foreign = [name for name in names if name.startswith("ex_finn_")]
    if foreign:
        raise InputError(
            f"a design must be made of our kernels for Yosys to read it, got {foreign[0]} in "
            f'{folder}: set compile.kernels = "exeunt" and run `exeunt compile` again'
        )
    job = Job("", folder, target, keep)
    mark = key(program, design, target, top)
    entry = _kept(job, mark)
    if entry is None:
        entry = _count(program, job, design, top=top, told=told, stop=stop)
        kept = {"key": mark, "entry": entry}
        store.write_text(job.kept, json.dumps(kept, indent=2, sort_keys=True) + "\n")
    return entry


def _kept(job: Job, mark: str) -> dict[str, Any] | None:
    """The count of an earlier run with the same `mark`."""
    try:
        data = json.loads(job.kept.read_text(encoding="utf-8"))
        return dict(data["entry"]) if data["key"] == mark else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _count(
    program: Path, job: Job, design: Manifest, *, top: str, told: Told, stop: Event | None
) -> dict[str, Any]:
    target, keep = job.target, job.keep
    keep.mkdir(parents=True, exist_ok=True)
    # Yosys as WebAssembly sees its working folder alone, and memory files are named without one
    with tempfile.TemporaryDirectory(dir=keep, prefix=".work-") as work:
        for path in (job.folder / "rtl").iterdir():
            if path.is_file() and path.suffix != ".npz":
                shutil.copy(path, work)
        names = [path.name for path in design.sources]
        (Path(work) / yosys.SCRIPT).write_text(yosys.script(target, names, top), encoding="ascii")
        ran = yosys.run(program, Path(work), told=told, stop=stop)
        log = keep / f"{target.name}.log"
        store.write_text(log, ran.said or ran.printed)
        netlist = Path(work) / yosys.NETLIST
        # ABC can die without a word and with exit code 0: only the end of the script proves it ran
        if ran.code != 0 or yosys.END not in ran.said or not netlist.is_file():
            raise ToolError(
                f"Yosys must map {job.folder} to {target.name}, got {ran.ended} and "
                f"{ran.why!r}: see {log}"
            )
        data = json.loads(netlist.read_text(encoding="utf-8"))
    total, blocks = count(data, target, top)
    if not total["lut"]:
        raise ToolError(
            f"Yosys must map {job.folder} to {target.name}, got a design without a LUT: see {log}"
        )
    tool = str(data.get("creator", "Yosys")).partition(" (")[0]
    return {"target": target.name, "tool": tool, "resources": total, "blocks": blocks}


def expected(config: Config, run_dir: Path) -> float:
    """Seconds that the step is likely to take here: what is kept takes none.

    Raises:
        InputError: the RTL is missing or not what the manifest recorded.
        ToolError: Yosys is missing.
    """
    from exeunt import cost

    program = yosys.find()
    spent = []
    for job in jobs(config, Path(run_dir)):
        design = manifest.read(job.folder)
        if _kept(job, key(program, design, job.target, TOP)) is None:
            size = cost.network(design.accelerator())
            spent.append(job.target.effort * (SECONDS[0] + SECONDS[1] * (size.lut + size.control)))
    workers = min(len(spent), os.cpu_count() or 1)
    return max(sum(spent) / workers, max(spent)) if spent else 0.0


class _Board:
    """How far all counts are, told in one line."""

    def __init__(self, work: Sequence[Job], progress: Progress) -> None:
        self.work, self.progress = work, progress
        self.shares = dict.fromkeys(range(len(work)), 0.0)
        self.texts: dict[int, str] = {}
        self.lock = Lock()

    def told(self, number: int) -> Told:
        """The `Told` of count `number`."""

        def tell(share: float, text: str) -> None:
            with self.lock:
                self.shares[number], self.texts[number] = share, text
                self._tell()

        return tell

    def done(self, number: int) -> None:
        """Count `number` is finished."""
        with self.lock:
            self.shares[number] = 1.0
            self.texts.pop(number, None)
            self._tell()

    def _tell(self) -> None:
        finished = sum(share >= 1.0 for share in self.shares.values())
        going = [f"{self.work[i].label}: {text}" for i, text in sorted(self.texts.items())]
        text = "; ".join([f"{finished} of {len(self.work)} counted", *going])
        done = sum(int(UNIT * share) for share in self.shares.values())
        self.progress(done, UNIT * len(self.work), text)


def count_all(work: Sequence[Job], progress: Progress = silent) -> list[dict[str, Any]]:
    """The counts of all jobs in their order, as many at once as there are processors.

    Raises:
        InputError: the RTL is missing or not what the manifest recorded.
        ToolError: Yosys is missing or failed.
    """
    board, stop = _Board(work, progress), Event()
    progress(0, UNIT * len(work), f"0 of {len(work)} counted")
    with ThreadPoolExecutor(min(len(work), os.cpu_count() or 1)) as pool:
        futures = {
            pool.submit(
                map_design, job.folder, job.target, job.keep, told=board.told(i), stop=stop
            ): i
            for i, job in enumerate(work)
        }
        try:
            for future in as_completed(futures):
                future.result()
                board.done(futures[future])
        except BaseException:
            stop.set()  # the others are not waited for; what is finished is kept
            pool.shutdown(cancel_futures=True)
            raise
    return [future.result() for future in futures]


def said(label: str, entry: dict[str, Any]) -> str:
    """A count in a few words: `xc7 5,899 LUT, 23 DSP`."""
    resources = entry["resources"]
    return f"{label} {resources['lut']:,} LUT, {resources['dsp']:,} DSP"


def synth(config: Config, run_dir: Path, *, progress: Progress = silent) -> list[dict[str, Any]]:
    """Count for every target of the config; the network without exits on the first one too.

    Raises:
        InputError: the RTL is missing or not what the manifest recorded.
        ToolError: Yosys is missing or failed.
    """
    run_dir = Path(run_dir)
    for left in (run_dir / FOLDER).glob("**/.work-*"):  # by an interrupted run
        shutil.rmtree(left)
    work = jobs(config, run_dir)
    found = count_all(work, progress)
    ours = found[: len(config.synth.targets)]
    hardware: dict[str, Any] = {
        "resources": ours[0]["resources"],
        "resources_target": ours[0]["target"],
    }
    if len(found) > len(ours):
        hardware["baseline"] = {"resources": found[-1]["resources"]}
    store.discard(run_dir, ("synthesis[target]",))
    store.put(run_dir, "synthesis", "target", ours)
    store.update(run_dir, {"hardware": hardware})
    store.write_text(run_dir / JSON, json.dumps(found, indent=2, sort_keys=True) + "\n")
    whole = UNIT * len(work)
    told = [said(job.label, entry) for job, entry in zip(work, found, strict=True)]
    progress(whole, whole, "; ".join(told))
    return ours
