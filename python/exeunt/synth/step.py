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
from exeunt.synth import equal, yosys
from exeunt.synth.counts import TARGETS, TOP, Target, count
from exeunt.synth.equal import Rung
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


def equal_jobs(target: Target, run_dir: Path, ladder: Sequence[Rung]) -> list[Job]:
    """The counts for the comparison at equal LUT that are made in any case."""
    if not ladder:
        return []
    mapped = equal.of_luts(target)
    start = equal.first(ladder, equal.predicted(manifest.read(run_dir)))
    return [
        Job(f"{target.name} without DSP", run_dir, mapped, run_dir / FOLDER),
        rung_job(mapped, run_dir, start),
    ]


def rung_job(mapped: Target, run_dir: Path, rung: Rung) -> Job:
    """The count of a folding of the network without exits."""
    keep = run_dir / FOLDER / "ladder" / rung.folder.name
    return Job(f"without exits and DSP, {rung.cycles:,} cycles", rung.folder, mapped, keep)


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

    program, run_dir = yosys.find(), Path(run_dir)
    work = jobs(config, run_dir)
    ladder = equal.rungs(run_dir)
    always = equal_jobs(work[0].target, run_dir, ladder)
    others = [rung for rung in ladder if rung.folder != always[1].folder]
    likely = [rung_job(always[0].target, run_dir, rung) for rung in others[:1]]  # one more, mostly
    spent = []
    for job in [*work, *always, *likely]:
        design = manifest.read(job.folder)
        if _kept(job, key(program, design, job.target, TOP)) is None:
            size = cost.network(design.accelerator())
            spent.append(job.target.effort * (SECONDS[0] + SECONDS[1] * (size.lut + size.control)))
    workers = min(len(spent), os.cpu_count() or 1)
    return max(sum(spent) / workers, max(spent)) if spent else 0.0


class _Board:
    """How far all counts are, told in one line; `most` is how many there may be."""

    def __init__(self, most: int, progress: Progress) -> None:
        self.most, self.progress = most, progress
        self.finished = 0
        self.going: dict[str, tuple[float, str]] = {}
        self.lock = Lock()

    def start(self) -> None:
        """Nothing is counted yet."""
        with self.lock:
            self._tell()

    def told(self, label: str) -> Told:
        """The `Told` of a count."""

        def tell(share: float, text: str) -> None:
            with self.lock:
                self.going[label] = share, text
                self._tell()

        return tell

    def done(self, label: str) -> None:
        """That count is finished."""
        with self.lock:
            self.going.pop(label, None)
            self.finished += 1
            self._tell()

    def _tell(self) -> None:
        texts = [f"{label}: {text}" for label, (_, text) in self.going.items()]
        text = "; ".join([f"{self.finished} of {self.most} counted", *texts])
        share = self.finished + sum(min(share, 1.0) for share, _ in self.going.values())
        self.progress(int(UNIT * share), UNIT * self.most, text)


def count_all(work: Sequence[Job], board: _Board) -> list[dict[str, Any]]:
    """The counts of all jobs in their order, as many at once as there are processors.

    Raises:
        InputError: the RTL is missing or not what the manifest recorded.
        ToolError: Yosys is missing or failed.
    """
    stop = Event()
    with ThreadPoolExecutor(min(len(work), os.cpu_count() or 1)) as pool:
        futures = {
            pool.submit(
                map_design, job.folder, job.target, job.keep, told=board.told(job.label), stop=stop
            ): job
            for job in work
        }
        try:
            for future in as_completed(futures):
                future.result()
                board.done(futures[future].label)
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
    ladder = equal.rungs(run_dir)
    always = equal_jobs(work[0].target, run_dir, ladder)
    board = _Board(len(work) + len(always) + max(0, len(ladder) - 1), progress)
    board.start()
    found = count_all([*work, *always], board)
    ours = found[: len(config.synth.targets)]
    hardware: dict[str, Any] = {
        "resources": ours[0]["resources"],
        "resources_target": ours[0]["target"],
    }
    if len(work) > len(ours):
        hardware["baseline"] = {"resources": found[len(ours)]["resources"]}
    if always:
        hardware["equal"] = {"lut": _equal(run_dir, ladder, always, found[len(work) :], board)}
    store.discard(run_dir, ("synthesis[target]", "hardware.equal.lut"))
    store.put(run_dir, "synthesis", "target", ours)
    store.update(run_dir, {"hardware": hardware})
    equal.settle(run_dir)
    store.write_text(run_dir / JSON, json.dumps(found, indent=2, sort_keys=True) + "\n")
    told = [said(job.label, entry) for job, entry in zip(work, found, strict=False)]
    whole = UNIT * board.most
    progress(whole, whole, "; ".join([*told, *equal.said(store.read(run_dir))]))
    return ours


def _equal(
    run_dir: Path,
    ladder: Sequence[Rung],
    always: Sequence[Job],
    found: Sequence[dict[str, Any]],
    board: _Board,
) -> dict[str, Any]:
    """`hardware.equal.lut`: counts foldings of the network without exits until one fits."""
    mapped = always[0].target
    known = {always[1].folder: found[1]["resources"]}

    def counted(rung: Rung) -> int:
        if rung.folder not in known:
            job = rung_job(mapped, run_dir, rung)
            known[rung.folder] = count_all([job], board)[0]["resources"]
        return int(known[rung.folder]["lut"])

    ours = found[0]["resources"]
    start = next(rung for rung in ladder if rung.folder == always[1].folder)
    rung, last = equal.climb(ladder, start, int(ours["lut"]), counted)
    return equal.entry(mapped, ours, rung, known[rung.folder] if rung else {}, last)
