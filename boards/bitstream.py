"""`exeunt bitstream`: the compiled design on a board, by the flow that the board names."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exeunt import manifest
from exeunt.boards import targets
from exeunt.errors import CheckFailed
from exeunt.progress import Progress, silent
from exeunt.report import store

if TYPE_CHECKING:
    from exeunt.config.tree import Config

FOLDER = "bitstream"
FLOWS = {"vivado": "exeunt.boards.vivado", "nextpnr": "exeunt.boards.ecp5"}
KEYS = ("tool", "bitstream", "sha256", "fmax_mhz", "clock_mhz", "resources", "timing", "power")


def expected(config: Config, run_dir: Path, *, board: str | Path = "") -> float | None:
    """Seconds that `bitstream` is likely to take, None where nobody knows.

    Raises:
        InputError: no such board, or the RTL is not what the manifest recorded.
    """
    target = targets.load(board or config.bitstream.board)
    flow = importlib.import_module(FLOWS[target.flow])
    found = flow.expected(manifest.read(Path(run_dir)), Path(run_dir) / FOLDER / target.name)
    return None if found is None else float(found)


def bitstream(
    config: Config, run_dir: Path, *, board: str | Path = "", progress: Progress = silent
) -> dict[str, Any]:
    """Make the bitstream of `run_dir` for `board` in `run_dir`/bitstream/<board>.

    Args:
        config: of the run; `bitstream.board` is the board when none is given, and
            `bitstream.clock_mhz` a clock other than the board's.
        run_dir: with manifest.json, rtl/ and design.f.
        board: a shipped board's name or the path of a board's folder.
        progress: told how far it is.

    Returns:
        The entry of report.json's `synthesis`: board, tool, bitstream and its sha256 (None when
        only the project was written), fmax_mhz, clock_mhz, resources, timing, power.

    Raises:
        InputError: no such board, or the RTL is not what the manifest recorded.
        CheckFailed: the design misses its clock or does not fit.
        ToolError: a tool failed.
    """
    run_dir = Path(run_dir)
    target = targets.load(board or config.bitstream.board)
    if config.bitstream.clock_mhz is not None:
        target = target.model_copy(update={"clock_mhz": config.bitstream.clock_mhz})
    design = manifest.read(run_dir)
    flow = importlib.import_module(FLOWS[target.flow])
    out = run_dir / FOLDER / target.name
    out.mkdir(parents=True, exist_ok=True)
    made = dict(flow.build(design, target, out, progress=progress))
    failed = made.pop("failed", None)
    entry = {
        "board": target.name,
        "design_hash": design.data["design_hash"],
        "available": target.resources.model_dump(),
        **made,
    }
    absent = [key for key in KEYS if key not in entry]
    assert not absent, f"flow {target.flow} says nothing of {absent[0]}"
    store.put(run_dir, "synthesis", "board", [entry])
    if failed:
        raise CheckFailed(failed)
    return entry
