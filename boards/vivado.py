"""The flow of the Zynq boards: write the Vivado project, build it where there is a Vivado, collect.

The project lies in `<out>/project`; what a build leaves is in its `results/`. A project that is the
same as before and has been built, here or on another machine, is collected and not built again.
"""

from __future__ import annotations

import filecmp
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

from exeunt import tool
from exeunt.boards import vivado_project, vivado_reports
from exeunt.boards.targets import Board
from exeunt.errors import ToolError
from exeunt.manifest import Manifest, file_hash
from exeunt.progress import Progress, silent
from exeunt.tool import Told

PROGRAM = "vivado"
ARGUMENTS = ("-mode", "batch", "-nojournal", "-notrace", "-log", "vivado.log")
COMMAND = f"{PROGRAM} -mode batch -source build.tcl"
PROJECT = "project"
RESULTS = "results"
NAME = "exeunt"
KEPT = ("timing.rpt", "utilization.rpt", "utilization_hierarchical.rpt", "power.rpt", "drc.rpt")
STARTS = "starts; a build takes tens of minutes"
AT = re.compile(r"^exeunt at: (.*)$", re.MULTILINE)
SHARES = {  # of the time that is over when the script says where it is; not measured
    "the accelerator's IP": 0.02,
    "the block design": 0.05,
    "synthesis": 0.1,
    "implementation": 0.5,
    "reports": 0.9,
}
_ERROR = re.compile(r"^(?:ERROR|CRITICAL ERROR): *(.*)$|^exeunt: (?!end of)(.*)$", re.MULTILINE)


def version(program: Path) -> str:
    """The release of that Vivado, such as "2023.2".

    Raises:
        ToolError: it does not run, or is not one that the project is written for.
    """
    try:
        done = subprocess.run(
            [str(program), "-version"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=120,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ToolError(
            f"Vivado must start, got {type(error).__name__} from {program}: install it again or "
            "take it off the PATH"
        ) from None
    found = re.search(r"v(\d{4}\.\d)", done.stdout)
    seen = found.group(1) if found else f"{(done.stdout + done.stderr).strip()[:60]!r}"
    if done.returncode != 0 or seen not in vivado_project.RELEASES:
        raise ToolError(
            f"Vivado must be one of {', '.join(vivado_project.RELEASES)}, got {seen} from "
            f"{program}: put another on the PATH, or take it off and build the project by hand"
        )
    return seen


def expected(design: Manifest, out: Path) -> float | None:
    """Nobody knows how long Vivado takes: it has never been measured here."""
    del design, out
    return None


def build(
    manifest: Manifest, board: Board, out: Path, *, progress: Progress = silent
) -> dict[str, Any]:
    """Write the project of `manifest` for `board` into `out`, build it and collect what it made.

    Args:
        manifest: of a compiled run folder.
        board: one of the flow "vivado".
        out: folder for the project, exeunt.bit, exeunt.hwh and the reports.
        progress: told of the stages.

    Returns:
        tool, bitstream (path from the run folder; None without Vivado), sha256, fmax_mhz,
        clock_mhz, resources, timing, power; `next` says what to do where nothing was built,
        `failed` why the design is not good.

    Raises:
        InputError: the design does not suit the board.
        ToolError: Vivado failed, was interrupted or is of another release.
    """
    for left in (f"{NAME}.bit", f"{NAME}.hwh", *KEPT):
        (out / left).unlink(missing_ok=True)
    progress(0, 100, "the project")
    project = _write(manifest, board, out)
    results = project / RESULTS
    if not (results / vivado_reports.RESULT).is_file():
        found = shutil.which(PROGRAM)
        if found is None:
            progress(100, 100, "the project; no bitstream without Vivado")
            return _unbuilt(board, project)
        release = version(Path(found))

        def told(share: float, text: str) -> None:
            progress(int(100 * share), 100, f"Vivado {release}: {text}")

        _run(Path(found), project, told)
    progress(95, 100, "the reports")
    entry = _collect(manifest, board, out, results)
    used = entry["resources"]
    text = f"{entry['fmax_mhz']:g} MHz, {used['lut']:,} LUT, {used['dsp']:,} DSP"
    progress(100, 100, text)
    return entry


def _write(manifest: Manifest, board: Board, out: Path) -> Path:
    """The project's folder: as it was when nothing changed and it was built, otherwise new."""
    project, fresh = out / PROJECT, out / f".{PROJECT}.part"
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(parents=True)
    vivado_project.write(manifest, board, fresh)
    complete = (project / RESULTS / vivado_reports.RESULT).is_file()
    if complete and _same(fresh, project):
        shutil.rmtree(fresh)
        return project
    shutil.rmtree(project, ignore_errors=True)
    fresh.replace(project)
    return project


def _same(fresh: Path, project: Path) -> bool:
    names = [p.relative_to(fresh) for p in fresh.rglob("*") if p.is_file()]
    _, different, odd = filecmp.cmpfiles(fresh, project, map(str, names), shallow=False)
    return not different and not odd


def _unbuilt(board: Board, project: Path) -> dict[str, Any]:
    return {
        "tool": None,
        "bitstream": None,
        "sha256": None,
        "fmax_mhz": None,
        "clock_mhz": board.clock_mhz,
        "resources": None,
        "timing": None,
        "power": None,
        "next": f"no bitstream was made, because no Vivado is on the PATH: run `{COMMAND}` in "
        f"{project}, here or in a copy of it, put its results/ back there and repeat this command",
    }


def _run(program: Path, project: Path, told: Told) -> None:
    """Build the project; nothing of the build survives an interrupt.

    Raises:
        ToolError: it did not get to its end.
    """
    log = project / "vivado.log"
    at = STARTS

    def heard(lines: str) -> None:
        nonlocal at
        at = ([at, *AT.findall(lines)])[-1]
        told(SHARES.get(at, 0.0), at)

    heard("")
    command = [str(program), *ARGUMENTS, "-source", "build.tcl"]
    ran = tool.run("Vivado", command, project, log, heard=heard)
    said = ran.said
    done = (project / RESULTS / vivado_reports.RESULT).is_file()
    if ran.code == 0 and vivado_project.END in said and done:
        return
    shutil.rmtree(project / RESULTS, ignore_errors=True)
    errors = [first or second for first, second in _ERROR.findall(said)]
    why = errors[0] if errors else (said.strip().splitlines() or ["nothing"])[-1]
    raise ToolError(f"Vivado must build {project}, got {ran.ended} and {why[:300]!r}: see {log}")


def _collect(manifest: Manifest, board: Board, out: Path, results: Path) -> dict[str, Any]:
    """The entry of report.json, and the files beside the project.

    Raises:
        ToolError: the results are not those of this design or are not complete.
    """
    found = vivado_reports.result(results)
    mine = f"{manifest.data['design_hash']:08x}"
    if found.design_hash != mine:
        raise ToolError(
            f"results {results} must be of the design {mine}, got those of {found.design_hash}: "
            "delete them and build again"
        )
    for name in (f"{NAME}.bit", f"{NAME}.hwh", *KEPT[:2]):
        if not (results / name).is_file():
            raise ToolError(
                f"results {results} must have {name}, got no such file: delete them and build again"
            )
    for name in KEPT:
        if (results / name).is_file():
            shutil.copyfile(results / name, out / name)
    resources = vivado_reports.resources(results / "utilization.rpt")
    power = results / "power.rpt"
    worst = min(vivado_reports.WORST, key=lambda name: found.slack[name])
    entry: dict[str, Any] = {
        "tool": f"Vivado {found.vivado}",
        "bitstream": None,
        "sha256": None,
        "fmax_mhz": round(found.fmax_mhz, 2),
        "clock_mhz": round(found.clock_mhz, 3),
        "resources": resources,
        "timing": {"worst_slack_ns": found.slack[worst], **found.slack},
        "power": vivado_reports.power(power) if power.is_file() else None,
    }
    if found.slack[worst] < 0:
        hint = f"see {out / 'timing.rpt'}"
        if worst == "wns_ns":
            hint = f"set bitstream.clock_mhz to {int(found.fmax_mhz)} or less, or {hint}"
        entry["failed"] = (
            f"{manifest.data['name']} on {board.name} must meet its clock of "
            f"{found.clock_mhz:g} MHz, got {worst} {found.slack[worst]:g}: {hint}"
        )
        return entry
    for suffix in ("bit", "hwh"):
        shutil.copyfile(results / f"{NAME}.{suffix}", out / f"{NAME}.{suffix}")
    entry["bitstream"] = (out / f"{NAME}.bit").relative_to(manifest.folder).as_posix()
    entry["sha256"] = file_hash(out / f"{NAME}.bit")
    return entry
